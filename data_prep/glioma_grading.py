"""Low or high grade of a glioma: the BraTS studies of glioma_tumour with their grades."""

from data_prep.glioma_tumour import OPERATIONS, SETTINGS, list_sources, read_source, write_phantom

__all__ = ["OPERATIONS", "SETTINGS", "list_sources", "read_source", "write_phantom"]
