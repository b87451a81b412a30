"""Operating points: from probabilities to decisions, as a criterion on the validation side asks.

A decision is the argmax of probability x factor of the class, which the exported graph computes too.
"""

from dataclasses import dataclass

import numpy as np

from mri_tf.calibration.class_factors import (
    candidate_factors,
    first_of_largest,
    powers_of,
    recalls_of,
    recalls_of_candidates,
    scores_of,
)
from mri_tf.calibration.thresholds import (
    FEWEST,
    MANY,
    balanced_threshold,
    patients_of_classes,
    shrunken_to_half,
)
from mri_tf.core.errors import InputError
from mri_tf.core.words import plural

CRITERIA = (
    "balanced_accuracy", "accuracy", "sensitivity_at_specificity", "specificity_at_sensitivity",
)  # fmt: skip


@dataclass(frozen=True)
class OperatingPoint:
    """How decisions are made, and how good they were on the validation side; survives JSON unchanged."""

    criterion: str
    target: float | None  # the specificity or sensitivity of the criterion
    class_factors: tuple[float, ...]  # sum 1
    threshold: float | None  # of two classes: the last one is decided above this probability
    # Of the criterion on the validation side, which chose it: apparent, so too good. None: undefined.
    value: float | None
    n: int  # records of the validation side
    reason: str = ""  # why the criterion could not be met, or how few patients it rests on
    patients: int = 0  # of the validation side; 0 where nobody counted

    def __post_init__(self):
        object.__setattr__(self, "class_factors", tuple(map(float, self.class_factors)))


def decide(probabilities: np.ndarray, point: OperatingPoint) -> np.ndarray:
    """(records,) labels: the argmax of probability x factor, the lowest label where some are equal."""
    return first_of_largest(probabilities * np.array(point.class_factors))


def check_criterion(criterion: str | dict, classes: int) -> tuple[str, float | None]:
    """Name and target of a criterion; raises InputError for one that does not exist or does not fit.

    >>> check_criterion({"criterion": "sensitivity_at_specificity", "specificity": 0.9}, classes=2)
    ('sensitivity_at_specificity', 0.9)
    >>> check_criterion("balanced_accuracy", classes=3)
    ('balanced_accuracy', None)
    """
    values = {"criterion": criterion} if isinstance(criterion, str) else dict(criterion)
    name = values.pop("criterion", None)
    if name not in CRITERIA:
        raise InputError(
            f"The criterion of an operating point must be one of {', '.join(CRITERIA)}.", name,
            "Change operating_point in the task.",
        )  # fmt: skip
    fixed = name.partition("_at_")[2]  # specificity or sensitivity, if one is fixed
    target = values.get(fixed)
    is_share = isinstance(target, (int, float)) and not isinstance(target, bool) and 0 <= target <= 1
    if set(values) != ({fixed} if fixed else set()) or bool(fixed) != is_share:
        raise InputError(
            f"{name} needs " + (f"a {fixed} from 0 to 1." if fixed else "no other value."),
            criterion,
            f"For example {{'criterion': '{name}'" + (f", '{fixed}': 0.9}}." if fixed else "}."),
        )
    if fixed and classes != 2:
        raise InputError(
            f"{name} is only for two classes.", f"{classes} classes", "Use balanced_accuracy."
        )
    return name, float(target) if fixed else None


def choose_operating_point(
    probabilities: np.ndarray, truth: np.ndarray, criterion: str | dict, prior: np.ndarray,
    weights: np.ndarray | None = None, patients: np.ndarray | None = None,
) -> OperatingPoint:  # fmt: skip
    """Chooses the operating point on the validation side.

    Two classes have a threshold. For balanced accuracy it lies midway, on the logit, between the
    medians of the classes, or nearer to Bayes' threshold (the prior of the last class) where chance
    explains the distance; from MANY patients of the rarer class on it is the maximum itself, of equal
    ones the nearest to that; with fewer than FEWEST it is Bayes' threshold. For accuracy the best
    threshold is drawn towards 0.5, the more the fewer patients. At a fixed rate it is midway between
    neighbouring scores.

    More classes have factors prior^-a, a in 0, 0.1 ... 1, where 1 is Bayes' rule. The maximum of
    balanced accuracy is flat and noisy: values that one record of the rarest class makes up for count
    as equal, and the one nearest to Bayes' rule is chosen. Where a class is missing Bayes' rule is
    used; `reason` says so and `value` is None.

    Args:
        probabilities: (records, classes) calibrated.
        truth: (records,) labels.
        criterion: such as "balanced_accuracy", see `check_criterion`.
        prior: (classes,) shares that the probabilities are calibrated to.
        weights: (records,) evidence of each, 1 for an independent record.
        patients: (records,) ids; None: every record is a patient.

    Raises:
        InputError: for a criterion that does not exist or does not fit.
    """
    name, target = check_criterion(criterion, len(prior))
    prior = np.asarray(prior, float) / np.sum(prior)
    weights = np.ones(len(truth)) if weights is None else np.asarray(weights, float)
    patients = np.arange(len(truth)) if patients is None else np.asarray(patients)
    evidence = np.bincount(truth, weights=weights, minlength=len(prior))
    present = evidence > 0
    lacking = present.sum() < 2 or bool(np.any((prior > 0) & ~present))
    reason = ""
    if lacking and name != "accuracy":
        factors = powers_of(prior, 1)
        reason = "the validation side lacks a class, so Bayes' rule is used"
    elif name == "accuracy":
        factors = _for_accuracy(probabilities, truth, weights, patients)
    elif name == "balanced_accuracy" and len(prior) == 2:
        factors, reason = _for_balanced_accuracy(probabilities, truth, prior, weights, patients)
    else:
        candidates = candidate_factors(probabilities, prior)
        recalls = recalls_of_candidates(candidates, probabilities, truth, weights)
        if name == "balanced_accuracy":
            step = 1 / (present.sum() * evidence[present].min())  # one record of the rarest class
            chosen = _first_of_best(recalls[:, present].mean(axis=-1), step)
        else:
            chosen = _best_at_fixed(recalls, _fixed_label(name), target)
            label = _fixed_label(name)
            counted = int(patients_of_classes(truth, patients, 2)[label])
            reason = _weakness(label, target, counted, float(recalls[chosen][label]))
        factors = candidates[chosen]
    factors = factors / factors.sum()
    defined = weights.sum() > 0 if name == "accuracy" else not lacking
    return OperatingPoint(
        criterion=name,
        target=target,
        class_factors=tuple(factors),
        threshold=float(factors[0]) if len(prior) == 2 else None,
        value=_value(name, probabilities * factors, truth, weights) if defined else None,
        n=len(truth),
        reason=reason,
        patients=len(np.unique(patients)),
    )


def _for_balanced_accuracy(
    probabilities: np.ndarray, truth: np.ndarray, prior: np.ndarray, weights: np.ndarray,
    patients: np.ndarray,
) -> tuple[np.ndarray, str]:  # fmt: skip
    """(2,) factors of two classes that both occur, and why they are those of Bayes' rule."""
    least = int(patients_of_classes(truth, patients, 2).min())
    if least < FEWEST:
        return powers_of(prior, 1), f"fewer than {FEWEST} patients of a class, so Bayes' rule is used"
    scores = scores_of(probabilities)
    threshold = balanced_threshold(scores, truth, patients, float(np.clip(prior[1], 1e-9, 1 - 1e-9)))
    if least < MANY:
        return np.array([threshold, 1 - threshold]), ""
    candidates = candidate_factors(probabilities, np.array([1 - threshold, threshold]))
    recalls = recalls_of_candidates(candidates, probabilities, truth, weights)
    return candidates[_first_of_best(recalls.mean(axis=-1), 0)], ""


def _for_accuracy(
    probabilities: np.ndarray, truth: np.ndarray, weights: np.ndarray, patients: np.ndarray
) -> np.ndarray:
    """Factors: of two classes those of the best threshold, drawn towards 0.5; of more, the argmax's."""
    classes = probabilities.shape[-1]
    counts = np.bincount(truth, weights=weights, minlength=classes)
    if classes != 2 or not counts.all():
        return np.ones(classes)
    candidates = candidate_factors(probabilities, np.array([0.5, 0.5]))
    recalls = recalls_of_candidates(candidates, probabilities, truth, weights)
    best = candidates[_first_of_best(recalls @ counts / counts.sum(), 0)][0]
    threshold = shrunken_to_half(float(best), len(np.unique(patients)))
    return np.array([threshold, 1 - threshold])


def _fixed_label(name: str) -> int:
    """The label whose recall is fixed at the target: 0 for a specificity."""
    return 0 if name == "sensitivity_at_specificity" else 1


def _best_at_fixed(recalls: np.ndarray, label: int, target: float) -> int:
    """Of the candidates that reach the target, the best in the other rate; then in the fixed one."""
    fixed, sought = recalls[:, label], recalls[:, 1 - label]
    allowed = fixed >= min(target, fixed.max()) - 1e-12
    best = allowed & (sought >= sought[allowed].max() - 1e-12)
    return _first_of_best(np.where(best, fixed, -1), 0)


def _weakness(label: int, target: float, patients: int, reached: float) -> str:
    """Says in words if the target is out of reach, or allows not one patient's error; else empty.

    `patients` are those with a record of the class whose recall is fixed; their records resemble each
    other, so that many records of few patients carry no finer target.
    """
    rate = ("specificity", "sensitivity")[label]
    if reached < target - 1e-9:
        return f"no threshold reaches a {rate} of {target:g}"
    if patients * (1 - target) < 1 - 1e-9:
        whose = ("without", "of")[label]
        counted = plural(patients, "patient")
        return f"only {counted} {whose} the last class: a {rate} of {target:g} allows no error"
    return ""


def _first_of_best(values, tolerance: float) -> int:
    values = np.asarray(values)
    return int(np.argmax(values >= values.max() - tolerance - 1e-12))


def _value(name: str, scored, truth, weights) -> float:
    if name == "accuracy":
        return float(np.average(first_of_largest(scored) == truth, weights=weights))
    recalls = recalls_of(scored, truth, weights)
    if name == "balanced_accuracy":
        return float(recalls[np.isfinite(recalls)].mean())
    return float(recalls[1 - _fixed_label(name)])
