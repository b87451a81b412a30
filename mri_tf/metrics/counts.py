"""Numbers and their uncertainty: from confusion counts a patient, intervals clustered by patient."""

import math
from collections.abc import Callable

import numpy as np

RESAMPLES = 2000
COVERAGE = 0.95


def confusion_by_patient(
    truth: np.ndarray, predicted: np.ndarray, patients: np.ndarray, class_count: int
) -> np.ndarray:
    """(patients, true class, predicted class) counts; patients in sorted order."""
    _, patient_of = np.unique(patients.astype(str), return_inverse=True)
    counts = np.zeros((patient_of.max() + 1, class_count, class_count))
    np.add.at(counts, (patient_of, truth, predicted), 1)
    return counts


def accuracy(confusion: np.ndarray) -> np.ndarray:
    """Share on the diagonal; confusion (..., classes, classes)."""
    return _ratio(np.trace(confusion, axis1=-2, axis2=-1), confusion.sum(axis=(-2, -1)))


def kappa(confusion: np.ndarray) -> np.ndarray:
    """Cohen's kappa, unweighted."""
    total = confusion.sum(axis=(-2, -1))
    observed = _ratio(np.trace(confusion, axis1=-2, axis2=-1), total)
    expected = _ratio((confusion.sum(axis=-1) * confusion.sum(axis=-2)).sum(axis=-1), total**2)
    return _ratio(observed - expected, 1 - expected)


def f1_per_class(confusion: np.ndarray) -> np.ndarray:
    """(..., classes); NaN for a class that neither occurs nor is predicted. Also called Dice."""
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)
    return _ratio(2 * hits, confusion.sum(axis=-1) + confusion.sum(axis=-2))


def f1_macro(confusion: np.ndarray) -> np.ndarray:
    """Mean F1 of the classes that occur or are predicted."""
    return _mean_of_defined(f1_per_class(confusion))


def foreground_dice(confusion: np.ndarray) -> np.ndarray:
    """Mean Dice of the labels but background (class 0), pixels of all images together."""
    return _mean_of_defined(f1_per_class(confusion)[..., 1:])


def with_interval(
    measure: Callable[[np.ndarray], np.ndarray], by_patient: np.ndarray, seed: int = 0
) -> dict:
    """`{"value", "low", "high", "n", "unit"}` of one number; patients are resampled, whole.

    A percentile bootstrap over `by_patient` (patients, classes, classes). With one patient
    there is no interval: low and high are None.
    """
    value = float(measure(by_patient.sum(axis=0)))
    result = {"value": _number(value), "low": None, "high": None,
              "n": len(by_patient), "unit": "patients"}  # fmt: skip
    if len(by_patient) > 1:
        drawn = measure(_resampled(by_patient, seed))
        drawn = drawn[np.isfinite(drawn)]
        if len(drawn):
            tail = (1 - COVERAGE) / 2
            low, high = np.quantile(drawn, [tail, 1 - tail])
            result |= {"low": float(low), "high": float(high)}
    return result


def classification_metrics(by_patient: np.ndarray, class_names: tuple[str, ...]) -> dict:
    """metrics.json of a classification task."""
    total = by_patient.sum(axis=0)
    support = total.sum(axis=1)
    return {
        "accuracy": with_interval(accuracy, by_patient),
        "kappa": with_interval(kappa, by_patient),
        "f1_macro": with_interval(f1_macro, by_patient),
        "majority_accuracy": float(support.max() / support.sum()),
        "per_class": {
            name: {"f1": with_interval(_only(f1_per_class, number), by_patient),
                   "support": int(support[number])}
            for number, name in enumerate(class_names)
        },
        "confusion": total.astype(int).tolist(),
        "records": int(total.sum()),
        "note": _note(by_patient, support, class_names),
    }  # fmt: skip


def segmentation_metrics(by_patient: np.ndarray, class_names: tuple[str, ...]) -> dict:
    """metrics.json of a segmentation task: Dice a label over the pixels of all images together."""
    total = by_patient.sum(axis=0)
    return {
        "dice_mean": with_interval(foreground_dice, by_patient),
        "per_class": {
            name: {"dice": with_interval(_only(f1_per_class, number), by_patient),
                   "pixels": int(total[number].sum())}
            for number, name in enumerate(class_names)
        },
        "note": _note(by_patient, total.sum(axis=1), class_names),
    }  # fmt: skip


def _resampled(by_patient: np.ndarray, seed: int) -> np.ndarray:
    """(resamples, classes, classes): sums over patients drawn with replacement."""
    count = len(by_patient)
    rng = np.random.default_rng(seed)
    times = rng.multinomial(count, np.full(count, 1 / count), size=RESAMPLES)
    flat = times @ by_patient.reshape(count, -1)
    return flat.reshape(RESAMPLES, *by_patient.shape[1:])


def _note(by_patient: np.ndarray, support: np.ndarray, class_names: tuple[str, ...]) -> str:
    """Plain words about what these numbers cannot say."""
    notes = []
    if len(by_patient) < 10:
        notes.append(f"only {len(by_patient)} patients: the intervals are rough")
    if by_patient.sum() == np.trace(by_patient.sum(axis=0)):
        notes.append("nothing was wrong: a bootstrap cannot show how sure that is")
    absent = [name for name, count in zip(class_names, support, strict=True) if count == 0]
    if absent:
        notes.append(f"no record of {', '.join(absent)}: left out of the means unless predicted")
    return "; ".join(notes)


def _only(measure: Callable, number: int) -> Callable:
    return lambda confusion: measure(confusion)[..., number]


def _mean_of_defined(values: np.ndarray) -> np.ndarray:
    defined = np.isfinite(values)
    return _ratio(np.where(defined, values, 0).sum(axis=-1), defined.sum(axis=-1))


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    above, below = np.broadcast_arrays(np.asarray(above, float), np.asarray(below, float))
    return np.divide(above, below, out=np.full(above.shape, np.nan), where=below != 0)


def _number(value: float) -> float | None:
    """JSON knows no NaN."""
    return value if math.isfinite(value) else None
