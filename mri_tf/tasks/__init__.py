"""The tasks that come with mri_tf, one file each: `TASK = Task(...)`."""
