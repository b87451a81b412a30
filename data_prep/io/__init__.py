"""Any source to arrays: image files, CSV tables, NIfTI and MGH files, DICOM folders."""

import importlib

_MODULES = {"read_nifti": "data_prep.io.nifti", "read_dicom": "data_prep.io.dicom.series"}


def __getattr__(name: str):
    """`read_nifti` and `read_dicom`, imported when first asked for: heads stay light."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)
