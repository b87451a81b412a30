"""Whether a label map belongs to its image: the same grid, in the same place, known values."""

import itertools

import numpy as np

from data_prep.source import Unreadable
from data_prep.volume import Volume


def check_label_map(labels: Volume, image: Volume, label_count: int | None = None) -> None:
    """Raises Unreadable unless the map lies on the image's grid to a quarter of its finest spacing
    and, with a `label_count`, holds whole numbers from 0 to below it."""
    if labels.array.shape != image.array.shape:
        raise Unreadable(
            f"the label map has shape {labels.array.shape}, the volume {image.array.shape}"
        )
    if not _largest_shift_mm(image, labels) <= min(image.spacing_mm) / 4:
        raise Unreadable("the label map lies elsewhere than the volume (their affines differ)")
    if label_count is None:
        return
    unknown = np.setdiff1d(np.unique(labels.array), np.arange(label_count))
    if len(unknown):
        raise Unreadable(f"the label map holds values that are no label: {unknown[:5].tolist()}")


def _largest_shift_mm(one: Volume, other: Volume) -> float:
    """How far apart two volumes of one shape lie at any corner: a small turn shifts far corners most."""
    ends = [(0, size - 1) for size in one.array.shape]
    corners = np.array([(x, y, z, 1) for x, y, z in itertools.product(*ends)])  # (8, 4)
    apart = corners @ (one.affine - other.affine).T  # (8, 4) mm
    return float(np.linalg.norm(apart, axis=1).max())
