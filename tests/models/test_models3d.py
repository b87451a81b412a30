"""3D networks: parameter counts, equivalent graphs, order of axes, blocks of recipe E, refusals."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from check_model import forward, in_mixed_precision, randomised
from needs import BFLOAT16

from mri_tf.core.errors import InputError
from mri_tf.models import grader3d, mnet, unet3d, vgg
from mri_tf.models.feature_classifier import feature_classifier3d
from mri_tf.models.layers import conv as convolution

CLASSES = 3
SIZE = (16, 32, 48)  # depth, rows, columns: all different, so that a swap of two is seen


@BFLOAT16
@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_filters_get_the_gradient_of_float32_in_volumes_thinner_than_the_kernel(depth):
    shape = (depth, 4, 4, 8)
    image = keras.Input(shape)
    layer = in_mixed_precision(lambda: keras.Model(image, convolution(image, 8, 3, "conv")))
    rng = np.random.default_rng(depth)
    x, weights = (rng.normal(size=(4, *shape)).astype(np.float32) for _ in range(2))
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(tf.cast(layer(x), tf.float32) * weights)
    (gradient,) = tape.gradient(total, layer.trainable_variables)
    kernel = tf.Variable(layer.trainable_variables[0])
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(tf.nn.conv3d(x, kernel, [1] * 5, "SAME") * weights)
    expected = tape.gradient(total, kernel).numpy()
    # Without oneDNN sums are rounded to 8 bits too; the error to find is as large as the gradient.
    assert np.linalg.norm(gradient.numpy() - expected) < 0.03 * np.linalg.norm(expected)


def volumes(count=2, size=SIZE, channels=1, seed=1) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 1, (count, *size, channels)).astype(np.float32)


def inner(model: keras.Model, *names: str) -> keras.Model:
    """The model up to the named layers."""
    outputs = [model.get_layer(name).output for name in names]
    return keras.Model(model.input, outputs if len(outputs) > 1 else outputs[0])


def tiny_mnet(size=SIZE, channels=1) -> keras.Model:
    return mnet.mnet3d((*size, channels), CLASSES, start_filters=2)


def tiny_unet(size=SIZE, channels=1, **arguments) -> keras.Model:
    return unet3d.unet3d((*size, channels), CLASSES, **{"filters": 2, "levels": 3, **arguments})


def tiny_grader(size=SIZE, channels=1, **arguments) -> keras.Model:
    arguments = {"filters": 2, "dense_units": 16, **arguments}
    return grader3d.grader3d((*size, channels), CLASSES, **arguments)


NETWORKS = {"mnet3d": tiny_mnet, "unet3d": tiny_unet, "grader3d": tiny_grader}


# ---- sizes

BATCH_NORM = 4  # values a channel


def conv(inputs: int, outputs: int, side: int = 3) -> int:
    return side**3 * inputs * outputs


def pair(inputs: int, width: int) -> int:
    """Two convolutions of M-Net, the second on the concatenation of input and first."""
    return conv(inputs, width) + conv(inputs + width, width) + 2 * BATCH_NORM * width


def residual(inputs: int, width: int) -> int:
    own = conv(inputs, width) + conv(width, width) + BATCH_NORM * (inputs + width)
    return own + (conv(inputs, width, side=1) if inputs != width else 0)


def head(inputs: int, units: int, classes: int) -> int:
    """Recipe A's two dense layers with BatchNorm, and the softmax."""
    return inputs * units + units * units + 2 * BATCH_NORM * units + (units + 1) * classes


def test_mnet_has_five_levels_and_a_right_leg_of_three():
    n = 12
    width = {level: n * 2 ** (level - 1) for level in range(1, 6)}
    expected = pair(1, n)
    expected += sum(pair(width[level - 1] + n, width[level]) for level in range(2, 6))
    expected += sum(pair(width[level + 1] + width[level], width[level]) for level in range(1, 5))
    expected += 7 * n * 20 + 20
    network = mnet.mnet3d((128, 128, 128, 1), 20)
    assert network.count_params() == expected
    assert network.output_shape == (None, 128, 128, 128, 20)
    assert mnet.pooled_features(network).output_shape == (None, 64, 64, 64, 84)
    assert mnet.full_resolution_features(network).output_shape == (None, 128, 128, 128, 84)


def test_the_classifier_on_features_is_that_of_recipe_a():
    network = mnet.mnet3d((128, 128, 128, 1), 20)
    own = network.count_params()
    scores = sum(layer.count_params() for layer in network.layers if layer.name.startswith("score"))
    model = feature_classifier3d(network, 3)
    expected = conv(84, 32) + 3 * conv(32, 32) + 4 * BATCH_NORM * 32 + head(4**3 * 32, 200, 3)
    assert model.count_params() - (own - scores) == expected
    assert model.output_shape == (None, 3)


def test_scratch_is_vgg16_with_batch_norm():
    model = vgg.vgg3d((128, 128, 128, 1), 3)
    widths = [16] * 2 + [32] * 2 + [64] * 3 + [128] * 6
    expected = sum(
        conv(inputs, width) + BATCH_NORM * width
        for inputs, width in zip([1, *widths], widths, strict=False)
    )
    assert model.count_params() == expected + head(4**3 * 128, 200, 3)
    assert len([layer for layer in model.layers if isinstance(layer, keras.layers.Conv3D)]) == 13


def test_unet_and_grader_have_the_parameters_of_their_blocks():
    f = 16
    unet = conv(4, f) + residual(f, f) + sum(residual(f * 2**k, f * 2 ** (k + 1)) for k in range(3))
    unet += sum(conv(f * 2 ** (k + 1), f * 2**k, 1) + residual(f * 2**k, f * 2**k) for k in range(3))
    unet += BATCH_NORM * f + (f + 1) * 2
    assert unet3d.unet3d((64, 64, 64, 4), 2).count_params() == unet
    grader = conv(4, f) + residual(f, f) + sum(residual(f * 2**k, f * 2 ** (k + 1)) for k in range(3))
    grader += BATCH_NORM * 8 * f + (8 * f + 1) * 64 + 65 * 64 + 65 * 2
    assert grader3d.grader3d((96, 96, 96, 4), 2).count_params() == grader


@pytest.mark.parametrize(
    ("name", "layer"),
    [("mnet3d", "probabilities"), ("mnet3d", "leg_3"), ("unet3d", "probabilities"),
     ("grader3d", "block_2"), ("grader3d", "block_4")],
)  # fmt: skip
def test_a_turned_and_mirrored_volume_gives_turned_and_mirrored_maps(name, layer):
    order = (1, 2, 0)

    # A turned and mirrored volume through turned and mirrored kernels: turned and mirrored maps.
    def turned(array, first):
        axes = [first + axis for axis in order]
        rest = range(first + 3, array.ndim)
        return np.flip(array.transpose(*range(first), *axes, *rest), axis=first).copy()

    model, x = randomised(NETWORKS[name]()), volumes()
    other = NETWORKS[name](tuple(SIZE[axis] for axis in order))
    for variable, source in zip(other.variables, model.variables, strict=True):
        value = source.numpy()
        variable.assign(turned(value, 0) if value.ndim == 5 else value)
    expected = turned(forward(inner(model, layer), x), 1)
    maps = forward(inner(other, layer), turned(x, 1))
    assert np.ptp(expected) > 0.1
    np.testing.assert_allclose(maps, expected, atol=1e-4)


def test_the_features_stay_as_they_are_while_the_classifier_trains():
    network, x = randomised(tiny_mnet((16, 16, 32))), volumes(2, (16, 16, 32))
    before = forward(mnet.pooled_features(network), x)
    model = feature_classifier3d(network, CLASSES, conv_filters=2, dense_units=4, repeats=2)
    trunk = inner(model, "pooled_features")
    np.testing.assert_allclose(trunk(x, training=True), before, atol=1e-5)
    frozen = {variable.path for variable in network.variables}
    assert model.trainable_variables
    assert not frozen & {variable.path for variable in model.trainable_variables}


# ---- recipe E: sums, pre-activation, spatial dropout, coupled decay


def test_skips_of_the_unet_are_sums():
    model = randomised(tiny_unet())
    for level in (1, 2):
        names = (f"skip_{level}", f"down_{level}", f"upsample_{level}")
        total, down, larger = inner(model, *names)(volumes(), training=False)
        assert np.ptp(down) > 0.1 and np.ptp(larger) > 0.1
        np.testing.assert_allclose(total, down + larger, atol=1e-6)
    assert not any(isinstance(layer, keras.layers.Concatenate) for layer in model.layers)


def test_a_block_is_batch_norm_relu_convolution_twice_and_a_sum():
    image = keras.Input((8, 8, 8, 2))
    settings = unet3d.Block(0.05, 1e-6, "batch")
    block = keras.Model(image, unet3d.residual_block(image, 2, "block", settings))
    kinds = [type(layer).__name__ for layer in block.layers[1:]]
    half = ["BatchNormalization", "Activation"]
    assert kinds == [*half, "Conv3D", *half, "SpatialDropout3D", "Conv3D", "Add"]
    assert block.layers[-1].name == "block"


@pytest.mark.parametrize(("name", "block", "before"), [
    ("unet3d", "up_1", "skip_1"), ("unet3d", "down_1", "stem"), ("grader3d", "block_1", "pool_1"),
])  # fmt: skip
def test_a_block_without_its_last_convolution_is_the_identity(name, block, before):
    model = randomised(NETWORKS[name]())
    kernel = model.get_layer(f"{block}_b_conv").kernel
    kernel.assign(np.zeros(kernel.shape))
    after, untouched = inner(model, block, before)(volumes(), training=False)
    assert np.min(untouched) < -0.1  # a ReLU behind the sum would cut these
    np.testing.assert_array_equal(after, untouched)


def test_spatial_dropout_drops_whole_channels():
    model = randomised(tiny_unet(filters=16, dropout=0.5))
    x = volumes(4)
    active, dropped = inner(model, "down_1_b_relu", "down_1_dropout")(x, training=True)
    mean = np.mean(active, axis=(1, 2, 3))
    share = np.mean(dropped, axis=(1, 2, 3))[mean > 0] / mean[mean > 0]
    assert np.all(np.isclose(share, 0, atol=1e-4) | np.isclose(share, 2, atol=1e-4))
    assert 0.2 < (share < 1).mean() < 0.8
    assert not any("dropout" in layer.name for layer in tiny_unet(dropout=0.0).layers)


@pytest.mark.parametrize(("make", "value"), [(tiny_unet, 1e-6), (tiny_grader, 1e-4)])
def test_weight_decay_adds_its_share_of_every_kernel_to_the_gradient(make, value):
    model = randomised(make())
    kernels = [variable for variable in model.trainable_variables if variable.name == "kernel"]
    others = [variable for variable in model.trainable_variables if variable.name != "kernel"]
    with tf.GradientTape() as tape:
        penalty = sum(model.losses)
    gradients = tape.gradient(penalty, [variable.value for variable in kernels + others])
    for variable, gradient in zip(kernels, gradients, strict=False):
        np.testing.assert_allclose(gradient, value * variable.numpy(), rtol=1e-5)
    assert all(gradient is None for gradient in gradients[len(kernels) :])
    assert not make(weight_decay=0.0).losses


# ---- the grader can be explained


def test_blocks_of_the_grader_halve_the_grid_each():
    model = tiny_grader(SIZE, channels=4)
    for number, divisor in ((1, 2), (2, 4), (3, 8), (4, 16)):
        grid = tuple(side // divisor for side in SIZE)
        assert model.get_layer(f"block_{number}").output.shape[1:4] == grid


def test_the_grader_ends_in_a_dense_softmax_and_has_activations_only():
    model = tiny_grader()
    last = model.layers[-1]
    assert (last.name, type(last)) == ("probabilities", keras.layers.Dense)
    assert last.activation is keras.activations.softmax and last.compute_dtype == "float32"
    assert not any(isinstance(layer, keras.layers.ReLU) for layer in model.layers)
    inside = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv3D)]
    assert all(layer.activation is keras.activations.linear for layer in inside)


# ---- refusals


def test_features_too_small_for_the_repeats_are_refused():
    network = tiny_mnet((16, 16, 16))
    with pytest.raises(InputError, match="divisible by 32"):
        feature_classifier3d(network, CLASSES)
