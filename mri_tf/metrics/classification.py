"""The dictionaries of metrics.json for a classifier: its numbers, and those by part of a class name."""

import numpy as np

from mri_tf.metrics.calibrated import error_if_perfect, recalibration
from mri_tf.metrics.classifier import SPECIFICITY, Predictions, checked, classifier_numbers
from mri_tf.metrics.classifier_intervals import (
    count_intervals,
    probability_intervals,
    ranking_intervals,
)
from mri_tf.metrics.counts import confusion_by_patient
from mri_tf.metrics.cuts import auc_per_cut
from mri_tf.metrics.exchange import exchange_labels
from mri_tf.metrics.intervals import Interval, share_interval
from mri_tf.metrics.notes import note
from mri_tf.metrics.number import ONE_CLASS, joined, number, number_over_patients
from mri_tf.metrics.too_few import of_one_patient, too_few_of_classes

WHY_UNDEFINED = {
    "kappa": f"{ONE_CLASS} and is predicted",
    "quadratic_kappa": f"{ONE_CLASS} and is predicted",
    "auc": ONE_CLASS,
    "average_precision": ONE_CLASS,
    "sensitivity_at_specificity": ONE_CLASS,
}
# The numbers that are read first; the note looks at their intervals.
HEADLINE = ("accuracy", "balanced_accuracy", "kappa", "quadratic_kappa", "f1_macro", "auc")
OVER_CLASSES_THAT_OCCUR = ("balanced_accuracy", "auc", "average_precision")
COMPARE_NO_GROUPS = ("accuracy", "brier", "log_loss", "mean_absolute_grade_error")
ABSENT_FROM = "balanced accuracy and AUC, and of macro F1 unless predicted"
PROPER_SCORES = ("brier", "log_loss")
SAME_LOSS = (
    "the loss of every patient is the same, and the probabilities expect no other: nothing tells how "
    "much it varies"
)
NO_INTERVAL = {
    "ece": "few records alone make it larger than 0; compare it with that of a perfectly calibrated "
    "model",
}


def classification_metrics(
    truth: np.ndarray, probabilities: np.ndarray, predicted: np.ndarray, patients: np.ndarray,
    class_names: tuple[str, ...], *, ordered: bool = False, folds: np.ndarray | None = None,
    repeats: int = 1,
) -> dict:  # fmt: skip
    """Returns the content of metrics.json for a classifier, intervals over patients included.

    Beside the accuracy stand the share of the largest class and whether the interval of the accuracy
    lies above it.

    Args:
        truth: (records,) class numbers.
        probabilities: (records, classes).
        predicted: (records,) class numbers, as decided.
        patients: (records,) ids.
        class_names: in the order of the class numbers; of two, the last one is the positive one.
        ordered: the classes are ordered (grades): adds the quadratic kappa and, of more than two
            classes, the mean absolute grade error and the AUC of each cut.
        folds, repeats: of predictions of several networks, as `exchange_labels` takes them.

    Raises:
        ValueError: the arrays do not fit each other or the class names.
    """
    predictions = checked(truth, probabilities, predicted, patients)
    result = numbers_with_intervals(predictions, class_names, ordered)
    result["ece"]["if_perfect"] = error_if_perfect(predictions)
    if ordered and len(class_names) > 2:
        result["auc_per_cut"] = auc_per_cut(predictions, class_names)
    by_patient = _by_patient(predictions)
    total = by_patient.sum(axis=0)  # (true class, predicted class)
    support, low = total.sum(axis=1), result["accuracy"]["low"]
    majority = float(support.max() / support.sum())
    few = too_few_of_classes(by_patient.sum(axis=2) > 0)
    headline = {name: value for name, value in result.items() if name in HEADLINE}
    exchange = exchange_labels(predictions, folds, repeats)
    return result | {
        "better_than_chance": exchange and exchange.as_json(),
        "calibration": _calibration(predictions, class_names),
        "majority_accuracy": majority,
        "beats_majority": not few and low is not None and low > majority,
        "confusion": total.astype(int).tolist(),
        "records": int(total.sum()),
        "note": note(by_patient, class_names, headline, ABSENT_FROM),
    }  # fmt: skip


def numbers_with_intervals(
    predictions: Predictions, class_names: tuple[str, ...], ordered: bool = False
) -> dict:
    """Returns every number with its interval, by name, and those of each class in `per_class`.

    Raises ValueError if the class names do not fit the probabilities.
    """
    if len(class_names) != predictions.probabilities.shape[1]:
        raise ValueError(
            f"Probabilities need one column for each of {class_names}. "
            f"Received: {predictions.probabilities.shape}."
        )
    by_patient = _by_patient(predictions)
    values = classifier_numbers(predictions, np.ones((1, len(by_patient)), int), ordered)
    values = {name: value[0] for name, value in values.items()}
    intervals = _intervals(predictions, by_patient, values, ordered)
    support = by_patient.sum(axis=(0, 2))
    has_class = by_patient.sum(axis=2) > 0  # (patients, classes)
    few, patients_of = too_few_of_classes(has_class), has_class.sum(axis=0)
    result: dict = {}
    for name, value in values.items():
        if np.ndim(value) == 0:
            interval = intervals.get(name)
            why_none = NO_INTERVAL.get(name) or ("" if name in COMPARE_NO_GROUPS else few)
            if name == "f1_macro":
                why_none = few or of_one_patient(patients_of)
            if intervals and interval is None and name in PROPER_SCORES:
                why_none = SAME_LOSS
            result[name] = _number(
                value, len(by_patient), interval, WHY_UNDEFINED.get(name, "no denominator"), why_none,
                _classes_left_out(name, support, class_names),
            )  # fmt: skip
    if "sensitivity_at_specificity" in result:
        result["sensitivity_at_specificity"]["specificity"] = SPECIFICITY
    return result | {
        "per_class": {name: _of_class(label, name, by_patient, values, intervals)
                      for label, name in enumerate(class_names)}
    }  # fmt: skip


def _by_patient(predictions: Predictions) -> np.ndarray:
    """(patients, true class, predicted class) counts."""
    classes = predictions.probabilities.shape[1]
    return confusion_by_patient(
        predictions.truth, predictions.predicted, predictions.patients, classes
    )


def _calibration(predictions: Predictions, class_names: tuple[str, ...]) -> dict:
    """Intercept and slope by class; of two classes, those of the last one."""
    labels = [1] if len(class_names) == 2 else range(len(class_names))
    return {
        class_names[label]: recalibration(
            predictions.probabilities[:, label], predictions.truth == label, predictions.patients
        )
        for label in labels
    }


def _intervals(
    predictions: Predictions, by_patient: np.ndarray, values: dict[str, np.ndarray], ordered: bool
) -> dict:
    """The intervals by name; none of one patient."""
    if len(by_patient) < 2:
        return {}
    return (
        count_intervals(by_patient, ordered)
        | ranking_intervals(predictions, values)
        | probability_intervals(predictions)
    )


def _number(
    value: float, patients: int, interval: Interval | None, undefined: str, few: str, also: str = ""
) -> dict:
    """A number of metrics.json: with its interval, unless there is none or the patients are too few."""
    if not np.isfinite(value):
        return number(np.nan, patients, reason=joined(undefined, also))
    if few or interval is None:
        return number(value, patients, reason=joined(few or "one patient", also))
    low, high = min(interval.low, value), max(interval.high, value)
    return number(value, patients, (low, high), interval.method, also)


def _of_class(
    label: int, name: str, by_patient: np.ndarray, values: dict[str, np.ndarray], intervals: dict
) -> dict:
    true, predicted = by_patient[:, label].sum(axis=1), by_patient[:, :, label].sum(axis=1)
    absent, never = f"no record of {name}", f"{name} is never predicted"
    one_class = f"every record is of {name}" if true.sum() else absent
    others = by_patient.sum(axis=(1, 2)) - true
    few = too_few_of_classes(np.stack([true > 0, others > 0], axis=1))
    patients = len(by_patient)

    def of(key: str, counted: int, undefined: str, few: str = "") -> dict:
        interval = intervals[f"per_class_{key}"][label] if intervals else None
        return _number(values[f"per_class_{key}"][label], counted, interval, undefined, few)

    return {
        "precision": of("precision", int((predicted > 0).sum()), never),
        "recall": of("recall", int((true > 0).sum()), absent),
        "f1": of("f1", patients, f"{absent}, and {never}", few),
        "auc": of("auc", patients, one_class, few),
        "support": int(true.sum()),
        "patients": int((true > 0).sum()),
    }


def _classes_left_out(name: str, support: np.ndarray, class_names: tuple[str, ...]) -> str:
    absent = [label for label, count in zip(class_names, support, strict=True) if count == 0]
    of_positive_class = len(class_names) == 2 and name != "balanced_accuracy"
    if name not in OVER_CLASSES_THAT_OCCUR or not absent or of_positive_class:
        return ""
    return f"mean of the classes that occur, without {', '.join(absent)}"


def part_metrics(
    truth: np.ndarray, predicted: np.ndarray, patients: np.ndarray,
    class_parts: dict[str, tuple[str, ...]],
) -> dict:  # fmt: skip
    """Returns accuracies by part of the class names, such as tumour and contrast.

    Args:
        truth: (records,) class numbers.
        predicted: (records,) class numbers.
        patients: (records,) ids.
        class_parts: part -> its value for each class.

    Returns:
        `{part: {"agreement": number, "accuracy": {value: number}, "records": {value: count}}}`.
        `agreement` is the share of records whose predicted class has the true value of the part, even
        if the class is wrong; `accuracy` is that of the whole class among the records of a value.
    """
    parts = {}
    for part, value_of in class_parts.items():
        true_value, predicted_value = (np.array(value_of)[labels] for labels in (truth, predicted))
        records_of = {value: true_value == value for value in dict.fromkeys(value_of)}
        parts[part] = {
            "agreement": share_of_records(true_value == predicted_value, patients),
            "accuracy": {value: share_of_records((truth == predicted)[records], patients[records])
                         for value, records in records_of.items()},
            "records": {value: int(records.sum()) for value, records in records_of.items()},
        }  # fmt: skip
    return parts


def share_of_records(right: np.ndarray, patients: np.ndarray) -> dict:
    """The share of correct records, (records,) bool, as a number with its interval over patients."""
    names, patient_of = np.unique(np.asarray(patients).astype(str), return_inverse=True)
    hits, counts = np.bincount(patient_of, weights=right), np.bincount(patient_of)
    share = hits.sum() / counts.sum() if len(names) else np.nan
    return number_over_patients(share, len(names), lambda: share_interval(hits, counts), "no record")
