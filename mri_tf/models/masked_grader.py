"""A 3D classifier of what lies inside the structures that a frozen segmentation network finds.

The network finds the brain in a head with its skull, which no threshold does: what is outside has no
say, and intensities are standardised inside. This is ours; recipe A hands over the features instead.
"""

import keras
from keras import layers, ops

from mri_tf.models.grader3d import Grader, graded
from mri_tf.models.heads import SOFTMAX, class_head
from mri_tf.models.layers import freeze, with_mirrored_difference
from mri_tf.models.unet3d import decay

SMALLEST_SD = 1e-3  # of the intensities inside
PREFIX = "grader_"  # of the names of layers, which differ from those of the segmentation network


@keras.saving.register_keras_serializable("mri_tf")
class StandardisedInside(layers.Layer):
    """Images less their mean and divided by their SD inside the structures, and towards 0 outside.

    Inside is how probable it is that a voxel is not of the first class, the background.
    """

    def call(self, images, structures):
        """(batch, *grid, channels) and probabilities (batch, *grid, classes) -> shape of the images."""
        inside = 1 - structures[..., :1]  # (batch, *grid, 1)
        axes = list(range(1, len(images.shape) - 1))
        voxels = ops.sum(inside, axes, keepdims=True) + 1  # finite where nothing is found
        mean = ops.sum(inside * images, axes, keepdims=True) / voxels
        variance = ops.sum(inside * ops.square(images - mean), axes, keepdims=True) / voxels
        return inside * (images - mean) / ops.maximum(ops.sqrt(variance), SMALLEST_SD)


def masked_grader3d(
    features: keras.Model,
    class_count: int,
    *,
    filters: int = 16,
    dense_units: int = 64,
    dropout: float = 0.4,
    weight_decay: float = 1e-4,
    mirrored_difference: bool = False,
    norm: str = "batch",
    head: str = SOFTMAX,
) -> keras.Model:
    """(batch, depth, rows, columns, channels) -> (batch, classes) probabilities; one flat graph.

    The blocks are those of `grader3d`, which see the images of `StandardisedInside`.

    Args:
        features: a 3D segmentation network whose first class is the background; its weights do not
            train. Sides of its grid are divisible by 16.
        class_count: classes to tell apart.
        filters: width of the first block, doubled at each further one.
        dense_units: of both dense layers.
        dropout: after each dense layer.
        weight_decay: of every kernel; see `unet3d.decay`.
        mirrored_difference: whether the blocks also see the image less its mirror image, left for right
            (see `layers.MirroredDifference`).
        norm: "batch" or "group"; see `layers.normalized`.
        head: of the task.
    """
    freeze(features)
    logits = features.get_layer("probabilities").input
    structures = layers.Softmax(dtype="float32", name="structures")(logits)
    x = StandardisedInside(dtype="float32", name="inside")(features.input, structures)
    if mirrored_difference:
        x = with_mirrored_difference(x)
    x = graded(x, Grader(filters, dense_units, dropout, weight_decay, norm), PREFIX)
    probabilities = class_head(x, class_count, head, regularizer=decay(weight_decay))
    return keras.Model(features.input, probabilities, name="masked_grader3d")
