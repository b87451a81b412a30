"""Probabilities under another share of the classes than the network was trained on."""

import numpy as np


def correct_prior(probabilities: np.ndarray, trained: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Bayes' rule for a new prior: p' proportional to p x wanted / trained, (records, classes).

    `trained` are the shares that the loss saw: how often a class was drawn times its weight.
    """
    wanted = np.asarray(wanted, float) / np.sum(wanted)
    trained = np.asarray(trained, float) / np.sum(trained)
    ratio = np.divide(wanted, trained, out=np.zeros_like(wanted), where=trained > 0)
    shifted = probabilities * ratio
    total = shifted.sum(axis=-1, keepdims=True)
    # All of a record's probability may lie on classes of share 0: nothing but the prior is left.
    return np.where(total > 0, shifted / np.where(total > 0, total, 1), wanted)
