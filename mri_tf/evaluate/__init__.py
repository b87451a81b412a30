"""Numbers on held-out patients: python -m mri_tf.evaluate."""
