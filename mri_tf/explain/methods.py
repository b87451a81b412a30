"""All maps that can be made of a network, by the name of their method."""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from mri_tf.explain.saliency import (
    grad_cam_in_graph,
    guided_backpropagation,
    guided_copy,
    resize_maps,
)

GRADIENT, GUIDED, GRAD_CAM = "gradient", "guided backpropagation", "Grad-CAM"
METHODS = (GRADIENT, GUIDED, GRAD_CAM)


class Maps:
    """Makes the maps of a network, whose weights may change between calls.

    Args:
        model: a classifier of single images for which `has_maps` holds.
        layer: of it, as `layer_to_explain` returns it.
    """

    def __init__(self, model: keras.Model, layer: str):
        self._model, self._guided = model, guided_copy(model)
        self._cam = grad_cam_in_graph(model, layer)
        self._gradients = {GRADIENT: _in_graph(model), GUIDED: _in_graph(self._guided)}

    def of(self, images: tf.Tensor, labels: tf.Tensor) -> dict[str, np.ndarray]:
        """Name of a method -> (batch, *grid) float32, not negative.

        Of gradients the largest absolute value of the channels. Grad-CAM is brought to the image's grid.

        Args:
            images: (batch, *grid, channels), normalised.
            labels: (batch,) int32, the classes to explain.
        """
        self._guided.set_weights(self._model.get_weights())
        maps = {name: np.abs(gradient(images, labels)).max(axis=-1)
                for name, gradient in self._gradients.items()}  # fmt: skip
        cam = resize_maps(self._cam(images, labels)[0], tuple(images.shape[1:-1]))
        return maps | {GRAD_CAM: cam.numpy()}


def _in_graph(model: keras.Model) -> Callable:
    """(images, labels) -> the gradient of the class's logit in the images, of this network."""
    image = tf.TensorSpec((None, *model.inputs[0].shape[1:]), tf.float32)
    return tf.function(
        lambda images, labels: guided_backpropagation(model, images, labels),
        input_signature=[image, tf.TensorSpec((None,), tf.int32)], autograph=False,
    )  # fmt: skip
