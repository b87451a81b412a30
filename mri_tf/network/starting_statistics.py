"""What a network is told of its training side before it trains, in one pass over the images.

Means and variances of two kinds of layers:

- BatchNorm that was folded into the weights of a file (scale 1, mean 0, variance 1, all of it in the
  shift) computes the right thing while it is used and another one while it trains, because it then
  scales by the statistics of a batch. It is unfolded: it gets the mean and variance of its inputs, and
  the scale and shift with which its outputs stay what they were.
- Features before a dense layer (`heads.Standardise`) get their mean and SD.
"""

import dataclasses
import io
import zipfile
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from mri_tf.core.files import write_atomic
from mri_tf.core.hashing import content_hash, fingerprint
from mri_tf.core.progress import progress
from mri_tf.models.heads import Standardise
from mri_tf.pipeline.batches import eval_batches, read_in_order, report_damage
from mri_tf.pipeline.subset import Subset

BATCH_SIZE = 32  # images in memory, with the outputs of all layers
NEARLY = 2e-3  # above the epsilons in use
FILE = ".starting_statistics.npz"  # in the run's folder while it trains


def begin_from_training_side(network: keras.Model, training: Subset, folder: Path) -> None:
    """Unfolds the folded BatchNorm that trains and fits the standardisation of features.

    Does nothing where the network has neither. What was found is kept in `folder`, so that a training
    that continues begins from the same numbers.

    Args:
        network: that of single images, flat, with the weights it begins with.
        training: the training side.
        folder: of the run.
    """
    norms, heads = folded_norms(network), standardised(network)
    if not norms and not heads:
        return
    moments = _kept_moments(network, [*norms, *heads], training, folder / FILE)
    for layer, (mean, variance) in zip(norms, moments[: len(norms)], strict=True):
        unfold(layer, mean, variance)
    for layer, (mean, variance) in zip(heads, moments[len(norms) :], strict=True):
        layer.fit(mean, variance)


def folded_norms(network: keras.Model) -> list[keras.layers.BatchNormalization]:
    """The BatchNorm layers that train and whose scale and statistics are in the weights before them."""
    return [
        layer
        for layer in network.layers
        if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable and _is_folded(layer)
    ]


def standardised(network: keras.Model) -> list[Standardise]:
    """The layers of a network that bring features to one scale."""
    return [layer for layer in network.layers if isinstance(layer, Standardise)]


def unfold(layer: keras.layers.BatchNormalization, mean: np.ndarray, variance: np.ndarray) -> None:
    """Gives a BatchNorm the statistics of its inputs, (channels,) each; its outputs stay the same."""
    gamma, beta, before, spread = map(keras.ops.convert_to_numpy, layer.weights)
    slope = gamma / np.sqrt(spread + layer.epsilon)
    layer.gamma.assign(slope * np.sqrt(variance + layer.epsilon))
    layer.beta.assign(beta + slope * (mean - before))
    layer.moving_mean.assign(mean)
    layer.moving_variance.assign(variance)


def _is_folded(layer: keras.layers.BatchNormalization) -> bool:
    """A layer that nobody has trained has no shift either."""
    if layer.gamma is None or layer.beta is None:
        return False
    gamma, beta, mean, variance = map(keras.ops.convert_to_numpy, layer.weights)
    # Some files hold the variance with which epsilon adds up to 1.
    ones = np.allclose(gamma, 1, atol=NEARLY) and np.allclose(variance, 1, atol=NEARLY)
    return bool(ones and not mean.any() and beta.any())


def _kept_moments(network: keras.Model, read: list, training: Subset, kept: Path) -> list:
    """(mean, variance) of the inputs of each layer of `read`, from the file or computed into it."""
    identity = fingerprint(
        [training.prepared.content_fingerprint(), np.asarray(training.records).tolist(),
         [content_hash(array) for array in network.get_weights()]]
    )  # fmt: skip
    try:
        with np.load(kept, allow_pickle=False) as saved:
            if str(saved["identity"]) == identity:
                return [tuple(saved[f"moments_{number}"]) for number in range(len(read))]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        pass
    moments = _moments(network, read, training)
    buffer = io.BytesIO()
    arrays = {f"moments_{number}": np.stack(pair) for number, pair in enumerate(moments)}
    np.savez(buffer, identity=np.array(identity), **arrays)
    write_atomic(kept, buffer.getbuffer())
    return moments


def _moments(network: keras.Model, read: list, training: Subset) -> list:
    """(mean, variance), float64 (channels,) each, of what each layer of `read` is given."""
    inputs = [layer._inbound_nodes[0].input_tensors[0] for layer in read]
    up_to = keras.Model(network.inputs, inputs)

    @tf.function
    def of_batch(image):
        found = keras.tree.flatten(up_to(image, training=False))
        wide = [tf.cast(x, tf.float32) for x in found]
        return [(*tf.nn.moments(x, list(range(x.shape.rank - 1))), _count(x)) for x in wide]

    sums = [Moments() for _ in read]
    batches = _images(training)
    with report_damage(training.prepared), progress("training side", len(batches)) as advance:
        for done, (image, _, _) in enumerate(batches, start=1):
            for total, (mean, variance, count) in zip(sums, of_batch(image), strict=True):
                total.add(mean.numpy(), variance.numpy(), int(count))
            advance(done)
    return [(total.mean, total.variance) for total in sums]


def _count(x: tf.Tensor) -> tf.Tensor:
    return tf.size(x) // x.shape[-1]


class Moments:
    """Mean and variance of numbers that come in batches (Chan, Golub and LeVeque 1979)."""

    def __init__(self):
        self.count, self.mean, self.squares = 0, 0.0, 0.0

    def add(self, mean: np.ndarray, variance: np.ndarray, count: int) -> None:
        """Counts a batch of `count` numbers of this mean and variance in."""
        mean, variance = mean.astype(np.float64), variance.astype(np.float64)
        total = self.count + count
        apart = mean - self.mean
        self.squares = self.squares + variance * count + apart**2 * self.count * count / total
        self.mean = self.mean + apart * count / total
        self.count = total

    @property
    def variance(self) -> np.ndarray:
        """Of all numbers so far."""
        return self.squares / self.count


def _images(training: Subset) -> tf.data.Dataset:
    """(image, target, weight) of every record once, as the network is given it, nothing augmented."""
    task = dataclasses.replace(training.task, bag={})
    size = min(BATCH_SIZE, task.batch_size)
    cut = training.cut(training=True)
    raw = read_in_order(training.prepared, training.records, size, cut=cut)
    return eval_batches(raw, task, training.fitted)
