"""What the ends of a stack are worth to a network that sees neighbouring slices.

At the end of a stack the last slice stands twice in an image, so that the network can see the end. Two
rows stand beside its numbers: its numbers without the first and last slice of each stack, and those of
an answer that knows of a slice only which of its neighbours exist.
"""

from collections.abc import Sequence

import numpy as np

from mri_tf.metrics.classification import numbers_with_intervals
from mri_tf.metrics.classifier import Predictions, checked
from mri_tf.metrics.number import number
from mri_tf.pipeline.subset import Subset
from mri_tf.store.prepared import Prepared
from mri_tf.store.record import NEIGHBOURS
from mri_tf.store.run import Run
from mri_tf.task import Task

COUNTS = "neighbour_counts"  # in run.json: which neighbours exist, as 0 and 1 -> records of each class
NUMBERS = ("accuracy", "balanced_accuracy", "kappa", "auc")
OF_PATIENTS = "one answer is about all slices of a patient, those at the ends too"
NO_INNER = "every slice is the first or last one of its stack"


def is_counted(task: Task) -> bool:
    """Whether a task classifies single slices with their neighbours."""
    return bool(task.context_slices) and task.kind == "classification" and not task.bag


def neighbours_of(prepared: Prepared, records: np.ndarray) -> np.ndarray:
    """(records, 2 k) bool: which of its k neighbours on each side a slice has, the first one first."""
    facts = (prepared.record(int(position)).facts for position in records)
    return np.array([one[NEIGHBOURS] for one in facts], bool)


def neighbour_counts(training: Subset) -> dict[str, list[int]]:
    """How many records of each class the training side has for each set of neighbours."""
    counts: dict[str, list[int]] = {}
    patterns = patterns_of(neighbours_of(training.prepared, training.records))
    for pattern, label in zip(patterns, training.prepared.labels[training.records], strict=True):
        counts.setdefault(pattern, [0] * len(training.task.class_names))[label] += 1
    return dict(sorted(counts.items()))


def shares_by_neighbours(neighbours: np.ndarray, runs: Sequence[Run]) -> np.ndarray:
    """The class shares of the training side among slices with the same neighbours.

    Args:
        neighbours: (records, 2 k) of `neighbours_of`.
        runs: whose training sides count together.

    Returns:
        (records, classes); of neighbours that no training slice has, the shares of all of them.
    """
    counts: dict[str, np.ndarray] = {}
    for run in runs:
        for pattern, of_classes in run.values[COUNTS].items():
            counts[pattern] = counts.get(pattern, 0) + np.array(of_classes, float)
    everything = sum(counts.values())
    found = np.stack([counts.get(pattern, everything) for pattern in patterns_of(neighbours)])
    return found / found.sum(axis=1, keepdims=True)


def context_values(
    made: Predictions, neighbours: np.ndarray, shares: np.ndarray, task: Task
) -> dict:
    """The numbers of metrics.json about the ends of stacks.

    Args:
        made: what the network says of slices, one row each.
        neighbours: (slices, 2 k) bool.
        shares: (slices, classes) of `shares_by_neighbours`.
        task: of the network.

    Returns:
        `{"context": {"slices", "records", "without_ends", "neighbours_alone"}}`; the last two hold `n`
        and numbers with intervals.
    """
    middle = neighbours.shape[1] // 2
    inner = neighbours[:, middle - 1] & neighbours[:, middle]
    alone = checked(made.truth, shares, shares.argmax(axis=1), made.patients)
    return {
        "context": {
            "slices": task.context_slices, "records": len(inner),
            "without_ends": _numbers(Predictions(*(values[inner] for values in made)), task),
            "neighbours_alone": _numbers(alone, task),
        }
    }  # fmt: skip


def context_of_subset(subset: Subset, made: Predictions, run: Run) -> dict:
    """`context_values` of a run's answers for a subset; nothing where the task has no neighbours."""
    task = subset.task
    if not is_counted(task):
        return {"context": {"reason": OF_PATIENTS}} if task.context_slices else {}
    neighbours = neighbours_of(subset.prepared, subset.units)
    return context_values(made, neighbours, shares_by_neighbours(neighbours, run.members), task)


def _numbers(made: Predictions, task: Task) -> dict:
    if not len(made.truth):
        return {"n": 0, **{name: number(np.nan, 0, reason=NO_INNER) for name in NUMBERS}}
    numbers = numbers_with_intervals(made, task.class_names)
    return {"n": len(made.truth), **{name: numbers[name] for name in NUMBERS}}


def patterns_of(neighbours: np.ndarray) -> list[str]:
    """Each row of (records, 2 k) bool as a text of 0 and 1."""
    return ["".join("01"[one] for one in row) for row in neighbours.astype(int)]
