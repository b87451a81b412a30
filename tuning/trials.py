"""One trial: a training of the task with some values changed, scored on the inner validation side.

The outer test side is not in what a trial is given.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mri_tf.calibration.calibrator import calibrator_from_json
from mri_tf.calibration.temperature import SMALLEST
from mri_tf.core.deadline import NO_LIMIT, Deadline
from mri_tf.core.files import write_atomic
from mri_tf.evaluate.familiarity import FEATURES_FILE
from mri_tf.network.build import check_task, load_network
from mri_tf.network.inference import predict_records
from mri_tf.pipeline.subset import Subset, run_sides
from mri_tf.splits.sides import Sides, units_of
from mri_tf.splits.split import split_units
from mri_tf.store.prepared import Prepared
from mri_tf.store.run import WEIGHTS, Run
from mri_tf.task import Task
from mri_tf.task.overrides import with_values
from mri_tf.train.fit import fit_run
from mri_tf.train.loop import Checkpoints
from mri_tf.train.new_run import new_run

SCORE = "score.json"  # of a finished trial


@dataclass(frozen=True)
class Problem:
    """What every trial of a search shares."""

    task: Task
    prepared: Prepared
    inner: list[Sides]  # training and validation side of each inner fold; test sides are empty
    features: Run | None
    seed: int
    banks: Path | None = None  # folder of frozen features that trials share
    devices: int = 0
    deadline: Deadline = NO_LIMIT  # when a trial stops at its checkpoint

    @property
    def epochs(self) -> int:
        """How many epochs the task trains on the first inner fold."""
        subset = Subset(self.task, self.prepared, self.inner[0].records[0])
        return self.task.epochs_of(subset.plan(self.seed, replicas=1).steps)


def inner_sides(prepared: Prepared, task: Task, outer: Sides, folds: int, seed: int) -> list[Sides]:
    """Inner folds of the outer training and validation side; one fold: these very sides.

    Patients that are reserved for prediction sets choose no values either: they are left out.
    """
    nobody = np.array([], dtype=np.int64)
    reserved = nobody if outer.reserved is None else outer.reserved.records
    train, validation = outer.records[0], outer.records[1][~np.isin(outer.records[1], reserved)]
    if folds == 1:
        return [Sides([train, validation, nobody], outer.mode, outer.natural_counts)]
    there = np.concatenate([train, validation])
    units = units_of(prepared, "group")[there]
    parts = split_units(units, prepared.labels[there], (1 / folds,) * folds, [seed, folds])
    found = []
    for part in parts:
        train = there[np.setdiff1d(np.arange(len(there)), part)]
        natural = Subset(task, prepared, train).label_counts()
        found.append(Sides([train, there[part], nobody], outer.mode, natural))
    return found


def score_trial(problem: Problem, values: dict, folder: Path) -> float:
    """Mean over the inner folds of the validation log loss; continues what a kill left in `folder`.

    Raises InputError for values the task does not take, RunFailed where the loss is no number, OutOfTime
    where the problem's deadline comes.
    """
    done = folder / SCORE
    if done.is_file():
        return json.loads(done.read_text(encoding="utf-8"))["score"]
    task = with_values(problem.task, values)
    check_task(task)
    scores = []
    for number, sides in enumerate(problem.inner):
        run = new_run(
            folder / f"fold-{number}", task, problem.prepared, sides, problem.seed, problem.features
        )
        run = fit_run(
            run, problem.prepared, problem.features, problem.devices,
            Checkpoints(deadline=problem.deadline), problem.banks,
        )  # fmt: skip
        scores.append(validation_log_loss(run, problem.prepared))
    score = float(np.mean(scores))
    write_atomic(done, json.dumps({"score": score, "values": values}).encode())
    for name in (WEIGHTS, FEATURES_FILE):  # the search keeps values; the best ones are trained again
        for file in folder.glob(f"fold-*/{name}"):
            file.unlink()
    return score


def validation_log_loss(run: Run, prepared: Prepared) -> float:
    """Of the reported probabilities on the run's validation side, every patient weighing the same.

    Reported, so that class weights and oversampling compete on what comes out of them.
    """
    validation = run_sides(run, prepared)[1]
    outputs = predict_records(load_network(run), validation)
    probabilities = calibrator_from_json(run.values["answers"]).probabilities(outputs)
    of_truth = probabilities[np.arange(len(outputs)), validation.labels]
    losses = -np.log(np.maximum(of_truth, SMALLEST))
    _, patient_of = np.unique(validation.patients.astype(str), return_inverse=True)
    by_patient = np.bincount(patient_of, weights=losses) / np.bincount(patient_of)
    return float(by_patient.mean())
