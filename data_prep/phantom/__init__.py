"""Generators of synthetic scans; `phantom` of a task names one of `kinds`."""
