"""2D networks and losses: parameter counts of the paper, equivalent graphs, frozen features."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from check_model import batch_of, forward, randomised
from hypothesis import given
from hypothesis import strategies as st

from mri_tf.calibration.class_balance import class_weights
from mri_tf.core.errors import InputError
from mri_tf.models import grader3d, mnet, unet3d, vgg
from mri_tf.models.feature_classifier import feature_classifier
from mri_tf.models.layers import normalized
from mri_tf.models.registry import builder, check_model_args
from mri_tf.network.build import build_network
from mri_tf.task import Task
from mri_tf.task.rules import LOSS_WEIGHTS
from mri_tf.train.loss import weighted_cross_entropy, with_soft_dice

FILTERS, CLASSES, SIDE = 2, 3, 32


def tiny_mnet(seed=0, side=SIDE, channels=1) -> keras.Model:
    return randomised(mnet.mnet((side, side, channels), CLASSES, start_filters=FILTERS, levels=3), seed)


def images(count=4, side=SIDE, channels=1, seed=1) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 1, (count, side, side, channels)).astype(np.float32)


def values_of(variables) -> list[np.ndarray]:
    return [variable.numpy() for variable in variables]


# ---- sizes


@pytest.mark.parametrize("units", [4, 8, 12])
def test_group_norm_of_a_dense_layer_leaves_differences_between_records(units):
    values = keras.Input((units,))
    layer = keras.Model(values, normalized(values, "dense", "group"))
    result = layer(np.random.default_rng(0).normal(size=(3, units))).numpy()
    assert np.abs(result[0] - result[1]).max() > 0.1


def test_mnet_and_its_classifier_have_the_parameters_of_the_paper():
    network = mnet.mnet((128, 128, 1), 17, start_filters=16)
    own = network.count_params()
    model = feature_classifier(network, 9, conv_filters=16, dense_units=100, repeats=3)
    assert network.output_shape == (None, 128, 128, 17)
    assert model.output_shape == (None, 9)
    assert model.get_layer("pooled_features").output.shape == (None, 64, 64, 496)
    score = sum(layer.count_params() for layer in network.layers if layer.name.startswith("score"))
    classifier = model.count_params() - (own - score)
    assert 3.2e6 < own + classifier < 3.4e6  # the paper: about 3 million


def test_scratch_has_the_parameters_of_the_paper():
    model = vgg.vgg((128, 128, 1), 9, conv_filters=16, dense_units=100)
    assert 0.9e6 < model.count_params() < 1.3e6  # the paper: about 1 million
    assert model.output_shape == (None, 9)


@pytest.mark.parametrize("filters", [2, 3])
def test_the_features_are_31_times_the_first_width(filters):
    network = mnet.mnet((SIDE, SIDE, 1), CLASSES, start_filters=filters)
    assert mnet.full_resolution_features(network).output_shape == (None, SIDE, SIDE, 31 * filters)
    assert mnet.pooled_features(network).output_shape == (None, SIDE // 2, SIDE // 2, 31 * filters)


# ---- equivalent graphs of slices and volumes

TINY = {  # the builder, its grid, levels of the right leg, and the pooling of its features
    "slices": (mnet.mnet, (SIDE, SIDE), 5, keras.layers.MaxPooling2D),
    "volumes": (mnet.mnet3d, (16, 32, 48), 3, keras.layers.MaxPooling3D),
}


@pytest.mark.parametrize(("build", "grid", "levels", "pooling"), TINY.values(), ids=list(TINY))
def test_pooled_features_are_the_max_pooled_full_resolution_features(build, grid, levels, pooling):
    network = randomised(build((*grid, 1), CLASSES, start_filters=FILTERS))
    full = forward(mnet.full_resolution_features(network), batch_of(network))
    pooled = forward(mnet.pooled_features(network), batch_of(network))
    assert full.shape[1:] == (*grid, FILTERS * (2**levels - 1)) and np.ptp(pooled) > 0.1
    np.testing.assert_allclose(pooled, pooling()(full), atol=1e-5)


@pytest.mark.parametrize(("build", "grid", "levels", "pooling"), TINY.values(), ids=list(TINY))
def test_the_split_head_is_one_convolution_on_the_concatenated_right_leg(build, grid, levels, pooling):
    network = randomised(build((*grid, 1), CLASSES, start_filters=FILTERS))
    full = forward(mnet.full_resolution_features(network), batch_of(network)).astype(np.float64)
    layers = [network.get_layer(f"score_{level}") for level in range(1, levels + 1)]
    kernel = np.concatenate([np.squeeze(layer.kernel, tuple(range(len(grid)))) for layer in layers])
    assert kernel.shape == (full.shape[-1], CLASSES)
    assert [layer.use_bias for layer in layers] == [True] + [False] * (levels - 1)
    logits = full @ kernel + layers[0].bias.numpy()
    expected = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    probabilities = forward(network, batch_of(network))
    assert np.ptp(probabilities) > 0.1
    np.testing.assert_allclose(probabilities, expected, atol=1e-5)


# ---- frozen features


def a_task(**changes) -> Task:
    values = dict(
        name="tiny", channels=("ct",), image_shape=(SIDE, SIDE), class_names=("a", "b", "c"),
        model="feature_classifier", features_from="other",
        model_args=dict(conv_filters=2, dense_units=4, repeats=2),
    )  # fmt: skip
    return Task(**{**values, **changes})


def learn(model: keras.Model, batch: tuple, eagerly: bool = False) -> None:
    """Two train steps on one batch."""
    model.compile(
        optimizer=keras.optimizers.Adam(0.01),
        loss=weighted_cross_entropy(np.ones(CLASSES)),
        jit_compile=False,
        run_eagerly=eagerly,
    )
    model.fit(tf.data.Dataset.from_tensors(batch).repeat(2), shuffle=False, verbose=0)


@pytest.mark.parametrize(
    "build",
    [
        lambda features: feature_classifier(
            features, CLASSES, conv_filters=2, dense_units=4, repeats=2
        ),
        lambda features: build_network(a_task(), features),
    ],
    ids=["builder", "task"],
)
def test_the_features_stay_as_they_are_while_the_classifier_learns(build):
    network, x = tiny_mnet(), images(8)
    before = forward(mnet.pooled_features(network), x)
    keras.utils.set_random_seed(0)
    model = build(network)
    trunk = keras.Model(model.inputs[0], model.get_layer("pooled_features").output)
    np.testing.assert_allclose(trunk(x, training=False), before, atol=1e-5)
    np.testing.assert_allclose(trunk(x, training=True), before, atol=1e-5)

    frozen = {variable.path for variable in network.variables}
    own = [variable for variable in model.variables if variable.path not in frozen]
    assert {variable.path for variable in model.trainable_variables} <= {v.path for v in own}
    learning = [variable for variable in own if "seed" not in variable.path]
    feature_values, own_values = values_of(network.variables), values_of(learning)
    batch = (x, np.arange(8) % CLASSES, np.ones(8, np.float32))
    learn(model, batch)
    for variable, old in zip(network.variables, feature_values, strict=True):
        assert np.array_equal(variable, old), variable.path
    for variable, old in zip(learning, own_values, strict=True):
        assert not np.array_equal(variable, old), variable.path
    np.testing.assert_allclose(trunk(x, training=True), before, atol=1e-5)


def test_a_segmentation_network_by_itself_learns():
    keras.utils.set_random_seed(0)  # of the dropout
    network = tiny_mnet(side=16)
    variables = [variable for variable in network.variables if "seed" not in variable.path]
    old = values_of(variables)
    masks = np.random.default_rng(2).integers(0, CLASSES, (4, 16, 16))
    learn(network, (images(side=16), masks, np.ones(4, np.float32)), eagerly=True)
    for variable, before in zip(variables, old, strict=True):
        assert not np.array_equal(variable, before), variable.path


# ---- refusals


@pytest.mark.parametrize(
    ("build", "divisor", "axes"),
    [
        (mnet.mnet, 16, 2), (vgg.vgg, 32, 2), (mnet.mnet3d, 16, 3), (vgg.vgg3d, 32, 3),
        (unet3d.unet3d, 8, 3), (grader3d.grader3d, 16, 3),
    ],
)  # fmt: skip
def test_an_image_that_cannot_be_halved_often_enough_along_any_axis_is_refused(build, divisor, axes):
    for shape in 64 - (divisor // 2) * np.eye(axes, dtype=int):
        with pytest.raises(InputError, match=f"image_shape.*divisible by {divisor}") as error:
            build((*shape.tolist(), 1), CLASSES)
        assert str(shape[0]) in str(error.value)


@pytest.mark.parametrize(
    ("build", "arguments"),
    [(mnet.mnet, dict(levels=1)), (mnet.mnet3d, dict(levels=0)), (vgg.vgg, dict(blocks=6)),
     (vgg.vgg3d, dict(blocks=0))],
)  # fmt: skip
def test_more_or_fewer_levels_than_there_are_are_refused(build, arguments):
    (name, number), axes = next(iter(arguments.items())), 3 if build.__name__.endswith("3d") else 2
    with pytest.raises(InputError, match=f"{name}.*Received: {number}"):
        build((*[64] * axes, 1), CLASSES, **arguments)


def test_an_unknown_model_is_refused_with_the_known_ones():
    with pytest.raises(InputError, match="feature_classifier, feature_classifier3d"):
        builder("unet")


@pytest.mark.parametrize(
    ("model", "arguments", "takes_features"),
    [
        ("unet", {}, False),
        ("mnet", {"filters": 16}, False),
        ("mnet", {"start_filters": 16, "class_count": 2}, False),
        ("vgg", {"input_shape": (32, 32, 1)}, False),
        ("feature_classifier", {"units": 3}, True),
        ("feature_classifier", {}, False),
        ("mnet", {}, True),
    ],
)
def test_a_model_or_argument_that_does_not_exist_is_refused(model, arguments, takes_features):
    with pytest.raises(InputError) as error:
        check_model_args(model, arguments, takes_features)
    assert "\n" not in str(error.value)
    assert "Received:" in str(error.value)


# ---- losses


def test_class_weights_are_equation_2_of_the_paper():
    # f = 1, 4 and 20 of 25: sqrt(25/1), sqrt(25/4), sqrt(25/20)
    weights = class_weights(np.array([1, 4, 20]), "sqrt_inverse_frequency")
    np.testing.assert_allclose(weights / weights[0], [1, 1 / 2, 1.25**0.5 / 5], rtol=1e-6)
    weights = class_weights([1, 4, 20], "inverse_frequency")
    np.testing.assert_allclose(weights / weights[0], [1, 1 / 4, 1 / 20], rtol=1e-6)
    np.testing.assert_array_equal(class_weights([1, 4, 20], "none"), [1, 1, 1])


@given(st.lists(st.integers(0, 500), min_size=2, max_size=44).filter(any))
def test_the_mean_weight_of_the_training_side_is_1_with_every_scheme(counts):
    for scheme in LOSS_WEIGHTS:
        weights = class_weights(np.array(counts), scheme)
        assert np.average(weights, weights=counts) == pytest.approx(1, rel=1e-5)


@pytest.mark.parametrize("scheme", ["sqrt_inverse_frequency", "inverse_frequency"])
def test_a_class_that_never_occurs_has_no_weight_and_changes_no_other(scheme):
    weights = class_weights(np.array([3, 0, 5]), scheme)
    assert weights[1] == 0
    np.testing.assert_array_equal(weights[[0, 2]], class_weights([3, 5], scheme))


WEIGHTS = np.array([0.5, 1.0, 3.0])
SHAPES = [(), (4, 6), (2, 4, 3)]  # of a record: a class, an image, a volume


def a_case(shape, seed=0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, probabilities and the loss of each record."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, CLASSES, (5, *shape))
    probabilities = rng.dirichlet(np.ones(CLASSES) * 2, labels.shape)
    of_label = np.take_along_axis(probabilities, labels[..., None], axis=-1)[..., 0]
    losses = (-np.log(of_label) * WEIGHTS[labels]).reshape(5, -1).mean(axis=1)
    return labels.astype(np.int32), probabilities.astype(np.float32), losses


@pytest.mark.parametrize("shape", SHAPES, ids=["classification", "segmentation", "volume"])
def test_weighted_cross_entropy_is_the_weighted_mean_a_record(shape):
    labels, probabilities, expected = a_case(shape)
    loss = weighted_cross_entropy(WEIGHTS)(tf.constant(labels), tf.constant(probabilities))
    assert loss.shape == (5,)
    np.testing.assert_allclose(loss, expected, rtol=1e-4)


@pytest.mark.parametrize("shape", SHAPES, ids=["classification", "segmentation", "volume"])
def test_smoothing_is_the_cross_entropy_of_targets_that_are_partly_even(shape):
    labels, probabilities, _ = a_case(shape)
    targets = 0.8 * np.eye(CLASSES)[labels] + 0.2 / CLASSES
    expected = -(targets * np.log(probabilities)).sum(axis=-1) * WEIGHTS[labels]
    loss = weighted_cross_entropy(WEIGHTS, 0.2)(tf.constant(labels), tf.constant(probabilities))
    np.testing.assert_allclose(loss, expected.reshape(5, -1).mean(axis=1), rtol=1e-4)


@pytest.mark.parametrize("shape", SHAPES[:2], ids=["classification", "segmentation"])
def test_the_loss_in_training_weighs_records_and_divides_by_the_batch(shape):
    labels, probabilities, expected = a_case(shape)
    model = keras.Sequential([keras.Input((*shape, CLASSES)), keras.layers.Activation("linear")])
    model.compile(loss=weighted_cross_entropy(WEIGHTS))
    weights = np.array([1.25, 1.25, 1.25, 1.25, 0.0], np.float32)  # the last only fills the batch
    batch = tf.data.Dataset.from_tensors((probabilities, labels, weights))
    result = model.evaluate(batch, verbose=0)
    np.testing.assert_allclose(result, expected[:4].mean(), rtol=1e-4)


@pytest.mark.parametrize("shape", SHAPES[1:], ids=["segmentation", "volume"])
def test_soft_dice_takes_its_share_of_the_loss_and_leaves_the_background_out(shape):
    labels, probabilities, entropy = a_case(shape)
    truth = np.eye(CLASSES)[labels].reshape(5, -1, CLASSES)
    predicted = probabilities.reshape(5, -1, CLASSES)
    dice = (2 * (truth * predicted).sum(1) + 1) / (truth.sum(1) + predicted.sum(1) + 1)
    expected = 0.75 * entropy + 0.25 * (1 - dice[:, 1:].mean(axis=1))
    loss = with_soft_dice(weighted_cross_entropy(WEIGHTS), 0.25)
    found = loss(tf.constant(labels), tf.constant(probabilities))
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_the_soft_dice_of_a_class_that_is_neither_there_nor_predicted_costs_nothing():
    labels = tf.zeros((1, 4, 4), tf.int32)
    sure = tf.one_hot(labels, 2)
    loss = with_soft_dice(weighted_cross_entropy(np.ones(2)), 0.5)(labels, sure)
    np.testing.assert_allclose(loss, [0.0], atol=1e-6)


def test_a_probability_of_zero_gives_a_finite_loss():
    loss = weighted_cross_entropy(WEIGHTS)(tf.constant([0]), tf.constant([[0.0, 1.0, 0.0]]))
    assert np.isfinite(loss).all()
    assert loss[0] > 5
