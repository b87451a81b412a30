"""Low or high grade of a glioma: the BraTS studies of glioma_tumour with their grades."""

from data_prep.glioma_tumour import (
    MASK_ROLE,
    OPERATIONS,
    SETTINGS,
    list_sources,
    read_source,
    sources_to_predict,
    write_phantom,
)

__all__ = [
    "MASK_ROLE", "OPERATIONS", "SETTINGS", "list_sources", "read_source", "sources_to_predict",
    "write_phantom",
]  # fmt: skip
