"""The standard checks of every network that a task can name."""

import functools
import inspect

import keras
import numpy as np
import pytest
from check_model import batch_of, check_bfloat16, check_model, randomised
from needs import BFLOAT16

from mri_tf.core.errors import InputError
from mri_tf.models.mnet import mnet, mnet3d
from mri_tf.models.registry import builder, check_model_args, find_builders

CLASSES = 3
CUT = dict(weights="none", cut_after="stack0")
CLASSIFIER = dict(conv_filters=2, dense_units=16)
# Shape of the image and small arguments. Sides differ, so that a swap of two is seen.
SMALL = {
    "backbone_classifier": ((64, 48, 3), CUT),
    "backbone_ensemble": ((64, 48, 2), CUT),
    "encoder_classifier3d": ((16, 32, 48, 1), {}),
    "feature_classifier": ((32, 48, 1), dict(repeats=2, **CLASSIFIER)),
    "feature_classifier3d": ((32, 32, 64, 1), dict(repeats=2, **CLASSIFIER)),
    "frozen_probe": ((64, 48, 3), CUT),
    "grader3d": ((16, 32, 48, 1), dict(filters=2, dense_units=16, weight_decay=1e-3)),
    "masked_grader3d": (
        (16, 32, 48, 1), dict(filters=2, dense_units=16, weight_decay=1e-3, mirrored_difference=True)
    ),
    "mnet": ((32, 48, 3), dict(start_filters=2, levels=3, dropout=0.1)),
    "mnet3d": ((16, 32, 48, 1), dict(start_filters=2, levels=4, dropout=0.1)),
    "resnet3d": ((16, 24, 32, 1), dict(depth=10, width=2, dropout=0.1)),
    "statistics_probe3d": ((16, 32, 48, 1), {}),
    "unet3d": ((16, 32, 48, 1), dict(filters=2, levels=3, dropout=0.05, weight_decay=1e-6)),
    "vgg": ((32, 64, 1), dict(blocks=4, **CLASSIFIER)),
    "vgg3d": ((16, 16, 32, 1), dict(blocks=3, **CLASSIFIER)),
    "vgg_features": ((32, 64, 1), dict(dense_units=16, weights="none")),
}
DENSE = ("mnet", "mnet3d", "unet3d")  # a probability for every pixel or voxel
every_network = pytest.mark.parametrize("name", sorted(find_builders()))


def _takes_features(name: str) -> bool:
    return next(iter(inspect.signature(builder(name)).parameters)) == "features"


def _network(name: str, **changed) -> keras.Model:
    source, arguments = SMALL[name]
    if _takes_features(name):
        source = (mnet if len(source) == 3 else mnet3d)(source, CLASSES, start_filters=2, levels=3)
    return builder(name)(source, CLASSES, **(arguments | changed))


def _output_shape(name: str) -> tuple[int, ...]:
    return (*SMALL[name][0][:-1], CLASSES) if name in DENSE else (CLASSES,)


@every_network
def test_a_network_passes_the_standard_checks(name):
    check_model(functools.partial(_network, name), _output_shape(name))


@BFLOAT16
@every_network
def test_a_network_computes_in_mixed_precision(name):
    check_bfloat16(functools.partial(_network, name), _output_shape(name))


@pytest.mark.parametrize(
    # An encoder has the norm of the network that it was trained in, and so has what a probe is given.
    "name", sorted({name for name in find_builders() if name.endswith("3d")}
                   - {"encoder_classifier3d", "resnet3d", "statistics_probe3d"})
)  # fmt: skip
def test_with_group_norm_a_case_has_the_same_answer_in_training_whoever_else_is_in_the_batch(name):
    model = randomised(_network(name, norm="group", dropout=0.0))
    batch = batch_of(model)
    whole, alone = (model(images, training=True).numpy() for images in (batch, batch[:1]))
    np.testing.assert_allclose(whole[:1], alone, rtol=1e-4, atol=1e-6)
    assert not np.allclose(whole[:1], whole[1:2], atol=1e-4)
    with pytest.raises(InputError, match="norm must be batch or group. Received: layer"):
        _network(name, norm="layer")


@every_network
def test_a_task_names_a_network_by_its_function(name):
    check_model_args(name, SMALL[name][1], _takes_features(name))
    assert builder(name).__name__ == name
    with pytest.raises(InputError, match="features"):
        check_model_args(name, SMALL[name][1], not _takes_features(name))
