"""Predictions of a made-up classifier for tests: records of a patient alike, scores tied or not."""

import numpy as np

from mri_tf.metrics import Predictions


def simulated(
    seed: int, patients: int = 12, records: int = 4, classes: int = 3, decimals: int = 6
) -> Predictions:
    """Up to `records` records a patient; few `decimals` make tied scores. Decisions are not argmax."""
    rng = np.random.default_rng(seed)
    ids = np.repeat(np.arange(patients), rng.integers(1, records + 1, patients))
    truth = rng.integers(0, classes, len(ids))
    logits = rng.normal(0, 0.7, (patients, classes))[ids] + rng.normal(0, 1, (len(ids), classes))
    logits[np.arange(len(ids)), truth] += 1
    odds = np.exp(np.round(logits, decimals))
    probabilities = odds / odds.sum(axis=1, keepdims=True)
    if classes == 2:  # the rest of 1 can break ties by rounding
        probabilities[:, 1] = np.round(probabilities[:, 1], decimals)
        probabilities[:, 0] = 1 - probabilities[:, 1]
    predicted = (probabilities * rng.uniform(0.5, 1.5, classes)).argmax(axis=1)
    return Predictions(truth, probabilities, predicted, np.array([f"p{number}" for number in ids]))
