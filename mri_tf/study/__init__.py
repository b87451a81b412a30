"""Experiments over folds, repeats, training sizes and variants: python -m mri_tf.study."""
