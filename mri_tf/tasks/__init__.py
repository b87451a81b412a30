"""The tasks that come with mri_tf, each in a file with `TASK = Task(...)`."""
