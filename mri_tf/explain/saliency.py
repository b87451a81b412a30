"""Where a classifier looks: Grad-CAM and guided backpropagation, in 2D and 3D, on logits.

TensorFlow ops throughout, so that the maps of `explain` and those of a served model are one code.
Maps are raw: nothing is scaled to its own maximum, so two patients' maps can be compared.
"""

import keras
import tensorflow as tf

from mri_tf.core.errors import InputError

MIN_SIDE = 4  # voxels of a layer's grid: a map on fewer says hardly more than left or right
OUTPUT = "probabilities"  # the Dense layer with the softmax, in every classifier here


def explainable_layers(model: keras.Model) -> list[str]:
    """Names of the layers whose output keeps the image's axes, from input to output."""
    rank = len(model.inputs[0].shape)
    return [
        layer.name
        for layer in model.layers
        if not isinstance(layer, keras.layers.InputLayer) and len(layer.output.shape) == rank
    ]


def has_maps(model: keras.Model) -> bool:
    """Whether maps can be made of a classifier: one dense layer gives its answer, and a layer before
    keeps the image's axes."""
    answer = [layer for layer in model.layers if layer.name == OUTPUT]
    return bool(answer) and isinstance(answer[0], keras.layers.Dense) and bool(explainable_layers(model))


def check_layer(model: keras.Model, layer: str) -> str:
    """The layer; for an empty name the last explainable one of at least `MIN_SIDE` a side, or simply
    the last. Raises InputError."""
    known = explainable_layers(model) if has_maps(model) else []
    if not layer and known:
        fine = [one for one in known if min(model.get_layer(one).output.shape[1:-1]) >= MIN_SIDE]
        return (fine or known)[-1]
    if layer not in known:
        raise InputError(
            "A map is made at a layer of the network whose output is an image.",
            layer or "a network without one",
            f"For example {', '.join(known[-5:])}." if known else "Explain another task's run.",
        )  # fmt: skip
    return layer


def grad_cam(
    model: keras.Model, images: tf.Tensor, labels: tf.Tensor, layer: str
) -> tuple[tf.Tensor, tf.Tensor]:
    """(batch, *grid, channels), labels (batch,) -> (map (batch, *layer's grid), probabilities).

    A negative label stands for the most probable class.
    ReLU of the layer's channels weighted by the mean gradient of the label's logit (Selvaraju et
    al. 2017), averaged over every axis of the layer's grid. Where the layer is followed by global
    average pooling and one dense layer this is ReLU(sum_c w_c A_c / N).
    """
    inner = keras.Model(model.inputs, [model.get_layer(layer).output, _before(model)])
    with tf.GradientTape() as tape:
        tape.watch(images)
        activations, last = inner(images, training=False)
        logits = _logits(model, last)
        score = tf.gather(logits, chosen(labels, logits), batch_dims=1)
    gradients = tape.gradient(score, activations)
    axes = list(range(1, activations.shape.rank - 1))
    weights = tf.reduce_mean(gradients, axis=axes, keepdims=True)  # (batch, 1..., channels)
    maps = tf.nn.relu(tf.reduce_sum(weights * activations, axis=-1))
    return tf.cast(maps, tf.float32), tf.nn.softmax(logits)


def chosen(labels: tf.Tensor, scores: tf.Tensor) -> tf.Tensor:
    """Labels (batch,) int32, negative ones replaced by the class of highest score (batch, classes)."""
    return tf.where(labels < 0, tf.argmax(scores, axis=-1, output_type=tf.int32), labels)


def guided_backpropagation(guided: keras.Model, images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Gradient of the label's logit to each voxel and channel, through `guided_copy` of the model.

    (batch, *grid, channels). Springenberg et al. 2015; it shows what voxels the network responds
    to and is little specific to the class (Adebayo et al. 2018): a check, not a proof.
    """
    inner = keras.Model(guided.inputs, _before(guided))
    with tf.GradientTape() as tape:
        tape.watch(images)
        score = tf.gather(_logits(guided, inner(images, training=False)), labels, batch_dims=1)
    return tape.gradient(score, images)


def guided_copy(model: keras.Model) -> keras.Model:
    """The model with the same weights in which every ReLU lets only positive gradients through."""

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


def on_grid(maps: tf.Tensor, grid: tuple[int, ...]) -> tf.Tensor:
    """(batch, *layer's grid) -> (batch, *grid), linear; a layer's voxel lies amid those it pooled."""
    for axis, size in enumerate(grid, 1):
        maps = _stretched(maps, axis, size)
    return maps


def _stretched(maps: tf.Tensor, axis: int, size: int) -> tf.Tensor:
    """Linear interpolation along one axis, flat beyond the centres of the first and last voxel."""
    count = maps.shape[axis]
    places = (tf.range(size, dtype=tf.float32) + 0.5) * (count / size) - 0.5
    places = tf.clip_by_value(places, 0.0, float(count - 1))
    below = tf.cast(tf.floor(places), tf.int32)
    share = places - tf.cast(below, tf.float32)
    share = tf.reshape(share, [size, *[1] * (maps.shape.rank - 1 - axis)])
    above = tf.minimum(below + 1, count - 1)
    return tf.gather(maps, below, axis=axis) * (1 - share) + tf.gather(maps, above, axis=axis) * share


@tf.custom_gradient
def _guided_relu(inputs):
    def gradient(upstream):
        passes = tf.logical_and(inputs > 0, upstream > 0)
        return tf.where(passes, upstream, tf.zeros_like(upstream))

    return tf.nn.relu(inputs), gradient


def _before(model: keras.Model):
    return model.get_layer(OUTPUT).input


def _logits(model: keras.Model, last: tf.Tensor) -> tf.Tensor:
    dense = model.get_layer(OUTPUT)
    return tf.matmul(tf.cast(last, tf.float32), dense.kernel) + dense.bias
