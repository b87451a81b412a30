"""Logs finished runs and studies to an experiment tracker: python -m mri_tf.track."""
