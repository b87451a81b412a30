"""What is known of a batch before anything of it is changed at random."""

from typing import NamedTuple

import tensorflow as tf


class Known(NamedTuple):
    """Size and spacing of the grid, and the spread of intensities."""

    size: tuple[int, ...]  # [depth,] rows, columns
    spacing_mm: tf.Tensor  # (batch, axes) of the grid
    mean: tf.Tensor  # (batch, channels) of the records' intensities
    sd: tf.Tensor  # (batch, channels)

    @classmethod
    def of(cls, batch: dict) -> "Known":
        """Of a raw batch, as `read_dataset` gives it."""
        size = tuple(batch["image"].shape[1:-1])
        stats = batch["intensity_stats"][:, 0]  # (batch, channels, 2), of the whole images
        return cls(size, batch["spacing_mm"][:, -len(size) :], stats[..., 0], stats[..., 1])
