"""Slices and volumes to augment, as a batch that is read holds them."""

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from mri_tf.task import Task


def noise(*shape, seed=0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1000, 1000, shape).astype(np.float32)


def seeds(count, first=0) -> tf.Tensor:
    return tf.constant([[5, first + number] for number in range(count)], tf.int64)


@dataclass(frozen=True)
class Grid:
    """Sides that differ, so that a swap is seen; what may happen to an image; records in a batch."""

    size: tuple[int, ...]
    augment: dict
    count: int

    def task(self, kind="segmentation", **changes) -> Task:
        values = dict(
            name="tiny", kind=kind, channels=("ct", "mr"), image_shape=self.size,
            class_names=("a", "b", "c"), model="mnet", augment=self.augment, augment_probability=1.0,
            normalize=dict(method="range", low=0.0, high=1.0),
        )  # fmt: skip
        return Task(**{**values, **changes})

    def batch(self, count=0, seed=0) -> dict:
        """Masks of three labels, and images whose channels are the labels 1 and 2 themselves."""
        rng, count = np.random.default_rng(seed), count or self.count
        masks = np.zeros((count, *self.size), np.int32)
        for mask in masks:
            top, left = rng.integers(0, [self.size[-2] - 6, self.size[-1] - 8])
            outer, inner = (mask[1:7], mask[2:6]) if mask.ndim == 3 else (mask, mask)
            outer[..., top : top + 6, left : left + 7] = 1
            inner[..., top + 1 : top + 5, left + 3 : left + 7] = 2
        images = np.stack([masks == 1, masks == 2], axis=-1).astype(np.int16)
        return {
            "image": tf.constant(images),
            "mask": tf.constant(masks),
            "label": tf.constant(rng.integers(0, 3, count), tf.int32),
            "intensity_stats": tf.constant(np.tile([0.0, 1.0], (count, 2, 2, 1)), tf.float32),
            "spacing_mm": tf.ones((count, 3)),
            "weight": tf.constant(rng.uniform(0.5, 2, count), tf.float32),
            "seed": seeds(count),
        }


SLICES = Grid(
    (12, 16),
    {
        "random_affine": {"max_degrees": 30.0, "max_shift_fraction": 0.1, "zoom": (0.8, 1.2)},
        "random_flip": {"axis": "columns"},
    },
    count=24,
)
VOLUMES = Grid(
    (8, 10, 12),
    {
        "random_affine3d": {
            "max_degrees": (10.0, 20.0, 30.0), "max_shift_fraction": 0.1, "zoom": (0.8, 1.2),
            "spacing_mm": (2.0, 1.0, 1.0),
        },
        "random_flip": {"axis": "left_right"},
    },
    count=4,
)  # fmt: skip
