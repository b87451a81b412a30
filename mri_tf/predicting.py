"""A network's outputs over records of a prepared set, in order, nothing augmented, none left out."""

import keras
import numpy as np

from mri_tf.data.pipeline import damage_named, ordered_batches, walk
from mri_tf.prepared import Prepared
from mri_tf.progress import progress
from mri_tf.runs import Run

BATCH_SIZE = 32


def predict_records(
    model: keras.Model, run: Run, prepared: Prepared, records: np.ndarray
) -> np.ndarray:
    """(records, classes) probabilities as the network gives them, in the order of `records`."""
    batches = ordered_batches(
        walk(prepared, records, BATCH_SIZE), run.task, run.values["fitted"]
    )
    found = []
    with damage_named(prepared), progress("evaluating", len(batches)) as advance:
        for image, _, _ in batches:
            found.append(model.predict_on_batch(image))
            advance(len(found))
    return np.concatenate(found)


def pixel_confusions(
    model: keras.Model, run: Run, prepared: Prepared, records: np.ndarray
) -> np.ndarray:
    """(patients, true label, predicted label) pixel counts, patients sorted.

    One batch is in memory at a time.
    """
    labels = len(run.task.output_names)
    _, patient_of = np.unique(prepared.patients[records].astype(str), return_inverse=True)
    counts = np.zeros((patient_of.max() + 1, labels, labels))
    batches = ordered_batches(
        walk(prepared, records, BATCH_SIZE), run.task, run.values["fitted"]
    )
    done = 0
    with damage_named(prepared), progress("evaluating", len(records)) as advance:
        for image, mask, _ in batches:
            predicted = model.predict_on_batch(image).argmax(axis=-1)  # (batch, rows, columns)
            for truth, guess in zip(mask.numpy(), predicted, strict=True):
                pairs = np.bincount(np.ravel(truth * labels + guess), minlength=labels * labels)
                counts[patient_of[done]] += pairs.reshape(labels, labels)
                done += 1
            advance(done)
    return counts
