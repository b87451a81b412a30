"""The model card beside an export: for what, from which data, how good, and how to ask. Markdown.

After Mitchell et al. (2019), "Model Cards for Model Reporting". Patients, sites and scanners are
counted, never named.
"""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import tensorflow as tf

from mri_tf.calibration.calibrator import PREDICTION_SET_LEVEL
from mri_tf.core.files import write_atomic
from mri_tf.export.out_of_distribution import OUTSIDE, STATISTICS
from mri_tf.export.saved_model import CLASSIFY, DEFAULT, EXPLAIN, IMAGE_BYTES, SLICES, ExportSource
from mri_tf.splits.leakage import NOBODY
from mri_tf.store.prepared import Prepared
from mri_tf.store.run import METRICS, Run
from mri_tf.tables import markdown
from mri_tf.tables.layout import with_interval
from mri_tf.task.spec import SIDES

MODEL_CARD = "model_card.md"
MAX_RECORDS_READ = 200  # records whose facts are looked at
SCORES = {
    "accuracy": "accuracy", "balanced_accuracy": "balanced accuracy", "kappa": "Cohen's κ",
    "f1_macro": "F1, mean of the classes", "auc": "AUC", "ece": "calibration error",
    "dice_mean": "Dice, mean of the labels", "hausdorff95_mean": "Hausdorff 95, mean of the labels",
}  # fmt: skip
OF_A_CLASS = ("precision", "recall", "f1", "auc", "dice", "hausdorff95")


def write_model_card(
    served: ExportSource, inputs: dict[str, list[tf.TensorSpec]], prepared: Prepared, path: Path
) -> None:
    """Writes the card; numbers are those of the run's metrics.json, or the card says there are none.

    `inputs`: signature -> its inputs. `prepared` is the set the run was trained on.
    """
    run = served.run
    parts = [
        f"# {run.task.name}",
        _use(run),
        "## Data\n\n" + _data(run, prepared),
        "## Training\n\n" + _training(run),
        "## Numbers\n\n" + _numbers(run),
        "## Limits\n\n" + _limits(run, prepared),
    ]
    if run.values["answers"]:
        parts.append("## From outputs to answers\n\n" + _answers(run))
    parts += ["## What the training side looked like\n\n" + _ranges(served.ranges),
              "## How it is asked\n\n" + describe_signatures(inputs, run)]  # fmt: skip
    write_atomic(path, ("\n\n".join(parts) + "\n").encode())


def _use(run: Run) -> str:
    task = run.task
    grid, channels = " x ".join(map(str, task.image_shape)), ", ".join(task.channels)
    what = "labels every voxel of" if task.kind == "segmentation" else "classifies"
    unit = " of a patient, one answer a patient" if task.bag else ""
    boxes = f" Boxes lie around the masks of `{task.boxes_from}` (`segmenter.json`)." * bool(
        task.boxes_from
    )
    return (
        f"A Keras network that {what} images{unit}: {len(task.output_names)} classes "
        f"({', '.join(task.output_names)}), channels {channels}, prepared grid {grid}.{boxes}\n\n"
        "For research on data like those below. **Not a medical device:** nobody's diagnosis or "
        "treatment may rest on it. Not for other scanners, protocols, ages or diseases without new "
        "numbers on them, not for images whose "
        f"`{OUTSIDE}` is 1, and not without somebody who looks at the image."
    )


def _data(run: Run, prepared: Prepared) -> str:
    place = {name: number for number, name in enumerate(prepared.record_ids)}
    rows = []
    for side in SIDES:
        records = np.array([place[name] for name in run.sides[side]], int)
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
    scanners = _scanners(prepared, [place[name] for name in run.sides["train"]])
    return f"Split by {run.values['split']}. Scanners in the training side: {scanners}.\n\n{table}"


def _scanners(prepared: Prepared, records: list[int]) -> str:
    """How many there are among (at most MAX_RECORDS_READ of) the records, as their facts have it."""
    read = records[:: max(1, -(-len(records) // MAX_RECORDS_READ))]
    facts = [prepared.record(place).facts for place in read]
    names = {own.get("scanner") or own.get("model") for own in facts} - {None}
    of = f" (of {len(read)} records)" if len(read) < len(records) else ""
    return f"{len(names)}{of}" if names else "not known"


def _training(run: Run) -> str:
    task, values = run.task, run.values
    arguments = ", ".join(f"{key} {_plain(value)}" for key, value in task.model_args.items())
    rows = [
        ["network", f"{task.model} ({arguments})" if arguments else task.model],
        ["parameters", f"{values['parameters']:,}"],
        ["normalisation", ", ".join(f"{key} {value}" for key, value in task.normalize.items())],
        ["augmentation", ", ".join(task.augment) or "none"],
        ["loss weights", task.loss_weights],
        ["classes drawn equally often", "yes" if task.oversample else "no"],
        ["learning rate, batch", f"{task.learning_rate:g}, {task.batch_size}"],
        ["epochs", f"{values['epochs_trained']}, best {values['best_epoch']} by validation loss"],
        ["precision", f"{task.precision} (exported in float32)"],
        ["seed", values["seed"]],
        ["versions", ", ".join(f"{key} {value}" for key, value in values["versions"].items())],
    ]  # fmt: skip
    if task.pretrained_on:
        rows.insert(1, ["built on", f"a network of {task.pretrained_on}, trained on nobody held out"])
    return markdown(rows, ["what", "value"])


def _plain(value) -> str:
    """A value of a task; of a weights file its name, not its place."""
    return Path(value).name if isinstance(value, str) and "/" in value else str(value)


def _numbers(run: Run) -> str:
    metrics = _metrics(run)
    if not metrics:
        return "Not evaluated: `python -m mri_tf.evaluate` counts the run; then export it again."
    rows = [[name, *_cells(metrics[key])] for key, name in SCORES.items() if key in metrics]
    if "majority_accuracy" in metrics:
        rows.insert(1, ["the largest class, always", f"{metrics['majority_accuracy']:.3f} accuracy", ""])
    text = "On held-out records.\n\n" + markdown(rows, ["score", "value (95 % interval)", "n"])
    classes = metrics["per_class"]
    columns = [key for key in OF_A_CLASS if any(key in own for own in classes.values())]
    rows = [
        [name, *(_cells(own[key])[0] if key in own else "" for key in columns)]
        for name, own in classes.items()
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
    if metrics.get("beats_majority") is False:
        notes.append("it is not shown to be better than naming the largest class always")
    if run.values["split"] == "random":
        notes.insert(0, "LEAKY: a random split; the numbers are those of records it has half seen")
    if not prepared.patients_known and NOBODY not in notes:
        notes.append(NOBODY)
    notes += [
        "numbers are of one split of one set; another hospital's are to be measured "
        "(`python -m mri_tf.evaluate --data`)",
        f"`{OUTSIDE}` looks at intensities and sizes alone: what is inside may still be something else",
    ]
    return "\n".join(f"- {note}" for note in notes)


def _answers(run: Run) -> str:
    answers, names = run.values["answers"], run.task.class_names
    point = answers["point"]
    asked = f" {point['target']:g}" if point["target"] is not None else ""
    least = 1 - answers["set_threshold"]
    rows = [
        ["temperature", f"{answers['temperature']:.3g}"],
        ["class shares of the probabilities", _listed(names, answers["natural"])],
        ["operating point", f"{point['criterion']}{asked}, on {point['n']} validation records"],
        ["factors of the decision", _listed(names, point["class_factors"])],
        [f"{PREDICTION_SET_LEVEL:.0%} prediction set", f"classes of {least:.3g} or more" if least > 0
         else "every class"],
    ]  # fmt: skip
    reasons = [text for text in (answers["reason"], point["reason"]) if text]
    notes = "".join(f"\n- {text}" for text in reasons)
    return markdown(rows, ["what", "value"]) + (f"\n{notes}" if notes else "")


def _listed(names, values) -> str:
    return ", ".join(f"{name} {value:.3g}" for name, value in zip(names, values, strict=True))


def _ranges(ranges: dict) -> str:
    rows = [
        [channel, *(_range(limits[name]) for name in STATISTICS)]
        for channel, limits in ranges["intensity"].items()
    ]
    text = markdown(rows, ["channel", "mean", "SD", "roughness"])
    rows = [[name, ", ".join(map(_range, axes))] for name, axes in ranges["size"].items()]
    if rows:
        text += "\n\n" + markdown(rows, ["size", "along each axis"])
    head = f"Of the whole image, {ranges['records']} records; beyond these an input is flagged."
    return f"{head}\n\n{text}"


def _range(limits: list[float]) -> str:
    return "{:.4g} to {:.4g}".format(*limits)


OF_SLICES = f"slice_{OUTSIDE}"
OUTPUTS = {
    "probabilities": "of a classifier calibrated, for the class shares above; of a segmentation as the "
    "network gives them, of every voxel",
    "logits": "logarithms of the network's own probabilities",
    "decision": "number of the class at the operating point",
    OUTSIDE: "1 where the input is unlike the training side (`ranges.json`), else 0",
    OF_SLICES: "the same of every slice, padded with 0; and `slice_probabilities`, the network's own",
}
INPUTS = {
    "image": "(grid, channels) on the prepared grid, in the task's unit",
    "intensity_stats": "(2, channels, 2): of each channel mean and SD, of the whole image first, then "
    "of its brain mask (where there is none, of the image again), as preparation took them",
    "record_mask": "not 0 in the tumour",
    "spacing_mm": "from row to row and from column to column",
    "class_index": "number of the class to explain, -1: the most probable",
    "mask": "1 for a slice, 0 for padding",
}
SIGNATURES = {
    DEFAULT: "the arrays of a prepared record: images in the task's unit, not normalised",
    IMAGE_BYTES: "PNG or JPEG files, fitted to the grid and scaled in the graph",
    SLICES: "all slices of a patient, padded; `mask` is 1 for a slice, 0 for padding",
    CLASSIFY: "tf.Examples with the arrays of `serving_default`, flattened, as float lists, by TF "
    "Serving's classify; gives `classes` and `scores`",
    EXPLAIN: "the arrays of `serving_default` and the class to explain (-1: the most probable); gives "
    "the raw Grad-CAM `map` on the network's grid",
}


def describe_signatures(inputs: dict[str, list[tf.TensorSpec]], run: Run) -> str:
    """Markdown of the signatures (name -> inputs) of a run's export."""
    asked = [
        f"- `{name}` takes {SIGNATURES[name]}.\n  Inputs: {'; '.join(map(_input, specs))}"
        for name, specs in inputs.items()
    ]
    names = dict.fromkeys(spec.name for specs in inputs.values() for spec in specs)
    meant = [f"- `{name}`: {INPUTS[name]}" for name in names if name in INPUTS]
    given = [
        f"- `{name}`: {what}" for name, what in OUTPUTS.items()
        if (name != "decision" or run.values["answers"]) and (name != OF_SLICES or SLICES in inputs)
    ]  # fmt: skip
    return "\n".join(
        ["Signatures; -1 is any number:", "", *asked, "", "Inputs, the batch (of a patient's slices, "
         "then the slices) first:", "", *meant, "", "Outputs, the batch first:", "", *given]
    )


def _input(spec: tf.TensorSpec) -> str:
    shape = ", ".join("-1" if size is None else str(size) for size in spec.shape)
    return f"`{spec.name}` {spec.dtype.name} ({shape})"
