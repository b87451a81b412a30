"""Pre-trained encoders: sizes, colours, published weights from a folder, slices of volumes, refusals."""

import keras
import numpy as np
import pytest

from mri_tf.core.errors import InputError
from mri_tf.models.encoders import Encoder, _in_three_colours, encoder_maps
from mri_tf.models.frozen_probe import SliceAttention, frozen_probe
from mri_tf.models.registry import check_model_args

CUT = dict(weights="none", cut_after="stack0", intensities="zscore")


def _volumes(count=2, depth=3, side=64, channels=2):
    rng = np.random.default_rng(0)
    return rng.normal(size=(count, depth, side, side, channels)).astype("f4")


def _features(network, images):
    read = network.get_layer("standardised")._inbound_nodes[0].input_tensors[0]
    return keras.Model(network.inputs, read)(images, training=False).numpy()


def test_a_volume_has_the_mean_of_the_features_of_its_slices():
    keras.utils.set_random_seed(0)
    of_volumes = frozen_probe((3, 64, 64, 2), 2, **CUT)
    of_slices = frozen_probe((64, 64, 2), 2, **CUT)
    of_slices.set_weights(of_volumes.get_weights())
    volumes = _volumes()
    by_slice = _features(of_slices, volumes.reshape(-1, 64, 64, 2)).reshape(2, 3, -1)
    np.testing.assert_allclose(_features(of_volumes, volumes), by_slice.mean(axis=1), atol=1e-5)


def test_attention_over_slices_begins_as_their_mean_and_follows_its_direction():
    layer = SliceAttention(dtype="float32")
    features = np.random.default_rng(0).normal(size=(4, 5, 3)).astype("f4")
    np.testing.assert_allclose(layer(features), features.mean(axis=1), atol=1e-6)
    layer.direction.assign([[50.0], [0.0], [0.0]])
    chosen = features[np.arange(4), features[..., 0].argmax(axis=1)]
    np.testing.assert_allclose(layer(features), chosen, atol=0.05)


@pytest.mark.parametrize("kind", ["mean", "attention"])
def test_only_the_last_layers_of_a_probe_are_fitted(kind):
    network = frozen_probe((3, 64, 64, 2), 2, pooling=kind, **CUT)
    names = {variable.path.split("/")[0] for variable in network.trainable_variables}
    assert names == {"probabilities"} | ({"attention"} if kind == "attention" else set())


@pytest.mark.parametrize(
    ("channels", "wanted"),
    [(1, [0, 0, 0]), (2, [0, 1, 0.5]), (3, [0, 1, 2]), (4, [1.5, 1, 2]), (6, [1.5, 2.5, 3.5])],
)
def test_channels_become_three_colours(channels, wanted):
    image = np.broadcast_to(np.arange(channels, dtype="f4"), (1, 2, 2, channels))
    np.testing.assert_allclose(np.asarray(_in_three_colours(image))[0, 0, 0], wanted)


@pytest.mark.slow
def test_a_transformer_takes_an_oblong_image_as_a_square_of_whole_patches():
    network = encoder_maps((60, 48, 1), Encoder("dinov2_small", "none", "", "zscore"))
    maps, token = network(np.zeros((1, 60, 48, 1), "f4"))
    assert maps.shape == (1, 4, 4, 384) and token.shape == (1, 384)  # 56 pixels of 14 a patch


@pytest.mark.slow
@pytest.mark.parametrize(
    ("encoder", "published"),
    # As KerasHub's list of presets states them; that of DINOv3 is rounded.
    [("dinov2_small", 22_582_656), ("dinov3_small", 21_600_000)],
)
def test_a_transformer_has_as_many_parameters_as_the_published_one(encoder, published):
    network = encoder_maps((518, 518, 3), Encoder(encoder, "none", "", "zscore"))
    assert network.count_params() == pytest.approx(published, rel=1e-3)


@pytest.mark.slow
def test_a_preset_folder_gives_the_weights_with_positions_for_the_size_of_the_images(tmp_path):
    from keras_hub.models import DINOV2Backbone

    keras.utils.set_random_seed(0)
    whole = DINOV2Backbone(
        patch_size=14, num_layers=12, hidden_dim=384, num_heads=6, intermediate_dim=1536,
        image_shape=(518, 518, 3),
    )  # fmt: skip
    whole.save_to_preset(str(tmp_path / "preset"))
    wanted = DINOV2Backbone.from_preset(str(tmp_path / "preset"), image_shape=(70, 70, 3))
    network = encoder_maps((70, 70, 3), Encoder("dinov2_small", str(tmp_path / "preset"), "", "zscore"))
    image = np.random.default_rng(0).normal(size=(1, 70, 70, 3)).astype("f4")
    tokens = wanted({"images": image}).numpy()
    maps, token = network(image)
    np.testing.assert_allclose(token, tokens[:, 0], atol=1e-4)
    np.testing.assert_allclose(np.asarray(maps).reshape(1, 25, 384), tokens[:, 1:], atol=1e-4)


def test_convnext_takes_intensities_as_the_other_backbones_do():
    network = encoder_maps((64, 64, 1), Encoder("convnext_tiny", "none", "", "zscore"))
    assert network.output.shape == (None, 2, 2, 768)
    assert not any("prestem" in layer.name for layer in network.layers)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(encoder="resnet1"), "model_args.encoder must be one of resnet18"),
        (dict(encoder="dinov2_small", weights="none", cut_after="stack2"), "not for transformers"),
        (dict(weights="nowhere"), "an existing file, a KerasHub preset folder"),
        (dict(weights="none", pooling="max"), "pooling must be mean or attention"),
        (dict(weights="none", intensities="unscaled"), "intensities must be unit or zscore"),
        (dict(weights="none", strengths=(0.0, 1.0)), "strengths must be positive"),
    ],
)
def test_arguments_that_do_not_fit_are_refused_before_data_is_read(arguments, message):
    with pytest.raises(InputError, match=message):
        check_model_args("frozen_probe", arguments, takes_features=False)


def test_grades_with_one_score_are_refused():
    with pytest.raises(InputError, match="head must be softmax"):
        frozen_probe((64, 64, 1), 3, head="cumulative", **CUT)
