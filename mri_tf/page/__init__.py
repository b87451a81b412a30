"""The page: a browser chooses a model, drops a study and sees the answer: python -m mri_tf.page."""
