"""Brain MR pictures in one folder a class, named by tumour and contrast (recipe D)."""

from data_prep.class_folders import OPERATIONS, SETTINGS, list_sources, read_source, sources_to_predict
from data_prep.phantom.class_pictures.dataset import write_class_pictures as write_phantom

__all__ = [
    "OPERATIONS", "SETTINGS", "list_sources", "read_source", "sources_to_predict", "write_phantom",
]  # fmt: skip
