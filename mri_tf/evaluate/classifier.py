"""A classifier's numbers on records with labels: predictions, metrics, notes and figures."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mri_tf.calibration.answers import Answers, answers_from_json
from mri_tf.calibration.mean_distance import mean_distances
from mri_tf.calibration.operating_point import decide
from mri_tf.calibration.prediction_sets import LEVEL
from mri_tf.core.errors import InputError
from mri_tf.core.files import write_atomic, write_table
from mri_tf.evaluate.context import context_of_subset
from mri_tf.evaluate.curves import RELIABILITY, save_decision_curve, save_reliability, save_roc
from mri_tf.evaluate.familiarity import Familiarity
from mri_tf.evaluate.groups import group_values
from mri_tf.evaluate.outputs_table import (
    DISTANCE,
    answer_columns,
    known_columns,
    output_columns,
)
from mri_tf.evaluate.readers import reader_values
from mri_tf.evaluate.units import unit_values
from mri_tf.figures import save_confusion
from mri_tf.metrics import classification_metrics, part_metrics
from mri_tf.metrics.classification import numbers_with_intervals, share_of_records
from mri_tf.metrics.classifier import Predictions as Scored
from mri_tf.metrics.classifier import checked
from mri_tf.network.members import Member, predict_members
from mri_tf.pipeline.subset import Subset
from mri_tf.store.run import PREDICTIONS, REPORT, Run
from mri_tf.tables import run_page

SIMILAR_SHARES = 0.05  # class shares that differ by less are close enough to draw a reliability curve


@dataclass(frozen=True)
class Predictions:
    """A classifier's predictions for the units (records or patients) of a subset.

    Attributes:
        subset: the units, with their labels.
        outputs: (units, classes) probabilities of the network, or (units, members, classes).
        probabilities: (units, classes) reported ones: calibrated, and for the target shares.
        decisions: (units,) class numbers at the operating point.
        sets: (units, classes) bool, the prediction sets; None where there are none.
        target_shares: (classes,) shares that --prior asks for; None for those of the training data.
        distances: (units,) of the features from the training side; None where they are not known.
    """

    subset: Subset
    outputs: np.ndarray
    probabilities: np.ndarray
    decisions: np.ndarray
    sets: np.ndarray | None
    target_shares: np.ndarray | None
    distances: np.ndarray | None = None

    @property
    def scored(self) -> Scored:
        """The arrays that metrics are counted from."""
        subset = self.subset
        return checked(subset.labels, self.probabilities, self.decisions, subset.patients)

    @property
    def shares(self) -> np.ndarray:
        """(classes,) how often each class occurs among the units."""
        labels = self.subset.labels
        return np.bincount(labels, minlength=self.outputs.shape[-1]) / len(labels)

    @property
    def has_target_shares(self) -> bool:
        """Whether the units have about the class shares that the probabilities are for."""
        if self.target_shares is None:
            return True
        return bool(np.abs(self.shares - self.target_shares).max() < SIMILAR_SHARES)

    @property
    def has_decision_curve(self) -> bool:
        """Of two classes; for target shares both have to occur."""
        two = len(self.subset.task.class_names) == 2
        return two and (self.target_shares is None or len(np.unique(self.subset.labels)) == 2)


def score_classifier(
    members: Sequence[Member], run: Run, subset: Subset, target_shares: np.ndarray | None,
    familiar: Familiarity | None,
) -> tuple[dict, Predictions]:  # fmt: skip
    """Predicts a subset and counts how well; writes nothing.

    Args:
        members: the run's networks.
        run: a finished run of a classifier.
        subset: records with labels.
        target_shares: (classes,) class shares to report probabilities for; None for the training data's.
        familiar: what the run finds familiar; None of an earlier version.

    Returns:
        The values of metrics.json and the predictions.
    """
    task, calibrator = run.task, answers_from_json(run.values["answers"])
    outputs, features = predict_members(run, members, subset)
    predictions = Predictions(
        subset, outputs, calibrator.probabilities(outputs, target_shares), calibrator.decisions(outputs),
        calibrator.sets(outputs) if calibrator.has_sets else None, target_shares,
        familiar and familiar.features and mean_distances(features, familiar.features),
    )  # fmt: skip
    values = classification_metrics(
        subset.labels, predictions.probabilities, predictions.decisions, subset.patients,
        task.class_names, ordered=task.ordered,
    )  # fmt: skip
    if task.class_parts:
        decisions, patients = predictions.decisions, subset.patients
        values["parts"] = part_metrics(subset.labels, decisions, patients, task.class_parts)
    values |= _calibration_values(run, calibrator, predictions)
    values |= unit_values(
        subset, predictions.probabilities, calibrator.probabilities(outputs),
        lambda _, natural: decide(natural, calibrator.point),
    )  # fmt: skip
    values |= reader_values(subset, outputs, calibrator)
    values |= context_of_subset(subset, predictions.scored, run)
    values |= group_values(subset.prepared, subset.units, predictions.scored, task.class_names)
    if target_shares is not None:
        values["note"] = "; ".join(filter(None, [_note_on_shares(predictions), values["note"]]))
    return values, predictions


def write_classifier(values: dict, predictions: Predictions, out: Path) -> list[Path]:
    """Writes predictions.parquet, figures and report.md.

    Args:
        values: of metrics.json.
        predictions: of `score_classifier`.
        out: an existing folder.

    Returns:
        The files written.
    """
    task = predictions.subset.task
    files = [_write_predictions(out, predictions)]
    files += save_confusion(np.array(values["confusion"]), task.class_names, out / "confusion")
    files += save_roc(predictions.scored, values, task, out)
    files += _draw_curves(out, predictions)
    write_atomic(out / REPORT, run_page(task.name, values, task.class_names).encode())
    return [*files, out / REPORT]


def target_shares_of(prior: str, run: Run) -> np.ndarray:
    """(classes,) shares from --prior, 0 for a class that was never trained on; raises InputError."""
    class_count = len(run.task.class_names)
    try:
        shares = np.array([float(part) for part in prior.split(",")])
    except ValueError:
        shares = np.array([])
    valid = len(shares) == class_count and np.isfinite(shares).all() and shares.min() >= 0
    if not valid or abs(shares.sum() - 1) > 0.01:
        raise InputError(
            f"--prior needs {class_count} comma-separated class shares that add up to 1, in the order "
            f"{', '.join(run.task.class_names)}.",
            prior,
            "For example --prior " + ",".join([f"{1 / class_count:.3g}"] * class_count) + ".",
        )
    shares = np.where(np.array(run.values["answers"]["trained"]) > 0, shares, 0)
    if not shares.any():
        raise InputError(
            "--prior gives every share to classes without training records.", prior,
            "Give a share to a class that was trained on.",
        )  # fmt: skip
    return shares / shares.sum()


def _calibration_values(run: Run, calibrator: Answers, predictions: Predictions) -> dict:
    shares, subset = calibrator.natural, predictions.subset
    if predictions.target_shares is not None:
        shares = predictions.target_shares.tolist()
    return {
        "operating_point": run.values["answers"]["point"],
        "most_probable": by_argmax(
            subset.labels, predictions.probabilities, subset.patients, run.task.class_names
        ),
        "temperature": calibrator.temperature,
        "intercepts": dict(zip(run.task.class_names, calibrator.intercepts, strict=True)),
        "class_shares": dict(zip(run.task.class_names, shares, strict=True)),
        "prediction_sets": _set_values(calibrator, predictions),
    }


def _set_values(calibrator: Answers, predictions: Predictions) -> dict:
    """What prediction sets promise and how often they held the class, or why there are none."""
    about = {"level": LEVEL, "says_nothing": not calibrator.has_sets}
    if predictions.sets is None:
        return {**about, "reason": calibrator.why_no_sets}
    subset, sets = predictions.subset, predictions.sets
    covered = sets[np.arange(len(subset.labels)), subset.labels]
    return {
        **about,
        "coverage": share_of_records(covered, subset.patients),
        "mean_size": float(sets.sum(axis=1).mean()),
        "fitted_on_patients": calibrator.set_patients or None,  # None: on those that chose all else
        "guarantee": calibrator.guarantee,
    }


def by_argmax(
    labels: np.ndarray, probabilities: np.ndarray, patients: np.ndarray, class_names: tuple[str, ...]
) -> dict:
    """Accuracy and balanced accuracy of the most probable class, beside those of the operating point."""
    made = checked(labels, probabilities, probabilities.argmax(axis=1), patients)
    numbers = numbers_with_intervals(made, class_names)
    return {name: numbers[name] for name in ("accuracy", "balanced_accuracy")}


def _note_on_shares(predictions: Predictions) -> str:
    """What a reader has to know of numbers for class shares that the records may not have."""
    names = predictions.subset.task.class_names
    listed = ", ".join(
        f"{name} {target:.2g} (here {share:.2g})"
        for name, target, share in zip(
            names, predictions.target_shares, predictions.shares, strict=True
        )
    )
    what = "probabilities and decision curve are" if predictions.has_decision_curve else (
        "probabilities are"
    )  # fmt: skip
    note = f"{what} for the shares of --prior: {listed}"
    if predictions.has_target_shares:
        return note
    return (
        f"{note}: Brier score, log loss and calibration error compare them with this set, which has "
        "other shares, so they do not say how good the probabilities would be there"
    )


def _draw_curves(out: Path, predictions: Predictions) -> list[Path]:
    """The reliability curve, where the set has the target shares, and the decision curve."""
    task, labels, files = predictions.subset.task, predictions.subset.labels, []
    probabilities, target = predictions.probabilities, predictions.target_shares
    if predictions.has_target_shares:
        files += save_reliability(probabilities, labels, predictions.subset.patients, task, out)
    else:
        for stale in out.glob(f"{RELIABILITY}.*"):  # of an earlier evaluation for other shares
            stale.unlink()
    if predictions.has_decision_curve:
        prevalence = None if target is None else float(target[1])
        files += save_decision_curve(probabilities, labels, prevalence, task, out)
    return files


def _write_predictions(out: Path, predictions: Predictions) -> Path:
    """Writes predictions.parquet: one row a unit."""
    names = predictions.subset.task.class_names
    answered = answer_columns(
        names, predictions.probabilities, predictions.decisions, predictions.sets
    )
    columns = known_columns(predictions.subset) | answered | output_columns(names, predictions.outputs)
    if predictions.distances is not None:
        columns[DISTANCE] = predictions.distances
    return write_table(out / PREDICTIONS, pd.DataFrame(columns))
