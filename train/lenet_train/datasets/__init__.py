"""What a user's data set may be: a file for each form, and ``registry.py``, which knows them."""
