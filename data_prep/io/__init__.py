"""Reads image files, CSV tables, NIfTI and MGH files and DICOM folders into arrays."""
