"""The other feature sources of recipe A: THRESHOLD's centroids and VGG's frozen ImageNet features."""

import keras
import numpy as np
import pytest
from needs import BFLOAT16
from sklearn.cluster import KMeans
from small import sides_of

from data_prep.ops.clahe import clahe_uint8
from data_prep.prepare.prepare import prepare
from mri_tf.core.errors import InputError
from mri_tf.models.registry import builder
from mri_tf.network.build import build_network, load_network
from mri_tf.pipeline.intensity_classes import fit_centroids, nearest_centroid
from mri_tf.pipeline.subset import Subset
from mri_tf.store.fingerprints import prep_fingerprint
from mri_tf.task.files import FOLDER, feature_task, load_task
from mri_tf.task.overrides import with_values
from mri_tf.train.fit import fit_run
from mri_tf.train.inputs import fit_on_training_side
from mri_tf.train.new_run import new_run

FILE = FOLDER / "cardiac_levels.py"


def _blocks(seed=0):
    """Images of three well separated intensities, with a little noise."""
    rng = np.random.default_rng(seed)
    shape = (6, 32, 32, 1)
    return list(rng.choice([-900.0, 50.0, 400.0], shape) + rng.normal(0, 5, shape))


def test_centroids_are_those_of_k_means_in_ascending_order():
    images = _blocks()
    centroids = fit_centroids(images, 3, seed=1)
    oracle = KMeans(3, n_init=5, random_state=0).fit(np.reshape(images, (-1, 1)))
    np.testing.assert_allclose(centroids, np.sort(oracle.cluster_centers_, axis=0), atol=2)
    np.testing.assert_allclose(centroids[:, 0], [-900, 50, 400], atol=2)


def test_centroids_repeat_with_their_seed():
    np.testing.assert_array_equal(fit_centroids(_blocks(), 3, 1), fit_centroids(_blocks(), 3, 1))


@pytest.mark.parametrize(
    ("image", "centroids", "expected"),
    [
        ([[[-1000], [-426]], [[-424], [700]]], [[-900], [50], [400]], [[0, 0], [1, 2]]),
        ([[[0, 10], [9, 1]]], [[0, 9], [9, 0]], [[0, 1]]),  # two channels
    ],
)
def test_a_pixel_gets_the_label_of_its_nearest_centroid(image, centroids, expected):
    labels = nearest_centroid(np.array([image], np.float32), np.array(centroids, float))
    assert labels.numpy().tolist() == [expected]
    assert labels.dtype.name == "int32"


def test_the_threshold_network_learns_ten_intensities_from_the_same_prepared_set():
    base = load_task(FILE)
    manual, _ = feature_task(base, FILE)
    threshold, _ = feature_task(with_values(base, base.variants["threshold"]), FILE)
    assert len(threshold.output_names) == 10 and len(manual.output_names) == 17
    assert prep_fingerprint(manual) == prep_fingerprint(threshold)
    assert build_network(threshold).output_shape == (None, 128, 128, 10)


def test_centroids_see_the_training_side_only(tmp_path, small):
    file = small["levels"].with_name("pools.py")
    task = with_values(load_task(file), {"intensity_classes": 3})
    prepared, _ = prepare(task, file, small["raw"], tmp_path / "set")
    read = []
    real = prepared.read
    prepared.read = lambda records: read.extend(records) or real(records)
    fitted = fit_on_training_side(Subset(task, prepared, np.arange(5, 17)), seed=0)
    assert sorted(read) == list(range(5, 17))
    values = np.ravel(fitted["centroids"])
    assert len(values) == 3 and np.all(np.diff(values) > 0) and values[0] >= 0 and values[-1] <= 255


@pytest.mark.parametrize(
    "variant, least, most",
    [("", 3.1, 3.5), ("threshold", 3.1, 3.5), ("vgg", 16.5, 17.5), ("scratch", 0.9, 1.3)],
)
def test_parameters_are_as_many_as_the_paper_counts(variant, least, most):
    base = load_task(FILE)
    task = with_values(base, base.variants[variant]) if variant else base
    features = build_network(feature_task(task, FILE)[0]) if task.features_from else None
    if variant == "vgg":
        task = with_values(task, {"model_args.weights": "none"})
    count = build_network(task, features).count_params()
    if features is not None:  # the features' own scores are not part of the classifier's graph
        count += sum(features.get_layer(f"score_{level}").count_params() for level in range(1, 6))
    assert least <= count / 1e6 <= most


def test_vgg_trains_only_its_dense_layers_and_repeats_a_grey_image():
    model = builder("vgg_features")((32, 32, 1), 3, dense_units=4, weights="none")
    assert {variable.path.split("/")[0] for variable in model.trainable_variables} == {
        "dense_1", "dense_1_bn", "dense_2", "dense_2_bn", "probabilities",
    }  # fmt: skip
    assert model.get_layer("colour").output.shape[-1] == 3


def test_vgg_weights_come_from_a_local_file(tmp_path):
    source = keras.applications.VGG16(include_top=False, weights=None, input_shape=(32, 32, 3))
    source.save_weights(tmp_path / "vgg.weights.h5")
    file = str(tmp_path / "vgg.weights.h5")
    model = builder("vgg_features")((32, 32, 1), 3, dense_units=4, weights=file)
    for layer in source.layers:
        if layer.weights:
            loaded = model.get_layer(layer.name).get_weights()
            for one, other in zip(layer.get_weights(), loaded, strict=True):
                np.testing.assert_array_equal(one, other)


def test_offline_the_refusal_says_in_one_line_how_to_provide_vgg_weights(tmp_path, monkeypatch):
    def offline(*arguments, **named):
        raise Exception("URL fetch failure")

    monkeypatch.setattr(keras.applications, "VGG16", offline)
    with pytest.raises(InputError) as error:
        builder("vgg_features")((32, 32, 1), 3, weights="imagenet")
    assert "Put the file there, or name it with --set model_args.weights=PATH" in str(error.value)
    with pytest.raises(InputError, match="must be an existing file"):
        monkeypatch.undo()
        builder("vgg_features")((32, 32, 1), 3, weights=str(tmp_path / "none.h5"))


def test_clahe_gives_the_whole_range_of_bytes_and_clips_beyond_its_ends():
    rng = np.random.default_rng(0)
    image = rng.normal(100, 20, (64, 64))
    image[0, :2] = [-5000, 5000]
    equal = clahe_uint8(image, low=-200.0, high=600.0)
    assert equal.dtype == np.uint8 and equal.max() > 200
    clipped = clahe_uint8(np.clip(image, -200, 600), low=-200.0, high=600.0)
    np.testing.assert_array_equal(equal, clipped)


@BFLOAT16
def test_mixed_precision_trains_and_its_run_is_evaluated_in_float32(tmp_path, small):
    file = small["levels"].with_name("pools.py")
    task = with_values(load_task(file), {"precision": "mixed_bfloat16", "epochs": 1})
    prepared, _ = prepare(task, file, small["raw"], tmp_path / "set")
    sides = [np.arange(36), np.arange(36, 48), np.arange(48, 60)]
    run = new_run(tmp_path / "run", task, prepared, sides_of(task, prepared, sides), 0)
    run = fit_run(run, prepared, None, 1)
    model = load_network(run)
    assert {layer.compute_dtype for layer in model.layers} == {"float32"}
    with pytest.raises(InputError, match="mixed_float16"):
        with_values(task, {"precision": "half"})
