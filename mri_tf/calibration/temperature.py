"""Probabilities that mean what they say: one temperature, the prior, and the curve that shows it."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from mri_tf.calibration.class_balance import class_shares

SMALLEST = 1e-30  # a float32 softmax underflows to 0; the floor of the export's logits too
TEMPERATURES = (0.05, 20.0)


@dataclass(frozen=True)
class TemperatureFit:
    """A temperature (1 leaves probabilities alone) and, where none could be fitted, why."""

    temperature: float
    reason: str = ""


def correct_prior(probabilities: np.ndarray, trained: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Bayes' rule for a new prior: p' proportional to p x wanted / trained, (records, classes).

    `trained` are the shares that the loss saw (`trained_shares`). Saerens et al. 2002, (2.4).
    """
    shifted = probabilities * _ratio(trained, wanted)
    total = shifted.sum(axis=-1, keepdims=True)
    # All of a record's probability may lie on classes of share 0: nothing but the prior is left.
    return np.where(total > 0, shifted / np.where(total > 0, total, 1), class_shares(wanted))


def prior_offsets(trained: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """log(wanted / trained), (classes,): the correction of the prior as it is added to logits.

    -inf for a class that is wanted or was trained with share 0.
    """
    with np.errstate(divide="ignore"):
        return np.log(_ratio(trained, wanted))


def calibrated(
    probabilities: np.ndarray, temperature: float, trained: np.ndarray, wanted: np.ndarray
) -> np.ndarray:
    """p' proportional to p^(1 / temperature) x wanted / trained, (records, classes) in float64.

    The same as softmax(log(max(p, SMALLEST)) / temperature + prior_offsets(trained, wanted)).
    """
    offsets = prior_offsets(trained, wanted)
    if not np.isfinite(offsets).any():  # no class is both trained and wanted
        return np.tile(class_shares(wanted), (len(probabilities), 1))
    return softmax(_logits(probabilities) / temperature + offsets, axis=-1)


def fit_temperature(
    probabilities: np.ndarray,
    truth: np.ndarray,
    trained: np.ndarray,
    wanted: np.ndarray,
    weights: np.ndarray | None = None,
) -> TemperatureFit:
    """The temperature under which `calibrated` fits the validation side best. Guo et al. 2017.

    Minimises the log loss of (records, classes) softmax outputs, each record times its weight
    (1 is the evidence of one independent record; see `validation_weights`), plus two terms that
    a few records outweigh. Without them twenty rightly sorted records give the lower bound, that
    is probabilities of 1. Half a record more, as confident as the mean one and of a class drawn
    from `wanted`, says that not even a perfect score is certainty (the idea of Platt's targets,
    1999). 1/T - 1 + log T, a gamma prior on 1/T with its mode at 1, holds T near 1 where records
    say nothing. Both, like the loss, are convex in 1/T.
    """
    offsets = prior_offsets(trained, wanted)
    weights = np.ones(len(truth)) if weights is None else np.asarray(weights, float)
    # No temperature gives anything to a class that was not trained on or is not wanted.
    used = np.isfinite(offsets[truth]) & (weights > 0)
    truth, weights, logits = truth[used], weights[used], _logits(probabilities[used])
    if not len(truth):
        return TemperatureFit(1.0, "no validation record of a class that was trained on")
    if len(np.unique(truth)) == 1:
        return TemperatureFit(1.0, "only one class on the validation side")
    certain = np.isfinite(offsets)
    prior = class_shares(np.where(certain, wanted, 0))[certain]

    def loss(log_temperature: float) -> float:
        scale = np.exp(-log_temperature)
        log_p = log_softmax(scale * logits + offsets, axis=-1)  # (records, classes)
        own = log_p[np.arange(len(truth)), truth]
        any_class = np.average(log_p[:, certain] @ prior, weights=weights)
        return -(weights @ own) - 0.5 * any_class + (scale - 1 + log_temperature)

    found = minimize_scalar(
        loss, bounds=np.log(TEMPERATURES), method="bounded", options={"xatol": 1e-6}
    )
    return TemperatureFit(float(np.exp(found.x)))


def _logits(probabilities: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(np.asarray(probabilities, float), SMALLEST))


def _ratio(trained: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    trained, wanted = class_shares(trained), class_shares(wanted)
    return np.divide(wanted, trained, out=np.zeros_like(wanted), where=trained > 0)
