"""Whether probabilities are calibrated: intercept, slope, and what perfect probabilities would show."""

from typing import NamedTuple

import numpy as np
from scipy.special import expit, logit

from mri_tf.metrics.classifier import Predictions
from mri_tf.metrics.intervals import student_quantile
from mri_tf.metrics.label_exchanges import AT_ONCE, labelled_units
from mri_tf.metrics.number import ONE_CLASS, number
from mri_tf.metrics.probabilities import BINS, calibration_error, confidences

DRAWS = 1000
NEAREST = 1e-6  # to 0 and 1, for the logit of a probability
STEPS, CONVERGED, LARGEST_SLOPE = 50, 1e-8, 50.0
SEPARATED = "the probabilities separate the classes, so that no slope is too steep"
ALL_EQUAL = "all probabilities are equal"
REVERSED = "the probabilities separate the classes the wrong way round, so that no slope is too low"


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
    gaps = _drawn_sums(confidence, np.eye(BINS)[bin_of], unit, seed)
    errors = np.abs(gaps).sum(axis=1) / len(truth)
    seen = calibration_error(truth, predictions.probabilities, patient_of,
                             np.ones((1, patient_of.max() + 1)))[0]  # fmt: skip
    low, high = np.quantile(errors, [0.025, 0.975])
    return {
        "mean": float(errors.mean()), "low": float(low), "high": float(high),
        "p": float((1 + (errors >= seen - 1e-12).sum()) / (1 + DRAWS)),
    }  # fmt: skip


def recalibration(
    probability: np.ndarray, happened: np.ndarray, patients: np.ndarray, seed: int = 0
) -> dict:
    """Intercept and slope of the logistic regression of what happened on the logit of its probability.

    The intercept (at slope 1) is above 0 where events are more frequent than predicted; a slope below 1
    means probabilities that are too extreme (Cox 1958; Van Calster 2019). Intervals and tests count
    patients. The tests compare the score of the data with scores of drawn events, those of a patient
    with one class together (`_score_test`). For the slope the events are drawn from the probabilities
    shifted by the intercept. For the intercept they are drawn from the probabilities with the slope
    that was found, where it is below 1, and with their own mean: too extreme probabilities make more
    errors than they predict, which says nothing about their mean.

    Args:
        probability: (records,) of the event.
        happened: (records,) bool.
        patients: (records,) ids.
        seed: of the draws.

    Returns:
        `{"observed": share of events, "predicted": mean probability, "intercept": number, "slope":
        number}`; each number that has a value with `p`, of the test that it is 0 or 1.
    """
    event = np.asarray(happened, float)
    in_the_large = {"observed": float(event.mean()), "predicted": float(np.mean(probability))}
    patient_of = np.unique(np.asarray(patients).astype(str), return_inverse=True)[1]
    count = int(patient_of.max()) + 1
    if not 0 < event.sum() < len(event) or count < 3:
        reason = "fewer than three patients" if count < 3 else ONE_CLASS
        undefined = {name: number(np.nan, count, reason=reason) for name in ("intercept", "slope")}
        return in_the_large | undefined
    records = _Records(event, patient_of, labelled_units(event.astype(int), patient_of)[0], seed)
    steepness = logit(np.clip(probability, NEAREST, 1 - NEAREST))
    ones = np.ones((len(event), 1))
    large, _ = _fit(ones, event, steepness)
    shifted = expit(steepness + large[0])
    both = np.stack([ones[:, 0], steepness], axis=1)
    found, converged = _fit(both, event, np.zeros(len(event)))
    flat = 1.0
    if np.ptp(steepness) == 0:
        slope = number(np.nan, count, reason=ALL_EQUAL)
    elif converged and abs(found[1]) < LARGEST_SLOPE:
        flat = float(np.clip(found[1], 0, 1))
        weight = shifted * (1 - shifted)
        centred = steepness - (weight * steepness).sum() / weight.sum()
        slope = _number(float(found[1]), both, expit(both @ found), records)
        slope["p"] = _score_test(shifted, centred, records)
    else:
        slope = number(np.nan, count, reason=SEPARATED if found[1] > 0 else REVERSED)
    same_mean, _ = _fit(ones, expit(steepness), flat * steepness)
    intercept = _number(float(large[0]), ones, shifted, records)
    intercept["p"] = _score_test(expit(flat * steepness + same_mean[0]), ones[:, 0], records)
    return {**in_the_large, "intercept": intercept, "slope": slope}


class _Records(NamedTuple):
    """(records,) whether the event happened, whose each record is, and what happens together."""

    event: np.ndarray
    patient_of: np.ndarray
    unit_of: np.ndarray
    seed: int


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


def _number(value: float, columns: np.ndarray, chance: np.ndarray, records: _Records) -> dict:
    """The last coefficient with its interval, from the variance between patients (Liang and Zeger 1986).

    A few patients may show no error by luck where probabilities are confident. So the variance is at
    least the one that the fitted chances themselves predict.

    Args:
        value: of the coefficient.
        columns: (records, coefficients) of the regression.
        chance: (records,) fitted.
        records: that were fitted.
    """
    patients, coefficients = int(records.patient_of.max()) + 1, columns.shape[1]
    weights = chance * (1 - chance)
    bread = np.linalg.pinv((columns * weights[:, None]).T @ columns)[-1]
    seen = np.zeros((patients, coefficients))
    np.add.at(seen, records.patient_of, columns * (records.event - chance)[:, None])
    predicted = np.zeros((records.unit_of.max() + 1, coefficients))
    np.add.at(predicted, records.unit_of, columns * np.sqrt(weights)[:, None])
    between = ((seen @ bread) ** 2).sum() * patients / (patients - coefficients)
    variance = max(between, ((predicted @ bread) ** 2).sum())
    half = student_quantile(patients - coefficients) * float(np.sqrt(variance))
    return number(value, patients, (value - half, value + half), "t, clustered by patient")


def _score_test(chance: np.ndarray, column: np.ndarray, records: _Records) -> float:
    """The two-sided p-value of a score, the sum of (event - chance) x column, being 0.

    It is the share of drawn scores that are as far from 0 as that of the data. Drawn scores vary too
    little where records of a patient with several classes resemble each other. So they are widened by
    the variance of the patients' sums over that of what is drawn together, where it is larger.

    Args:
        chance: (records,) of the event, by the hypothesis.
        column: (records,) of the coefficient.
        records: of the data.
    """
    scores = (records.event - chance) * column
    of_patients, of_units = (
        (np.bincount(one, weights=scores) ** 2).sum() for one in (records.patient_of, records.unit_of)
    )
    wider = np.sqrt(max(1.0, of_patients / of_units)) if of_units > 0 else 1.0
    drawn = _drawn_sums(chance, column, records.unit_of, records.seed)
    as_far = wider * np.abs(drawn) >= abs(scores.sum()) - 1e-9
    return float((1 + as_far.sum()) / (1 + DRAWS))


def _drawn_sums(
    chance: np.ndarray, columns: np.ndarray, unit_of: np.ndarray, seed: int
) -> np.ndarray:
    """(DRAWS,) or (DRAWS, columns) sums of (event - chance) x column, of events that are drawn.

    The records of a unit share one random number.
    """
    rng, rows = np.random.default_rng(seed), max(1, AT_ONCE // len(chance))
    parts = []
    for start in range(0, DRAWS, rows):
        shared = rng.random((min(rows, DRAWS - start), unit_of.max() + 1))
        parts.append(((shared[:, unit_of] < chance) - chance) @ columns)
    return np.concatenate(parts)
