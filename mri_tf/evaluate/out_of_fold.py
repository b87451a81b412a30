"""Numbers of a cross-validation: every patient is judged by a network that never saw it."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mri_tf.calibration.calibrator import calibrator_from_json
from mri_tf.core.files import write_atomic, write_table
from mri_tf.figures import save_confusion
from mri_tf.metrics import classification_metrics
from mri_tf.metrics.number import number
from mri_tf.splits.leakage import PATIENTS_UNKNOWN, counted_as_images
from mri_tf.store.run import METRICS, PREDICTIONS, REPORT, Run
from mri_tf.tables import run_page
from mri_tf.task import Task

POOLED_INTERVAL = "its interval is that of the AUC of all folds together"


@dataclass(frozen=True)
class Member:
    """A network of a cross-validation and the fold that it was tested on."""

    run: Run
    repeat: int
    fold: int

    @property
    def name(self) -> str:
        """Such as "repeat 0, fold 3"."""
        return f"repeat {self.repeat}, fold {self.fold}"


def evaluate_out_of_fold(
    members: list[Member], task: Task, out: Path, patients_known: bool
) -> tuple[dict, list[Path]]:
    """Counts the test predictions of all members together, and writes numbers, page and predictions.

    Each member answers with its own calibration and operating point, which its validation side chose.
    With several repeats a patient is counted once for each; intervals are over patients.

    Args:
        members: finished and evaluated runs of a classifier.
        task: of the runs.
        out: an existing folder.
        patients_known: whether the prepared set knows its patients.

    Returns:
        The values of metrics.json and the files written.
    """
    table = pd.concat([_predictions(member) for member in members], ignore_index=True)
    names = list(task.class_names)
    number_of = {name: label for label, name in enumerate(names)}
    truth, decided = (table[column].map(number_of).to_numpy(int) for column in ("truth", "predicted"))
    probabilities = table[[f"p_{name}" for name in names]].to_numpy(float)
    folds = np.array([f"{repeat}-{fold}" for repeat, fold in zip(table["repeat"], table["fold"],
                                                                strict=True)])  # fmt: skip
    values = classification_metrics(
        truth, probabilities, decided, table["patient"].to_numpy(str), task.class_names,
        ordered=task.ordered, folds=folds,
    )  # fmt: skip
    of_members = [_member_values(member) for member in members]
    values["auc_within_folds"] = _within_folds(of_members, table)
    if not patients_known:
        values = counted_as_images(values)
    count = len({(member.repeat, member.fold) for member in members})
    notes = [_note(members), "" if patients_known else PATIENTS_UNKNOWN, values["note"]]
    values |= {
        "split": f"{count} folds", "prior": None, "note": "; ".join(filter(None, notes)),
        "members": of_members,
    }  # fmt: skip
    files = [write_table(out / PREDICTIONS, table)]
    files += save_confusion(np.array(values["confusion"]), task.class_names, out / "confusion")
    write_atomic(out / REPORT, run_page(task.name, values, task.class_names).encode())
    write_atomic(out / METRICS, json.dumps(values, indent=1).encode())
    return values, [out / METRICS, *files, out / REPORT]


def _predictions(member: Member) -> pd.DataFrame:
    table = pd.read_parquet(member.run.folder / PREDICTIONS)
    return table.assign(repeat=member.repeat, fold=member.fold)


def _note(members: list[Member]) -> str:
    sizes = [len(member.run.values["patients"]["train"]) for member in members]
    shown = f"{min(sizes)} to {max(sizes)}" if min(sizes) < max(sizes) else f"{sizes[0]}"
    return (
        f"numbers of {len(members)} single networks, each trained on {shown} patients and tested on "
        "others; each answers by its own validation side"
    )


def _member_values(member: Member) -> dict:
    numbers = json.loads((member.run.folder / METRICS).read_text(encoding="utf-8"))
    kept = {name: numbers[name] for name in ("accuracy", "balanced_accuracy", "auc") if name in numbers}
    answers = calibrator_from_json(member.run.values["answers"])
    return {
        "repeat": member.repeat, "fold": member.fold, "epochs": member.run.values["epochs_trained"],
        "temperature": answers.temperature, "threshold": answers.point.threshold, **kept,
    }  # fmt: skip


def _within_folds(of_members: list[dict], table: pd.DataFrame) -> dict:
    """The mean AUC of the folds, weighted by their pairs of records of different classes.

    Networks of different folds are on different scales, and a pair of one's positive and another's
    negative record says little: pooled, networks without any skill have an AUC below 0.5.
    """
    weights, values, lost = [], [], 0
    for member in of_members:
        own = table[(table["repeat"] == member["repeat"]) & (table["fold"] == member["fold"])]
        counts = own["truth"].value_counts().to_numpy()
        auc = member["auc"]["value"]
        if auc is None:
            lost += 1
            continue
        weights.append(counts.sum() ** 2 - (counts**2).sum())
        values.append(auc)
    reason = POOLED_INTERVAL + (f"; {lost} folds without a class count nothing" if lost else "")
    count = table["patient"].nunique()
    return number(np.average(values, weights=weights) if values else np.nan, count, reason=reason)
