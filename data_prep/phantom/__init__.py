"""Generators of synthetic scans; `phantom` of a task names one of `kinds`."""

PHANTOM_NOTE = "phantom.json"  # the settings of a phantom, in its folder of raw data
