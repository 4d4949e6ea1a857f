"""What an export writes: C, or the numbers alone."""
