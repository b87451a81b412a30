"""Short-axis cine MR images with masks of the left ventricle's blood pool, from `manifest.csv`."""

from data_prep.csv_manifest import OPERATIONS, SETTINGS, list_sources, read_source, sources_to_predict
from data_prep.phantom.short_axis import write_short_axis_phantom as write_phantom

__all__ = [
    "OPERATIONS", "SETTINGS", "list_sources", "read_source", "sources_to_predict", "write_phantom",
]  # fmt: skip
