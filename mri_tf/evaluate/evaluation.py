"""Evaluates a run on records it was not trained on: metrics.json, predictions, figures, report.md."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mri_tf.calibration.answers import answers_from_json
from mri_tf.core.errors import InputError
from mri_tf.core.files import write_atomic
from mri_tf.evaluate.classifier import (
    Predictions,
    score_classifier,
    target_shares_of,
    write_classifier,
)
from mri_tf.evaluate.familiarity import count_unfamiliar, familiarity_of
from mri_tf.evaluate.recalibration import Answered, recalibration_by_size
from mri_tf.evaluate.volumes import VolumeScores, score_volumes, write_volume_scores
from mri_tf.metrics import segmentation_metrics, volume_metrics
from mri_tf.network.inference import pixel_confusions
from mri_tf.network.members import load_members
from mri_tf.pipeline.subset import Subset
from mri_tf.splits.known_copies import known_copies_note
from mri_tf.splits.leakage import PATIENTS_UNKNOWN, counted_as_images, counted_by_id, leak
from mri_tf.splits.sides import SUPPLIED
from mri_tf.store.looks import count_look, shows_test_side
from mri_tf.store.run import METRICS, Run, positions_of
from mri_tf.task.harmonise import combat_batch

BASELINES, ADDED_VALUE = COMPARED = ("baselines", "added_value")  # of metrics.json: training adds them
COUNTED_AGAIN = ("weights_sha256", "split", "prior")  # equal where the same numbers are counted again
OTHER_DATA = "other data"  # the split of records that are all of another set


@dataclass(frozen=True)
class Evaluated:
    """The numbers of metrics.json and the files written."""

    metrics: dict
    files: list[Path]


def evaluate_run(
    run: Run, subset: Subset, split: str, out: Path, prior: str = "", note: str = ""
) -> Evaluated:
    """Predicts every record of a subset and writes numbers, predictions and figures.

    Records of the run's test side make it a look at that side, which is counted in the run when all is
    computed and before anything is written.

    Args:
        run: a finished run.
        subset: records with labels or masks, none of them trained on.
        split: how they were held out: "patient", "random", "other data" ...
        out: folder for the files.
        prior: class shares to report probabilities for, "0.7,0.3" in the order of class_names; ""
            for those of the training data. Decisions stay at the run's operating point.
        note: a sentence that stands beside the numbers.

    Raises:
        InputError: the prior does not fit the run.
    """
    if prior and run.task.kind == "segmentation":
        raise InputError(
            "--prior is for classifiers only.", f"segmentation run {run.task.name}", "Leave out --prior."
        )
    target_shares = target_shares_of(prior, run) if prior else None
    members, familiar = load_members(run), familiarity_of(run)
    out.mkdir(parents=True, exist_ok=True)
    distances = None
    if run.task.kind == "classification":
        values, found = score_classifier(members, run, subset, target_shares, familiar)
        distances = found.distances
        values |= combat_counts(run, subset)
    elif len(run.task.image_shape) == 2:
        confusions = pixel_confusions(members[0].model, subset)
        values, found = segmentation_metrics(confusions, run.task.output_names), None
    else:
        values, found = _score_volumes(members[0].model, subset)
    values |= {"out_of_distribution": count_unfamiliar(familiar, subset, distances)}
    if isinstance(found, Predictions) and split == OTHER_DATA:
        answered = Answered(found.outputs, subset.labels, subset.patients)
        answers = answers_from_json(run.values["answers"])
        values["recalibration"] = recalibration_by_size(answered, answers, run.task)
    prepared = subset.prepared
    if prepared.patients_known:
        values = counted_by_id(
            values, prepared.patients[subset.records], prepared.groups[subset.records]
        )
    else:
        values = counted_as_images(values)
    values |= {
        "weights_sha256": run.values["weights_sha256"],
        "model_members": len(members) if run.has_members else None,
        "split": split,
        "prior": prior or None,
        "caution": run.task.caution,
        "note": "; ".join(filter(None, [note, *_notes(run, subset, split), values["note"]])),
    }
    if "duplicates" in subset.prepared.manifest:
        values["duplicates"] = subset.prepared.manifest["duplicates"]
    if shows_test_side(run, subset.prepared, subset.records):
        values["test_looks"] = count_look(run).to_json()
    values |= _compared_before(out, values)
    files = []
    if isinstance(found, Predictions):
        files = write_classifier(values, found, out)
    elif isinstance(found, VolumeScores):
        files = [write_volume_scores(found, subset, out)]
    # Last, since it says that the evaluation is complete.
    write_atomic(out / METRICS, json.dumps(values, indent=1).encode())
    return Evaluated(values, [out / METRICS, *files])


def _compared_before(out: Path, values: dict) -> dict:
    """What training compared these numbers with, where the same ones are counted again."""
    try:
        before = json.loads((out / METRICS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    same = all(before.get(key) == values[key] for key in COUNTED_AGAIN)
    return {key: before[key] for key in COMPARED if key in before} if same else {}


def _score_volumes(model, subset: Subset) -> tuple[dict, VolumeScores]:
    """Dice and Hausdorff distance of 3D segmentations."""
    scores = score_volumes(model, subset)
    patients = subset.prepared.patients[subset.records]
    names = subset.task.output_names
    lesions = scores.lesions if any(scores.lesions) else None
    values = volume_metrics(scores.confusions, scores.distances, patients, names, lesions)
    return values, scores


def combat_counts(run: Run, subset: Subset) -> dict:
    """`features_corrected` for metrics.json: how many records are of a site or scanner that the training
    knew; {} where nothing is corrected. Of a model of several members, that any of them knew."""
    if not combat_batch(run.task):
        return {}
    known = subset.combat_numbers > 0
    return {"features_corrected": {
        "by": combat_batch(run.task), "corrected": int(known.sum()), "not_corrected": int((~known).sum())
    }}  # fmt: skip


def _notes(run: Run, subset: Subset, split: str) -> list[str]:
    """What limits the numbers: weights, leaks between the sides, unknown patients."""
    notes = []
    counts = combat_counts(run, subset).get("features_corrected", {})
    if counts.get("not_corrected"):
        notes.append(
            f"{counts['not_corrected']} of {len(subset)} records are of no {counts['by']} that the "
            "training knew, so that their features are not corrected"
        )
    if run.task.model_args.get("weights") == "none":
        notes.append("the backbone has random weights, not ImageNet's")
    if split == "random":
        used = np.concatenate(positions_of(run, subset.prepared)[:2])
        notes.append(leak(subset.prepared, used, subset.records))
    if split in SUPPLIED and (
        copies := known_copies_note(run.values.get("known_copies"), len(subset.records))
    ):
        notes.append(copies)
    if not subset.prepared.patients_known:
        notes.append(PATIENTS_UNKNOWN)
    return notes
