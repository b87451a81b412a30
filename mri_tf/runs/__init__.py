"""Lists finished runs, and compares two of them."""
