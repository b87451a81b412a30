"""Whether probabilities are calibrated: intercept, slope, and what perfect probabilities would show."""

import numpy as np
from scipy.special import expit, logit
from scipy.stats import t as student

from mri_tf.metrics.classifier import Predictions
from mri_tf.metrics.intervals import student_quantile
from mri_tf.metrics.label_exchanges import labelled_units
from mri_tf.metrics.number import ONE_CLASS, number
from mri_tf.metrics.probabilities import BINS, calibration_error, confidences

DRAWS = 1000
NEAREST = 1e-6  # to 0 and 1, for the logit of a probability
STEPS, CONVERGED, LARGEST_SLOPE = 50, 1e-8, 50.0
SEPARATED = "the probabilities separate the classes, so that no slope is too steep"


def error_if_perfect(predictions: Predictions, seed: int = 0) -> dict:
    """The calibration error that perfectly calibrated probabilities of this size would show.

    The classes are drawn from the probabilities themselves, those of a patient with one class together.
    An error of bins is above 0 by the number of records alone, so it says little without this.

    Returns:
        `{"mean", "low", "high", "p"}`: of the drawn errors the mean and the central 95 %, and the share
        that is at least as large as the error of the data.
    """
    truth, patients = predictions.truth, predictions.patients
    _, confidence, bin_of = confidences(predictions.probabilities)
    patient_of = np.unique(patients, return_inverse=True)[1]
    unit, _ = labelled_units(truth, patient_of)  # its records share one random number
    drawn = np.random.default_rng(seed).random((DRAWS, unit.max() + 1))[:, unit]
    in_bin = np.eye(BINS)[bin_of]  # (records, bins)
    gaps = ((drawn < confidence) - confidence) @ in_bin
    errors = np.abs(gaps).sum(axis=1) / len(truth)
    seen = calibration_error(truth, predictions.probabilities, patient_of,
                             np.ones((1, patient_of.max() + 1)))[0]  # fmt: skip
    low, high = np.quantile(errors, [0.025, 0.975])
    return {
        "mean": float(errors.mean()), "low": float(low), "high": float(high),
        "p": float((1 + (errors >= seen - 1e-12).sum()) / (1 + DRAWS)),
    }  # fmt: skip


def recalibration(probability: np.ndarray, happened: np.ndarray, patients: np.ndarray) -> dict:
    """Intercept and slope of the logistic regression of what happened on the logit of its probability.

    The intercept (at slope 1) is above 0 where events are more frequent than predicted; a slope below 1
    means probabilities that are too extreme (Cox 1958; Van Calster 2019). Intervals and tests count
    patients: the scores of a patient's records are added up.

    Args:
        probability: (records,) of the event.
        happened: (records,) bool.
        patients: (records,) ids.

    Returns:
        `{"observed": share of events, "predicted": mean probability, "intercept": number, "slope":
        number}`; each number with `p`, of the test that it is 0 or 1.
    """
    event = np.asarray(happened, float)
    in_the_large = {"observed": float(event.mean()), "predicted": float(np.mean(probability))}
    patient_of = np.unique(np.asarray(patients).astype(str), return_inverse=True)[1]
    count = int(patient_of.max()) + 1
    if not 0 < event.sum() < len(event) or count < 3:
        reason = "fewer than three patients" if count < 3 else ONE_CLASS
        undefined = {name: number(np.nan, count, reason=reason) for name in ("intercept", "slope")}
        return in_the_large | undefined
    steepness = logit(np.clip(probability, NEAREST, 1 - NEAREST))
    ones = np.ones((len(event), 1))
    large, _ = _fit(ones, event, steepness)
    shifted = expit(steepness + large[0])
    weight = shifted * (1 - shifted)
    centred = steepness - (weight * steepness).sum() / weight.sum()
    intercept = _number(float(large[0]), ones, event - shifted, weight, patient_of)
    intercept["p"] = _score_test(event - expit(steepness), patient_of)
    both = np.stack([ones[:, 0], steepness], axis=1)
    found, converged = _fit(both, event, np.zeros(len(event)))
    if converged and abs(found[1]) < LARGEST_SLOPE:
        chance = expit(both @ found)
        slope = _number(float(found[1]), both, event - chance, chance * (1 - chance), patient_of)
    else:
        slope = number(np.nan, count, reason=SEPARATED)
    slope["p"] = _score_test((event - shifted) * centred, patient_of)
    return {**in_the_large, "intercept": intercept, "slope": slope}


def _fit(columns: np.ndarray, event: np.ndarray, offset: np.ndarray) -> tuple[np.ndarray, bool]:
    """Coefficients of a logistic regression by Newton's method, and whether it converged."""
    coefficients = np.zeros(columns.shape[1])
    for _ in range(STEPS):
        chance = expit(columns @ coefficients + offset)
        curvature = (columns * (chance * (1 - chance))[:, None]).T @ columns
        gradient = columns.T @ (event - chance)
        try:
            step = np.linalg.solve(curvature + 1e-12 * np.eye(len(curvature)), gradient)
        except np.linalg.LinAlgError:
            return coefficients, False
        step *= min(1.0, 3.0 / max(np.abs(step).max(), 1e-12))  # far steps overshoot
        coefficients = coefficients + step
        if np.abs(step).max() < CONVERGED:
            return coefficients, True
    return coefficients, False


def _number(
    value: float, columns: np.ndarray, residuals: np.ndarray, weights: np.ndarray, patient_of: np.ndarray
) -> dict:
    """The last coefficient with its interval, from the variance between patients (Liang and Zeger 1986).

    `columns` are (records, coefficients); `weights` the variances of the events.
    """
    patients, coefficients = int(patient_of.max()) + 1, columns.shape[1]
    bread = np.linalg.pinv((columns * weights[:, None]).T @ columns)
    scores = np.zeros((patients, coefficients))
    np.add.at(scores, patient_of, columns * residuals[:, None])
    variance = bread @ (scores.T @ scores) @ bread * patients / (patients - coefficients)
    half = student_quantile(patients - coefficients) * float(np.sqrt(variance[-1, -1]))
    return number(value, patients, (value - half, value + half), "t, clustered by patient")


def _score_test(scores: np.ndarray, patient_of: np.ndarray) -> float:
    """The two-sided p-value of a sum of scores being 0, with a patient's scores added up."""
    sums = np.bincount(patient_of, weights=scores)
    patients = len(sums)
    error = np.sqrt(patients / (patients - 1) * (sums**2).sum())
    if error == 0:
        return 1.0
    return float(2 * student.sf(abs(sums.sum()) / error, patients - 1))
