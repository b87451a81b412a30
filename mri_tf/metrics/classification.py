"""The dictionaries of metrics.json."""

import numpy as np

from mri_tf.metrics.classifier import LOWER_IS_BETTER, SPECIFICITY, checked, classifier_numbers
from mri_tf.metrics.counts import confusion_by_patient, ratio
from mri_tf.metrics.intervals import (
    interval_number,
    multiplicities,
    one_class_each,
    proportion,
    too_few,
)
from mri_tf.metrics.notes import note
from mri_tf.metrics.number import joined, number

ONE_CLASS = "only one class occurs"
# What a number of the whole set lacks when it is undefined.
UNDEFINED = {
    "kappa": f"{ONE_CLASS} and is predicted",
    "quadratic_kappa": f"{ONE_CLASS} and is predicted",
    "auc": ONE_CLASS,
    "average_precision": ONE_CLASS,
    "sensitivity_at_specificity": ONE_CLASS,
}
# Numbers of a scale that means something, the first that are read.
HEADLINE = ("accuracy", "balanced_accuracy", "kappa", "quadratic_kappa", "f1_macro", "auc")
OVER_CLASSES_THAT_OCCUR = ("balanced_accuracy", "auc", "average_precision")


def classification_metrics(
    truth: np.ndarray,
    probabilities: np.ndarray,
    predicted: np.ndarray,
    patients: np.ndarray,
    class_names: tuple[str, ...],
    *,
    ordered: bool = False,
    seed: int = 0,
) -> dict:
    """metrics.json of a classification task; arrays as in `classifier.Predictions`.

    `ordered`: the classes have an order (grades), which adds the quadratic kappa. Beside accuracy
    stand the largest class's share and whether accuracy's interval lies above it. Raises
    ValueError if the arrays do not fit each other or the class names.
    """
    given = checked(truth, probabilities, predicted, patients)
    if len(class_names) != given.probabilities.shape[1]:
        raise ValueError(f"a column a class of {class_names}. Received: {probabilities.shape}.")
    by_patient = confusion_by_patient(
        given.truth, given.predicted, given.patients, len(class_names)
    )
    drawn = classifier_numbers(given, multiplicities(len(by_patient), seed), ordered)
    total = by_patient.sum(axis=0)
    support = total.sum(axis=1)
    accuracy = proportion(
        np.trace(by_patient, axis1=1, axis2=2), by_patient.sum(axis=(1, 2)),
        one_each=_one_each(by_patient), drawn=drawn["accuracy"], undefined="",
    )  # fmt: skip
    result, few = {"accuracy": accuracy}, _too_few(by_patient)
    for name, values in drawn.items():
        if name != "accuracy" and values.ndim == 1:
            result[name] = _interval_unless(
                "" if name in LOWER_IS_BETTER else few, values, len(by_patient),
                UNDEFINED.get(name, "no denominator"), _classes_left_out(name, support, class_names),
            )  # fmt: skip
    if "sensitivity_at_specificity" in result:
        result["sensitivity_at_specificity"]["specificity"] = SPECIFICITY
    majority = float(support.max() / support.sum())
    low = accuracy["low"]
    headline = {name: value for name, value in result.items() if name in HEADLINE}
    return result | {
        "majority_accuracy": majority,
        "beats_majority": not few and low is not None and low > majority,
        "per_class": {
            name: _of_class(label, name, by_patient, drawn)
            for label, name in enumerate(class_names)
        },
        "confusion": total.astype(int).tolist(),
        "records": int(total.sum()),
        "note": note(by_patient, class_names, headline),
    }


def _of_class(label: int, name: str, by_patient: np.ndarray, drawn: dict) -> dict:
    patients, one_each = len(by_patient), _one_each(by_patient)
    hits = by_patient[:, label, label]
    true, called = by_patient[:, label].sum(axis=1), by_patient[:, :, label].sum(axis=1)
    absent, never = f"no record of {name}", f"{name} is never predicted"
    few = _too_few(np.stack([by_patient[:, label], by_patient.sum(axis=1) - by_patient[:, label]], 1))
    values = {key: drawn[f"per_class_{key}"][:, label] for key in ("precision", "recall", "f1", "auc")}
    alone = absent if not true.sum() else f"every record is of {name}"
    return {
        "precision": proportion(hits, called, one_each, values["precision"], never),
        "recall": proportion(hits, true, one_each, values["recall"], absent),
        "f1": _interval_unless(few, values["f1"], patients, f"{absent}, and {never}"),
        "auc": _interval_unless(few, values["auc"], patients, alone),
        "support": int(true.sum()),
        "patients": int((true > 0).sum()),
    }


def _too_few(by_patient: np.ndarray) -> str:
    """Of (patients, true class, predicted class) counts; nothing where patients have several classes."""
    if not one_class_each(by_patient):
        return ""
    return too_few((by_patient.sum(axis=2) > 0).sum(axis=0))


def _interval_unless(
    few: str, drawn: np.ndarray, patients: int, undefined: str, also: str = ""
) -> dict:
    if few and np.isfinite(drawn[0]):
        return number(drawn[0], patients, reason=joined(few, also))
    return interval_number(drawn, patients, undefined, also)


def _one_each(by_patient: np.ndarray) -> bool:
    return bool((by_patient.sum(axis=(1, 2)) == 1).all())


def _classes_left_out(name: str, support: np.ndarray, class_names: tuple[str, ...]) -> str:
    absent = [label for label, count in zip(class_names, support, strict=True) if count == 0]
    two = len(class_names) == 2
    if name not in OVER_CLASSES_THAT_OCCUR or not absent or (two and name != "balanced_accuracy"):
        return ""
    return f"mean of the classes that occur, without {', '.join(absent)}"


def part_metrics(
    truth: np.ndarray,
    predicted: np.ndarray,
    patients: np.ndarray,
    class_parts: dict[str, tuple[str, ...]],
    seed: int = 0,
) -> dict:
    """{part: {"agreement": number, "accuracy": {value: number}, "records": {value: count}}}.

    `truth` and `predicted` are (records,) class numbers; `class_parts` name a value a class.
    `accuracy` is that of the whole class among the records whose true class has the value;
    `agreement` the share of all records whose predicted class has the true one's value, whatever
    the rest of its name.
    """
    found = {}
    for part, names in class_parts.items():
        true_value, said_value = (np.array(names)[labels] for labels in (truth, predicted))
        values = list(dict.fromkeys(names))
        found[part] = {
            "agreement": _share(true_value == said_value, patients, seed),
            "accuracy": {
                value: _share((truth == predicted)[true_value == value],
                              patients[true_value == value], seed)
                for value in values
            },
            "records": {value: int(np.sum(true_value == value)) for value in values},
        }  # fmt: skip
    return found


def _share(right: np.ndarray, patients: np.ndarray, seed: int) -> dict:
    names, patient_of = np.unique(np.asarray(patients).astype(str), return_inverse=True)
    hits = np.bincount(patient_of, weights=right, minlength=len(names))
    counts = np.bincount(patient_of, minlength=len(names))
    drawn = np.full(1, np.nan)
    if len(names):
        times = multiplicities(len(names), seed)
        drawn = ratio(times @ hits, times @ counts)
    return proportion(hits, counts, bool((counts == 1).all()), drawn, "no record")
