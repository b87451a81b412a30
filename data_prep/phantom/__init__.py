"""Generators of synthetic scans; a task's prep module says which one is its own."""
