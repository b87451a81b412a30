"""Fits the last layer of a probe (`frozen_probe`, `statistics_probe3d`) to its stored features."""

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np

from mri_tf.calibration.class_balance import class_weights
from mri_tf.core.errors import RunFailed
from mri_tf.metrics.logistic import Fit, Rows, choose_strength, fit_attention, fit_logistic
from mri_tf.models.frozen_probe import STRENGTHS
from mri_tf.models.heads import Standardise
from mri_tf.network.build import PROBES
from mri_tf.network.combat import LAST, STANDARDISED
from mri_tf.store.run import HISTORY
from mri_tf.task.harmonise import combat_batch
from mri_tf.train.batches_of_combat import without_batches
from mri_tf.train.checkpoint import TrainingState
from mri_tf.train.feed import StoredSide
from mri_tf.train.loop import write_history

ATTENTION = "attention"  # a layer of the network, beside those that `network.combat` names


def is_probe(network: keras.Model) -> bool:
    """Whether this network is fitted here and not trained in steps."""
    return network.name in PROBES


def split_at_features(network: keras.Model) -> tuple[keras.Model, keras.Model]:
    """(prefix, suffix) of a probe: images -> features before they are standardised -> probabilities."""
    features = network.get_layer(STANDARDISED)._inbound_nodes[0].input_tensors[0]
    prefix = keras.Model(network.inputs[0], features, name=f"{network.name}_prefix")
    return prefix, keras.Model(features, network.outputs, name=f"{network.name}_suffix")


def fit_probe(
    network: keras.Model, sides: tuple[StoredSide, StoredSide], counts: np.ndarray, folder: Path
) -> TrainingState:
    """Standardises the features, chooses the strength of the penalty and sets the last layers.

    Args:
        network: a probe; its weights are set.
        sides: training and validation side with their stored features.
        counts: (classes,) of the training side.
        folder: of the run, for the history.

    Returns:
        The state of a training of one epoch.

    Raises:
        RunFailed: a feature is no number.
    """
    task, seed = sides[0].source.subset.task, sides[0].source.seed
    training, validation = (_rows(side, counts) for side in sides)
    if combat_batch(task):
        training, validation = without_batches(sides, (training, validation), folder)
    training, validation = _standardised(network.get_layer(STANDARDISED), training, validation)
    strengths = task.model_args.get("strengths", STRENGTHS)
    strength, losses = choose_strength(training, strengths, seed)
    attends = any(layer.name == ATTENTION for layer in network.layers)
    found = (fit_attention if attends else fit_logistic)(training, strength)
    _set_layers(network, found)
    row = {"epoch": 1, "loss": found.loss(training), "val_loss": found.loss(validation),
           "strength": strength}  # fmt: skip
    inner = f", {losses[strength]:.3f} on inner folds of patients" if losses else ""
    print(f"strength {strength:g}: loss {row['loss']:.3f}{inner}, {row['val_loss']:.3f} on validation")
    write_history(folder / HISTORY, [row])
    return TrainingState(epoch=1, history=[row], best_epoch=0)


def _rows(side: StoredSide, counts: np.ndarray) -> Rows:
    """The stored rows of a side with their weights, which add up as an epoch would draw them."""
    source, subset = side.source, side.source.subset
    task, prepared = subset.task, subset.prepared
    wanted = source.wanted
    records, copy = np.divmod(wanted, 1 + source.copies)
    features = np.asarray(side.bank.files[0][wanted], np.float32)
    if not np.isfinite(features).all():
        raise RunFailed(
            "The frozen part of the network gives features that are no numbers.",
            "Look at model_args.weights and at the intensities of the images.",
        )
    augmented = task.augment_probability if source.training and source.copies else 0.0
    shares = np.where(copy == 0, 1 - augmented, augmented / max(source.copies, 1))
    labels, patients = prepared.labels[records], prepared.patients[records]
    weights = class_weights(counts, task.loss_weights)[labels].astype(float)
    if task.bag:  # a patient counts once, however many slices there are
        _, patient, slices = np.unique(patients, return_inverse=True, return_counts=True)
        weights = weights * (1 + source.copies if source.training else 1) / slices[patient]
    if task.oversample:
        weights = weights * np.divide(1.0, counts, out=np.zeros(len(counts)), where=counts > 0)[labels]
    codes = np.unique(patients, return_inverse=True)[1]
    return Rows(features, labels, shares * weights, codes, copy == 0, len(counts), weights)


def _standardised(layer: Standardise, training: Rows, validation: Rows) -> tuple[Rows, Rows]:
    """Both with the training side's mean and SD brought to 0 and 1, as the layer does from now on."""
    shares = training.weights / training.weights.sum()
    axes = tuple(range(training.features.ndim - 1))
    weights = np.broadcast_to(
        shares.reshape(-1, *[1] * (training.features.ndim - 1)), training.features.shape
    )
    mean = np.average(training.features, axis=axes, weights=weights)
    variance = np.average((training.features - mean) ** 2, axis=axes, weights=weights)
    layer.fit(mean, variance)
    mean, sd = (keras.ops.convert_to_numpy(one) for one in (layer.mean, layer.sd))
    return tuple(
        replace(rows, features=(rows.features - mean) / sd) for rows in (training, validation)
    )


def _set_layers(network: keras.Model, found: Fit) -> None:
    last = network.get_layer(LAST)
    last.kernel.assign(found.kernel)
    last.bias.assign(found.bias)
    if found.direction is not None:
        network.get_layer(ATTENTION).direction.assign(found.direction[:, None])
