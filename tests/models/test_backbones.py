"""Backbones: their weights, the scaling of intensities, channels, names of layers, and refusals."""

import os
import socket
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
from keras.src.applications.imagenet_utils import preprocess_input

from mri_tf.core.errors import InputError
from mri_tf.explain.saliency import grad_cam, guided_backpropagation, guided_copy, layer_to_explain
from mri_tf.models import backbone_classifier, backbones
from mri_tf.models.registry import builder, check_model_args
from mri_tf.network.build import check_task
from mri_tf.task import Task
from mri_tf.train.frozen_prefix import split_at_frozen

SIDE = 64
MEAN, SD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])  # torchvision's, of ImageNet


@pytest.fixture(scope="session")
def source():
    """KerasHub's ResNet-18 with BatchNorm statistics that are not those of a new one."""
    keras.utils.set_random_seed(0)
    network = backbones._resnet("resnet18")
    rng = np.random.default_rng(0)
    for variable in network.variables:
        if variable.path.endswith(("moving_mean", "beta")):
            variable.assign(rng.normal(0, 0.1, variable.shape))
        if variable.path.endswith(("moving_variance", "gamma")):
            variable.assign(rng.uniform(0.5, 1.5, variable.shape))
    return network


@pytest.fixture(scope="session")
def files(source, tmp_path_factory):
    """The same weights as a file and as a preset folder."""
    home = tmp_path_factory.mktemp("weights")
    source.save_weights(home / "resnet18.weights.h5")
    source.save_to_preset(str(home / "preset"))
    return {"file": str(home / "resnet18.weights.h5"), "preset": str(home / "preset")}


@pytest.fixture(scope="session")
def grey(files):
    keras.utils.set_random_seed(0)
    return backbone_classifier.backbone_classifier((SIDE, SIDE, 1), 2, weights=files["file"])


def _images(channels, seed=1, count=2):
    return np.random.default_rng(seed).uniform(0, 1, (count, SIDE, SIDE, channels)).astype(np.float32)


def _features(model, image, layer):
    return keras.Model(model.input, model.get_layer(layer).output)(image, training=False).numpy()


def _cut(channels, backbone, weights, *cut_and_intensities, rows=SIDE, columns=SIDE):
    """A backbone up to a layer."""
    image = keras.Input((rows, columns, channels))
    x = backbones.add_backbone(image, backbone, weights, *cut_and_intensities)
    return keras.Model(image, x)


def test_a_grey_image_is_repeated_three_times_and_scaled_by_imagenet_s_mean_and_sd(source, grey):
    image = _images(1)
    expected = source(((np.repeat(image, 3, -1) - MEAN) / SD).astype(np.float32), training=False).numpy()
    maps = _features(grey, image, "stack3_block1_out")
    np.testing.assert_allclose(maps, expected, rtol=1e-3, atol=1e-4)
    dense = grey.get_layer("probabilities")
    logits = expected.mean(axis=(1, 2)) @ dense.kernel.numpy() + dense.bias.numpy()
    shares = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(grey(image, training=False), shares, atol=1e-4)
    assert grey.output.dtype == "float32"


@pytest.mark.parametrize("cut_after, channels", [("stack0", 64), ("stack1_block0_1_relu", 128)])
def test_a_preset_folder_gives_the_weights_of_the_file_and_cut_after_names_the_last_layer(
    source, files, cut_after, channels
):
    cut = _cut(3, "resnet18", files["preset"], cut_after)
    assert cut.output.shape[-1] == channels
    colour = _images(3)
    last = "stack0_block1_out" if cut_after == "stack0" else cut_after
    expected = _features(source, ((colour - MEAN) / SD).astype(np.float32), last)
    np.testing.assert_allclose(cut(colour, training=False), expected, rtol=1e-3, atol=1e-4)


def test_z_scores_are_taken_for_images_scaled_by_imagenet_s_mean_and_sd(files):
    unit, zscore = (
        _cut(3, "resnet18", files["file"], "conv1", intensities) for intensities in ("unit", "zscore")
    )
    colour = _images(3)
    standard = ((colour - MEAN) / SD).astype(np.float32)
    np.testing.assert_allclose(unit(colour), zscore(standard), atol=1e-4)


def test_the_fourth_of_four_channels_is_added_to_the_first_colour(source, files):
    model, four = _cut(4, "resnet18", files["file"], "conv1_conv", "zscore"), _images(4)
    as_three = np.stack([four[..., 0] + four[..., 3], four[..., 1], four[..., 2]], axis=-1) * 0.75
    expected = _features(source, as_three, "conv1_conv")
    np.testing.assert_allclose(model(four), expected, atol=1e-4)


def test_the_graph_is_flat_and_batch_norm_is_that_of_the_other_networks(grey):
    assert not any(isinstance(layer, keras.Model) for layer in grey.layers)
    norms = [layer for layer in grey.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert len(norms) == 20
    assert {(norm.momentum, norm.epsilon, norm.synchronized) for norm in norms} == {(0.9, 1e-5, True)}


def test_grad_cam_at_the_last_stack_has_its_closed_form_and_guided_gradients_differ_from_plain(grey):
    images, labels = tf.constant(_images(1)), tf.constant([0, 1])
    layer = layer_to_explain(grey, "stack3_block1_out")
    maps = _features(grey, images, layer)  # (2, 2, 2, 512)
    kernel = grey.get_layer("probabilities").kernel.numpy()[:, labels.numpy()].T
    expected = np.maximum((maps * kernel[:, None, None]).sum(-1), 0) / (maps.shape[1] * maps.shape[2])
    cam, _ = grad_cam(grey, images, labels, layer)
    assert expected.max() > 0
    np.testing.assert_allclose(cam, expected, rtol=1e-3, atol=1e-5)
    guided = guided_backpropagation(guided_copy(grey), images, labels).numpy()
    plain = guided_backpropagation(grey, images, labels).numpy()
    assert np.abs(guided).max() > 0
    assert np.corrcoef(guided.ravel(), plain.ravel())[0, 1] < 0.9


def test_a_frozen_backbone_is_split_off_as_a_whole(grey):
    trained = [layer for layer in grey.layers if layer.trainable_variables][:-1]
    for layer in trained:
        layer.trainable = False
    try:
        prefix, suffix = split_at_frozen(grey)
        assert [tensor.shape for tensor in prefix.outputs] == [(None, 512)]
        assert len(suffix.trainable_variables) == 2
    finally:
        for layer in trained:
            layer.trainable = True


@pytest.mark.parametrize("backbone", ["resnet18", "vgg16", "inception_v3", "densenet121"])
def test_the_scaling_of_a_backbone_is_that_of_its_own_preprocessing(backbone):
    colour = _images(3)
    scale, offset = backbones._scaling(backbone, "unit", 3)
    modes = {"vgg16": "caffe", "inception_v3": "tf"}
    expected = preprocess_input(colour * 255, mode=modes.get(backbone, "torch"))
    if backbone == "vgg16":
        expected = expected[..., ::-1]  # its first kernel is turned round instead
    np.testing.assert_allclose(colour * scale + offset, expected, rtol=1e-4, atol=1e-4)


def test_vgg_takes_red_first_although_its_weights_were_trained_on_blue_first(tmp_path):
    original = keras.applications.VGG16(include_top=False, weights=None, input_shape=(None, None, 3))
    original.save_weights(tmp_path / "vgg.weights.h5")
    cut = _cut(3, "vgg16", str(tmp_path / "vgg.weights.h5"), "block1_conv1")
    colour = _images(3)
    as_trained = keras.applications.vgg16.preprocess_input(colour * 255)
    expected = _features(original, as_trained, "block1_conv1")
    np.testing.assert_allclose(cut(colour), expected, rtol=1e-3, atol=1e-3)


def test_layers_of_inception_have_the_same_names_however_many_were_built_before():
    paths = []
    for _ in range(2):
        cut = _cut(1, "inception_v3", "none", "mixed1", rows=80, columns=96)
        paths.append([variable.path for variable in cut.trainable_variables])
    assert paths[0] == paths[1]
    assert "mixed1_conv2d_1/kernel" in paths[0]
    assert not any(path.startswith(("conv2d", "batch_norm")) for path in paths[0])
    assert "mixed1" in {layer.name for layer in cut.layers}


def test_densenet_is_cut_after_a_block():
    cut = _cut(2, "densenet121", "none", "conv2", columns=48)
    assert cut.output_shape == (None, SIDE // 4, 12, 256)


def test_the_partial_imagenet_weights_load_and_see_edges(shared_data):
    file = shared_data.parent / "weights" / "resnet18_imagenet_partial.weights.h5"
    model = _cut(1, "resnet18", str(file), "stack2")
    assert model.output_shape == (None, 4, 4, 256)
    kernels = model.get_layer("conv1_conv").kernel.numpy()
    with h5py.File(file) as stored:
        np.testing.assert_array_equal(kernels, stored["layers/conv2d/vars/0"])
    # Trained kernels are smooth: 8,064 neighbouring weights correlate, random ones by 0.01.
    correlation = np.corrcoef(kernels[:-1].ravel(), kernels[1:].ravel())[0, 1]
    assert correlation > 0.1
    assert np.isfinite(model(_images(1), training=False)).all()


# ---- refusals


def _block_network(monkeypatch, home):
    def no_way_out(*_, **__):
        raise OSError("the network is blocked")

    monkeypatch.setattr(socket, "getaddrinfo", no_way_out)
    monkeypatch.setattr(socket.socket, "connect", no_way_out)
    for variable in ("HOME", "KAGGLEHUB_CACHE", "KERAS_HOME"):
        monkeypatch.setenv(variable, str(home))


@pytest.mark.parametrize("backbone, words", [
    ("resnet18", 'from_preset("resnet_18_imagenet").save_to_preset("resnet18")'),
    ("densenet121", "densenet121_weights_tf_dim_ordering_tf_kernels_notop.h5"),
])  # fmt: skip
def test_offline_the_refusal_says_in_one_line_how_to_provide_the_weights(
    backbone, words, monkeypatch, tmp_path
):
    _block_network(monkeypatch, tmp_path)
    with pytest.raises(InputError) as error:
        check_task(_task(model_args=dict(backbone=backbone)))
    assert words in str(error.value) and "--set model_args.weights=PATH" in str(error.value)
    assert "\n" not in str(error.value)
    assert list(Path(tmp_path).rglob("*.h5")) == []


def _task(**values):
    defaults = dict(
        name="tiny", channels=("t1",), image_shape=(SIDE, SIDE), class_names=("a", "b"),
        model="backbone_classifier", model_args=dict(weights="none"),
        normalize=dict(method="range", low=0.0, high=255.0),
    )  # fmt: skip
    return Task(**{**defaults, **values})


@pytest.mark.parametrize("values, words", [
    (dict(model_args=dict(backbone="resnet19", weights="none")), "resnet18, resnet34"),
    (dict(model_args=dict(weights="nowhere.weights.h5")), "nowhere.weights.h5"),
    (dict(model_args=dict(weights="none", intensities="bytes")), "unit"),
    (dict(model_args=dict(weights="none", dropout=1.0)), "dropout"),
    (dict(model_args=dict(weights="none", cut=2)), "cut_after"),
    (dict(normalize=dict(method="zscore")), "model_args.intensities"),
])  # fmt: skip
def test_wrong_or_contradictory_values_are_refused_before_data_is_read(values, words):
    check_task(_task())
    with pytest.raises(InputError, match=words):
        check_task(_task(**values))


def test_weights_of_another_network_are_refused(source, files, tmp_path):
    (tmp_path / "empty.weights.h5").write_bytes(b"no weights")
    (tmp_path / "folder").mkdir()
    cut = keras.Model(source.input, source.get_layer("stack0_block1_out").output)
    cut.save_weights(tmp_path / "cut.weights.h5")
    for name in ("empty.weights.h5", "cut.weights.h5", "folder"):
        with pytest.raises(InputError, match="weights of resnet18"):
            _cut(3, "resnet18", str(tmp_path / name))
    with pytest.raises(InputError, match="weights of vgg16"):
        _cut(3, "vgg16", files["file"])
    with pytest.raises(InputError, match="weights of vgg16 must be a file"):
        _cut(3, "vgg16", files["preset"])
    for weights in files.values():
        with pytest.raises(InputError, match="weights of resnet34"):
            _cut(3, "resnet34", weights)


def test_a_stage_that_does_not_exist_and_an_image_too_small_are_refused():
    with pytest.raises(InputError, match="stack0, stack1, stack2, stack3"):
        _cut(3, "resnet18", "none", "stack4")
    with pytest.raises(InputError, match="at least 75"):
        _cut(3, "inception_v3", "none")


def test_a_file_without_a_builder_is_no_model():
    with pytest.raises(InputError) as error:
        builder("backbones")
    assert "backbone_classifier" in str(error.value) and "backbones," not in str(error.value)
    check_model_args("vgg_features", dict(weights="none"), takes_features=False)
    with pytest.raises(InputError, match=os.devnull + "x"):
        check_model_args("vgg_features", dict(weights=os.devnull + "x"), takes_features=False)


def test_an_ensemble_answers_the_mean_of_one_network_for_each_channel(files):
    keras.utils.set_random_seed(0)
    shape, short = (SIDE, SIDE, 2), dict(weights=files["file"], cut_after="stack0")
    model = backbone_classifier.backbone_ensemble(shape, 2, **short)
    members = keras.Model(
        model.input, [model.get_layer(f"channel{k}_probabilities").output for k in range(2)]
    )
    images = _images(2)
    other = np.concatenate([images[..., :1], 1 - images[..., 1:]], axis=-1)
    first, second = members.predict_on_batch(images)
    first_again, second_again = members.predict_on_batch(other)
    np.testing.assert_array_equal(first, first_again)
    assert np.abs(second - second_again).max() > 1e-4
    np.testing.assert_allclose(model.predict_on_batch(images), (first + second) / 2, atol=1e-6)
    # Each member is what a classifier of that channel alone is.
    alone = backbone_classifier.backbone_classifier((SIDE, SIDE, 1), 2, **short)
    alone.get_layer("probabilities").set_weights(model.get_layer("channel1_probabilities").get_weights())
    np.testing.assert_allclose(alone.predict_on_batch(images[..., 1:]), second, atol=1e-6)
