"""Grad-CAM and guided backpropagation: python -m mri_tf.explain."""
