"""Describes the signatures of an export in Markdown, for its model card."""

import tensorflow as tf

from mri_tf.core.words import plural
from mri_tf.engines.requests import DEFAULT_SIGNATURE
from mri_tf.export.members_graph import DISAGREEMENT, IN_SET
from mri_tf.export.out_of_distribution import DISTANCE, FAR, OUTSIDE, OUTSIDE_SCORE
from mri_tf.export.saved_model import CLASSIFY, EXPLAIN, IMAGE_BYTES, SLICES
from mri_tf.pipeline.subset import COMBAT_NUMBER
from mri_tf.task import Task

SIGNATURES = {
    DEFAULT_SIGNATURE: "the arrays of a prepared record: images in the task's unit, not normalised",
    IMAGE_BYTES: "PNG or JPEG files, which the graph fits to the grid and scales to the task's unit",
    SLICES: "all slices of a patient, padded to the same number for all patients",
    CLASSIFY: "tf.Examples with the arrays of `serving_default`, flattened, as float lists, for TF "
    "Serving's classify; it returns `classes` and `scores`",
    EXPLAIN: "the arrays of `serving_default` and the class to explain; it returns the raw Grad-CAM "
    "`map` on the network's grid",
}
INPUTS = {
    "image": "(grid, channels) on the prepared grid, in the task's unit; where the task standardises "
    "inside the brain mask, 0 outside it",
    "intensity_stats": "(2, channels, 2): of each channel mean and SD, of the whole image first, then "
    "of its brain mask (of the image again where there is none), as preparation computes them",
    "record_mask": "not 0 in the tumour",
    "spacing_mm": "in mm, from row to row and from column to column",
    COMBAT_NUMBER: "place, counted from 1, of the site or scanner among `combat.batches` of "
    "`fitted.json`, which are hashes of their names (`mri_tf.predict` finds it); 0 of another one, "
    "whose features stay as they are",
    "class_index": "number of the class to explain; -1 for the most probable one",
    "mask": "1 for a slice, 0 for padding",
}
OF_CLASSIFIERS = ("decision", FAR, DISTANCE)
OF_SLICES = f"slice_{OUTSIDE}"
OF_MEMBERS = {
    DISAGREEMENT: "of each class, the SD of the members' calibrated probabilities",
    IN_SET: "1 for each class that the prediction set holds, 0 for the others",
}
OUTPUTS = {
    "probabilities": "of a classifier: calibrated, for the class shares above; of a segmentation: of "
    "every voxel, as the network gives them",
    "logits": "logarithms of the network's probabilities before calibration; of several members the "
    "mean",
    "decision": "number of the class at the operating point",
    OUTSIDE: "1 where the input is unlike the training side in intensities, or in the spacing where "
    "that is an input (`familiar.json`), 0 where it is not, -1 where too few patients were there to "
    "tell",
    OUTSIDE_SCORE: "the largest deviation from the training side, in its SD",
    FAR: "the same as `out_of_distribution`, by what the network's last layer reads",
    DISTANCE: "the Mahalanobis distance of what that layer reads from the training side; of several "
    "members the mean, each divided by its usual distance",
    OF_SLICES: "the same for every slice, padded with 0; `slice_probabilities` are the network's, "
    "for every slice",
}


def describe_signatures(
    inputs: dict[str, list[tf.TensorSpec]], task: Task, has_decision: bool,
    of_members: tuple[str, ...] = (),
) -> str:  # fmt: skip
    """Returns Markdown lists of the signatures (name -> inputs), their inputs and their outputs; the
    channels of images are those of `task`, and `of_members` are the outputs that only a model of several
    members has."""
    signatures = [
        f"- `{name}` takes {SIGNATURES[name]}.\n  Inputs: {'; '.join(map(_shape, specs))}"
        for name, specs in inputs.items()
    ]
    names = dict.fromkeys(spec.name for specs in inputs.values() for spec in specs)
    meanings = [f"- `{name}`: {INPUTS[name]}" for name in names if name in INPUTS]
    if task.context_slices:
        listed = ", ".join(task.image_channels)
        meanings.append(f"- channels, in order: {listed}. {what_slices_are(task)}")
    outputs = [
        f"- `{name}`: {meaning}"
        for name, meaning in (OUTPUTS | {name: OF_MEMBERS[name] for name in of_members}).items()
        if (name not in OF_CLASSIFIERS or has_decision) and (name != OF_SLICES or SLICES in inputs)
    ]  # fmt: skip
    return "\n".join(
        ["Signatures; an axis of -1 has any length:", "", *signatures, "",
         "Inputs, after the batch (in `slices`, after patients and slices):", "", *meanings, "",
         "Outputs, after the batch:", "", *outputs]
    )  # fmt: skip


def what_slices_are(task: Task) -> str:
    """Says what the channels of a task with neighbouring slices are."""
    beside = plural(task.context_slices, "neighbouring slice")
    return (
        f"A slice is seen with {beside} on each side, of the same patient, series and phase: -1 is, of "
        "a volume, the one towards the feet, of a table the one with the lower number. Where the stack "
        "ends, its last slice takes the place of those that are missing."
    )


def _shape(spec: tf.TensorSpec) -> str:
    shape = ", ".join("-1" if size is None else str(size) for size in spec.shape)
    return f"`{spec.name}` {spec.dtype.name} ({shape})"
