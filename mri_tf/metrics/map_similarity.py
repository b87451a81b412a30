"""How alike two maps of one image are, whatever their scale: by ranks and by structure."""

import numpy as np
from scipy.stats import rankdata
from skimage import metrics

MOST_RANKED = 2**15  # voxels of a map that are ranked; of more, some at even steps along each axis
WINDOW = 7  # voxels along each axis of the structural similarity


def rank_correlation(
    first: np.ndarray, second: np.ndarray, inside: np.ndarray | None = None
) -> float:
    """Spearman's correlation of the absolute values of two maps.

    0 where the second map is the same everywhere: nothing of the first one is left. NaN where the first
    one is.

    Args:
        first: a map of any shape.
        second: of the same shape.
        inside: bool of the same shape, where they are compared; everywhere unless given.
    """
    thinned = tuple(slice(None, None, step) for step in _steps(first.shape))
    chosen = np.ones(first.shape, bool)[thinned] if inside is None else inside[thinned]
    one, other = (rankdata(np.abs(values[thinned][chosen])) for values in (first, second))
    one, other = one - one.mean(), other - other.mean()
    if not one.any():
        return float("nan")
    lengths = np.linalg.norm(one) * np.linalg.norm(other)
    return float(one @ other / lengths) if lengths else 0.0


def structural_similarity(first: np.ndarray, second: np.ndarray) -> float:
    """SSIM (Wang et al. 2004) of the absolute values of two maps, each divided by its maximum.

    Mean over windows of 7 voxels a side with equal weights, within the image; NaN where the first map is
    0 everywhere or a side is shorter than a window.

    Args:
        first: a map, 2D or 3D.
        second: of the same shape.
    """
    if min(first.shape) < WINDOW or not first.any():
        return float("nan")
    one, other = (np.abs(values).astype(float) / max(np.abs(values).max(), 1e-30)
                  for values in (first, second))  # fmt: skip
    return float(metrics.structural_similarity(one, other, win_size=WINDOW, data_range=1.0))


def _steps(shape: tuple[int, ...]) -> list[int]:
    """Steps along each axis such that at most MOST_RANKED voxels are left."""
    step = 1
    while np.prod([-(-size // step) for size in shape]) > MOST_RANKED:
        step += 1
    return [step] * len(shape)


def mean_of_known(values: np.ndarray) -> float:
    """The mean of the finite values; NaN where none is."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")
