"""Reads image files, CSV tables, NIfTI and MGH files and DICOM folders into arrays.

`from data_prep.io import read_nifti, read_dicom` works; neither module is imported before it is used.
"""

import importlib

_MODULES = {"read_nifti": "data_prep.io.nifti", "read_dicom": "data_prep.io.dicom.series"}


def __getattr__(name: str):
    if name not in _MODULES:
        raise AttributeError(f"data_prep.io has no {name}; it gives {', '.join(sorted(_MODULES))}")
    return getattr(importlib.import_module(_MODULES[name]), name)
