"""Networks of others, read as chains of stages."""
