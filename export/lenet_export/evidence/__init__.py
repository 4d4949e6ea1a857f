"""What can be shown of an export beside its files: numbers, and a page of them."""
