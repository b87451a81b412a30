"""A network's outputs over records of a prepared set, in order, nothing augmented, none left out."""

from collections.abc import Iterator

import keras
import numpy as np
import tensorflow as tf

from mri_tf.core.progress import progress
from mri_tf.network.windows import predict_windows
from mri_tf.pipeline.batches import eval_batches, read_bags_in_order, read_in_order, report_damage
from mri_tf.pipeline.field_of_view import cut_function
from mri_tf.splits.units import bags_of, select_slices
from mri_tf.store.prepared import Prepared
from mri_tf.store.run import Run
from mri_tf.task import Task
from mri_tf.task.settings import patch_of

BATCH_SIZE = 32


def predict_records(
    model: keras.Model, run: Run, prepared: Prepared, records: np.ndarray
) -> np.ndarray:
    """(records, classes) probabilities as the network gives them, in the order of `records`; of
    their patients where the task answers for them, in the order of `answered`."""
    batch_size, fitted = min(BATCH_SIZE, run.task.batch_size), run.values["fitted"]
    cut = cut_function(run.task, training=False, fitted=fitted)
    if run.task.bag:
        records = select_slices(run.task, prepared, records, fitted)
        raw = read_bags_in_order(prepared, bags_of(prepared, records), batch_size, cut=cut)
    else:
        raw = read_in_order(prepared, records, batch_size, cut=cut)
    batches = eval_batches(raw, run.task, fitted)
    found = []
    with report_damage(prepared), progress("evaluating", len(batches)) as advance:
        for image, _, _ in batches:
            found.append(model.predict_on_batch(image))
            advance(len(found))
    return np.concatenate(found)


def predict_whole(model: keras.Model, task: Task, images: tf.Tensor) -> np.ndarray:
    """(batch, *grid, channels) normalised -> (batch, *grid, labels), by windows where the network
    sees patches."""
    patch = patch_of(task)
    if patch is None:
        return model.predict_on_batch(images)
    return np.stack(
        [
            predict_windows(model.predict_on_batch, image, patch.shape, overlap=patch.overlap)
            for image in images.numpy()
        ]
    )


def predicted_masks(
    model: keras.Model, run: Run, prepared: Prepared, records: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """True and predicted labels of every record, each of the grid's shape, in the order of `records`.

    One batch is in memory at a time.
    """
    batch_size = min(BATCH_SIZE, run.task.batch_size)
    batches = eval_batches(
        read_in_order(prepared, records, batch_size), run.task, run.values["fitted"]
    )
    done = 0
    with report_damage(prepared), progress("evaluating", len(records)) as advance:
        for image, mask, _ in batches:
            predicted = predict_whole(model, run.task, image).argmax(axis=-1)  # (batch, *grid)
            yield from zip(mask.numpy(), predicted, strict=True)
            done += len(predicted)
            advance(done)


def label_pairs(truth: np.ndarray, predicted: np.ndarray, labels: int) -> np.ndarray:
    """(true label, predicted label) counts of the pixels of one image."""
    pairs = np.bincount(np.ravel(truth * labels + predicted), minlength=labels * labels)
    return pairs.reshape(labels, labels)


def pixel_confusions(
    model: keras.Model, run: Run, prepared: Prepared, records: np.ndarray
) -> np.ndarray:
    """(patients, true label, predicted label) pixel counts, patients sorted."""
    labels = len(run.task.output_names)
    _, patient_of = np.unique(prepared.patients[records].astype(str), return_inverse=True)
    counts = np.zeros((patient_of.max() + 1, labels, labels))
    masks = predicted_masks(model, run, prepared, records)
    for patient, (truth, predicted) in zip(patient_of, masks, strict=True):
        counts[patient] += label_pairs(truth, predicted, labels)
    return counts
