"""How much better a network is on the side that it learned from, or that chose it, than on the next."""

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mri_tf.audit.finding import CANNOT_TELL, FOUND, NO_CLASSES, NOT_APPLICABLE, NOT_FOUND, Finding
from mri_tf.core.metric_names import name_of
from mri_tf.core.words import plural
from mri_tf.evaluate.outputs_table import saved_outputs
from mri_tf.metrics.classification import numbers_with_intervals
from mri_tf.metrics.classifier import LOWER_IS_BETTER, checked, largest_difference
from mri_tf.metrics.gap import Gap, gap_of_sides, mean_gap
from mri_tf.store.run import HISTORY, METRICS, PREDICTIONS, VALIDATION, Run

TRAINING, CHOSEN = "gap from training to validation", "gap from validation to test"
LARGE = 0.3  # a gap that an interval has to exclude before it says that there is none
OF_CHOICE = (
    "The validation side chose the epoch and fitted the operating point, so that its numbers are too "
    "good: those of the test side count."
)
BY_HEART = (
    "The network learned its training patients by heart: on others its probabilities are no better than "
    "equal shares of the classes, whatever it ranks right."
)


@dataclass(frozen=True)
class Losses:
    """What the history of a training says of the epoch whose weights were kept; NaN where it does not.

    `knowing_nothing` is the loss of equal probabilities for all classes.
    """

    training: float
    validation: float
    knowing_nothing: float

    @property
    def by_heart(self) -> bool:
        """Whether training patients are told apart, and others no better than by equal shares."""
        return self.training < self.knowing_nothing / 2 and self.validation >= self.knowing_nothing


def training_gap(of_networks: Sequence[Losses], classes: bool = True) -> Finding:
    """Whether networks know their training patients only.

    Losses of training are those of augmented images, with dropout, during the epoch: they are larger
    than those of the same images afterwards, so that the gap is rather understated.

    Args:
        of_networks: of every network.
        classes: whether they are classifiers.
    """
    if not classes:
        return Finding(TRAINING, NOT_APPLICABLE, NO_CLASSES)
    known = [one for one in of_networks if math.isfinite(one.training + one.validation)]
    if not known:
        return Finding(TRAINING, CANNOT_TELL, "the histories say no loss of both sides")
    training, validation = (np.mean([getattr(one, name) for one in known])
                            for name in ("training", "validation"))  # fmt: skip
    by_heart = sum(one.by_heart for one in known)
    evidence = (
        f"loss {training:.2f} in training and {validation:.2f} on validation, where equal probabilities "
        f"have {known[0].knowing_nothing:.2f}" + _of_networks(len(known))
    )
    if 2 * by_heart <= len(known):
        return Finding(TRAINING, NOT_FOUND, evidence)
    return Finding(
        TRAINING, FOUND, evidence, meaning=BY_HEART,
        what_to_do="Train fewer epochs or layers, augment more, start from trained weights, or choose a "
        "smaller network; a frozen probe is the smallest.",
    )  # fmt: skip


def choice_gap(
    metric: str, gaps: Sequence[Gap | None], words: str, test_share: float, patients: int
) -> Finding:
    """Whether the validation side flatters: its number is larger than that of the test side.

    Args:
        metric: the task's primary metric.
        gaps: of each network; None where a side has no such number.
        words: of one network its two numbers.
        test_share: as of `mean_gap`.
        patients: on the test sides.
    """
    known = [gap for gap in gaps if gap is not None]
    if not known:
        return Finding(CHOSEN, CANNOT_TELL, f"a side has no {name_of(metric)}", n=patients)
    gap = known[0]
    if len(known) > 1:
        gap = mean_gap([one.value for one in known], test_share, largest_difference(metric))
    if not math.isfinite(gap.low):
        why = f"{words}a gap of {gap.value:.2f} in {name_of(metric)}"
        return Finding(CHOSEN, CANNOT_TELL, f"{why}: too few patients for an interval", n=patients)
    evidence = (
        f"{words}a gap of {gap.value:.2f} ({gap.low:.2f} to {gap.high:.2f}) in {name_of(metric)}"
        + _of_networks(len(known))
    )
    if gap.low <= 0 < LARGE < gap.high:
        why = f"{evidence}: too few patients to exclude a gap of {LARGE}"
        return Finding(CHOSEN, CANNOT_TELL, why, n=patients)
    if gap.low <= 0:
        return Finding(CHOSEN, NOT_FOUND, evidence, n=patients)
    return Finding(
        CHOSEN, FOUND, evidence, n=patients, meaning=OF_CHOICE,
        what_to_do="Quote the test side only. Put more patients on the validation side, or choose among "
        "fewer epochs and settings.",
    )  # fmt: skip


def gap_findings(runs: Sequence[Run]) -> list[Finding]:
    """Both gaps of the networks of a training or a study.

    Args:
        runs: each of one network, of the same task.
    """
    task = runs[0].task
    if task.kind != "classification":
        return [training_gap([], classes=False), Finding(CHOSEN, NOT_APPLICABLE, NO_CLASSES)]
    losses = [losses_of(run) for run in runs]
    sides = {id(run): both for run in runs if (both := _numbers(run))}
    lower = task.primary_metric in LOWER_IS_BETTER
    gaps = [gap_of_sides(*both, lower) for both in sides.values()]
    shares = [len(run.sides["test"]) / max(len(run.sides["train"]), 1) for run in runs]
    patients = {name for run in runs for name in run.values["patients"]["test"]}
    words = ""
    if len(sides) == 1:
        earlier, later = next(iter(sides.values()))
        words = f"{_told(earlier, 'validation')} and {_told(later, 'test')} patients: "
    if not sides:
        why = "the outputs on validation or test side are not kept, or the test side was not looked at"
        return [training_gap(losses), Finding(CHOSEN, CANNOT_TELL, why)]
    chosen = choice_gap(task.primary_metric, gaps, words, float(np.mean(shares)), len(patients))
    return [training_gap(losses), chosen]


def losses_of(run: Run) -> Losses:
    """The losses of a run's history at the epoch whose weights were kept."""
    unknown = math.log(max(len(run.task.class_names), 2))
    path = run.folder / HISTORY
    if not path.is_file():
        return Losses(math.nan, math.nan, unknown)
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows:
        return Losses(math.nan, math.nan, unknown)
    kept = rows[min(run.values.get("best_epoch", len(rows)), len(rows)) - 1]
    return Losses(*(float(kept.get(name) or "nan") for name in ("loss", "val_loss")), unknown)


def _numbers(run: Run) -> tuple[dict, dict] | None:
    """The primary metric by the most probable class of the outputs, on the part of the validation side
    that chose and on the test side; None where a table is missing."""
    files = [run.folder / name for name in (VALIDATION, PREDICTIONS)]
    if not all(path.is_file() for path in (*files, run.folder / METRICS)):
        return None
    task, tables = run.task, [pd.read_parquet(path) for path in files]
    reserved = (run.values.get("reserved") or {}).get("records", [])
    tables[0] = tables[0][~tables[0]["record_id"].isin(reserved)]
    numbers = []
    for table in tables:
        found = saved_outputs(table, task.class_names)
        outputs = found.outputs / found.outputs.sum(axis=1, keepdims=True)
        answered = checked(found.truth, outputs, outputs.argmax(axis=1), found.patients)
        values = numbers_with_intervals(answered, task.class_names, task.ordered)
        numbers.append(values[task.primary_metric])
    return tuple(numbers)


def _told(number: dict, side: str) -> str:
    value = "none" if number["value"] is None else f"{number['value']:.2f}"
    return f"{value} on {number['n']} {side}"


def _of_networks(count: int) -> str:
    return f" (mean of {plural(count, 'network')})" if count > 1 else ""
