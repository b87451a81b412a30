"""Normalisation of intensities in closed form, alike in two and three dimensions."""

import numpy as np
import pytest
import tensorflow as tf
from augmented import noise

from mri_tf.core.errors import InputError
from mri_tf.pipeline.normalize import check_normalize, needs_stats, normalize, value_range, zscore


def test_a_range_is_linear_between_its_ends_and_clipped_beyond():
    values = tf.constant([[-300.0, -200.0, 0.0, 200.0, 600.0, 900.0]])
    wanted = [[0, 0, 0.25, 0.5, 1, 1]]
    np.testing.assert_allclose(value_range(values, None, low=-200.0, high=600.0), wanted)
    settings = dict(method="range", low=-200.0, high=600.0)
    whole = tf.cast(values, tf.int16)
    result = normalize(whole, None, settings)
    assert result.dtype == tf.float32
    np.testing.assert_allclose(result, wanted)


STATS = np.array(  # (2 records, region: image, mask; 2 channels; mean, SD)
    [[[[10, 2], [100, 5]], [[20, 4], [200, 10]]], [[[30, 1], [0, 0.5]], [[40, 8], [1, 3]]]], np.float32
)


@pytest.mark.parametrize("grid", [(3, 4), (2, 3, 4)], ids=["2D", "3D"])
@pytest.mark.parametrize("region", ["image", "mask"])
def test_a_zscore_takes_the_mean_and_sd_of_its_region_a_record_and_channel(grid, region):
    images = noise(2, *grid, 2)
    result = normalize(tf.constant(images), tf.constant(STATS), {"method": "zscore", "region": region})
    number = ("image", "mask").index(region)
    for record in range(2):
        for channel in range(2):
            mean, deviation = STATS[record, number, channel]
            wanted = (images[record, ..., channel] - mean) / deviation
            np.testing.assert_allclose(result[record, ..., channel], wanted, rtol=1e-4, atol=1e-4)


def test_a_zscore_is_of_the_whole_image_unless_said_otherwise():
    images = tf.constant(noise(2, 3, 4, 2))
    settings = {"method": "zscore"}
    named = normalize(images, tf.constant(STATS), {**settings, "region": "image"})
    assert np.array_equal(normalize(images, tf.constant(STATS), settings), named)


def test_an_image_of_one_value_has_a_zscore_of_nought():
    stats = tf.constant(np.tile([7.0, 0.0], (1, 2, 1, 1)), tf.float32)
    assert np.array_equal(zscore(tf.fill((1, 2, 2, 1), 7.0), stats), np.zeros((1, 2, 2, 1)))


def test_normalisation_is_alike_in_a_batch_of_unknown_size():
    images, stats = tf.constant(noise(2, 3, 4, 2)), tf.constant(STATS)
    signature = [tf.TensorSpec([None, 3, 4, 2]), tf.TensorSpec([None, 2, 2, 2])]
    served = tf.function(lambda x, s: normalize(x, s, {"method": "zscore"}), input_signature=signature)
    np.testing.assert_allclose(
        served(images, stats), normalize(images, stats, {"method": "zscore"}), rtol=1e-6
    )


def test_only_a_zscore_needs_the_statistics_of_the_record():
    assert needs_stats({"method": "zscore"})
    assert not needs_stats({"method": "range", "low": 0, "high": 1})


@pytest.mark.parametrize(
    "settings",
    [
        {}, {"method": "minmax"}, {"method": {}}, {"method": "range"}, {"method": "range", "low": 0.0},
        {"method": "range", "low": 0.0, "high": 1.0, "middle": 0.5},
        {"method": "zscore", "regoin": "mask"}, {"method": "zscore", "stats": 1},
    ],
    ids=str,
)  # fmt: skip
def test_a_method_or_argument_that_does_not_exist_is_refused(settings):
    with pytest.raises(InputError) as error:
        check_normalize(settings)
    assert "\n" not in str(error.value)
    assert "Received:" in str(error.value)


@pytest.mark.parametrize(
    "settings", [{"method": "range", "low": 0.0, "high": 1.0}, {"method": "zscore", "region": "mask"}]
)
def test_a_method_with_its_arguments_is_not_refused(settings):
    check_normalize(settings)


def test_a_region_that_does_not_exist_is_refused_before_any_data_is_read():
    with pytest.raises(InputError, match="image or mask"):
        check_normalize({"method": "zscore", "region": "brain"})
