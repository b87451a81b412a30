"""Any source to arrays: image files, CSV tables, NIfTI."""
