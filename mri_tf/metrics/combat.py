"""ComBat: takes the location and scale of batches out of features (Johnson, Li and Rabinovic 2007; of
images Fortin et al. 2017 and 2018).

A batch is a site or a scanner. Location and scale of each batch and feature are estimated with the
classes as covariates, so that a difference of classes between batches is not taken for one of scanners,
and drawn towards their means over the features by empirical Bayes. The correction of a new row needs its
batch alone: the classes' part of its expectation is that of the fitted rows on average.
"""

from dataclasses import dataclass

import numpy as np

from mri_tf.core.errors import InputError

CLOSE = 1e-6  # relative change at which location and scale are found
MOST_STEPS = 1000
FLAT = 1e-12  # variance, over the mean square, up to which a feature is the same in every row


@dataclass(frozen=True)
class Combat:
    """The correction of a batch's row: factor x feature + offset.

    Attributes:
        factors: (batches, features).
        offsets: (batches, features).
        location: (batches, features) what the batches were shifted by, in SD of the feature.
        scale: (batches, features) what their SD were multiplied by.
    """

    factors: np.ndarray
    offsets: np.ndarray
    location: np.ndarray
    scale: np.ndarray


def fit_combat(features: np.ndarray, batches: np.ndarray, classes: np.ndarray) -> Combat:
    """Fits the correction of every batch.

    Args:
        features: (rows, features).
        batches: (rows,) numbers from 0 on, of two batches or more with two rows or more each.
        classes: (rows,) numbers; their differences are protected.

    Raises:
        InputError: a class is in no batch beside another one, so that batches and classes cannot be told
            apart.
    """
    features = features.astype(np.float64)
    of_batch = np.eye(batches.max() + 1)[batches]  # (rows, batches)
    of_class = (classes[:, None] == np.unique(classes)[None, 1:]).astype(float)
    design = np.concatenate([of_batch, of_class], axis=1)
    if np.linalg.matrix_rank(design) < design.shape[1]:
        raise InputError(
            "ComBat cannot tell batches from classes: some classes are in no batch beside others.",
            f"{of_batch.shape[1]} batches and {of_class.shape[1] + 1} classes",
            "Set harmonise={}, or add patients of the other classes to each site or scanner.",
        )  # fmt: skip
    fitted, *_ = np.linalg.lstsq(design, features, rcond=None)
    shares = of_batch.mean(axis=0)  # of each batch in the rows
    of_batches, of_classes = fitted[: len(shares)], fitted[len(shares) :]
    mean = shares @ of_batches  # (features,)
    variance = ((features - design @ fitted) ** 2).mean(axis=0)
    uneven = variance > FLAT * (features**2).mean(axis=0)
    sd = np.sqrt(np.where(uneven, variance, 1.0))
    standard = (features - mean - of_class @ of_classes) / sd
    location, scale = np.zeros_like(of_batches), np.ones_like(of_batches)
    for batch in range(len(shares)):
        own = standard[batches == batch][:, uneven]
        location[batch, uneven], variances = _empirical_bayes(own)
        # What is the same in all rows of a batch says nothing of the batch's scale.
        scale[batch, uneven] = np.sqrt(np.where(variances > FLAT, variances, 1.0))
    middle = mean + of_class.mean(axis=0) @ of_classes  # expected of a row whose class nobody knows
    factors = 1 / scale
    return Combat(factors, (1 - factors) * middle - factors * sd * location, location, scale)


def _empirical_bayes(own: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Location and variance (features,) of a batch's standardised rows (rows, features), drawn towards a
    normal and an inverse gamma distribution over the features."""
    count, means, variances = len(own), own.mean(axis=0), own.var(axis=0, ddof=1)
    if own.shape[1] < 2:
        return means, variances
    centre, spread = means.mean(), means.var(ddof=1)
    middle, width = variances.mean(), variances.var(ddof=1)
    shape = 2 + middle**2 / max(width, np.finfo(float).tiny)
    rate = middle * (shape - 1)
    location, variance = means, variances
    for _ in range(MOST_STEPS):
        found = (count * spread * means + variance * centre) / (count * spread + variance)
        squares = ((own - found) ** 2).sum(axis=0)
        other = (rate + squares / 2) / (shape + count / 2 - 1)
        relative = np.abs(other - variance) / np.maximum(variance, FLAT)
        change = max(np.abs(found - location).max(), relative.max())
        location, variance = found, other
        if change < CLOSE:
            break
    return location, variance
