"""A probe that takes the batch of an image too (its site or scanner) and corrects the features by it.

The network of a run stays one of images alone; its answer is the one for a batch that nobody corrects.
"""

import io
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from keras import layers, ops

from mri_tf.core.errors import InputError
from mri_tf.core.files import write_atomic
from mri_tf.core.hashing import file_hash
from mri_tf.pipeline.subset import COMBAT_KNOWN, COMBAT_NUMBER
from mri_tf.store.run import Run

FILE = "combat.npz"  # in the run's folder
STANDARDISED, LAST = "standardised", "probabilities"  # layers of a probe


@dataclass(frozen=True)
class Correction:
    """The correction of each batch: factor x feature + offset.

    Attributes:
        factors: (1 + batches, features), 1 of number 0, which is a batch that the training did not know.
        offsets: (1 + batches, features), 0 of number 0.
    """

    factors: np.ndarray
    offsets: np.ndarray

    def of(self, features: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        """(rows, features) of batches with these numbers (rows,), corrected."""
        return (self.factors[numbers] * features + self.offsets[numbers]).astype(np.float32)


def correction_of(factors: np.ndarray, offsets: np.ndarray) -> Correction:
    """Of the batches that were fitted (batches, features), with the number 0 for others."""
    none = np.zeros((1, offsets.shape[1]))
    tables = np.concatenate([none + 1, factors]), np.concatenate([none, offsets])
    return Correction(*(table.astype(np.float32) for table in tables))


def save_correction(found: Correction, folder: Path) -> str:
    """Writes the file into a run's folder; returns its hash."""
    buffer = io.BytesIO()
    np.savez(buffer, factors=found.factors, offsets=found.offsets)
    write_atomic(folder / FILE, buffer.getbuffer())
    return file_hash(folder / FILE)


def load_correction(run: Run) -> Correction | None:
    """Of a run with one network; None where it corrects nothing.

    Raises InputError for a file that is missing or damaged.
    """
    known = run.values["fitted"].get(COMBAT_KNOWN)
    if known is None:
        return None
    file = run.folder / FILE
    if not file.is_file() or file_hash(file) != known["sha256"]:
        raise InputError(
            "The file with the correction of sites or scanners is missing or damaged.", file,
            "Restore it from a copy, or train again into another --out folder.",
        )  # fmt: skip
    with np.load(file, allow_pickle=False) as arrays:
        return Correction(arrays["factors"], arrays["offsets"])


def corrected(model: keras.Model) -> keras.Model:
    """The network as it answers: images, or where it has a `correction` images and the numbers of their
    batches (batch,) -> the same outputs. The layers are the same."""
    correction = getattr(model, "correction", None)
    if correction is None:
        return model
    standardise = model.get_layer(STANDARDISED)
    features = standardise._inbound_nodes[0].input_tensors[0]
    number = keras.Input((), name=COMBAT_NUMBER, dtype="float32")
    x = CorrectedFeatures(correction, dtype="float32", name="corrected")(features, number)
    answer = model.get_layer(LAST)(standardise(x))
    return keras.Model([model.inputs[0], number], answer, name=f"{model.name}_corrected")


class CorrectedFeatures(layers.Layer):
    """Features (batch, n) and numbers of batches (batch,) -> the corrected features (batch, n)."""

    def __init__(self, correction: Correction, *, name=None, dtype="float32"):
        super().__init__(name=name, dtype=dtype, trainable=False)
        self.tables = [
            self.add_weight(
                name=name, shape=table.shape, initializer=keras.initializers.Constant(table),
                trainable=False,
            )
            for name, table in (("factors", correction.factors), ("offsets", correction.offsets))
        ]  # fmt: skip
        self.built = True

    def call(self, features, numbers):
        factors, offsets = (ops.take(table, ops.cast(numbers, "int32"), axis=0) for table in self.tables)
        return factors * ops.cast(features, factors.dtype) + offsets

    def compute_output_spec(self, features, numbers):
        return keras.KerasTensor(features.shape, dtype=self.compute_dtype)
