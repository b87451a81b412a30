"""Tasks: what is classified or segmented, from which images, with which network, as plain values."""

from mri_tf.task.spec import Task

__all__ = ["Task"]
