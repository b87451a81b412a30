"""Temperature and intercepts of probabilities, and their correction to other class shares."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from mri_tf.calibration.class_balance import class_shares
from mri_tf.calibration.independent_records import independent_records
from mri_tf.calibration.standardise import fit_standard

SMALLEST = 1e-30  # floor of probabilities before the logarithm: a float32 softmax underflows to 0
TEMPERATURES = (0.05, 20.0)  # bounds of the fit, of standardised logits
INTERCEPT_SD = 0.2  # of an intercept before anything is known of it


@dataclass(frozen=True)
class TemperatureFit:
    """A temperature (1 changes nothing), intercepts (0 change nothing), and why none could be fitted."""

    temperature: float
    intercepts: tuple[float, ...]  # (classes,) with sum 0
    reason: str = ""


def prior_offsets(trained: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """log(expected / trained), (classes,): what is added to logits for other class shares.

    -inf for a class of which either share is 0.
    """
    trained, expected = class_shares(trained), class_shares(expected)
    ratio = np.divide(expected, trained, out=np.zeros_like(expected), where=trained > 0)
    with np.errstate(divide="ignore"):
        return np.log(ratio)


def calibrated(
    probabilities: np.ndarray, temperature: float, trained: np.ndarray, expected: np.ndarray,
    intercepts: Sequence[float] = (),
) -> np.ndarray:  # fmt: skip
    """Scales and shifts logits and corrects them to other class shares by Bayes' rule.

    p' is proportional to p^(1 / temperature) x exp(intercept) x expected / trained, that is
    softmax(log(max(p, SMALLEST)) / temperature + intercepts + prior_offsets(trained, expected)).

    Args:
        probabilities: (records, classes) softmax outputs.
        temperature: of `fit_temperature`; 1 changes nothing.
        trained: (classes,) shares or counts that the loss saw, see `trained_shares`.
        expected: (classes,) shares or counts where the probabilities are used.
        intercepts: (classes,) of `fit_temperature`; none change nothing.

    Returns:
        (records, classes) float64, each row sums to 1.

    Source:
        Guo et al. 2017 (temperature); Platt 1999 (intercept); Saerens et al. 2002, eq. 2.4 (shares).

    >>> calibrated(np.array([[0.6, 0.4]]), 1.0, np.ones(2), np.array([0.4, 0.6])).round(6).tolist()
    [[0.5, 0.5]]
    """
    offsets = prior_offsets(trained, expected)
    if not np.isfinite(offsets).any():  # no class is both trained and expected
        return np.tile(class_shares(expected), (len(probabilities), 1))
    constants = offsets + np.array(intercepts) if len(intercepts) else offsets
    return softmax(logits_of(probabilities) / temperature + constants, axis=-1)


def fit_temperature(
    probabilities: np.ndarray, truth: np.ndarray, trained: np.ndarray, expected: np.ndarray,
    weights: np.ndarray | None = None, patients: np.ndarray | None = None,
) -> TemperatureFit:  # fmt: skip
    """Fits temperature and intercepts with the least log loss of `calibrated` on validation records.

    The logits are standardised first (`fit_standard`), so that those of every network are about on
    scale. Then three terms are added that a few records do not outweigh and many do; without them twenty
    correctly sorted records give probabilities of 1. Half a record more, as confident as the mean one
    and of a class drawn from `expected`, says that not even a perfect score is certain (the idea of
    Platt's targets). 1/T - 1 + log T, a gamma prior on 1/T with its mode at 1, holds T near 1. A normal
    prior of SD `INTERCEPT_SD` holds the intercepts near 0. All, like the loss, are convex in 1/T and the
    intercepts.

    Args:
        probabilities: (records, classes) softmax outputs.
        truth: (records,) labels.
        trained: (classes,) shares that the loss saw.
        expected: (classes,) shares of the classes among records to come.
        weights: (records,) evidence of each, as if all records of a patient were one; see
            `validation_weights`.
        patients: (records,) ids; None: every record is a patient.

    Returns:
        Both for the logits as they are; 1 and 0 with a reason where the records allow no fit.

    Source:
        Guo et al. 2017; Platt 1999. The strengths were chosen by benchmarks/calibration.py.
    """
    offsets = prior_offsets(trained, expected)
    weights = np.ones(len(truth)) if weights is None else np.asarray(weights, float)
    patients = np.arange(len(truth)) if patients is None else np.asarray(patients)
    # Nothing is given to a class that was not trained on or is not expected.
    used, possible = np.isfinite(offsets[truth]) & (weights > 0), np.isfinite(offsets)
    reason = ""
    if not used.any():
        reason = "no validation record of a class that was trained on"
    elif len(np.unique(truth[used])) == 1:
        reason = "only one class on the validation side"
    if reason:
        return TemperatureFit(1.0, (0.0,) * len(offsets), reason)
    logits = centred(logits_of(probabilities[used][:, possible]))  # (records, possible classes)
    labels = (np.cumsum(possible) - 1)[truth[used]]  # among the possible classes
    saw = centred(np.log(class_shares(trained)[possible]))
    standard = fit_standard(logits, labels, patients[used], saw)
    shares = class_shares(np.asarray(expected, float)[possible])
    inputs = standard.factor * (logits - standard.moved * standard.centre)
    # What is moved stands at the shares that the loss saw by itself.
    evidence = Evidence(labels, weights[used], shares, patients[used])
    scale, free = _fitted(inputs, offsets[possible] + standard.moved * saw, evidence)
    slope = scale * standard.factor
    intercepts = np.zeros(len(offsets))
    intercepts[possible] = free + standard.moved * (saw - slope * standard.centre)
    return TemperatureFit(float(1 / slope), tuple(intercepts.tolist()))


@dataclass(frozen=True)
class Evidence:
    """What a curve is fitted to, beside the logits.

    Attributes:
        labels: (records,).
        weights: (records,) as if all records of a patient were one; not all 0.
        shares: (classes,) of the classes among records to come, none 0.
        patients: (records,) ids.
    """

    labels: np.ndarray
    weights: np.ndarray
    shares: np.ndarray
    patients: np.ndarray

    def wanted(self, times: float) -> np.ndarray:
        """(records, classes) evidence of each class: that of the records, `times` their weights, and
        half a record of any class."""
        wanted = 0.5 * np.outer(self.weights / self.weights.sum(), self.shares)
        wanted[np.arange(len(self.labels)), self.labels] += times * self.weights
        return wanted


def fit_slope(inputs: np.ndarray, evidence: Evidence) -> tuple[float, np.ndarray]:
    """Fits softmax(slope x inputs + intercepts + log shares) with the terms of `fit_temperature`.

    Args:
        inputs: (records, classes) standardised logits, about 0 where a record says nothing.
        evidence: of the same records.

    Returns:
        The slope, and (classes,) intercepts with sum 0.
    """
    return _fitted(inputs, np.log(evidence.shares), evidence)


def _fitted(inputs: np.ndarray, offsets: np.ndarray, evidence: Evidence) -> tuple[float, np.ndarray]:
    """1/T and (classes,) intercepts of standardised logits; fitted once as if the records of a patient
    were one, and anew with as many records as the errors of that fit show them to be worth."""
    scale, intercepts = _minimum(inputs, offsets, evidence.wanted(1.0))
    count = len(np.unique(np.asarray(evidence.patients).astype(str)))
    if count == len(evidence.labels):
        return scale, intercepts
    residuals = -softmax(scale * inputs + offsets + intercepts, axis=-1)
    residuals[np.arange(len(evidence.labels)), evidence.labels] += 1
    worth = independent_records(residuals, evidence.patients)
    return _minimum(inputs, offsets, evidence.wanted(worth / count))


def _minimum(inputs: np.ndarray, offsets: np.ndarray, wanted: np.ndarray) -> tuple[float, np.ndarray]:
    """1/T and (classes,) intercepts of standardised logits."""
    evidence = wanted.sum(axis=1, keepdims=True)

    def loss(values: np.ndarray) -> tuple[float, np.ndarray]:
        scale, intercepts = values[0], values[1:]
        log_p = log_softmax(scale * inputs + offsets + intercepts, axis=-1)
        too_much = evidence * np.exp(log_p) - wanted  # gradient by the logits
        value = scale - 1 - np.log(scale) - (wanted * log_p).sum()
        value += (intercepts**2).sum() / (2 * INTERCEPT_SD**2)
        slope = 1 - 1 / scale + (too_much * inputs).sum()
        return value, np.append(slope, too_much.sum(axis=0) + intercepts / INTERCEPT_SD**2)

    bounds = [(1 / TEMPERATURES[1], 1 / TEMPERATURES[0])] + [(None, None)] * len(offsets)
    start = np.append(1.0, np.zeros(len(offsets)))
    options = {"ftol": 1e-14, "gtol": 1e-9, "maxiter": 1000}
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options).x
    return float(found[0]), found[1:]


def centred(values: np.ndarray) -> np.ndarray:
    """The values less the mean of their last axis."""
    return values - values.mean(axis=-1, keepdims=True)


def logits_of(probabilities: np.ndarray) -> np.ndarray:
    """The logarithms of softmax outputs, none below that of SMALLEST."""
    return np.log(np.maximum(np.asarray(probabilities, float), SMALLEST))
