"""A run counted on records nobody trained on: predictions, numbers with intervals, figures, a page."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mri_tf.calibration.calibrator import PREDICTION_SET_LEVEL, from_values
from mri_tf.core.errors import InputError
from mri_tf.core.files import write_atomic, write_table
from mri_tf.evaluate.volumes import score_volumes, write_volume_scores
from mri_tf.figures import draw_decision_curve, draw_reliability, save, save_confusion
from mri_tf.metrics import classification_metrics, part_metrics, segmentation_metrics, volume_metrics
from mri_tf.metrics.net_benefit import decision_curve
from mri_tf.metrics.reliability import reliability_curve
from mri_tf.network.build import load_network
from mri_tf.network.inference import pixel_confusions, predict_records
from mri_tf.pipeline.subset import Subset
from mri_tf.splits.leakage import NOBODY, counted_as_images, leak
from mri_tf.store.run import METRICS, PREDICTIONS, REPORT, Run, positions_of
from mri_tf.tables import run_page

ALIKE = 0.05  # shares of classes that differ by less are those of the set, as far as pictures go


@dataclass(frozen=True)
class Evaluated:
    """The numbers of metrics.json and the files written."""

    metrics: dict
    files: list[Path]


def evaluate_run(run: Run, subset: Subset, split: str, out: Path, prior: str = "") -> Evaluated:
    """Predicts every record; writes metrics.json, predictions and figures to `out`.

    `prior` asks for probabilities under other shares of the classes, "0.7,0.3" in the order of
    class_names, in place of the training side's. Decisions stay at the run's operating point.
    """
    if prior and run.task.kind == "segmentation":
        raise InputError(
            "--prior is for classifiers only.", f"segmentation run {run.task.name}", "Leave out --prior."
        )
    wanted = _shares(prior, run) if prior else None
    model = load_network(run)
    out.mkdir(parents=True, exist_ok=True)
    count = _count_records
    if run.task.kind == "segmentation":
        count = _count_pixels if len(run.task.image_shape) == 2 else _count_volumes
    values, files = count(model, run, subset, out, wanted)
    prepared = subset.prepared
    if not prepared.patients_known:
        values = counted_as_images(values)
    notes = [values["note"]] if prepared.patients_known else [NOBODY, values["note"]]
    if split == "random":
        decided = np.concatenate(positions_of(run, prepared)[:2])
        notes.insert(0, leak(prepared, decided, subset.records))
    if run.task.model_args.get("weights") == "none":
        notes.insert(0, "the backbone has random weights, not ImageNet's")
    values |= {
        "split": split, "prior": prior or None, "note": "; ".join(filter(None, notes))
    }  # fmt: skip
    if "duplicates" in prepared.manifest:
        values["duplicates"] = prepared.manifest["duplicates"]
    write_atomic(out / METRICS, json.dumps(values, indent=1).encode())
    files = [out / METRICS, *files]
    if run.task.kind == "classification":
        page = run_page(run.task.name, values, run.task.class_names)
        write_atomic(out / REPORT, page.encode())
        files.append(out / REPORT)
    return Evaluated(values, files)


def _count_pixels(model, run, subset: Subset, out: Path, wanted) -> tuple[dict, list[Path]]:
    by_patient = pixel_confusions(model, subset)
    return segmentation_metrics(by_patient, run.task.output_names), []


def _count_volumes(model, run, subset: Subset, out: Path, wanted) -> tuple[dict, list[Path]]:
    names = run.task.output_names
    scores = score_volumes(model, subset)
    file = write_volume_scores(scores, subset, out)
    patients = subset.prepared.patients[subset.records]
    return volume_metrics(scores.confusions, scores.distances, patients, names), [file]


def _count_records(model, run, subset: Subset, out: Path, wanted) -> tuple[dict, list[Path]]:
    task = run.task
    answers = from_values(run.values["answers"])
    outputs = predict_records(model, subset)
    probabilities, predicted = answers.probabilities(outputs, wanted), answers.decisions(outputs)
    truth, patients = subset.labels, subset.patients
    values = classification_metrics(
        truth, probabilities, predicted, patients, task.class_names, ordered=task.ordered
    )
    if task.class_parts:
        values["parts"] = part_metrics(truth, predicted, patients, task.class_parts)
    sets = answers.sets(outputs)
    shares = answers.natural if wanted is None else wanted.tolist()
    values |= {
        "operating_point": run.values["answers"]["point"],
        "temperature": answers.temperature,
        "class_shares": dict(zip(task.class_names, shares, strict=True)),
        "prediction_sets": {
            "level": PREDICTION_SET_LEVEL,
            "coverage": float(sets[np.arange(len(truth)), truth].mean()),
            "mean_size": float(sets.sum(axis=1).mean()),
        },
    }  # fmt: skip
    predictions = Predictions(truth, outputs, probabilities, predicted, sets)
    files = [_write_predictions(out, subset, predictions)]
    files += save_confusion(np.array(values["confusion"]), task.class_names, out / "confusion")
    curve_is_drawn = len(task.class_names) == 2 and (wanted is None or len(np.unique(truth)) == 2)
    own = np.bincount(truth, minlength=len(shares)) / len(truth)
    if wanted is not None:
        what = "probabilities and decision curve are" if curve_is_drawn else "probabilities are"
        said = f"{what} {_about_prior(task, own, wanted)}"
        values["note"] = "; ".join(filter(None, [said, values["note"]]))
    if wanted is None or np.abs(own - wanted).max() < ALIKE:
        # Of two classes what matters is the probability of the last one; of more, that of the top one.
        two = len(task.class_names) == 2
        curve = reliability_curve(probabilities, truth, label=1 if two else None)
        what = task.class_names[1] if two else "the most probable class"
        files += save(draw_reliability({task.name: curve}, what), out / "reliability")
    else:
        for stale in out.glob("reliability.*"):  # of an evaluation before
            stale.unlink()
    if curve_is_drawn:
        worth = decision_curve(
            probabilities, truth, prevalence=None if wanted is None else float(wanted[1])
        )
        drawn = draw_decision_curve(
            worth.thresholds, {task.name: worth.model}, worth.treat_all, task.class_names[1]
        )
        files += save(drawn, out / "decision_curve")
    return values, files


def _about_prior(task, own: np.ndarray, wanted: np.ndarray) -> str:
    """What to think of numbers for the shares of classes `wanted` in a set that has its `own`."""
    listed = ", ".join(
        f"{name} {share:.2g} (here {there:.2g})"
        for name, share, there in zip(task.class_names, wanted, own, strict=True)
    )
    said = f"for the shares of --prior: {listed}"
    if np.abs(own - wanted).max() < ALIKE:
        return said
    return (
        f"{said}: Brier score, log loss and calibration error hold them against this set, which has "
        "others, and say nothing of how they would do there"
    )


@dataclass(frozen=True)
class Predictions:
    """Arrays of one entry a record; (records, classes) where a class has a number each."""

    truth: np.ndarray
    outputs: np.ndarray  # the network's own probabilities
    probabilities: np.ndarray  # the reported ones
    predicted: np.ndarray
    sets: np.ndarray


def _write_predictions(out: Path, subset: Subset, found: Predictions) -> Path:
    prepared, records, class_names = subset.prepared, subset.units, subset.task.class_names
    table = pd.DataFrame(
        {
            "record_id": prepared.record_ids[records],
            "patient": prepared.patients[records],
            "site": prepared.sites[records],
            "truth": [class_names[label] for label in found.truth],
            "predicted": [class_names[label] for label in found.predicted],
            "set": [[name for name, held in zip(class_names, row, strict=True) if held]
                    for row in found.sets],
        }
    )  # fmt: skip
    for number, name in enumerate(class_names):
        table[f"p_{name}"] = found.probabilities[:, number]
        table[f"output_{name}"] = found.outputs[:, number]
    return write_table(out / PREDICTIONS, table)


def _shares(prior: str, run):
    """(classes,) shares from --prior, 0 for a class that was never trained on; raises InputError."""
    class_count = len(run.task.class_names)
    try:
        wanted = np.array([float(part) for part in prior.split(",")])
    except ValueError:
        wanted = np.array([])
    sound = len(wanted) == class_count and np.isfinite(wanted).all() and wanted.min() >= 0
    if not sound or abs(wanted.sum() - 1) > 0.01:
        raise InputError(
            f"--prior needs {class_count} comma-separated class shares that add up to 1, in the order "
            f"{', '.join(run.task.class_names)}.",
            prior,
            "For example --prior " + ",".join([f"{1 / class_count:.3g}"] * class_count) + ".",
        )
    wanted = np.where(np.array(run.values["answers"]["trained"]) > 0, wanted, 0)
    if not wanted.any():
        raise InputError(
            "--prior gives every share to classes without training records.", prior,
            "Give a share to a class that was trained on.",
        )  # fmt: skip
    return wanted / wanted.sum()
