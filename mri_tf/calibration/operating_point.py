"""Which class a probability is taken for: an operating point chosen on the inner split.

A decision is the argmax of probability x factor of the class, so that a graph can make it too.
"""

from dataclasses import dataclass

import numpy as np

from mri_tf.core.errors import InputError

CRITERIA = (
    "balanced_accuracy", "accuracy", "sensitivity_at_specificity", "specificity_at_sensitivity",
)  # fmt: skip
EXPONENTS = np.arange(11) / 10  # of 1 / prior: from the argmax to Bayes' rule
# Products closer than this are equal: a float32 network cannot tell them apart. A network that has
# collapsed to one answer gives products that differ by rounding only, in a graph another way.
TIE_TOLERANCE = 1e-6


@dataclass(frozen=True)
class OperatingPoint:
    """How decisions are made, and what that was worth on the inner split. Goes to JSON and back:
    OperatingPoint(**json.loads(json.dumps(dataclasses.asdict(point)))) == point."""

    criterion: str
    target: float | None  # the specificity or sensitivity that was asked for
    class_factors: tuple[float, ...]  # sum 1
    threshold: float | None  # of two classes: the last one from above this probability on
    value: float | None  # of the criterion, on the inner split; None where it is undefined
    n: int  # records of the inner split
    reason: str = ""  # why it is not what the criterion asked for, or how little is behind it

    def __post_init__(self):
        object.__setattr__(self, "class_factors", tuple(map(float, self.class_factors)))


def decide(probabilities: np.ndarray, point: OperatingPoint) -> np.ndarray:
    """(records,) labels: the argmax of probability x factor; of equal ones the lowest label."""
    return _first_of_largest(probabilities * np.array(point.class_factors))


def parse_criterion(criterion: str | dict) -> tuple[str, float | None]:
    """Name and target of "balanced_accuracy" or {"criterion": "sensitivity_at_specificity",
    "specificity": 0.9}; InputError for anything else."""
    given = {"criterion": criterion} if isinstance(criterion, str) else dict(criterion)
    name = given.pop("criterion", None)
    if name not in CRITERIA:
        raise InputError(
            f"The criterion of an operating point is one of {', '.join(CRITERIA)}.", name, "Change it."
        )
    wanted = name.partition("_at_")[2]  # what is held fixed, if anything
    target = given.get(wanted)
    is_share = isinstance(target, (int, float)) and not isinstance(target, bool) and 0 <= target <= 1
    if set(given) != ({wanted} if wanted else set()) or bool(wanted) != is_share:
        raise InputError(
            f"{name} takes " + (f"a {wanted} from 0 to 1." if wanted else "no further value."),
            criterion,
            f"For example {{'criterion': '{name}'" + (f", '{wanted}': 0.9}}." if wanted else "}."),
        )
    return name, None if target is None else float(target)


def check_criterion(criterion: str | dict, classes: int) -> tuple[str, float | None]:
    """Name and target; raises InputError also for a fixed rate of more than two classes."""
    name, target = parse_criterion(criterion)
    if target is not None and classes != 2:
        raise InputError(f"{name} is for two classes.", classes, "Use balanced_accuracy.")
    return name, target


def choose_operating_point(
    probabilities: np.ndarray,
    truth: np.ndarray,
    criterion: str | dict,
    prior: np.ndarray,
    weights: np.ndarray | None = None,
) -> OperatingPoint:
    """The operating point of the inner split's calibrated probabilities (records, classes).

    `prior` are the shares of the classes that the probabilities are calibrated to; a weight of 1
    is the evidence of one independent record. Of two classes a threshold is chosen, among those
    midway between neighbouring scores and the Bayes threshold, which for balanced accuracy is the
    prior of the last class. Of more classes the factors are prior^-a, a in 0, 0.1 ... 1; 1 is the
    Bayes rule. The maximum of balanced accuracy is flat and noisy: values that one record of the
    rarest class makes up for count as equal, and of those the one nearest to Bayes is taken.
    Where a class is missing, Bayes' rule is all there is; the reason says so and the value is None.
    """
    name, target = check_criterion(criterion, len(prior))
    prior = np.asarray(prior, float) / np.sum(prior)
    weights = np.ones(len(truth)) if weights is None else np.asarray(weights, float)
    evidence = np.bincount(truth, weights=weights, minlength=len(prior))
    there, reason = evidence > 0, ""
    lacking = there.sum() < 2 or bool(np.any((prior > 0) & ~there))
    if name == "accuracy":
        factors = np.ones(len(prior))
    elif lacking:
        factors, reason = _powers(prior, 1), "the inner split lacks a class: Bayes' rule"
    else:
        candidates = _candidates(probabilities, prior)
        recalls = _recalls_of(candidates, probabilities, truth, weights)
        if name == "balanced_accuracy":
            step = 1 / (there.sum() * evidence[there].min())  # one record of the rarest class
            chosen = _first_of_best(recalls[:, there].mean(axis=-1), step)
        else:
            chosen = _best_at_fixed(recalls, _held(name), target)
            reason = _little_behind(_held(name), target, truth, recalls[chosen])
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
    )


def _candidates(probabilities: np.ndarray, prior: np.ndarray) -> np.ndarray:
    """(candidates, classes) factors, the nearest to Bayes' rule first."""
    if len(prior) != 2:
        return np.stack([_powers(prior, exponent) for exponent in EXPONENTS[::-1]])
    edges = np.concatenate([[0], np.unique(_scores(probabilities)), [1]])
    found = np.append((edges[1:] + edges[:-1]) / 2, prior[1])
    found = found[np.argsort(np.abs(found - prior[1]), kind="stable")]
    return np.stack([found, 1 - found], axis=-1)  # p1 > t is p1 x (1 - t) > p0 x t


def _powers(prior: np.ndarray, exponent: float) -> np.ndarray:
    """prior^-exponent, sum 1; 0 for a class of prior 0, whose probability is 0 anyway."""
    factors = np.where(prior > 0, np.where(prior > 0, prior, 1) ** -exponent, 0)
    return factors / factors.sum()


def _recalls_of(candidates: np.ndarray, probabilities, truth, weights) -> np.ndarray:
    """(candidates, classes) of `_recalls`; with two classes by one sort, not one pass each."""
    if candidates.shape[-1] != 2:
        return np.stack([_recalls(probabilities * each, truth, weights) for each in candidates])
    scores, columns = _scores(probabilities), []
    for label in (0, 1):
        own = truth == label
        order = np.argsort(scores[own])
        mass = np.append(0, np.cumsum(weights[own][order]))
        at_most = np.searchsorted(scores[own][order], candidates[:, 0], side="right")
        called_0 = mass[at_most] / mass[-1]
        columns.append(1 - called_0 if label else called_0)
    return np.stack(columns, axis=-1)


def _scores(probabilities: np.ndarray) -> np.ndarray:
    wide = np.asarray(probabilities, float)
    return wide[:, 1] / wide.sum(axis=-1)


def _held(name: str) -> int:
    """The label whose recall is held at the target: 0 for a specificity."""
    return 0 if name == "sensitivity_at_specificity" else 1


def _best_at_fixed(recalls: np.ndarray, held: int, target: float) -> int:
    """Of the candidates that hold the target, the best in the other rate; then in the held one."""
    fixed, sought = recalls[:, held], recalls[:, 1 - held]
    allowed = fixed >= min(target, fixed.max()) - 1e-12
    best = allowed & (sought >= sought[allowed].max() - 1e-12)
    return _first_of_best(np.where(best, fixed, -1), 0)


def _little_behind(held: int, target: float, truth, recalls) -> str:
    """Plain words where the target is out of reach, or allows not one error."""
    rate, count = ("specificity", "sensitivity")[held], int(np.sum(truth == held))
    if recalls[held] < target - 1e-9:
        return f"no threshold reaches a {rate} of {target:g}"
    if count * (1 - target) < 1 - 1e-9:
        return f"only {count} records of class {held}: a {rate} of {target:g} is all of them"
    return ""


def _first_of_best(values, tolerance: float) -> int:
    values = np.asarray(values)
    return int(np.argmax(values >= values.max() - tolerance - 1e-12))


def _first_of_largest(scored: np.ndarray) -> np.ndarray:
    """(records,) the lowest label among those whose product is the largest, or the same as it."""
    return np.argmax(scored >= scored.max(axis=-1, keepdims=True) * (1 - TIE_TOLERANCE), axis=-1)


def _recalls(scored: np.ndarray, truth: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted share of each class that is decided right, (classes,); NaN of a class not there."""
    classes = scored.shape[-1]
    right = _first_of_largest(scored) == truth
    total = np.bincount(truth, weights=weights, minlength=classes)
    hits = np.bincount(truth, weights=weights * right, minlength=classes)
    return np.divide(hits, total, out=np.full(classes, np.nan), where=total > 0)


def _value(name: str, scored, truth, weights) -> float:
    if name == "accuracy":
        return float(np.average(_first_of_largest(scored) == truth, weights=weights))
    recalls = _recalls(scored, truth, weights)
    if name == "balanced_accuracy":
        return float(recalls[np.isfinite(recalls)].mean())
    return float(recalls[1 - _held(name)])
