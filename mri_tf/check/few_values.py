"""Whether some records hold only a few values where others hold many, as masks do."""

import numpy as np

from mri_tf.check.findings import ATTENTION, Finding

LEVELS = 10_000  # of the range of an image: resampling makes other values between those of a mask
COMMON = 4  # values beside the most common one, which is that of the background
LEAST_SHARE = 0.5  # of what is not background; 0.02 to 0.51 in images, 0.56 and more in resampled masks
LEAST_RATIO = 1.8  # over the median of the records


def share_of_few_values(channel: np.ndarray) -> float:
    """The share of the most common values in what is not background; 0 for one value everywhere."""
    values = channel.astype(np.float32).ravel()
    low, high = values.min(), values.max()
    if not high > low:
        return 0.0
    counts = np.bincount(np.rint((values - low) / (high - low) * LEVELS).astype(np.int64))
    ordered = np.sort(counts)[::-1]
    return float(ordered[1 : COMMON + 1].sum() / ordered[1:].sum())


def few_values(shares: np.ndarray) -> list[Finding]:
    """Those that stand apart, if any.

    Args:
        shares: (records, channels) of `share_of_few_values`.
    """
    middle = np.median(shares, axis=0)
    few = (shares >= LEAST_SHARE) & (shares >= LEAST_RATIO * middle)
    where = np.flatnonzero(few.any(axis=1))
    if not len(where):
        return []
    return [
        Finding(
            "values", ATTENTION,
            f"{len(where)} of {len(shares)} records hold hardly more than a few values, the others many",
            "Look at these files: a mask may be named as an image.", tuple(where.tolist()),
        )
    ]  # fmt: skip
