"""Grad-CAM and guided backpropagation in 2D and 3D: where a classifier looks, computed on logits.

All of it is TensorFlow ops, so that `explain` and an exported model share the code. Maps are raw, not
scaled to their maximum, so that the maps of two patients can be compared.
"""

from collections.abc import Callable

import keras
import tensorflow as tf

from mri_tf.core.errors import InputError
from mri_tf.models.heads import CumulativeHead

MIN_SIDE = 4  # voxels of a layer's grid along each axis; coarser maps say little more than left or right
OUTPUT = "probabilities"  # name of the last layer of every classifier


def explainable_layers(model: keras.Model) -> list[str]:
    """Returns the names of the layers whose output has the image's axes, from input to output."""
    rank = len(model.inputs[0].shape)
    return [
        layer.name
        for layer in model.layers
        if not isinstance(layer, keras.layers.InputLayer)
        and not isinstance(layer.output, (list, tuple))  # of an encoder: its maps and a token
        and len(layer.output.shape) == rank
    ]


def has_maps(model: keras.Model) -> bool:
    """Whether maps can be made of a classifier: its output layer reads features, and the output of an
    earlier layer has the image's axes."""
    heads = (keras.layers.Dense, CumulativeHead)
    reads = any(layer.name == OUTPUT and isinstance(layer, heads) for layer in model.layers)
    return reads and bool(explainable_layers(model))


def layer_to_explain(model: keras.Model, layer: str) -> str:
    """Returns the layer to explain at: for "" the last one whose output is an image of at least
    MIN_SIDE voxels along each axis, or simply the last. Raises InputError for any other layer."""
    names = explainable_layers(model) if has_maps(model) else []
    if not layer and names:
        fine = [name for name in names if min(model.get_layer(name).output.shape[1:-1]) >= MIN_SIDE]
        return (fine or names)[-1]
    if layer not in names:
        raise InputError(
            "Grad-CAM needs a layer whose output is an image, before one dense output layer.",
            layer or "a network without such a layer",
            f"Choose for example {', '.join(names[-5:])}." if names else "Explain another task's run.",
        )
    return layer


def grad_cam(
    model: keras.Model, images: tf.Tensor, labels: tf.Tensor, layer: str
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the Grad-CAM maps (batch, *layer's grid) and the probabilities (batch, classes).

    A map is the ReLU of the layer's channels, weighted by the mean gradient of the class's logit (of a
    grade with `head="cumulative"` its log odds) over the layer's grid. Before global average pooling and
    one dense layer it is ReLU(sum_c w_c A_c / N).

    Args:
        model: a classifier for which `has_maps` holds.
        images: (batch, *grid, channels), normalised.
        labels: (batch,) int32, the classes to explain; negative for the most probable one.
        layer: name of the layer, as `layer_to_explain` returns it.

    Source:
        Selvaraju et al. 2017.
    """
    inner = keras.Model(model.inputs, [model.get_layer(layer).output, _before(model)])
    with tf.GradientTape() as tape:
        tape.watch(images)
        activations, last = inner(images, training=False)
        scores = _scores(model, last)
        score = tf.gather(scores, chosen(labels, scores), batch_dims=1)
    gradients = tape.gradient(score, activations)
    axes = list(range(1, activations.shape.rank - 1))
    weights = tf.reduce_mean(gradients, axis=axes, keepdims=True)  # (batch, 1..., channels)
    maps = tf.nn.relu(tf.reduce_sum(weights * activations, axis=-1))
    return tf.cast(maps, tf.float32), model.get_layer(OUTPUT)(last)


def grad_cam_in_graph(model: keras.Model, layer: str) -> Callable:
    """Returns (images, labels) -> what `grad_cam` returns, computed as exported models compute it; keep
    it for many images.

    Operation by operation, oneDNN's gradient of 3D max pooling passes elsewhere where voxels are equal,
    such as those that a ReLU set to 0, and a map differs by some 2e-4.
    """
    image = tf.TensorSpec((None, *model.inputs[0].shape[1:]), tf.float32)
    return tf.function(
        lambda images, labels: grad_cam(model, images, labels, layer),
        input_signature=[image, tf.TensorSpec((None,), tf.int32)], autograph=False,
    )  # fmt: skip


def chosen(labels: tf.Tensor, scores: tf.Tensor) -> tf.Tensor:
    """Replaces negative labels (batch,) int32 by the class of the highest score (batch, classes)."""
    return tf.where(labels < 0, tf.argmax(scores, axis=-1, output_type=tf.int32), labels)


def guided_backpropagation(guided: keras.Model, images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Returns the gradient (batch, *grid, channels) of the logit of `labels` (batch,) in the images.

    `guided` is the `guided_copy` of the model. The gradient shows which voxels the network responds to
    but depends little on the class (Adebayo et al. 2018). Source: Springenberg et al. 2015.
    """
    inner = keras.Model(guided.inputs, _before(guided))
    with tf.GradientTape() as tape:
        tape.watch(images)
        score = tf.gather(_scores(guided, inner(images, training=False)), labels, batch_dims=1)
    return tape.gradient(score, images)


def guided_copy(model: keras.Model) -> keras.Model:
    """Returns a copy of the model in which every ReLU passes only positive gradients."""

    def copied(layer: keras.Layer) -> keras.Layer:
        config = layer.get_config()
        if isinstance(layer, keras.layers.ReLU):
            return keras.layers.Activation(_guided_relu, name=layer.name)
        if getattr(layer, "activation", None) is keras.activations.relu:
            new = layer.__class__.from_config(config)
            new.activation = _guided_relu
            return new
        return layer.__class__.from_config(config)

    guided = keras.models.clone_model(model, clone_function=copied)
    guided.set_weights(model.get_weights())
    return guided


def resize_maps(maps: tf.Tensor, grid: tuple[int, ...]) -> tf.Tensor:
    """Resizes maps (batch, *layer's grid) to (batch, *grid) by linear interpolation; a layer's voxel is
    placed at the centre of those it was pooled from."""
    for axis, size in enumerate(grid, 1):
        count = maps.shape[axis]
        places = (tf.range(size, dtype=tf.float32) + 0.5) * (count / size) - 0.5
        places = tf.clip_by_value(places, 0.0, float(count - 1))  # flat beyond the outermost centres
        below = tf.cast(tf.floor(places), tf.int32)
        above = tf.minimum(below + 1, count - 1)
        share = places - tf.cast(below, tf.float32)
        share = tf.reshape(share, [size, *[1] * (maps.shape.rank - 1 - axis)])
        lower, upper = tf.gather(maps, below, axis=axis), tf.gather(maps, above, axis=axis)
        maps = lower * (1 - share) + upper * share
    return maps


def zoom_step(of_member: dict, of_run: dict) -> float:
    """How many pixels of a member, by what it fitted, one pixel of the run's grid is wide."""
    return of_run["pixel_mm"] / of_member["pixel_mm"] if "pixel_mm" in of_member else 1.0


def zoom_maps(maps: tf.Tensor, step: float) -> tf.Tensor:
    """Maps (batch, *grid) read about the grid's centre at every `step` voxels, linearly; 0 beyond it."""
    if step == 1:
        return maps
    for axis, size in enumerate(maps.shape[1:], 1):
        middle = (size - 1) / 2
        places = middle + (tf.range(size, dtype=tf.float32) - middle) * step
        low = tf.floor(places)
        below, share = tf.cast(low, tf.int32), places - low
        parts = []
        for index, weight in ((below, 1 - share), (below + 1, share)):
            inside = tf.cast((index >= 0) & (index < size), tf.float32)
            weight = tf.reshape(weight * inside, [size, *[1] * (maps.shape.rank - 1 - axis)])
            parts.append(tf.gather(maps, tf.clip_by_value(index, 0, size - 1), axis=axis) * weight)
        maps = tf.add_n(parts)
    return maps


@tf.custom_gradient
def _guided_relu(inputs):
    def gradient(upstream):
        passes = tf.logical_and(inputs > 0, upstream > 0)
        return tf.where(passes, upstream, tf.zeros_like(upstream))

    return tf.nn.relu(inputs), gradient


def _before(model: keras.Model):
    return model.get_layer(OUTPUT).input


def _scores(model: keras.Model, last: tf.Tensor) -> tf.Tensor:
    """(batch, classes): logits of a softmax, the log odds of grades; neither saturates."""
    head = model.get_layer(OUTPUT)
    if isinstance(head, CumulativeHead):
        return head.log_odds(tf.cast(last, tf.float32))
    return tf.matmul(tf.cast(last, tf.float32), head.kernel) + head.bias
