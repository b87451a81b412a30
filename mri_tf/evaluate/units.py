"""A classifier's numbers by what one answer is about: a record, a case, or a patient.

The probabilities of a case are the mean over its records, those of a patient the mean over the patient's
cases. Decisions are made from them at the run's operating point.
"""

from collections.abc import Callable

import numpy as np

from mri_tf.metrics.classification import numbers_with_intervals
from mri_tf.metrics.classifier import checked
from mri_tf.pipeline.subset import Subset
from mri_tf.splits.units import cases_of

# (owners,) numbers of a unit of each, (owners, classes) natural probabilities -> (owners,) labels.
Decided = Callable[[np.ndarray, np.ndarray], np.ndarray]
NUMBERS = ("accuracy", "balanced_accuracy", "auc", "quadratic_kappa", "mean_absolute_grade_error")


def unit_values(
    subset: Subset, probabilities: np.ndarray, natural: np.ndarray, decided: Decided
) -> dict:
    """The numbers by unit for metrics.json, where patients have several records; otherwise nothing.

    A case or patient whose records have several labels has no label of its own: it is left out and
    counted.

    Args:
        subset: records with labels; `units` are what the network answers for.
        probabilities: (units, classes) as they are reported.
        natural: (units, classes) for the class shares of the training data.
        decided: decides for means of `natural`.

    Returns:
        `{"by_unit": {"record": {"n"}, "case": {"n", "left_out", numbers}, "patient": {...}}}`; "case"
        only where patients have several cases of several records.
    """
    patient_of = np.unique(subset.patients.astype(str), return_inverse=True)[1]
    if not subset.prepared.patients_known or len(subset.units) == patient_of.max() + 1:
        return {}
    case_of = case_numbers(subset)
    several_cases = case_of.max() > patient_of.max()
    pairs = np.concatenate([probabilities, natural], axis=1)
    by_case = means(pairs, case_of)  # (cases, 2 x classes)
    found = {"record": {"n": len(subset.units)}}
    if several_cases and len(by_case) < len(subset.units):
        found["case"] = _numbers(subset, by_case, case_of, decided)
    patient_of_case = np.zeros(len(by_case), int)
    patient_of_case[case_of] = patient_of
    by_patient = means(by_case, patient_of_case)
    found["patient"] = _numbers(subset, by_patient, patient_of, decided)
    return {"by_unit": found}


def case_numbers(subset: Subset) -> np.ndarray:
    """(units,) number of the case of each unit."""
    numbers = np.zeros(len(subset.prepared), int)
    for number, case in enumerate(cases_of(subset.prepared, subset.units)):
        numbers[case] = number
    return numbers[subset.units]


def means(values: np.ndarray, owner_of: np.ndarray) -> np.ndarray:
    """(owners, columns) means of (rows, columns) values; `owner_of` are (rows,) numbers from 0.

    >>> means(np.array([[0.0], [1.0], [4.0]]), np.array([1, 1, 0]))
    array([[4. ],
           [0.5]])
    """
    sums = np.zeros((owner_of.max() + 1, values.shape[1]))
    np.add.at(sums, owner_of, values)
    return sums / np.bincount(owner_of)[:, None]


def labels_of(labels: np.ndarray, owner_of: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(owners,) a label of each, and whether all of its records have it."""
    lowest = np.full(owner_of.max() + 1, labels.max())
    highest = np.zeros_like(lowest)
    np.minimum.at(lowest, owner_of, labels)
    np.maximum.at(highest, owner_of, labels)
    return lowest, lowest == highest


def _numbers(
    subset: Subset, both: np.ndarray, owner_of: np.ndarray, decided: Decided
) -> dict:
    """Numbers over owners; `both` are (owners, 2 x classes) reported and natural probabilities."""
    truth, one_label = labels_of(subset.labels, owner_of)
    left_out = int((~one_label).sum())
    if not one_label.any():
        return {"n": 0, "left_out": left_out}
    patients = np.empty(len(truth), dtype=object)
    patients[owner_of] = subset.patients
    unit_of = np.empty(len(truth), int)  # one unit of each owner
    unit_of[owner_of] = np.arange(len(owner_of))
    reported, natural = np.split(both[one_label], 2, axis=1)
    decisions = decided(unit_of[one_label], natural)
    made = checked(truth[one_label], reported, decisions, patients[one_label])
    numbers = numbers_with_intervals(made, subset.task.class_names, subset.task.ordered)
    counted = {name: numbers[name] for name in NUMBERS if name in numbers}
    return {"n": int(one_label.sum()), "left_out": left_out, **counted}
