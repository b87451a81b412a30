"""The dictionaries of metrics.json for a classifier: its numbers, and those by part of a class name."""

import numpy as np

from mri_tf.metrics.classifier import LOWER_IS_BETTER, SPECIFICITY, checked, classifier_numbers
from mri_tf.metrics.counts import confusion_by_patient, ratio
from mri_tf.metrics.intervals import interval_number, multiplicities, proportion, too_few
from mri_tf.metrics.notes import note
from mri_tf.metrics.number import joined, number

ONE_CLASS = "only one class occurs"
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


def classification_metrics(
    truth: np.ndarray, probabilities: np.ndarray, predicted: np.ndarray, patients: np.ndarray,
    class_names: tuple[str, ...], *, ordered: bool = False, seed: int = 0,
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
        ordered: the classes are ordered (grades): adds the quadratic kappa.
        seed: of the resamples.

    Raises:
        ValueError: the arrays do not fit each other or the class names.
    """
    predictions = checked(truth, probabilities, predicted, patients)
    classes = len(class_names)
    if classes != predictions.probabilities.shape[1]:
        raise ValueError(
            f"Probabilities need one column for each of {class_names}. Received: {probabilities.shape}."
        )
    by_patient = confusion_by_patient(
        predictions.truth, predictions.predicted, predictions.patients, classes
    )
    drawn = classifier_numbers(predictions, multiplicities(len(by_patient), seed), ordered)
    total = by_patient.sum(axis=0)  # (true class, predicted class)
    support = total.sum(axis=1)
    accuracy = proportion(
        np.trace(by_patient, axis1=1, axis2=2), by_patient.sum(axis=(1, 2)),
        _one_each(by_patient), drawn["accuracy"], undefined="",
    )  # fmt: skip
    result, few = {"accuracy": accuracy}, _too_few(by_patient)
    for name, values in drawn.items():
        if name != "accuracy" and values.ndim == 1:
            result[name] = _interval_unless(
                "" if name in LOWER_IS_BETTER else few, values, len(by_patient),
                WHY_UNDEFINED.get(name, "no denominator"),
                _classes_left_out(name, support, class_names),
            )  # fmt: skip
    if "sensitivity_at_specificity" in result:
        result["sensitivity_at_specificity"]["specificity"] = SPECIFICITY
    majority = float(support.max() / support.sum())
    low = accuracy["low"]
    headline = {name: value for name, value in result.items() if name in HEADLINE}
    return result | {
        "majority_accuracy": majority,
        "beats_majority": not few and low is not None and low > majority,
        "per_class": {name: _of_class(label, name, by_patient, drawn)
                      for label, name in enumerate(class_names)},
        "confusion": total.astype(int).tolist(),
        "records": int(total.sum()),
        "note": note(by_patient, class_names, headline),
    }  # fmt: skip


def _of_class(label: int, name: str, by_patient: np.ndarray, drawn: dict) -> dict:
    patients, one_each = len(by_patient), _one_each(by_patient)
    hits = by_patient[:, label, label]
    true, predicted = by_patient[:, label].sum(axis=1), by_patient[:, :, label].sum(axis=1)
    absent, never = f"no record of {name}", f"{name} is never predicted"
    few = _too_few(np.stack([by_patient[:, label], by_patient.sum(axis=1) - by_patient[:, label]], 1))
    values = {key: drawn[f"per_class_{key}"][:, label] for key in ("precision", "recall", "f1", "auc")}
    one_class = f"every record is of {name}" if true.sum() else absent
    return {
        "precision": proportion(hits, predicted, one_each, values["precision"], never),
        "recall": proportion(hits, true, one_each, values["recall"], absent),
        "f1": _interval_unless(few, values["f1"], patients, f"{absent}, and {never}"),
        "auc": _interval_unless(few, values["auc"], patients, one_class),
        "support": int(true.sum()),
        "patients": int((true > 0).sum()),
    }


def _too_few(by_patient: np.ndarray) -> str:
    """The reason of `too_few`; empty if some patient has records of several true classes."""
    has_class = by_patient.sum(axis=2) > 0  # (patients, classes)
    return "" if (has_class.sum(axis=1) > 1).any() else too_few(has_class.sum(axis=0))


def _interval_unless(few: str, drawn: np.ndarray, patients: int, undefined: str, also: str = "") -> dict:
    """`interval_number`, without an interval where `few` says that there are too few patients."""
    if few and np.isfinite(drawn[0]):
        return number(drawn[0], patients, reason=joined(few, also))
    return interval_number(drawn, patients, undefined, also)


def _one_each(by_patient: np.ndarray) -> bool:
    """Whether every patient has one record."""
    return bool((by_patient.sum(axis=(1, 2)) == 1).all())


def _classes_left_out(name: str, support: np.ndarray, class_names: tuple[str, ...]) -> str:
    absent = [label for label, count in zip(class_names, support, strict=True) if count == 0]
    of_positive_class = len(class_names) == 2 and name != "balanced_accuracy"
    if name not in OVER_CLASSES_THAT_OCCUR or not absent or of_positive_class:
        return ""
    return f"mean of the classes that occur, without {', '.join(absent)}"


def part_metrics(
    truth: np.ndarray, predicted: np.ndarray, patients: np.ndarray,
    class_parts: dict[str, tuple[str, ...]], seed: int = 0,
) -> dict:  # fmt: skip
    """Returns accuracies by part of the class names, such as tumour and contrast.

    Args:
        truth: (records,) class numbers.
        predicted: (records,) class numbers.
        patients: (records,) ids.
        class_parts: part -> its value for each class.
        seed: of the resamples.

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
            "agreement": _share(true_value == predicted_value, patients, seed),
            "accuracy": {value: _share((truth == predicted)[records], patients[records], seed)
                         for value, records in records_of.items()},
            "records": {value: int(records.sum()) for value, records in records_of.items()},
        }  # fmt: skip
    return parts


def _share(right: np.ndarray, patients: np.ndarray, seed: int) -> dict:
    """The share of correct records, (records,) bool, as a number with its interval."""
    names, patient_of = np.unique(np.asarray(patients).astype(str), return_inverse=True)
    hits = np.bincount(patient_of, weights=right, minlength=len(names))
    counts = np.bincount(patient_of, minlength=len(names))
    if not len(names):
        return number(np.nan, 0, reason="no record")
    times = multiplicities(len(names), seed)
    drawn = ratio(times @ hits, times @ counts)
    return proportion(hits, counts, bool((counts == 1).all()), drawn, undefined="")
