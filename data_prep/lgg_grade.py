"""Grade II or III of a lower-grade glioma: the studies of lgg_tumour with the column `grade`."""

from data_prep.lgg_tumour import (
    OPERATIONS,
    SETTINGS,
    list_sources,
    read_source,
    sources_to_predict,
    write_phantom,
)

__all__ = [
    "OPERATIONS", "SETTINGS", "list_sources", "read_source", "sources_to_predict", "write_phantom",
]  # fmt: skip
