"""How often the band of an ROC curve holds the true sensitivity, beside a bootstrap of patients.

    python benchmarks/roc_band.py --repetitions 150

Scores of ill and well patients are normal, their records alike. Of each data set the band of
`mri_tf.metrics.roc` and the percentiles of resampled patients, as many ill and well ones as there are,
are held against the true curve. Printed is the share of the data sets that hold it, in percent, as the
mean and the least of the false positive rates 0.1, 0.2, 0.3, 0.5 and 0.7, and the mean width.
"""

import argparse

import numpy as np
from scipy.stats import norm

from mri_tf.metrics.classification import numbers_with_intervals
from mri_tf.metrics.classifier import Predictions
from mri_tf.metrics.roc import FALSE_RATES, roc_curves, roc_points
from mri_tf.tables import markdown

SIDES = ((10, 10, 1, 0.0), (20, 20, 1, 0.0), (15, 45, 1, 0.0), (60, 60, 1, 0.0), (20, 20, 10, 0.5),
         (60, 60, 10, 0.5))  # ill and well patients, records of each, how alike these are
AREAS = (0.75, 0.9, 0.99)
PLACES = [4, 8, 12, 20, 28]  # of FALSE_RATES
RESAMPLES = 120


def drawn(rng: np.random.Generator, side: tuple, area: float) -> tuple[np.ndarray, ...]:
    """(records,) scores between 0 and 1, whether ill, and patient numbers, the ill ones first."""
    ill, well, records, alike = side
    owner = np.repeat(np.arange(ill + well), records)
    own, noise = rng.normal(size=ill + well)[owner], rng.normal(size=len(owner))
    apart = np.sqrt(2) * norm.ppf(area) * (owner < ill)
    scores = norm.cdf(np.sqrt(alike) * own + np.sqrt(1 - alike) * noise + apart)
    return scores, owner < ill, owner


def banded(scores: np.ndarray, positive: np.ndarray, owner: np.ndarray) -> np.ndarray:
    """(2, limits) of the band."""
    arrays = Predictions(
        positive.astype(int), np.stack([1 - scores, scores], axis=1), (scores > 0.5).astype(int),
        owner.astype(str),
    )  # fmt: skip
    numbers = numbers_with_intervals(arrays, ("well", "ill"))
    curve = roc_curves(arrays, ("well", "ill"), numbers["per_class"])["ill"]
    return np.stack([curve.low, curve.high])


def bootstrapped(
    scores: np.ndarray, positive: np.ndarray, side: tuple, rng: np.random.Generator
) -> np.ndarray:
    """(2, limits) by resampling the ill and the well patients."""
    ill, well, records, _ = side
    curves = []
    for _ in range(RESAMPLES):
        owners = np.concatenate([rng.integers(0, ill, ill), ill + rng.integers(0, well, well)])
        chosen = (owners[:, None] * records + np.arange(records)).ravel()
        curves.append(np.interp(FALSE_RATES, *roc_points(scores[chosen], positive[chosen])))
    return np.percentile(curves, (2.5, 97.5), axis=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repetitions", type=int, default=150)
    flags = parser.parse_args()
    rows = []
    for side in SIDES:
        for area in AREAS:
            rng = np.random.default_rng([*side[:3], int(100 * area)])
            true = norm.cdf(np.sqrt(2) * norm.ppf(area) + norm.ppf(FALSE_RATES))
            limits = []
            for _ in range(flags.repetitions):
                scores, positive, owner = drawn(rng, side, area)
                limits.append([banded(scores, positive, owner),
                               bootstrapped(scores, positive, side, rng)])  # fmt: skip
            limits = np.array(limits)[..., PLACES]  # (sets, methods, low and high, places)
            held = (limits[:, :, 0] <= true[PLACES]) & (true[PLACES] <= limits[:, :, 1])
            covered, width = 100 * held.mean(axis=0), np.diff(limits, axis=2).mean(axis=(0, 2, 3))
            texts = [f"{of.mean():.0f}, {of.min():.0f}; {wide:.2f}"
                     for of, wide in zip(covered, width, strict=True)]  # fmt: skip
            rows.append([f"{side[0]} + {side[1]} × {side[2]}", area, *texts])
    columns = ["patients × records", "true AUC", "band: mean, least; width", "bootstrap: the same"]
    print(markdown(rows, columns))


if __name__ == "__main__":
    main()
