"""What networks said of records that they were not trained on, of a model of folds or of a study.

The label of a record decided nothing of what is said of it, so that it can be doubted.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mri_tf.metrics.label_exchanges import labelled_units
from mri_tf.store.cells import done_cells, of_first_variant
from mri_tf.store.prepared import Prepared, positions_in
from mri_tf.store.record import NO_LABEL
from mri_tf.store.run import METRICS, PREDICTIONS, Run, open_run


@dataclass(frozen=True)
class HeldOut:
    """Probabilities of records, averaged over the networks that never saw them.

    Attributes:
        records: (records,) positions in the prepared set, ascending.
        probabilities: (records, classes).
        times: (records,) how many networks answered.
        folds: (records,) the fold that each was held out in; of several repeats that of the first one.
    """

    records: np.ndarray
    probabilities: np.ndarray
    times: np.ndarray
    folds: np.ndarray


@dataclass(frozen=True)
class Units:
    """What has one label: patients with records of one class, and each record of other patients.

    Attributes:
        labels: (units,) class numbers as given.
        probabilities: (units, classes) means over the records.
        records: of each the positions of its records, the most doubted first.
        patients: (units,) whose they are.
        folds: (units,) the fold that each was held out in.
    """

    labels: np.ndarray
    probabilities: np.ndarray
    records: list[np.ndarray]
    patients: np.ndarray
    folds: np.ndarray

    @property
    def noun(self) -> str:
        """What they are called: patients, records, or both."""
        several = len(set(self.patients.tolist())) < len(self.patients)
        whole = any(len(own) > 1 for own in self.records)
        if several and whole:
            return "patients and records of patients of several classes"
        return "records" if several else "patients"


def held_out_of_run(run: Run, prepared: Prepared) -> HeldOut | None:
    """The out-of-fold predictions of a model of folds; None of any other run."""
    if not run.has_members or run.task.kind != "classification":
        return None
    table = _predictions(run.folder)
    of_folds = table is not None and {"repeat", "fold"} <= set(table)
    return _averaged([table] if of_folds else [], prepared)


def held_out_of_study(folder: Path, prepared: Prepared) -> HeldOut | None:
    """The predictions of the first variant's cells, by name; None where there are none on this set."""
    data = prepared.content_fingerprint()
    tables = []
    for cell in of_first_variant(done_cells(folder)):
        table = _predictions(cell.run)
        if table is None:
            continue
        run = open_run(cell.run)
        if run.values["data"] == data and run.task.kind == "classification":
            tables.append(table.assign(repeat=cell.repeat, fold=cell.fold))
    return _averaged(tables, prepared)


def _predictions(folder: Path) -> pd.DataFrame | None:
    """The predictions of a run that was evaluated; None of another one."""
    there = all((folder / name).is_file() for name in (PREDICTIONS, METRICS))
    return pd.read_parquet(folder / PREDICTIONS) if there else None


def _averaged(tables: list[pd.DataFrame], prepared: Prepared) -> HeldOut | None:
    """From rows of predictions with repeat and fold."""
    if not tables:
        return None
    table = pd.concat(tables, ignore_index=True).sort_values(["repeat", "fold"], kind="stable")
    columns = [f"p_{name}" for name in prepared.class_names]
    means = table.groupby("record_id")[columns].mean()
    times = table["record_id"].value_counts()
    first = table.drop_duplicates("record_id").set_index("record_id").loc[means.index]
    folds = (first["repeat"].astype(str) + "-" + first["fold"].astype(str)).to_numpy()
    records = positions_in(prepared, means.index)
    order = np.argsort(records)
    return HeldOut(
        records[order], means.to_numpy(float)[order], times[means.index].to_numpy()[order], folds[order]
    )


def units_of_labels(found: HeldOut, prepared: Prepared) -> Units:
    """The records as what has one label together; those without a label are left out.

    A patient is one unit where all labelled records of the patient in the set have one class.
    """
    labelled = np.flatnonzero(prepared.labels != NO_LABEL)
    owners = np.unique(prepared.patients[labelled].astype(str), return_inverse=True)[1]
    unit_of = np.full(len(prepared), -1)
    unit_of[labelled] = labelled_units(prepared.labels[labelled], owners)[0]
    units = unit_of[found.records]
    labels, means, records, folds = [], [], [], []
    for unit in np.unique(units[units >= 0]):
        rows = np.flatnonzero(units == unit)
        own = found.records[rows]
        labels.append(int(prepared.labels[own[0]]))
        means.append(found.probabilities[rows].mean(axis=0))
        folds.append(found.folds[rows[0]])
        records.append(own[np.argsort(found.probabilities[rows, labels[-1]], kind="stable")])
    patients = np.array([str(prepared.patients[own[0]]) for own in records])
    return Units(np.array(labels), np.array(means), records, patients, np.array(folds))
