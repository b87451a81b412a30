"""What a task answers for: each record, or each patient with all of its slices (`bag` in the task)."""

import numpy as np

from mri_tf.errors import InputError, some_of
from mri_tf.prepared import Prepared
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
            f"several, for the patients of records {some_of(prepared.record_ids[torn])}",
            "Mend the labels, or remove bag from the task.",
        )
    return bags


def answered(task: Task, prepared: Prepared, records: np.ndarray) -> np.ndarray:
    """One record position for each answer: every record, or the first of every patient."""
    if not task.bag:
        return records
    return np.array([bag[0] for bag in bags_of(prepared, records)], dtype=np.int64)
