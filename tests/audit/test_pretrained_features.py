"""What a frozen probe looks at: an encoder whose weights are at hand, and the means of its maps."""

from dataclasses import replace

import numpy as np
import pytest

from mri_tf.audit import pretrained_features
from mri_tf.audit.image_probes import View
from mri_tf.audit.pretrained_features import MOST_SLICES, FrozenEncoder, encoder_at_hand
from mri_tf.models.encoders import Encoder
from mri_tf.task import Task

TASK = Task(name="t", channels=("mr",), image_shape=(64, 64), class_names=("a", "b"), model="vgg")


def view(depth, seed=0):
    image = np.random.default_rng(seed).uniform(0, 500, (depth, 32, 32, 2)).astype(np.float32)
    return View(image, ["t1", "flair"], np.ones(image.shape[:3], bool))


@pytest.fixture(scope="module")
def encoder():
    return FrozenEncoder(Encoder("resnet18", "none", "stack0", "unit"))


def test_features_of_an_image_do_not_depend_on_its_scale(encoder):
    one = view(1)
    features = encoder.features(one)
    assert features.shape == (64,) and features.std() > 0
    other = encoder.features(one._replace(image=3 * one.image + 100))
    np.testing.assert_allclose(features, other, atol=1e-4)


def test_of_a_volume_the_features_are_the_mean_over_at_most_16_slices(encoder):
    """Slices at both ends are among them, and each alone has the scale of the volume."""
    volume = view(MOST_SLICES)
    twice = volume._replace(image=np.repeat(volume.image, 2, axis=0))
    assert len(twice.image) == 2 * MOST_SLICES
    assert encoder.features(twice).shape == encoder.features(volume).shape == (64,)


def test_nothing_is_downloaded_and_the_reason_is_told(monkeypatch):
    monkeypatch.setattr(pretrained_features, "is_cached", lambda preset: False)
    found, why = encoder_at_hand(TASK)
    assert found is None and "none are downloaded" in why
    assert "frozen probe itself" in encoder_at_hand(replace(TASK, model="frozen_probe"))[1]
    assert "fewer than 32 pixels" in encoder_at_hand(replace(TASK, image_shape=(16, 64)))[1]


def test_weights_in_the_cache_or_in_a_file_that_the_task_names_are_used(monkeypatch, tmp_path):
    monkeypatch.setattr(pretrained_features, "is_cached", lambda preset: True)
    assert encoder_at_hand(TASK)[0] == Encoder("resnet18", "pretrained", "", "unit")
    file = tmp_path / "own.weights.h5"
    file.write_bytes(b"")
    named = dict(backbone="resnet34", weights=str(file), cut_after="stack1")
    found, _ = encoder_at_hand(replace(TASK, model="backbone_classifier", model_args=named))
    assert found == Encoder("resnet34", str(file), "stack1", "unit")
