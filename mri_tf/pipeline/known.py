"""What is known of a batch before anything of it is changed at random."""

from typing import NamedTuple

import tensorflow as tf


class Known(NamedTuple):
    """Size and spacing of the grid, the spread of intensities, and what 0 means.

    With `keep_zero` what is exactly 0 is the outside of standardised records, and no change of
    intensities changes it.
    """

    size: tuple[int, ...]  # [depth,] rows, columns
    spacing_mm: tf.Tensor  # (batch, axes) of the grid
    mean: tf.Tensor  # (batch, channels) of the records' intensities
    sd: tf.Tensor  # (batch, channels)
    keep_zero: bool = False

    @classmethod
    def of(cls, batch: dict, keep_zero: bool = False) -> "Known":
        """Of a raw batch, as `read_dataset` gives it."""
        size = tuple(batch["image"].shape[1:-1])
        stats = batch["intensity_stats"][:, 0]  # (batch, channels, 2), of the whole images
        spacing_mm = batch["spacing_mm"][:, -len(size) :]
        return cls(size, spacing_mm, stats[..., 0], stats[..., 1], keep_zero)
