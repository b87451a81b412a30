"""Answers as DICOM objects that an archive can store, and studies fetched from one."""
