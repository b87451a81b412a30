"""Slices of a prepared set as the studies they were cut from: their spacing, and which are taken."""

import numpy as np

from mri_tf.errors import InputError
from mri_tf.prepared import Prepared
from mri_tf.task import Task


def studies_of(prepared: Prepared, records: np.ndarray) -> list[np.ndarray]:
    """Record positions of each source file, ascending: a record's id begins with its source's number."""
    records = np.sort(records)
    sources = np.array([name.partition("-")[0] for name in prepared.record_ids[records]])
    _, first, study_of = np.unique(sources, return_index=True, return_inverse=True)
    return [records[study_of == study] for study in np.argsort(first)]


def study_spacing(prepared: Prepared, study: np.ndarray) -> tuple[float, ...]:
    """From slice to slice, of rows and of columns, in mm; raises InputError where it is not known."""
    found = prepared.record(int(study[0])).spacing_mm
    if found is None:
        raise InputError(
            "A task with spacing needs records whose spacing in mm is known.",
            f"record {prepared.record_ids[study[0]]} without",
            "Prepare them from files that hold it, or remove spacing from the task.",
        )
    return found


def taken_slices(task: Task, prepared: Prepared, records: np.ndarray, fitted: dict) -> np.ndarray:
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
            step = max(1, round(fitted["slice_mm"] / study_spacing(prepared, study)[0]))
            taken = np.intersect1d(own, study[(len(study) - 1) % step // 2 :: step])
            kept.append(taken if len(taken) else own)
    return records[np.isin(records, np.concatenate(kept))]
