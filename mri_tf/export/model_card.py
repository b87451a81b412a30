"""Writes the model card of an export in Markdown: use, data, training, numbers, limits, signatures.

Patients, sites and scanners are counted, never named.
Source: Mitchell et al. (2019), "Model Cards for Model Reporting".
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import tensorflow as tf

from mri_tf.core.files import write_atomic
from mri_tf.export.assets import MAX_RECORDS_READ
from mri_tf.export.card_members import card_members, outputs_of_members
from mri_tf.export.card_numbers import (
    card_calibration,
    card_familiarity,
    card_numbers,
    run_metrics,
)
from mri_tf.export.cost import Cost
from mri_tf.export.out_of_distribution import FAR, OUTSIDE
from mri_tf.export.signature_help import describe_signatures, what_slices_are
from mri_tf.export.source import ExportSource
from mri_tf.models.weights import Origin
from mri_tf.network.views import describe_views
from mri_tf.splits.leakage import PATIENTS_UNKNOWN
from mri_tf.store.looks import looks_of, times
from mri_tf.store.prepared import Prepared, positions_in
from mri_tf.store.run import Run
from mri_tf.tables import looks_sentence, markdown
from mri_tf.tables.run import better_than_chance
from mri_tf.task.harmonise import describe_harmonise
from mri_tf.task.paths import without_folders
from mri_tf.task.rules import KEPT_EPOCH
from mri_tf.task.spec import SIDES

MODEL_CARD = "model_card.md"
SYNTHETIC = "a synthetic phantom, no patients"


@dataclass(frozen=True)
class Card:
    """What a card is about.

    Attributes:
        source: the run and what it finds familiar.
        inputs: exported signature -> its inputs.
        prepared: the set the run was trained on.
        cost: of several members beside one; None where it was not measured.
    """

    source: ExportSource
    inputs: dict[str, list[tf.TensorSpec]]
    prepared: Prepared
    cost: Cost | None = None


def write_model_card(card: Card, path: Path) -> None:
    """Writes the card, with the numbers of the run's metrics.json where the run was evaluated."""
    source, prepared = card.source, card.prepared
    run = source.run
    parts = [
        f"# {run.task.name}" + (f": trained on {SYNTHETIC}" if is_synthetic(prepared) else ""),
        _use(run),
        "## Data\n\n" + _data(run, prepared),
        "## Training\n\n" + _training(run),
        "## Numbers\n\n" + card_numbers(run),
    ]
    if run.has_members:
        parts.append("## Members\n\n" + card_members(run, card.cost))
    parts.append("## Limits\n\n" + _limits(run, prepared))
    if run.values["answers"]:
        parts.append("## Calibration and operating point\n\n" + card_calibration(run))
    signatures = describe_signatures(
        card.inputs, run.task, bool(run.values["answers"]), outputs_of_members(run)
    )
    parts += ["## What is unlike the training data\n\n" + card_familiarity(source),
              "## How to call it\n\n" + signatures]  # fmt: skip
    write_atomic(path, ("\n\n".join(parts) + "\n").encode())


def is_synthetic(prepared: Prepared) -> bool:
    """Whether the set was made from a phantom that `data_prep.phantom` wrote."""
    return bool(prepared.manifest.get("synthetic"))


def _use(run: Run) -> str:
    task = run.task
    grid, channels = " x ".join(map(str, task.image_shape)), ", ".join(task.image_channels)
    purpose = "labels every voxel of" if task.kind == "segmentation" else "classifies"
    unit = " of a patient, with one answer for each patient" if task.bag else ""
    context = f" {what_slices_are(task)}" if task.context_slices else ""
    boxes = f" Boxes lie around the masks that `{task.boxes_from}` predicts (`segmenter.json`)."
    boxes = boxes if task.boxes_from else ""
    views = f" Every answer is the mean over {views}." if (views := describe_views(task)) else ""
    return (
        f"A Keras network that {purpose} images{unit}: {len(task.output_names)} classes "
        f"({', '.join(task.output_names)}), channels {channels}, prepared grid "
        f"{grid}.{context}{boxes}{views}\n\n"
        "For research on data like those below. **Not a medical device:** do not base a diagnosis or "
        "treatment on it. Do not use it for other scanners, protocols, ages or diseases before it is "
        f"evaluated on them, for images whose `{OUTSIDE}` is 1, or without a person looking at them."
    )


def _data(run: Run, prepared: Prepared) -> str:
    rows = []
    for side in (side for side in SIDES if run.sides[side] or not run.has_members):
        records = positions_in(prepared, run.sides[side])
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
    scanners = _scanners(prepared, positions_in(prepared, run.sides["train"]).tolist())
    split = f"Cross-validated in {run.values['split']}" if run.has_members else (
        f"Split by {run.values['split']}"
    )  # fmt: skip
    return f"{split}. Scanners in the training side: {scanners}.\n\n{table}"


def _scanners(prepared: Prepared, records: list[int]) -> str:
    """The number of scanners that the facts of (at most MAX_RECORDS_READ) records name, as text."""
    sample = records[:: max(1, -(-len(records) // MAX_RECORDS_READ))]
    facts = [prepared.record(position).facts for position in sample]
    names = {entry.get("scanner") or entry.get("model") for entry in facts} - {None}
    note = f" (in {len(sample)} of {len(records)} records)" if len(sample) < len(records) else ""
    return f"{len(names)}{note}" if names else "not known"


def _kept_weights(run: Run) -> str:
    """Of which epoch, and why of this one."""
    if run.has_members:
        return "of each member, see there"
    chosen = KEPT_EPOCH[run.task.choose_epoch]
    epoch, count = run.values["best_epoch"], run.values["epochs_trained"]
    averaged = f"; averaged with decay {run.task.average:g}" if run.task.average else ""
    return f"of epoch {epoch} of {count}, {chosen}{averaged}"


def _training(run: Run) -> str:
    task, values = run.task, run.values
    given = without_folders(task.model_args)
    arguments = ", ".join(f"{key} {value}" for key, value in given.items())
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
    if harmonised := describe_harmonise(task):
        rows.insert(3, ["harmonisation", harmonised])
    if origin := values.get("first_weights"):
        rows.insert(1, ["began with", f"{Origin(**origin)}"])
    if task.pretrained_on:
        rows.insert(1, ["built on", f"a {task.pretrained_on} network that saw no held-out patient"])
    return markdown(rows, ["what", "value"])


def _limits(run: Run, prepared: Prepared) -> str:
    metrics = run_metrics(run)
    notes = [part for part in (run.task.caution, *metrics.get("note", "").split("; ")) if part]
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
    of_one = "single members" if run.has_members else "one split"
    notes += [
        f"the numbers are for {of_one} of one data set; measure them for another hospital with "
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
