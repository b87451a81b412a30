"""A logistic regression on intensities inside a frozen network's structures and how the sides differ.

The segmentation network finds the brain in a head with its skull, which no threshold does. Few patients
are enough to learn from what then is counted: how often each intensity occurs, how dark and how bright
regions become, and how far the left differs from the right. This is ours; recipe A hands over the
features of the network instead.
"""

import math
from dataclasses import dataclass

import keras
import numpy as np
from keras import layers, ops

from mri_tf.models.frozen_probe import STRENGTHS, check_strengths, require_softmax
from mri_tf.models.heads import SOFTMAX, Standardise, class_head
from mri_tf.models.layers import freeze
from mri_tf.models.masked_grader import StandardisedInside

COARSE = 32  # longest side of the grid on which voxels are counted
INTENSITIES = np.linspace(-3, 3, 13)  # SD from the mean, of the bins of the histogram
BLURS = (0.7, 1.2, 2.0)  # SD in voxels of the coarse grid
POWERS = (1, 2, 4, 8)  # of means of differences: from the whole to the most different place
TAILS = (-4.0, -2.0, 2.0, 4.0)  # negative: how dark regions become, positive: how bright
LARGEST = 4.0  # intensity that counts in the tails
LEAST = 1e-3  # keeps quotients and logarithms finite where no structure is found


def statistics_probe3d(
    features: keras.Model,
    class_count: int,
    *,
    strengths: tuple[float, ...] = STRENGTHS,
    head: str = SOFTMAX,
) -> keras.Model:
    """(batch, depth, rows, columns, channels) -> (batch, classes) probabilities; one flat graph.

    Only the last layer is fitted, as that of `frozen_probe` is: a logistic regression whose penalty is
    chosen by cross-validation within the training patients.

    Args:
        features: a 3D segmentation network whose first class is the background; its weights do not
            train. The middle of its columns is the plane between left and right.
        class_count: classes to tell apart.
        strengths: of the penalty, as in `frozen_probe`.
        head: of the task; only "softmax".
    """
    require_softmax(statistics_probe3d.__name__, head)
    freeze(features)
    logits = features.get_layer("probabilities").input
    structures = layers.Softmax(dtype="float32", name="structures")(logits)
    inside = StandardisedInside(dtype="float32", name="inside")(features.input, structures)
    maps = VoxelCounts(dtype="float32", name="maps")(inside, structures)
    x = CountedStatistics(features.input_shape[-1], dtype="float32", name="statistics")(maps)
    x = Standardise(name="standardised")(x)  # (batch, statistics)
    return keras.Model(
        features.input, class_head(x, class_count, head), name=statistics_probe3d.__name__
    )


def check(arguments: dict) -> None:
    """Raises InputError for values that the builder would refuse, before any data is read."""
    check_strengths(arguments["strengths"])


@dataclass(frozen=True)
class Counts:
    """Where the maps of one channel of an image lie among the maps of `VoxelCounts`."""

    first: int

    @property
    def intensities(self) -> slice:
        return slice(self.first, self.first + len(INTENSITIES))

    @property
    def tails(self) -> slice:
        start = self.intensities.stop
        return slice(start, start + len(BLURS) * len(TAILS))

    @property
    def differences(self) -> slice:
        start = self.tails.stop
        return slice(start, start + len(BLURS) * len(POWERS))


INSIDE, BOTH_SIDES, UNSURE = range(3)  # the first maps
OF_ALL, OF_A_CHANNEL = 3, Counts(0).differences.stop


@keras.saving.register_keras_serializable("mri_tf")
class VoxelCounts(layers.Layer):
    """What each voxel adds to the statistics: (batch, *coarse grid, maps).

    The first maps are how much of the voxel lies inside the structures, the same where the mirrored
    voxel does, too, and how unsure the network is of the structure (entropy). Then come for each channel
    of the image the bins of a histogram, exponentials of the blurred intensity and powers of its
    difference to the mirrored one; see `Counts`.
    """

    def call(self, images, structures):
        """Images (batch, *grid, channels) of `StandardisedInside`, and probabilities of the structures
        (batch, *grid, classes) whose first class is the background."""
        factor = max(1, max(images.shape[1:-1]) // COARSE)
        structures = _coarse(structures, factor)  # (batch, *coarse grid, classes)
        share = 1 - structures[..., :1]
        inside = ops.clip(2 * share - 1, 0, 1)  # voxels of less than a half do not count
        both = inside * _mirrored(inside)
        unsure = -ops.sum(structures * ops.log(structures + 1e-6), -1, keepdims=True)
        values = _coarse(images, factor) / ops.maximum(share, 0.5)  # (batch, *coarse grid, channels)
        maps = [inside, both, inside * unsure]
        for channel in range(images.shape[-1]):
            maps += self._of_channel(values[..., channel : channel + 1], inside, both)
        return ops.concatenate(maps, axis=-1)

    def _of_channel(self, values, inside, both) -> list:
        """The maps of (batch, *coarse grid, 1) intensities."""
        width = INTENSITIES[1] - INTENSITIES[0]
        clipped = ops.clip(values, INTENSITIES[0], INTENSITIES[-1])
        bins = ops.relu(1 - ops.abs(clipped - INTENSITIES.astype(np.float32)) / width)
        maps, differences = [inside * bins], []
        for blur in BLURS:
            blurred = _blurred(inside * values, blur) / ops.maximum(_blurred(inside, blur), 0.05)
            bounded = ops.clip(blurred, -LARGEST, LARGEST)
            maps += [inside * ops.exp(steepness * bounded) for steepness in TAILS]
            difference = ops.abs(bounded - _mirrored(bounded))
            differences += [both * difference**power for power in POWERS]
        return maps + differences


@keras.saving.register_keras_serializable("mri_tf")
class CountedStatistics(layers.Layer):
    """Maps of `VoxelCounts` (batch, *grid, maps) -> statistics of their sums (batch, n).

    Args:
        channels: of the image that was counted.
    """

    def __init__(self, channels: int, *, name=None, dtype=None, trainable=True):
        super().__init__(name=name, dtype=dtype, trainable=trainable)
        self.channels = channels

    def call(self, maps):
        middle = maps.shape[-2] // 2
        sides = (maps[..., :middle, :], maps[..., middle:, :])
        halves = [ops.sum(side, axis=(1, 2, 3)) for side in sides]  # (batch, maps) each
        sums = halves[0] + halves[1]  # (batch, maps)
        inside, both = (sums[:, one : one + 1] + LEAST for one in (INSIDE, BOTH_SIDES))
        found = [ops.log(inside), sums[:, UNSURE : UNSURE + 1] / inside]
        for channel in range(self.channels):
            counts = Counts(OF_ALL + channel * OF_A_CHANNEL)
            shares = [half[:, counts.intensities] / (half[:, :1] + LEAST) for half in halves]
            apart = ops.sum(ops.abs(shares[0] - shares[1]), -1, keepdims=True)
            tails = ops.log(sums[:, counts.tails] / inside + LEAST) / _repeated(TAILS)
            powers = sums[:, counts.differences] / both + LEAST**4
            found += [
                sums[:, counts.intensities] / inside, apart, tails, powers ** (1 / _repeated(POWERS))
            ]  # fmt: skip
        return ops.concatenate(found, axis=-1)

    def compute_output_spec(self, maps):
        of_channel = OF_A_CHANNEL + 1  # the difference of the sides' histograms is a number more
        return keras.KerasTensor((maps.shape[0], 2 + self.channels * of_channel), self.compute_dtype)

    def get_config(self) -> dict:
        return super().get_config() | dict(channels=self.channels)


def _coarse(values, factor: int):
    """Means over cubes of `factor` voxels a side; what is left over at the end of a side is cut off."""
    return ops.average_pool(values, factor) if factor > 1 else values


def _mirrored(values):
    """Columns in the reverse order, which run from the patient's right to the left."""
    return ops.flip(values, axis=-2)


def _blurred(values, sigma: float):
    """(batch, depth, rows, columns, 1) after a Gaussian of SD `sigma` voxels; 0 beyond the grid."""
    reach = math.ceil(3 * sigma)
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    weights = (weights / weights.sum()).astype(np.float32)
    for axis in range(3):
        shape = [1] * 5
        shape[axis] = len(weights)
        values = ops.conv(values, weights.reshape(shape), padding="same")
    return values


def _repeated(numbers: tuple) -> np.ndarray:
    """(numbers x blurs,) in the order of the maps: all numbers of the first blur, then of the next."""
    return np.tile(np.array(numbers, np.float32), len(BLURS))
