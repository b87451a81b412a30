"""Writes the model card of an export in Markdown: use, data, training, numbers, limits, signatures.

Patients, sites and scanners are counted, never named.
Source: Mitchell et al. (2019), "Model Cards for Model Reporting".
"""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import tensorflow as tf

from mri_tf.calibration.calibrator import (
    GUARANTEE,
    PREDICTION_SET_LEVEL,
    Calibrator,
    calibrator_from_json,
)
from mri_tf.calibration.false_alarms import Limit
from mri_tf.calibration.familiar_images import Familiar
from mri_tf.core.files import write_atomic
from mri_tf.evaluate.familiarity import usual_range
from mri_tf.export.assets import MAX_RECORDS_READ, without_folder
from mri_tf.export.out_of_distribution import FAR, OUTSIDE
from mri_tf.export.saved_model import ExportSource
from mri_tf.export.signature_help import describe_signatures
from mri_tf.pipeline.image_statistics import STATISTICS
from mri_tf.splits.leakage import PATIENTS_UNKNOWN
from mri_tf.store.frozen import TEST_LOCK, lock_name
from mri_tf.store.looks import is_closed, looks_of, times
from mri_tf.store.prepared import Prepared
from mri_tf.store.run import METRICS, Run
from mri_tf.tables import looks_sentence, markdown
from mri_tf.tables.layout import with_interval
from mri_tf.tables.run import better_than_chance
from mri_tf.task.spec import SIDES

MODEL_CARD = "model_card.md"
SYNTHETIC = "a synthetic phantom, no patients"
SCORES = {
    "accuracy": "accuracy", "balanced_accuracy": "balanced accuracy", "kappa": "Cohen's κ",
    "f1_macro": "F1, mean of the classes", "auc": "AUC", "ece": "calibration error",
    "dice_mean": "Dice, mean of the labels", "hausdorff95_mean": "Hausdorff 95, mean of the labels",
}  # fmt: skip
CLASS_SCORES = ("precision", "recall", "f1", "auc", "dice", "hausdorff95")


def write_model_card(
    source: ExportSource, inputs: dict[str, list[tf.TensorSpec]], prepared: Prepared, path: Path
) -> None:
    """Writes the card, with the numbers of the run's metrics.json where the run was evaluated.

    Args:
        source: the run and what it finds familiar.
        inputs: exported signature -> its inputs.
        prepared: the set the run was trained on.
        path: the file to write.
    """
    run = source.run
    parts = [
        f"# {run.task.name}" + (f": trained on {SYNTHETIC}" if is_synthetic(prepared) else ""),
        _use(run),
        "## Data\n\n" + _data(run, prepared),
        "## Training\n\n" + _training(run),
        "## Numbers\n\n" + _numbers(run),
        "## Limits\n\n" + _limits(run, prepared),
    ]
    if run.values["answers"]:
        parts.append("## Calibration and operating point\n\n" + _calibration(run))
    signatures = describe_signatures(inputs, has_decision=bool(run.values["answers"]))
    parts += ["## What is unlike the training data\n\n" + _familiarity(source),
              "## How to call it\n\n" + signatures]  # fmt: skip
    write_atomic(path, ("\n\n".join(parts) + "\n").encode())


def is_synthetic(prepared: Prepared) -> bool:
    """Whether the set was made from a phantom that `data_prep.phantom` wrote."""
    return bool(prepared.manifest.get("synthetic"))


def _use(run: Run) -> str:
    task = run.task
    grid, channels = " x ".join(map(str, task.image_shape)), ", ".join(task.channels)
    purpose = "labels every voxel of" if task.kind == "segmentation" else "classifies"
    unit = " of a patient, with one answer for each patient" if task.bag else ""
    boxes = f" Boxes lie around the masks that `{task.boxes_from}` predicts (`segmenter.json`)."
    boxes = boxes if task.boxes_from else ""
    return (
        f"A Keras network that {purpose} images{unit}: {len(task.output_names)} classes "
        f"({', '.join(task.output_names)}), channels {channels}, prepared grid {grid}.{boxes}\n\n"
        "For research on data like those below. **Not a medical device:** do not base a diagnosis or "
        "treatment on it. Do not use it for other scanners, protocols, ages or diseases before it is "
        f"evaluated on them, for images whose `{OUTSIDE}` is 1, or without a person looking at them."
    )


def _data(run: Run, prepared: Prepared) -> str:
    position = {name: number for number, name in enumerate(prepared.record_ids)}
    rows = []
    for side in SIDES:
        records = np.array([position[name] for name in run.sides[side]], int)
        sites = set(prepared.sites[records]) - {""}
        row = [side, len(set(prepared.patients[records])), len(records), len(sites) or "not known"]
        if run.task.kind == "classification":
            counts = Counter(prepared.labels[records].tolist())
            row += [counts[label] for label in range(len(run.task.class_names))]
        rows.append(row)
    unit = "patients" if prepared.patients_known else "groups of images"
    columns = ["side", unit, "records", "sites"]
    if run.task.kind == "classification":
        columns += run.task.class_names
    table = markdown(rows, columns)
    scanners = _scanners(prepared, [position[name] for name in run.sides["train"]])
    return f"Split by {run.values['split']}. Scanners in the training side: {scanners}.\n\n{table}"


def _scanners(prepared: Prepared, records: list[int]) -> str:
    """The number of scanners that the facts of (at most MAX_RECORDS_READ) records name, as text."""
    sample = records[:: max(1, -(-len(records) // MAX_RECORDS_READ))]
    facts = [prepared.record(position).facts for position in sample]
    names = {entry.get("scanner") or entry.get("model") for entry in facts} - {None}
    note = f" (in {len(sample)} of {len(records)} records)" if len(sample) < len(records) else ""
    return f"{len(names)}{note}" if names else "not known"


def _kept_weights(run: Run) -> str:
    """Of which epoch, and why of this one."""
    chosen = "the last" if run.task.choose_epoch == "budget" else "the lowest validation loss"
    epoch, count = run.values["best_epoch"], run.values["epochs_trained"]
    averaged = f"; averaged with decay {run.task.average:g}" if run.task.average else ""
    return f"of epoch {epoch} of {count}, {chosen}{averaged}"


def _training(run: Run) -> str:
    task, values = run.task, run.values
    arguments = ", ".join(f"{key} {without_folder(value)}" for key, value in task.model_args.items())
    rows = [
        ["network", f"{task.model} ({arguments})" if arguments else task.model],
        ["parameters", f"{values['parameters']:,}"],
        ["normalisation", ", ".join(f"{key} {value}" for key, value in task.normalize.items())],
        ["augmentation", ", ".join(task.augment) or "none"],
        ["loss weights", task.loss_weights],
        ["classes drawn equally often", "yes" if task.oversample else "no"],
        ["learning rate, batch", f"{task.learning_rate:g}, {task.batch_size}"],
        ["weights kept", _kept_weights(run)],
        ["precision", f"{run.precision} (exported in float32)"],
        ["seed", values["seed"]],
        ["versions", ", ".join(f"{key} {value}" for key, value in values["versions"].items())],
    ]  # fmt: skip
    if task.pretrained_on:
        rows.insert(1, ["built on", f"a {task.pretrained_on} network that saw no held-out patient"])
    return markdown(rows, ["what", "value"])


def _numbers(run: Run) -> str:
    metrics = _metrics(run)
    if is_closed(run):
        patients, records = len(run.values["patients"]["test"]), len(run.sides["test"])
        return (
            f"None yet: the test side ({patients} patients, {records} records) was locked before "
            f"training ended, and nobody has looked at it (lock {lock_name(run.values[TEST_LOCK])}). "
            "`python -m mri_tf.evaluate --run RUN` opens it; then export the run again."
        )
    if not metrics:
        return "Not evaluated: run `python -m mri_tf.evaluate --run RUN`, then export the run again."
    rows = [[name, *_cells(metrics[key])] for key, name in SCORES.items() if key in metrics]
    if "majority_accuracy" in metrics:
        rows.insert(1, ["always the largest class", f"{metrics['majority_accuracy']:.3f} accuracy", ""])
    text = "On held-out records.\n\n" + markdown(rows, ["score", "value (95 % interval)", "n"])
    classes = metrics["per_class"]
    columns = [key for key in CLASS_SCORES if any(key in scores for scores in classes.values())]
    rows = [
        [name, *(_cells(scores[key])[0] if key in scores else "" for key in columns)]
        for name, scores in classes.items()
    ]
    return f"{text}\n\n{markdown(rows, ['class', *columns])}"


def _metrics(run: Run) -> dict:
    path = run.folder / METRICS
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _cells(number: dict) -> list[str]:
    text = with_interval(number["value"], number["low"], number["high"], number.get("reason") or "")
    measured = f" {number['measured_in']}" if "measured_in" in number else ""
    return [text + measured, f"{number['n']} {number['unit']}"]


def _limits(run: Run, prepared: Prepared) -> str:
    metrics = _metrics(run)
    notes = [part for part in metrics.get("note", "").split("; ") if part]
    found = metrics.get("better_than_chance")
    if found and not all(found["better"].values()):
        notes.append(better_than_chance(metrics))
    if metrics.get("beats_majority") is False:
        notes.append("the network is not shown to be better than always naming the largest class")
    notes += _looks(run, metrics)
    if run.values["split"] == "random":
        notes.insert(0, "LEAKY: a random split; the same patients may be on several sides")
    if not prepared.patients_known and PATIENTS_UNKNOWN not in notes:
        notes.append(PATIENTS_UNKNOWN)
    if is_synthetic(prepared):
        notes.insert(0, f"trained and tested on {SYNTHETIC}: the numbers say nothing about patients")
    notes += [
        "the numbers are for one split of one data set; measure them for another hospital with "
        "`python -m mri_tf.evaluate --run RUN --data DIR`",
        f"an image that neither `{OUTSIDE}` nor `{FAR}` flags may still be of another kind",
    ]
    return "\n".join(f"- {note}" for note in notes)


def _looks(run: Run, metrics: dict) -> list[str]:
    """Which look at the test side the numbers are, and how many there have been."""
    sentence, total = looks_sentence(metrics), looks_of(run)
    shown = metrics["test_looks"]["look"] if sentence else 0
    more = f"The test side has been looked at {times(total)}." if total > max(shown, 1) else ""
    return [text for text in (sentence, more) if text]


def _chosen_on(point: dict) -> str:
    patients = f"{point['patients']} patients, " if point.get("patients") else ""
    value = "" if point["value"] is None else f" (apparent value there: {point['value']:.3f})"
    return f"{patients}{point['n']} records of the validation side{value}"


def _calibration(run: Run) -> str:
    answers, names = run.values["answers"], run.task.class_names
    point = answers["point"]
    target = f" {point['target']:g}" if point["target"] is not None else ""
    calibrator = calibrator_from_json(answers)
    rows = [
        ["temperature", f"{answers['temperature']:.3g}"],
        ["intercepts beside it", _listed(names, calibrator.intercepts or [0] * len(names))],
        ["class shares assumed by the probabilities", _listed(names, answers["natural"])],
        ["operating point", f"{point['criterion']}{target}, on {_chosen_on(point)}"],
        ["factors of the decision", _listed(names, point["class_factors"])],
        [f"{PREDICTION_SET_LEVEL:.0%} prediction set", _sets(calibrator)],
    ]  # fmt: skip
    reasons = [text for text in (answers["reason"], point["reason"]) if text]
    notes = "".join(f"\n- {text}" for text in reasons)
    return markdown(rows, ["what", "value"]) + (f"\n{notes}" if notes else "")


def _sets(calibrator: Calibrator) -> str:
    if not calibrator.has_sets:
        return f"none: {calibrator.why_no_sets}"
    fitted = f"{calibrator.set_patients} patients that chose nothing else"
    lowest = 1 - calibrator.set_threshold
    return (
        f"classes with a probability of {lowest:.3g} or more, fitted on "
        f"{fitted if calibrator.set_patients else 'the validation side'}; the "
        f"{PREDICTION_SET_LEVEL:.0%} are meant {GUARANTEE}"
    )


def _listed(names, values) -> str:
    return ", ".join(f"{name} {value:.3g}" for name, value in zip(names, values, strict=True))


def _familiarity(source: ExportSource) -> str:
    images, features = source.familiarity.images, source.familiarity.features
    counted = _metrics(source.run).get("out_of_distribution", {})
    limit = images.patient_limit or images.limit
    lines = [f"- `{OUTSIDE}`, by intensities and sizes: {_alarms(limit, counted.get('images'))}"]
    if features is not None:
        lines.append(
            f"- `{FAR}`, by what the network's last layer reads: "
            f"{_alarms(features.limit, counted.get('features'))}"
        )
    text = "\n".join(lines)
    return text if images.limit.value is None else f"{text}\n\n{_usual(images)}"


def _alarms(limit: Limit, counted: dict | None) -> str:
    """The rate of false alarms that a flag was made for, and the share of held-out records it flags."""
    if limit.value is None:
        return f"{limit.reason}."
    text = (
        f"made to flag {100 * limit.rate:.1f} % of images of new patients of the same source, from "
        f"{limit.patients} patients"
    )
    if not counted or "flagged" not in counted:
        return f"{text}."
    share, patients = _cells(counted["flagged"])
    return f"{text}; of the held-out images it flags a share of {share} ({patients})."


def _usual(images: Familiar) -> str:
    """The values that are not flagged: a row a channel, then the sizes that are known."""
    ranges = dict(zip(images.names, (usual_range(images, n) for n in range(len(images.names))),
                      strict=True))  # fmt: skip
    first = f"{STATISTICS[0]} of "
    channels = [name.removeprefix(first) for name in images.names if name.startswith(first)]
    rows = [[channel, *(_range(ranges.pop(f"{name} of {channel}")) for name in STATISTICS)]
            for channel in channels]  # fmt: skip
    text = markdown(rows, ["channel", *STATISTICS])
    if rows := [[name, _range(usual)] for name, usual in ranges.items() if usual]:
        text += "\n\n" + markdown(rows, ["size", "usual"])
    return f"Usual values of whole images, from {images.records} records:\n\n{text}"


def _range(limits: tuple[float, float] | None) -> str:
    return "not known" if limits is None else "{:.4g} to {:.4g}".format(*limits)
