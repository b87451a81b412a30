"""What a task answers for: each record, or each patient with all of its slices (`bag` in the task)."""

import numpy as np

from mri_tf.core.errors import InputError, first_few
from mri_tf.store.prepared import Prepared
from mri_tf.store.record import Record
from mri_tf.task import Task


def bags_of(prepared: Prepared, records: np.ndarray) -> list[np.ndarray]:
    """Record positions of each patient, patients and slices in the order of `records`.

    Raises InputError where a patient's records have several labels.
    """
    names = prepared.patients[records].astype(str)
    _, first, patient_of = np.unique(names, return_index=True, return_inverse=True)
    bags = [records[patient_of == patient] for patient in np.argsort(first)]
    torn = [bag[0] for bag in bags if len(set(prepared.labels[bag].tolist())) > 1]
    if torn:
        raise InputError(
            "A task that answers for patients has one label a patient.",
            f"several, for the patients of records {first_few(prepared.record_ids[torn])}",
            "Mend the labels, or remove bag from the task.",
        )
    return bags


def answered(task: Task, prepared: Prepared, records: np.ndarray) -> np.ndarray:
    """One record position for each answer: every record, or the first of every patient."""
    if not task.bag:
        return records
    return np.array([bag[0] for bag in bags_of(prepared, records)], dtype=np.int64)


def studies_of(prepared: Prepared, records: np.ndarray) -> list[np.ndarray]:
    """Record positions of each source file, ascending: a record's id begins with its source's number."""
    records = np.sort(records)
    cases = np.array([name.partition("-")[0] for name in prepared.record_ids[records]])
    _, first, study_of = np.unique(cases, return_index=True, return_inverse=True)
    return [records[study_of == study] for study in np.argsort(first)]


def study_spacing(prepared: Prepared, study: np.ndarray) -> tuple[float, ...]:
    """From slice to slice, of rows and of columns, in mm; raises InputError where it is not known."""
    found = prepared.record(int(study[0])).spacing_mm
    if found is None:
        raise _unknown_spacing(f"record {prepared.record_ids[study[0]]}")
    return found


def select_slices(task: Task, prepared: Prepared, records: np.ndarray, fitted: dict) -> np.ndarray:
    """The records that a network is given: of studies with thin slices those about the fitted distance
    apart, in the order of `records`; all where the task fits no spacing.

    Counted from the whole study, so that taking twice is taking once; every study keeps some.
    """
    if not task.spacing:
        return records
    kept = []
    for study in studies_of(prepared, np.arange(len(prepared))):
        own = np.intersect1d(study, records)
        if len(own):
            spacing = study_spacing(prepared, study)[0]
            taken = np.intersect1d(own, study[_apart(len(study), spacing, fitted)])
            kept.append(taken if len(taken) else own)
    return records[np.isin(records, np.concatenate(kept))]


def taken_of_study(count: int, first: Record, fitted: dict) -> slice:
    """The same of a study's `count` records that are in no prepared set; raises InputError.

    `first` of them as a set holds it (`schema.stored`): a double's last digits can move a rounding.
    """
    if first.spacing_mm is None:
        raise _unknown_spacing("a study")
    return _apart(count, first.spacing_mm[0], fitted)


def _apart(count: int, slice_mm: float, fitted: dict) -> slice:
    step = max(1, round(fitted["slice_mm"] / slice_mm))
    return slice((count - 1) % step // 2, None, step)


def _unknown_spacing(received: str) -> InputError:
    return InputError(
        "A task with spacing needs records whose spacing in mm is known.", f"{received} without",
        "Prepare them from files that hold it, or remove spacing from the task.",
    )  # fmt: skip
