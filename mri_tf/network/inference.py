"""Predicts records of a prepared set, in order, as they are or averaged over a task's views."""

from collections.abc import Iterator

import keras
import numpy as np
import tensorflow as tf

from mri_tf.core.progress import progress
from mri_tf.network.combat import corrected
from mri_tf.network.penultimate import with_features
from mri_tf.network.views import with_views
from mri_tf.network.windows import predict_windows
from mri_tf.pipeline.batches import report_damage
from mri_tf.pipeline.subset import COMBAT_NUMBER, Subset
from mri_tf.task import Task
from mri_tf.task.settings import patch_of

BATCH_SIZE = 32


def predict_records(model: keras.Model, subset: Subset) -> np.ndarray:
    """Predicts every unit of a subset, averaged over the views of its task (`test_time`).

    Args:
        model: a run's network.
        subset: records as the run reads them; where it answers for patients, their slices are thinned
            to the fitted distance first.

    Returns:
        (units, classes) float32 probabilities as the network gives them, in the order of the units.
    """
    if subset.task.bag:
        subset = subset.thinned()
    return _by_batch(with_views(corrected(model), subset.task), subset, "evaluating")


def predict_features(model: keras.Model, subset: Subset) -> np.ndarray:
    """(units, features) float32: what the last layer of a classifier reads, in order of the units; the
    mean over the views of the task."""
    model = corrected(model)
    features = keras.Model(model.inputs, with_features(model).outputs[1])
    return _by_batch(with_views(features, subset.task), subset, "features of images")


def predict_with_features(model: keras.Model, subset: Subset) -> tuple[np.ndarray, np.ndarray]:
    """What `predict_records` and `predict_features` give, in one pass, for records as they are given:
    of a task that answers for patients, thinned."""
    network = with_features(corrected(model))
    return _by_batch(with_views(network, subset.task), subset, "evaluating")


def _by_batch(model: keras.Model, subset: Subset, label: str):
    """(units, n) what a network gives for every unit, or a tuple of those of several outputs; `label`
    is what the progress bar says."""
    batches = subset.eval_batches(min(BATCH_SIZE, subset.task.batch_size))
    outputs, done, takes_batch = [], 0, model.inputs[-1].name == COMBAT_NUMBER
    with report_damage(subset.prepared), progress(label, len(batches)) as advance:
        for image, _, weight in batches:
            if takes_batch:
                image = [image, subset.combat_numbers[done : done + len(weight)].astype(np.float32)]
            outputs.append(model.predict_on_batch(image))
            done += len(weight)
            advance(len(outputs))
    if isinstance(outputs[0], (list, tuple)):
        return tuple(np.concatenate(of_batches) for of_batches in zip(*outputs, strict=True))
    return np.concatenate(outputs)


def predict_whole(model: keras.Model, task: Task, images: tf.Tensor) -> np.ndarray:
    """Segments whole images, by windows where the network sees patches.

    Args:
        model: a segmentation network.
        task: the task of the network.
        images: (batch, *grid, channels) float32, normalised.

    Returns:
        (batch, *grid, labels) float32 probabilities.
    """
    patch = patch_of(task)
    if patch is None:
        return model.predict_on_batch(images)
    return np.stack(
        [
            predict_windows(model.predict_on_batch, image, patch.shape, overlap=patch.overlap)
            for image in images.numpy()
        ]
    )


def predicted_masks(model: keras.Model, subset: Subset) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields (true labels, predicted labels), each of the grid's shape, for every record in order.

    One batch is in memory at a time.
    """
    done = 0
    with report_damage(subset.prepared), progress("evaluating", len(subset)) as advance:
        for image, mask, _ in subset.whole_batches(min(BATCH_SIZE, subset.task.batch_size)):
            predicted = predict_whole(model, subset.task, image).argmax(axis=-1)  # (batch, *grid)
            yield from zip(mask.numpy(), predicted, strict=True)
            done += len(predicted)
            advance(done)


def label_pairs(truth: np.ndarray, predicted: np.ndarray, labels: int) -> np.ndarray:
    """(true label, predicted label) counts of the pixels of one image."""
    pairs = np.bincount(np.ravel(truth * labels + predicted), minlength=labels * labels)
    return pairs.reshape(labels, labels)


def pixel_confusions(model: keras.Model, subset: Subset) -> np.ndarray:
    """(patients, true label, predicted label) pixel counts, patients sorted by their ids."""
    labels = len(subset.task.output_names)
    patients = subset.prepared.patients[subset.records].astype(str)
    _, patient_of = np.unique(patients, return_inverse=True)
    counts = np.zeros((patient_of.max() + 1, labels, labels))
    masks = predicted_masks(model, subset)
    for patient, (truth, predicted) in zip(patient_of, masks, strict=True):
        counts[patient] += label_pairs(truth, predicted, labels)
    return counts
