"""Groups of a prepared set's records: those of a patient, those of a case, and its selected slices.

Records are given and returned as positions in the prepared set. A case is one source file or series.
"""

import numpy as np

from mri_tf.core.errors import InputError, first_few
from mri_tf.store.prepared import Prepared
from mri_tf.store.record import Record
from mri_tf.task import Task


def bags_of(prepared: Prepared, records: np.ndarray) -> list[np.ndarray]:
    """Record positions of each patient, patients and slices in the order of `records`.

    Raises InputError where a patient's records have several labels.
    """
    bags = _grouped(records, prepared.patients[records].astype(str))
    several = [bag[0] for bag in bags if len(set(prepared.labels[bag].tolist())) > 1]
    if several:
        raise InputError(
            "A task with bag needs one label a patient.",
            f"several labels for the patients of records {first_few(prepared.record_ids[several])}",
            "Correct the labels, or remove bag from the task.",
        )
    return bags


def answering_records(task: Task, prepared: Prepared, records: np.ndarray) -> np.ndarray:
    """One position for each answer of the network: every record, or with `bag` every patient's first."""
    if not task.bag:
        return records
    return np.array([bag[0] for bag in bags_of(prepared, records)], dtype=np.int64)


def cases_of(prepared: Prepared, records: np.ndarray) -> list[np.ndarray]:
    """Record positions of each case, ascending: a record id begins with the number of its source."""
    records = np.sort(records)
    return _grouped(records, [name.partition("-")[0] for name in prepared.record_ids[records]])


def case_spacing(prepared: Prepared, case: np.ndarray) -> tuple[float, ...]:
    """Spacing in mm of slices, rows and columns; raises InputError where it is not known."""
    spacing_mm = prepared.record(int(case[0])).spacing_mm
    if spacing_mm is None:
        raise _unknown_spacing(f"record {prepared.record_ids[case[0]]}")
    return spacing_mm


def select_slices(task: Task, prepared: Prepared, records: np.ndarray, fitted: dict) -> np.ndarray:
    """Thins out cases of thin slices to about the fitted slice distance; all where no spacing is fitted.

    The slices to keep are counted from the whole case, so that selecting twice changes nothing; every
    case keeps at least one.

    Args:
        task: its `spacing` says whether slices are selected.
        prepared: the set.
        records: positions, in any order.
        fitted: what was fitted on the training side, here `slice_mm`.

    Returns:
        Positions that are kept, in the order of `records`.

    Raises:
        InputError: if the spacing of a case is not known.
    """
    if not task.spacing or not len(records):
        return records
    kept = []
    for case in cases_of(prepared, np.arange(len(prepared))):
        among_records = np.intersect1d(case, records)
        if len(among_records):
            slice_mm = case_spacing(prepared, case)[0]
            selected = np.intersect1d(among_records, case[_apart(len(case), slice_mm, fitted)])
            kept.append(selected if len(selected) else among_records)
    return records[np.isin(records, np.concatenate(kept))]


def slices_of_case(count: int, first: Record, fitted: dict) -> slice:
    """The same selection for a case of `count` records that is in no prepared set; raises InputError.

    `first` is the first record as a set stores it (`store.record.stored`): more digits of its spacing
    could change a rounding.
    """
    if first.spacing_mm is None:
        raise _unknown_spacing("a case")
    return _apart(count, first.spacing_mm[0], fitted)


def _grouped(records: np.ndarray, names) -> list[np.ndarray]:
    """The records of each name, in the order in which the names first occur."""
    _, first, group_of = np.unique(names, return_index=True, return_inverse=True)
    return [records[group_of == group] for group in np.argsort(first)]


def _apart(count: int, slice_mm: float, fitted: dict) -> slice:
    step = max(1, round(fitted["slice_mm"] / slice_mm))
    return slice((count - 1) % step // 2, None, step)


def _unknown_spacing(received: str) -> InputError:
    return InputError(
        "A task with spacing needs records whose spacing in mm is known.", f"{received} without spacing",
        "Prepare them from files that hold it, or remove spacing from the task.",
    )  # fmt: skip
