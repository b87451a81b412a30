"""Numbers of a cross-validation: every patient is judged by a network that never saw it.

Slope, intercepts, operating point, prediction sets and the limit of distances that judge a fold are
fitted on the other folds. The numbers are of single members: a model of all members cannot be judged on
patients of whom most members have learned.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from mri_tf.calibration.cross_fit import CrossFitted, cross_fitted
from mri_tf.calibration.mean_distance import SMALLEST_SCALE, fit_mean_limit
from mri_tf.calibration.pooled import Unseen
from mri_tf.calibration.prediction_sets import LEVEL
from mri_tf.core.files import write_atomic, write_table
from mri_tf.evaluate.classifier import by_argmax
from mri_tf.evaluate.context import (
    OF_PATIENTS,
    context_values,
    is_counted,
    neighbours_of,
    shares_by_neighbours,
)
from mri_tf.evaluate.curves import save_decision_curve, save_reliability, save_roc
from mri_tf.evaluate.groups import group_values
from mri_tf.evaluate.left_out import FoldRun, LeftOut, ModelAnswers, in_folds
from mri_tf.evaluate.outputs_table import DISTANCE, OUTPUT, answer_columns
from mri_tf.evaluate.units import unit_values
from mri_tf.figures import save_confusion
from mri_tf.metrics import classification_metrics, part_metrics
from mri_tf.metrics.classification import share_of_records
from mri_tf.metrics.classifier import checked, predictions_of
from mri_tf.metrics.number import number
from mri_tf.metrics.ranking import pairs_of_classes
from mri_tf.pipeline.subset import Subset
from mri_tf.splits.leakage import PATIENTS_UNKNOWN, counted_as_images, counted_by_id
from mri_tf.store.prepared import Prepared, positions_in
from mri_tf.store.record import NEIGHBOURS
from mri_tf.store.run import METRICS, PREDICTIONS, REPORT
from mri_tf.tables import run_page
from mri_tf.task import Task

POOLED_INTERVAL = "its interval is that of the AUC of all folds together"
NOT_COUNTED = "not counted on these patients, on all of whom its limit rests"


def out_of_fold_values(
    members: Sequence[FoldRun], found: LeftOut, model: ModelAnswers, task: Task, prepared: Prepared
) -> tuple[dict, pd.DataFrame]:
    """Counts the test rows of all members together.

    With several repeats a patient is counted once for each; intervals are over patients.

    Args:
        members: finished and evaluated runs of a classifier.
        found: of these members.
        model: the answers of all of them, which the numbers do not rest on; they are reported beside.
        task: of the runs.
        prepared: the set of the runs.

    Returns:
        The values of metrics.json, and the predictions.
    """
    tests, folds = found.of_tests, found.folds[found.tested]
    made = cross_fitted(tests, folds, task.operating_point, LEVEL)
    repeats = {member.repeat for member in members}
    values = classification_metrics(
        tests.truth, made.probabilities, made.decisions, tests.patients, task.class_names,
        ordered=task.ordered, folds=folds, repeats=len(repeats),
    )  # fmt: skip
    table = _table(members, found, made, task)
    of_members = [_member_values(member) for member in members]
    values["auc_within_folds"] = _within_folds(of_members, table)
    values |= {
        "most_probable": by_argmax(
            tests.truth, made.probabilities, tests.patients, task.class_names
        ),
        "prediction_sets": _set_values(found, made),
        "out_of_distribution": _flags(found, model, folds),
        **_answer_values(model, task),
    }
    if task.class_parts:
        values["parts"] = part_metrics(tests.truth, made.decisions, tests.patients, task.class_parts)
    records = positions_in(prepared, table["record_id"])
    if task.context_slices:
        values |= _context_values(members, tests, made, (task, prepared, records))
    if len(repeats) == 1:
        subset = Subset(task, prepared, records)
        values |= unit_values(subset, made.probabilities, made.probabilities, made.decide_for)
    answers = checked(tests.truth, made.probabilities, made.decisions, tests.patients)
    values |= group_values(prepared, records, answers, task.class_names, folds)
    if prepared.patients_known:
        values = counted_by_id(values, prepared.patients[records], prepared.groups[records])
    else:
        values = counted_as_images(values)
    notes = [_note(members), "" if prepared.patients_known else PATIENTS_UNKNOWN, values["note"]]
    values |= {
        "split": in_folds(members), "prior": None, "caution": task.caution,
        "note": "; ".join(filter(None, notes)), "members": of_members,
    }  # fmt: skip
    return values, table


def write_out_of_fold(values: dict, table: pd.DataFrame, task: Task, out: Path) -> list[Path]:
    """Writes predictions, figures, page and, last, metrics.json; returns the files."""
    names = task.class_names
    files = [write_table(out / PREDICTIONS, table)]
    files += save_confusion(np.array(values["confusion"]), names, out / "confusion")
    truth, probabilities, _, patients = scored = predictions_of(table, names)
    files += save_roc(scored, values, task, out)
    files += save_reliability(probabilities, truth, patients, task, out)
    if len(names) == 2 and len(np.unique(truth)) == 2:
        files += save_decision_curve(probabilities, truth, None, task, out)
    write_atomic(out / REPORT, run_page(task.name, values, names).encode())
    write_atomic(out / METRICS, json.dumps(values, indent=1).encode())
    return [out / METRICS, *files, out / REPORT]


def _table(
    members: Sequence[FoldRun], found: LeftOut, made: CrossFitted, task: Task
) -> pd.DataFrame:
    """Of every test row what is known of it and what single members answer."""
    parts = []
    for member in members:
        table = pd.read_parquet(member.run.folder / PREDICTIONS)
        kept = ["record_id", "patient", "site", "truth"]
        kept += [name for name in table if name.startswith(OUTPUT) or name in (DISTANCE, NEIGHBOURS)]
        parts.append(table[kept].assign(repeat=member.repeat, fold=member.fold))
    whole = pd.concat(parts, ignore_index=True)
    answers = answer_columns(task.class_names, made.probabilities, made.decisions, made.sets)
    return whole.assign(**answers)


def _answer_values(model: ModelAnswers, task: Task) -> dict:
    """What the model of all members answers with."""
    answers, names = model.answers, task.class_names
    return {
        "operating_point": vars(answers.point),
        "temperature": answers.temperature,
        "intercepts": dict(zip(names, answers.intercepts, strict=True)),
        "class_shares": dict(zip(names, answers.natural, strict=True)),
        "correlation": vars(answers.correlation),
    }


def _set_values(found: LeftOut, made: CrossFitted) -> dict:
    tests, about = found.of_tests, {"level": LEVEL, "says_nothing": made.sets is None}
    if made.sets is None:
        return {**about, "reason": "too few patients are in the other folds to fit them"}
    covered = made.sets[np.arange(len(tests.truth)), tests.truth]
    patients = tests.patients.astype(str)
    others = [len(np.setdiff1d(patients, patients[found.folds[found.tested] == fold]))
              for fold in np.unique(found.folds[found.tested])]  # fmt: skip
    return {
        **about,
        "coverage": share_of_records(covered, tests.patients),
        "mean_size": float(made.sets.sum(axis=1).mean()),
        "fitted_on_patients": min(others),
        "guarantee": "for single members, a fold by the scores of the other folds",
    }


def _context_values(
    members: Sequence[FoldRun], tests: Unseen, made: CrossFitted,
    which: tuple[Task, Prepared, np.ndarray],
) -> dict:  # fmt: skip
    """What the ends of stacks are worth; of each fold by the training side of its own network."""
    task, prepared, records = which
    if not is_counted(task):
        return {"context": {"reason": OF_PATIENTS}}
    neighbours = neighbours_of(prepared, records)
    shares = np.zeros((len(records), len(task.class_names)))
    for place in np.unique(tests.members):
        own = tests.members == place
        shares[own] = shares_by_neighbours(neighbours[own], [members[place].run])
    answers = checked(tests.truth, made.probabilities, made.decisions, tests.patients)
    return context_values(answers, neighbours, shares, task)


def _flags(found: LeftOut, model: ModelAnswers, folds: np.ndarray) -> dict:
    """Of each fold how many are flagged by the limit of the other folds, beside the rate that those
    limits were made for: the mean over the records that they judge."""
    tests, distances = found.of_tests, found.distances[found.tested]
    patients, limit = tests.patients.astype(str), model.distance_limit
    images = {"patients": len(np.unique(patients)), "reason": NOT_COUNTED}
    if limit.value is None:
        reason = {"patients": limit.patients, "reason": limit.reason}
        return {"images": images, "features": reason}
    flagged, rates, fitted_on = np.zeros(len(distances), bool), np.zeros(len(distances)), []
    for fold in np.unique(folds):
        own = folds == fold
        others = ~np.isin(patients, patients[own])
        scales, of_others = fit_mean_limit(
            distances[others], patients[others], tests.members[others], len(found.scales)
        )
        if of_others.value is None:
            return {"images": images, "features": {"patients": of_others.patients,
                                                   "reason": of_others.reason}}  # fmt: skip
        # The member of a fold has no scale from the other folds: that of its own distances, which says
        # nothing about which of them are far.
        scale = max(np.median(distances[own]), SMALLEST_SCALE)
        flagged[own] = distances[own] / scale > of_others.value
        rates[own] = of_others.rate
        fitted_on.append(of_others.patients)
    share = share_of_records(flagged, tests.patients)
    features = {"stated": float(rates.mean()), "patients": min(fitted_on), "flagged": share}
    return {"images": images, "features": features}


def _note(members: Sequence[FoldRun]) -> str:
    sizes = [len(member.run.values["patients"]["train"]) for member in members]
    shown = f"{min(sizes)} to {max(sizes)}" if min(sizes) < max(sizes) else f"{sizes[0]}"
    return (
        f"numbers of {len(members)} single networks, each trained on {shown} patients and tested on "
        "others, by answers that are fitted on the other folds; the model of all of them together is "
        "not measured by these numbers"
    )


def _member_values(member: FoldRun) -> dict:
    numbers = json.loads((member.run.folder / METRICS).read_text(encoding="utf-8"))
    kept = {name: numbers[name] for name in ("accuracy", "balanced_accuracy", "auc") if name in numbers}
    patients = {side: len(names) for side, names in member.run.values["patients"].items()}
    return {
        "repeat": member.repeat, "fold": member.fold, "epochs": member.run.values["epochs_trained"],
        "best_epoch": member.run.values["best_epoch"], "patients": patients, **kept,
    }  # fmt: skip


def _within_folds(of_members: list[dict], table: pd.DataFrame) -> dict:
    """The mean AUC of the folds, weighted by their pairs of records of different classes.

    Networks of different folds are on different scales, and a pair of one's positive and another's
    negative record says little: pooled, networks without any skill have an AUC below 0.5.
    """
    weights, values, lost = [], [], 0
    for member in of_members:
        own = table[(table["repeat"] == member["repeat"]) & (table["fold"] == member["fold"])]
        auc = member["auc"]["value"]
        if auc is None:
            lost += 1
            continue
        weights.append(pairs_of_classes(own["truth"].to_numpy(str)))
        values.append(auc)
    reason = POOLED_INTERVAL + (f"; {lost} folds without a class count nothing" if lost else "")
    count = table["patient"].nunique()
    return number(np.average(values, weights=weights) if values else np.nan, count, reason=reason)
