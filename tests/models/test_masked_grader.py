"""What a classifier sees inside the structures of a segmentation network."""

import keras
import numpy as np
from check_model import forward, randomised

from mri_tf.models.masked_grader import StandardisedInside, masked_grader3d
from mri_tf.models.mnet import mnet3d

SHAPE = (16, 16, 16, 1)


def test_inside_the_mean_is_0_and_the_sd_1_and_outside_all_is_0():
    rng = np.random.default_rng(0)
    images = rng.normal(5, 3, (2, *SHAPE)).astype(np.float32)
    inside = (rng.random((2, *SHAPE)) < 0.3).astype(np.float32)
    scores = StandardisedInside()(images, np.concatenate([1 - inside, inside], axis=-1)).numpy()
    for score, image, where in zip(scores, images, inside > 0, strict=True):
        expected = (image[where] - image[where].mean()) / image[where].std()
        np.testing.assert_allclose(score[where], expected, atol=0.02)  # one voxel is added to the count
        assert not score[~where].any()


def test_where_no_structure_is_found_the_image_is_0():
    images = np.random.default_rng(1).normal(size=(1, *SHAPE)).astype(np.float32)
    nothing = np.concatenate([np.ones_like(images), np.zeros_like(images)], axis=-1)
    assert not StandardisedInside()(images, nothing).numpy().any()


def test_the_mask_is_what_the_network_does_not_call_background_and_it_stays_as_it_is():
    network = randomised(mnet3d(SHAPE, 3, start_filters=2, levels=3))
    images = np.random.default_rng(2).normal(size=(2, *SHAPE)).astype(np.float32)
    before = forward(network, images)
    model = masked_grader3d(network, 2, filters=2, dense_units=4)
    structures = keras.Model(model.input, model.get_layer("structures").output)
    np.testing.assert_allclose(structures(images, training=True), before, atol=1e-5)
    frozen = {variable.path for variable in network.variables}
    assert model.trainable_variables
    assert not frozen & {variable.path for variable in model.trainable_variables}
