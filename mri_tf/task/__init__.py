"""A task as values: what is classified, from what, with which model. Standard library only."""

from mri_tf.task.spec import Task

__all__ = ["Task"]
