"""Checks that every network must pass, whatever it is for."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

RECORDS = 3  # in a batch


def check_model(build: Callable[[], keras.Model], shape: tuple[int, ...]) -> None:
    """Runs the standard checks that need no bfloat16 on the processor.

    Args:
        build: returns the network with fresh weights.
        shape: of one record's output: (classes,) or (depth, rows, columns, classes), for example.
    """
    model, other = _check_seed(build)
    # Saliency maps cannot see into a nested network.
    assert not any(isinstance(layer, keras.Model) for layer in model.layers)
    randomised(model)
    probabilities = forward(model, batch_of(model))
    assert probabilities.shape == (RECORDS, *shape) and model.output_shape == (None, *shape)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=-1), 1, atol=1e-5)
    _check_saved_weights(model, randomised(other, seed=5), probabilities)
    _check_gradients(model, shape)
    _check_precision_of_layers(build)


def check_bfloat16(build: Callable[[], keras.Model], shape: tuple[int, ...]) -> None:
    """Computes outputs and gradients in mixed precision; arguments as in `check_model`."""
    in_float32 = randomised(build())
    model = randomised(in_mixed_precision(build))
    probabilities = forward(model, batch_of(model))
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=-1), 1, atol=1e-5)
    difference = np.abs(probabilities - forward(in_float32, batch_of(in_float32)))
    assert difference.mean() < 0.05
    for variable, gradient in _gradients(model, shape):
        assert gradient is not None and np.isfinite(gradient).all(), variable.path


def randomised(model: keras.Model, seed: int = 0) -> keras.Model:
    """The model with random weights and BatchNorm statistics that are not those of a new one."""
    rng = np.random.default_rng(seed)
    for variable in model.variables:
        if not variable.dtype.startswith("float"):
            continue  # the state of a dropout's seed
        scale = np.sqrt(2 / max(1, np.prod(variable.shape[:-1]))) if len(variable.shape) > 1 else 0.3
        values = rng.normal(0, scale, variable.shape)
        if variable.path.endswith(("gamma", "moving_variance", "/sd")):
            values = rng.uniform(0.5, 1.5, variable.shape)
        variable.assign(values)
    return model


def forward(model: keras.Model, x: np.ndarray) -> np.ndarray:
    """What the model gives in inference, without compiling anything."""
    return model(x, training=False).numpy()


def batch_of(model: keras.Model) -> np.ndarray:
    """Random images or volumes of the model's input shape."""
    shape = (RECORDS, *model.input_shape[1:])
    return np.random.default_rng(1).normal(0, 1, shape).astype(np.float32)


def _gradients(model: keras.Model, shape: tuple[int, ...]) -> list[tuple]:
    """(variable, gradient of the cross entropy) of everything that trains."""
    keras.utils.set_random_seed(1)  # of the dropout
    labels = np.random.default_rng(2).integers(0, shape[-1], (RECORDS, *shape[:-1]))
    with tf.GradientTape() as tape:
        probabilities = model(batch_of(model), training=True)
        loss = tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(labels, probabilities))
    trained = model.trainable_variables
    gradients = tape.gradient(loss, [variable.value for variable in trained])
    return list(zip(trained, gradients, strict=True))


def _check_gradients(model: keras.Model, shape: tuple[int, ...]) -> None:
    pairs = _gradients(model, shape)
    assert pairs
    for variable, gradient in pairs:
        assert gradient is not None and np.abs(gradient).max() > 0, variable.path


def _check_saved_weights(model: keras.Model, other: keras.Model, probabilities: np.ndarray) -> None:
    """`probabilities` are what `model` gives; `other` has other weights."""
    x = batch_of(other)
    assert not np.array_equal(forward(other, x), probabilities)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "model.weights.h5")
        model.save_weights(file)
        other.load_weights(file)
    np.testing.assert_array_equal(forward(other, x), probabilities)


def _check_seed(build: Callable[[], keras.Model]) -> list[keras.Model]:
    """Two networks of different seeds, after comparing the first with another of its seed."""
    models = []
    for seed in (3, 3, 4):
        keras.utils.set_random_seed(seed)
        models.append(build())
    kernels = [[value for value in model.get_weights() if value.ndim > 1] for model in models]
    assert kernels[0]
    for first, same, other in zip(*kernels, strict=True):
        np.testing.assert_array_equal(first, same)
        assert not np.array_equal(first, other)
    return models[1:]


def _check_precision_of_layers(build: Callable[[], keras.Model]) -> None:
    model = in_mixed_precision(build)
    assert model.output.dtype == "float32"
    for layer in model.layers:
        if isinstance(layer, (keras.layers.Conv2D, keras.layers.Conv3D)):
            thin = len(layer.kernel_size) == 3 and layer.input.shape[1] < layer.kernel_size[0]
            # Where the kernel is deeper than the volume: see mri_tf.models.layers.conv.
            assert layer.compute_dtype == ("float32" if thin else "bfloat16"), layer.name


def in_mixed_precision(build: Callable[[], keras.Model]) -> keras.Model:
    """The network built as `precision="mixed_bfloat16"` of a task has it."""
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        return build()
    finally:
        keras.config.set_dtype_policy(policy)
