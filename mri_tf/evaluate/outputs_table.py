"""What a classifier puts out for records of patients that it was not trained on, as a table on disk.

`predictions.parquet` holds it for the test side beside the answers, `validation.parquet` for the
validation side. The answers of a model of several members are fitted to both.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from mri_tf.evaluate.context import is_counted, neighbours_of, patterns_of
from mri_tf.pipeline.subset import Subset
from mri_tf.store.record import NEIGHBOURS

OUTPUT, DISTANCE = "output_", "feature_distance"  # columns; the first with the name of a class


@dataclass(frozen=True)
class SavedOutputs:
    """The columns of such a table as arrays.

    Attributes:
        outputs: (units, classes) softmax outputs of the network.
        truth: (units,) labels.
        patients: (units,) ids.
        records: (units,) ids of the records; of a task that answers for patients, of each one's first.
        distances: (units,) of the features from the training side; NaN where they are not known.
    """

    outputs: np.ndarray
    truth: np.ndarray
    patients: np.ndarray
    records: np.ndarray
    distances: np.ndarray


def known_columns(subset: Subset) -> dict:
    """The columns that say which units a table is about: record, patient, site and true class, and of a
    slice that is seen with its neighbours which of them there are."""
    prepared, units, names = subset.prepared, subset.units, subset.task.class_names
    columns = {
        "record_id": prepared.record_ids[units],
        "patient": prepared.patients[units],
        "site": prepared.sites[units],
        "truth": [names[label] for label in subset.labels],
    }
    if is_counted(subset.task):
        columns[NEIGHBOURS] = patterns_of(neighbours_of(prepared, units))
    return columns


def answer_columns(
    class_names: tuple[str, ...], probabilities: np.ndarray, decisions: np.ndarray,
    sets: np.ndarray | None,
) -> dict:  # fmt: skip
    """The columns of the answers: decision, set, and the probability of each class.

    Args:
        class_names: in the order of the class numbers.
        probabilities: (units, classes).
        decisions: (units,) class numbers.
        sets: (units, classes) bool; None where there are none.
    """
    named = None if sets is None else [
        [name for name, is_in in zip(class_names, row, strict=True) if is_in] for row in sets
    ]  # fmt: skip
    columns = {"predicted": [class_names[label] for label in decisions], "set": named}
    return columns | {f"p_{name}": probabilities[:, n] for n, name in enumerate(class_names)}


def output_columns(class_names: tuple[str, ...], outputs: np.ndarray) -> dict:
    """A column for each class of outputs (units, classes), or of lists of (units, members, classes)."""
    return {
        f"{OUTPUT}{name}": list(outputs[..., number]) if outputs.ndim > 2 else outputs[..., number]
        for number, name in enumerate(class_names)
    }


def saved_outputs(table: pd.DataFrame, class_names: tuple[str, ...]) -> SavedOutputs:
    """The arrays of a table of a run with one network."""
    number_of = {name: label for label, name in enumerate(class_names)}
    missing = np.full(len(table), np.nan)
    return SavedOutputs(
        table[[f"{OUTPUT}{name}" for name in class_names]].to_numpy(float),
        table["truth"].map(number_of).to_numpy(int),
        table["patient"].to_numpy(str),
        table["record_id"].to_numpy(str),
        table[DISTANCE].to_numpy(float) if DISTANCE in table else missing,
    )
