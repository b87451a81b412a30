"""What the members of a cross-validation said of patients that they were not trained on, and the answers
of one model of all members that are fitted to it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mri_tf.calibration.correlation import fit_correlation
from mri_tf.calibration.false_alarms import Limit
from mri_tf.calibration.mean_distance import fit_mean_limit
from mri_tf.calibration.member_scale import MemberScale, evidence_of, fit_member_scale
from mri_tf.calibration.pooled import PooledAnswers, Unseen, fit_pooled
from mri_tf.core.errors import InputError
from mri_tf.evaluate.outputs_table import SavedOutputs, saved_outputs
from mri_tf.store.run import PREDICTIONS, VALIDATION, Run
from mri_tf.task import Task

COLUMNS = ("evidence", "truth", "patients", "members", "tested", "units", "folds", "distances")


@dataclass(frozen=True)
class FoldRun:
    """A run of a cross-validation and the fold that it was tested on."""

    run: Run
    repeat: int
    fold: int


def in_folds(members: Sequence[FoldRun]) -> str:
    """How the patients were divided, such as "5 folds" or "5 folds, 2 times"."""
    repeats = len({member.repeat for member in members})
    folds = len({member.fold for member in members})
    return f"{folds} folds" + (f", {repeats} times" if repeats > 1 else "")


@dataclass(frozen=True)
class LeftOut:
    """The rows of all members together.

    Attributes:
        rows: what they say of the records of their test and validation sides.
        tested: (rows,) whether a row is of the test side.
        units: (rows,) what a row is about: the id of a record, or of a patient that gets one answer.
        folds: (rows,) "repeat-fold" of the member.
        distances: (rows,) of the features; NaN on the validation side.
        scales: (members,) of the evidence.
        trained: (members, classes) class shares that the losses saw.
    """

    rows: Unseen
    tested: np.ndarray
    units: np.ndarray
    folds: np.ndarray
    distances: np.ndarray
    scales: tuple[MemberScale, ...]
    trained: np.ndarray

    @property
    def of_tests(self) -> Unseen:
        """The rows of the test sides: those that chose nothing."""
        return self.rows.of(self.tested)


@dataclass(frozen=True)
class ModelAnswers:
    """The answers of one model of several members, and its limit of the distance of features."""

    answers: PooledAnswers
    distance_scales: tuple[float, ...]  # (members,)
    distance_limit: Limit


def left_out(members: Sequence[FoldRun], task: Task) -> LeftOut:
    """Reads what finished and evaluated members put out; the scale of each is fitted on its validation
    side.

    Raises:
        InputError: the outputs of a member are missing.
    """
    parts: dict[str, list] = {name: [] for name in COLUMNS}
    scales, trained = [], []
    for number, member in enumerate(members):
        test, validation = (_outputs(member.run, name, task) for name in (PREDICTIONS, VALIDATION))
        trained.append(member.run.values["answers"]["trained"])
        scale = fit_member_scale(
            validation.outputs, validation.truth, validation.patients, np.array(trained[-1])
        )
        scales.append(scale)
        for side, tested in ((test, True), (validation, False)):
            count = len(side.truth)
            parts["evidence"].append(evidence_of(side.outputs, scale))
            parts["truth"].append(side.truth)
            parts["patients"].append(side.patients)
            parts["members"].append(np.full(count, number))
            parts["tested"].append(np.full(count, tested))
            parts["units"].append(side.patients if task.bag else side.records)
            parts["folds"].append(np.full(count, f"{member.repeat}-{member.fold}"))
            parts["distances"].append(side.distances)
    whole = {name: np.concatenate(values) for name, values in parts.items()}
    rows = Unseen(*(whole[name] for name in ("evidence", "truth", "patients", "members")))
    return LeftOut(
        rows, whole["tested"], whole["units"], whole["folds"], whole["distances"], tuple(scales),
        np.array(trained),
    )  # fmt: skip


def model_answers(found: LeftOut, task: Task, used: int) -> ModelAnswers:
    """The answers of one model of the first `used` members.

    How alike two members answer is measured on all of them, and all patients fit slope, class shares,
    operating point and the limit of distances.

    Args:
        found: of all members of the cross-validation.
        task: its operating point is used.
        used: number of members in the model.
    """
    everything = found.rows
    correlation = fit_correlation(
        everything.evidence, everything.truth, everything.patients, found.units
    )
    answers = fit_pooled(
        found.of_tests, found.scales, correlation, task.operating_point, found.trained.mean(axis=0), used
    )
    known = found.tested & np.isfinite(found.distances)
    scales, limit = fit_mean_limit(
        found.distances[known], everything.patients[known], everything.members[known],
        len(found.scales),
    )  # fmt: skip
    return ModelAnswers(answers, scales[:used], limit)


def _outputs(run: Run, name: str, task: Task) -> SavedOutputs:
    path = run.folder / name
    if not path.is_file():
        raise InputError(
            "The outputs of a fold are missing, so the folds cannot become one model.", path,
            "Remove the run folder of this fold and run the same command again, which trains it again.",
        )  # fmt: skip
    return saved_outputs(pd.read_parquet(path), task.class_names)
