"""Predictions for original files: python -m mri_tf.predict."""
