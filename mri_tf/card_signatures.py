"""How an exported model is asked, in the words of its card: signatures, inputs, outputs."""

import tensorflow as tf

from mri_tf.out_of_distribution import OUTSIDE
from mri_tf.runs import Run
from mri_tf.saved_model import CLASSIFY, DEFAULT, EXPLAIN, IMAGE_BYTES, SLICES

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


def signatures_told(inputs: dict[str, list[tf.TensorSpec]], run: Run) -> str:
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
