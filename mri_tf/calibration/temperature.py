"""Temperature scaling of probabilities and their correction to other class shares."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from mri_tf.calibration.class_balance import class_shares

SMALLEST = 1e-30  # floor of probabilities before the logarithm: a float32 softmax underflows to 0
TEMPERATURES = (0.05, 20.0)  # bounds of the fit


@dataclass(frozen=True)
class TemperatureFit:
    """A temperature (1 changes nothing) and, if none could be fitted, the reason."""

    temperature: float
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
    probabilities: np.ndarray, temperature: float, trained: np.ndarray, expected: np.ndarray
) -> np.ndarray:
    """Scales probabilities by a temperature and corrects them to other class shares by Bayes' rule.

    p' is proportional to p^(1 / temperature) x expected / trained, that is
    softmax(log(max(p, SMALLEST)) / temperature + prior_offsets(trained, expected)).

    Args:
        probabilities: (records, classes) softmax outputs.
        temperature: of `fit_temperature`; 1 changes nothing.
        trained: (classes,) shares or counts that the loss saw, see `trained_shares`.
        expected: (classes,) shares or counts where the probabilities are used.

    Returns:
        (records, classes) float64, each row sums to 1.

    Source:
        Guo et al. 2017 (temperature); Saerens et al. 2002, equation 2.4 (shares).

    >>> calibrated(np.array([[0.6, 0.4]]), 1.0, np.ones(2), np.array([0.4, 0.6])).round(6).tolist()
    [[0.5, 0.5]]
    """
    offsets = prior_offsets(trained, expected)
    if not np.isfinite(offsets).any():  # no class is both trained and expected
        return np.tile(class_shares(expected), (len(probabilities), 1))
    return softmax(_logits(probabilities) / temperature + offsets, axis=-1)


def fit_temperature(
    probabilities: np.ndarray,
    truth: np.ndarray,
    trained: np.ndarray,
    expected: np.ndarray,
    weights: np.ndarray | None = None,
) -> TemperatureFit:
    """Fits the temperature under which `calibrated` has the least log loss on validation records.

    Two terms are added that a few records outweigh; without them twenty correctly sorted records give
    the lower bound, that is probabilities of 1. Half a record more, as confident as the mean one and of
    a class drawn from `expected`, says that not even a perfect score is certain (the idea of Platt's
    targets). 1/T - 1 + log T, a gamma prior on 1/T with its mode at 1, holds T near 1 where records say
    little. Both, like the loss, are convex in 1/T.

    Args:
        probabilities: (records, classes) softmax outputs.
        truth: (records,) labels.
        trained: (classes,) shares that the loss saw.
        expected: (classes,) shares of the classes among records to come.
        weights: (records,) evidence of each, 1 for an independent record; see `validation_weights`.

    Returns:
        The temperature; 1 with a reason where the records allow no fit.

    Source:
        Guo et al. 2017; Platt 1999.
    """
    offsets = prior_offsets(trained, expected)
    weights = np.ones(len(truth)) if weights is None else np.asarray(weights, float)
    # No temperature gives anything to a class that was not trained on or is not expected.
    used = np.isfinite(offsets[truth]) & (weights > 0)
    truth, weights, logits = truth[used], weights[used], _logits(probabilities[used])
    if not len(truth):
        return TemperatureFit(1.0, "no validation record of a class that was trained on")
    if len(np.unique(truth)) == 1:
        return TemperatureFit(1.0, "only one class on the validation side")
    possible = np.isfinite(offsets)
    prior = class_shares(np.where(possible, expected, 0))[possible]

    def loss(log_temperature: float) -> float:
        scale = np.exp(-log_temperature)
        log_p = log_softmax(scale * logits + offsets, axis=-1)  # (records, classes)
        true_class = log_p[np.arange(len(truth)), truth]
        any_class = np.average(log_p[:, possible] @ prior, weights=weights)
        return -(weights @ true_class) - 0.5 * any_class + (scale - 1 + log_temperature)

    minimum = minimize_scalar(
        loss, bounds=np.log(TEMPERATURES), method="bounded", options={"xatol": 1e-6}
    )
    return TemperatureFit(float(np.exp(minimum.x)))


def _logits(probabilities: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(np.asarray(probabilities, float), SMALLEST))
