"""Training: python -m mri_tf.train."""
