"""What a network is told of its training side before it trains."""

import os
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

from mri_tf.models.backbones import add_backbone
from mri_tf.models.batch_norm import BatchNormalization
from mri_tf.models.heads import Standardise
from mri_tf.network import starting_statistics
from mri_tf.network.starting_statistics import (
    FILE,
    Moments,
    begin_from_training_side,
    folded_norms,
    unfold,
)

SHARED = Path(os.environ.get("MRI_SHARED", ""))
WEIGHTS = SHARED / "weights" / "resnet18_imagenet_partial.weights.h5"
HEARTS = SHARED / "data" / "sunnybrook"


def folded(seed=0):
    """Two convolutions, each with a BatchNorm whose statistics are in the kernel and the shift."""
    keras.utils.set_random_seed(seed)
    image = x = keras.Input((16, 16, 1))
    for number in range(2):
        x = keras.layers.Conv2D(4, 3, padding="same", name=f"conv_{number}")(x)
        x = BatchNormalization(momentum=0.9, name=f"bn_{number}")(x)
        x = keras.layers.Activation("relu")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    x = Standardise(name="standardised")(x)
    network = keras.Model(image, keras.layers.Dense(2, activation="softmax")(x))
    rng = np.random.default_rng(seed)
    for layer in network.layers:
        if isinstance(layer, BatchNormalization):
            layer.beta.assign(rng.normal(size=4) + 1)
        if isinstance(layer, keras.layers.Conv2D):
            layer.kernel.assign(layer.kernel * rng.uniform(0.2, 8, 4))
    return network


def images(count=24, seed=1):
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(count, 16, 16, 1)) * rng.uniform(0.5, 2, (count, 1, 1, 1))).astype("f4")


class Set:
    """As much of a prepared set as is asked for."""

    damage = None

    def content_fingerprint(self):
        return "set"


@pytest.fixture
def training(monkeypatch):
    """A training side of 24 images in batches of 7."""
    data, read = images(), []

    def batches(side):
        read.append(1)
        dataset = tf.data.Dataset.from_tensor_slices((data, np.zeros(24), np.ones(24)))
        return dataset.batch(7)

    monkeypatch.setattr(starting_statistics, "_images", batches)
    return SimpleNamespace(prepared=Set(), records=np.arange(24), read=read, data=data)


def test_an_unfolded_network_answers_as_before_and_trains_on_the_scale_of_its_inference(
    training, tmp_path
):
    network = folded()
    up_to = keras.Model(network.input, network.get_layer("bn_1").output)
    before = up_to(training.data, training=False).numpy()
    trained_before = up_to(training.data, training=True).numpy()
    network = folded()  # the call in training mode has moved the statistics
    up_to = keras.Model(network.input, network.get_layer("bn_1").output)
    begin_from_training_side(network, training, tmp_path)
    np.testing.assert_allclose(up_to(training.data, training=False), before, atol=2e-4)
    trained = up_to(training.data, training=True).numpy()
    assert np.corrcoef(trained.ravel(), before.ravel())[0, 1] > 0.999
    assert np.corrcoef(trained_before.ravel(), before.ravel())[0, 1] < 0.9


def test_features_have_mean_0_and_sd_1_on_the_training_side(training, tmp_path):
    network = folded()
    begin_from_training_side(network, training, tmp_path)
    features = keras.Model(network.input, network.get_layer("standardised").output)(training.data)
    alive = np.std(features, axis=0) > 0
    assert alive.sum() >= 3
    np.testing.assert_allclose(np.mean(features, axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(np.std(features, axis=0)[alive], 1, atol=1e-4)


def test_a_feature_that_is_the_same_in_every_image_becomes_0():
    layer = Standardise()
    layer.build((None, 3))
    layer.fit(np.array([1.0, 2.0, 5.0]), np.array([4.0, 0.0, 1.0]))
    np.testing.assert_allclose(layer(np.array([[3.0, 2.0, 5.0]], "f4")), [[1.0, 0.0, 0.0]])


def test_a_training_that_continues_begins_from_what_is_kept_and_other_weights_are_measured_anew(
    training, tmp_path
):
    first, again = folded(), folded()
    begin_from_training_side(first, training, tmp_path)
    begin_from_training_side(again, training, tmp_path)
    assert len(training.read) == 1 and (tmp_path / FILE).is_file()
    for one, two in zip(first.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
    begin_from_training_side(folded(seed=3), training, tmp_path)
    assert len(training.read) == 2
    (tmp_path / FILE).write_bytes(b"torn")
    begin_from_training_side(folded(), training, tmp_path)
    assert len(training.read) == 3


def test_batch_norm_that_is_new_frozen_or_has_statistics_of_its_own_is_left_alone():
    network = folded()
    assert [layer.name for layer in folded_norms(network)] == ["bn_0", "bn_1"]
    network.get_layer("bn_0").trainable = False
    network.get_layer("bn_1").moving_mean.assign(np.full(4, 0.1))
    assert folded_norms(network) == []
    network.get_layer("bn_1").moving_mean.assign(np.zeros(4))
    network.get_layer("bn_1").beta.assign(np.zeros(4))
    assert folded_norms(network) == []


def test_moments_of_unequal_batches_are_those_of_all_numbers():
    rng = np.random.default_rng(0)
    numbers = rng.normal(3, 2, (100, 5))
    total = Moments()
    for part in np.split(numbers, [1, 30, 37]):
        total.add(part.mean(axis=0), part.var(axis=0), len(part))
    np.testing.assert_allclose(total.mean, numbers.mean(axis=0))
    np.testing.assert_allclose(total.variance, numbers.var(axis=0))


@pytest.mark.skipif(not (WEIGHTS.is_file() and HEARTS.is_dir()), reason="needs $MRI_SHARED")
def test_on_real_images_the_last_block_of_the_partial_weights_trains_as_it_is_used():
    """In training mode the folded block correlates 0.6 to 0.7 with what was pre-trained."""
    from PIL import Image

    files = sorted(HEARTS.rglob("*.png"))[:400:10]
    pictures = [np.asarray(Image.open(file).convert("L").resize((128, 128)), float) for file in files]
    hearts = np.stack([(one - one.mean()) / max(one.std(), 1) for one in pictures])[..., None]
    image = keras.Input((128, 128, 1))
    maps = add_backbone(image, "resnet18", str(WEIGHTS), "stack2", "zscore")
    network = keras.Model(image, maps)
    for layer in network.layers:  # recipe B: the last convolution and its BatchNorm
        layer.trainable = layer.name.startswith("stack2_block1_2_")
    (norm,) = folded_norms(network)
    used = network(hearts, training=False).numpy()
    inputs = keras.Model(image, norm._inbound_nodes[0].input_tensors[0])(hearts, training=False).numpy()
    values = norm.get_weights()
    as_loaded = network(hearts, training=True).numpy()
    norm.set_weights(values)
    unfold(norm, inputs.mean(axis=(0, 1, 2)), inputs.var(axis=(0, 1, 2)))
    np.testing.assert_allclose(network(hearts, training=False), used, atol=1e-3)
    unfolded = network(hearts, training=True).numpy()
    assert np.corrcoef(unfolded.ravel(), used.ravel())[0, 1] >= 0.99
    assert np.corrcoef(as_loaded.ravel(), used.ravel())[0, 1] < 0.9
