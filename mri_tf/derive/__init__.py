"""Prepared sets with predicted masks: python -m mri_tf.derive."""
