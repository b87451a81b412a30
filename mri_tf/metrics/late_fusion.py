"""Two answers made one: a logistic regression on the logits of both, fitted on other patients.

So that the one answer is not too good, the weights for a patient are learned from patients of other
folds (late fusion, its weights cross-fitted; Wolpert 1992, Breiman 1996).
"""

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from mri_tf.metrics.logistic import Rows, fit_logistic

STRENGTH = 0.01  # of the penalty, for logits of SD 1: enough that weights stay finite
LEAST = 1e-6  # probability that a logit is made of
FOLDS = 5


def fused(
    first: np.ndarray, second: np.ndarray, labels: np.ndarray, patients: np.ndarray, folds: np.ndarray
) -> np.ndarray:
    """Answers by both, each row by weights of the other folds.

    Args:
        first: (rows, classes - 1) of `standard_logits`, made without the row's patient.
        second: (rows, classes - 1), likewise.
        labels: (rows,) class numbers.
        patients: (rows,) ids; rows of a fold's patients, in whatever fold, do not fit its weights.
        folds: (rows,) the fold of each.

    Returns:
        (rows, classes) probabilities; NaN where the other folds have a single class, which fits no
        weights.
    """
    both = np.concatenate([first, second], axis=1)
    found = np.full((len(first), first.shape[1] + 1), np.nan)
    for fold in np.unique(folds):
        own = folds == fold
        others = ~np.isin(patients, patients[own])
        if len(np.unique(labels[others])) < 2:
            continue
        rows = Rows(
            both, labels, np.ones(len(labels)), patients, np.ones(len(labels), bool), found.shape[1]
        )
        found[own] = fit_logistic(rows.of(others), STRENGTH).probabilities(both[own])
    return found


def folds_within(labels: np.ndarray, patients: np.ndarray, seed: int = 0) -> np.ndarray:
    """(rows,) numbers of folds of whole patients, the classes in like shares; -1 for all rows where a
    class has a single patient."""
    fewest = min(len(np.unique(patients[labels == label])) for label in np.unique(labels))
    folds = np.full(len(labels), -1)
    if fewest < 2:
        return folds
    splits = StratifiedGroupKFold(min(FOLDS, fewest), shuffle=True, random_state=seed)
    for number, (_, left) in enumerate(splits.split(labels[:, None], labels, patients)):
        folds[left] = number
    return folds


def standard_logits(probabilities: np.ndarray) -> np.ndarray:
    """(rows, classes - 1) logits of each class but the first, against the first, with mean 0 and SD 1.

    Networks of different folds are sure of themselves in different degrees, so that the same weights fit
    them only on one scale. That of a fold is made without labels, and leaves its AUC as it is.

    Args:
        probabilities: (rows, classes) of one fold.
    """
    logs = np.log(np.clip(probabilities, LEAST, None))
    logits = logs[:, 1:] - logs[:, :1]
    sd = logits.std(axis=0)
    return (logits - logits.mean(axis=0)) / np.where(sd > 1e-9, sd, 1)
