"""mri_tf: from a small, messy set of MRI or CT examinations to a classifier and a served model."""

__version__ = "0.1.0"
