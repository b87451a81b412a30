"""Intensities in 3D: bias field correction, equalisation, brain mask and statistics."""

import json
import subprocess
import sys

import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage
from volumes import OBLIQUE, SHAPE, affine_of, indices, noise

from data_prep.case import Unreadable
from data_prep.ops.brain_mask import brain_mask
from data_prep.ops.clahe import clahe3d
from data_prep.ops.crop import mask_box
from data_prep.ops.intensity_stats import region_stats, standardise
from data_prep.ops.n4 import correct_bias_field, shrink_factors
from data_prep.volume import Volume
from mri_tf.pipeline.normalize import normalize


def _biased_head(shape=(60, 66, 52), seed=1):
    """Folded tissue of three intensities in zero background, times a smooth field."""
    rng = np.random.default_rng(seed)
    x, y, z = np.moveaxis(2 * indices(shape) / (np.array(shape) - 1) - 1, -1, 0)
    inside = (x / 0.8) ** 2 + (y / 0.85) ** 2 + (z / 0.9) ** 2 < 1
    folds = ndimage.gaussian_filter(rng.standard_normal(shape), 2.0)
    tissue = np.digitize(folds / folds.std(), (-0.5, 0.5))  # 0, 1, 2
    clean = np.array([250.0, 450.0, 600.0])[tissue]
    field = np.exp(0.3 * x + 0.25 * y * z - 0.3 * z**2)
    image = clean * field * (1 + 0.03 * rng.standard_normal(shape)) * inside
    return image.astype(np.float32), inside, tissue, field


def test_n4_removes_most_of_a_known_field_and_leaves_zeros():
    image, inside, tissue, field = _biased_head()
    volume = Volume(image, affine_of((8, 0, 5), (3.0, 3.0, 3.5)))
    corrected = correct_bias_field(volume, inside, shrink_factor=2, iterations=(30, 30, 30))
    assert corrected.array.dtype == np.float32
    np.testing.assert_array_equal(corrected.array[~inside], 0)
    np.testing.assert_array_equal(corrected.affine, volume.affine)
    found = np.log(image[inside] / corrected.array[inside])
    true = np.log(field[inside])
    assert np.corrcoef(found, true)[0, 1] > 0.98
    assert np.std(found - true) < 0.2 * np.std(true)
    for one in range(3):
        before, after = image[inside & (tissue == one)], corrected.array[inside & (tissue == one)]
        assert after.std() / after.mean() < 0.4 * before.std() / before.mean()


def test_n4_without_a_mask_takes_what_is_above_zero():
    image, inside, _, _ = _biased_head((32, 36, 30))
    volume = Volume(image, np.diag([4.0, 4.0, 4.0, 1.0]))
    without, with_mask = (correct_bias_field(volume, mask, 2, (20, 20)) for mask in (None, inside))
    np.testing.assert_array_equal(without.array, with_mask.array)


def test_n4_puts_the_number_of_threads_back_and_takes_integers():
    before = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    image, inside, _, field = _biased_head((40, 40, 10))
    thick = Volume(image.astype(np.int16), np.diag([2.0, 2.0, 9.0, 1.0]))
    corrected = correct_bias_field(thick, inside, 3, (20, 20))
    assert sitk.ProcessObject.GetGlobalDefaultNumberOfThreads() == before
    found = np.log(thick.array[inside] / corrected.array[inside])
    assert np.corrcoef(found, np.log(field[inside]))[0, 1] > 0.9


def test_an_axis_is_shrunken_towards_cubes_and_keeps_four_voxels():
    assert shrink_factors((240, 240, 155), (1.0, 1.0, 1.0), 4) == (4, 4, 4)
    assert shrink_factors((256, 256, 22), (0.7, 0.7, 6.5), 4) == (4, 4, 1)
    assert shrink_factors((100, 100, 60), (1.0, 1.0, 2.0), 4) == (4, 4, 2)
    assert shrink_factors((100, 9, 3), (1.0, 1.0, 1.0), 4) == (4, 2, 1)


@pytest.mark.parametrize("value", [0, 5, -3])
def test_n4_gives_an_image_of_one_value_back(value):
    volume = Volume(np.full((12, 13, 14), value, np.int16), np.eye(4))
    corrected = correct_bias_field(volume)
    np.testing.assert_array_equal(corrected.array, volume.array)
    assert corrected.array.dtype == np.float32


def test_n4_with_an_empty_mask_gives_the_image_back():
    volume = noise()
    np.testing.assert_array_equal(correct_bias_field(volume, np.zeros(SHAPE, bool)).array, volume.array)


@pytest.mark.parametrize("shape", [(1, 1, 2), (2, 3, 2), (30, 30, 1), (5, 5, 5), (40, 3, 2)])
def test_n4_of_few_voxels_is_finite_or_a_reason(shape):
    volume = noise(shape=shape)
    try:
        corrected = correct_bias_field(volume, iterations=(5, 5))
    except Unreadable as reason:
        assert "N4" in str(reason)
    else:
        assert np.all(np.isfinite(corrected.array))


FULL_SIZE = """
import json, resource, time
import numpy as np
from scipy import ndimage
from data_prep.ops.n4 import correct_bias_field
from data_prep.volume import Volume
shape = (240, 240, 155)
rng = np.random.default_rng(0)
x, y, z = np.meshgrid(*[np.linspace(-1, 1, n, dtype=np.float32) for n in shape], indexing="ij")
inside = (x / 0.6) ** 2 + (y / 0.75) ** 2 + (z / 0.9) ** 2 < 1
folds = ndimage.gaussian_filter(rng.standard_normal(shape, np.float32), 5.0)
image = 200 + 200 * np.digitize(folds / folds.std(), (-0.5, 0.5))
image = (image * np.exp(0.3 * x - 0.3 * z**2) * inside).astype(np.float32)
before = time.process_time(), time.monotonic()
corrected = correct_bias_field(Volume(image, np.eye(4)), inside, shrink_factor=4)
after = time.process_time(), time.monotonic()
found, true = np.log(image[inside] / corrected.array[inside]), (0.3 * x - 0.3 * z**2)[inside]
print(json.dumps(dict(
    cpu_seconds=after[0] - before[0], seconds=after[1] - before[1],
    gigabytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    correlation=float(np.corrcoef(found, true)[0, 1]),
)))
"""


@pytest.mark.slow
def test_n4_of_a_whole_volume_at_shrink_factor_4_takes_30_seconds_of_one_core_and_3_gb():
    done = subprocess.run([sys.executable, "-c", FULL_SIZE], capture_output=True, text=True, check=True)
    measured = json.loads(done.stdout)
    print(measured)
    assert measured["cpu_seconds"] < 30
    assert measured["gigabytes"] < 3
    assert measured["correlation"] > 0.95


def test_clahe_in_3d_lifts_a_faint_texture_and_keeps_the_background_zero():
    rng = np.random.default_rng(0)
    inside = np.zeros((32, 40, 24), bool)
    inside[4:-4, 5:-5, 3:-3] = True
    image = np.where(inside, 500 + 300 * (np.indices(inside.shape)[1] > 20), 0)
    image = (image + inside * rng.normal(0, 10, inside.shape)).astype(np.float32)
    equal = clahe3d(image, inside)
    assert equal.dtype == np.uint8
    assert np.all(equal[~inside] == 0)
    assert equal[inside].max() == 255
    scaled = 255 * image / image.max()
    far = inside & (np.abs(np.indices(inside.shape)[1] - 12) < 6)
    assert equal[far].std() > 2 * scaled[far].std()


def test_clahe_in_3d_treats_the_axes_alike():
    image = np.random.default_rng(0).gamma(2.0, 100.0, (24, 24, 24))
    one, other = clahe3d(image), clahe3d(image.transpose(2, 0, 1)).transpose(1, 2, 0)
    assert np.abs(one.astype(int) - other).max() <= 1


def test_one_hot_voxel_does_not_darken_clahe():
    image = np.random.default_rng(0).uniform(100, 200, (24, 24, 24))
    hot = image.copy()
    hot[3, 4, 5] = 1e6
    assert abs(clahe3d(hot).mean() - clahe3d(image).mean()) < 5


def test_clahe_of_a_flat_image_or_nothing_is_zero():
    flat = np.full((8, 8, 8), 7.0)
    assert not clahe3d(flat).any()
    assert not clahe3d(np.arange(512.0).reshape(8, 8, 8), np.zeros((8, 8, 8), bool)).any()


def _ball(shape=(40, 44, 30), radius=0.7) -> np.ndarray:
    x, y, z = np.moveaxis(2 * indices(shape) / (np.array(shape) - 1) - 1, -1, 0)
    return x**2 + y**2 + z**2 < radius**2


@pytest.mark.parametrize(
    ("mean", "outside"), [(300.0, 0.0), (0.0, -500.0), (0.0, 0.0)],
    ids=["magnitudes", "below all scores", "amid scores"],
)  # fmt: skip
def test_a_skull_stripped_brain_is_what_the_background_is_not(mean, outside):
    rng = np.random.default_rng(0)
    brain = _ball()
    image = np.where(brain, rng.normal(mean, 60, brain.shape), outside).astype(np.float32)
    image[20, 22, 13:17] = outside  # a ventricle of the background's value stays inside
    image[1, 1, 1] = 300  # a speck does not widen the box
    found = brain_mask(Volume(image, OBLIQUE))
    assert found.method == "background"
    assert found.inside.dtype == bool
    np.testing.assert_array_equal(found.inside, brain)


def test_a_head_in_noisy_air_is_otsus_largest_piece_with_its_holes_filled():
    rng = np.random.default_rng(0)
    head, skull = _ball(radius=0.85), _ball(radius=0.75) & ~_ball(radius=0.65)
    image = np.where(head, 400, 0) * np.where(skull, 0.02, 1.0)  # bone is dark
    image = np.abs(image + rng.normal(0, 15, head.shape)).astype(np.float32)
    image[:3, :3, :3] = 400  # a marker beside the head
    image[20, 20, 15] = 1e6  # a hot voxel
    found = brain_mask(Volume(image[:, :, 5:], np.eye(4)))  # the skull is open at the neck
    assert found.method == "otsu"
    agreement = 2 * np.sum(found.inside & head[:, :, 5:]) / (found.inside.sum() + head[:, :, 5:].sum())
    assert agreement > 0.99
    assert not found.inside[1, 1, 0]


def test_noise_that_is_often_zero_is_no_background():
    rng = np.random.default_rng(0)
    head = _ball(radius=0.85)
    noise = rng.poisson(0.5, head.shape)  # 61 % zeros
    found = brain_mask(Volume((head * 400 + noise).astype(np.int16), np.eye(4)))
    assert found.method == "otsu"
    np.testing.assert_array_equal(found.inside, head)


def test_an_image_of_two_values_is_one_inside_the_other():
    head = _ball(radius=0.8)
    assert brain_mask(Volume(head.astype(np.uint8), np.eye(4))).method == "background"
    touching = np.zeros((9, 9, 9), np.uint8)
    touching[:, :, :4] = 3
    np.testing.assert_array_equal(brain_mask(Volume(touching, np.eye(4))).inside, touching == 3)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_scanners_padding_beside_noisy_air_is_not_taken_for_a_stripped_skull(sign):
    rng = np.random.default_rng(0)
    head = _ball(radius=0.6)
    image = np.abs(400 * head + rng.normal(0, 10, head.shape)) + 1
    image[:5], image[-4:] = 0, 0
    found = brain_mask(Volume((sign * image).astype(np.float32), np.eye(4)))
    assert found.method == "otsu"
    assert np.mean(found.inside == head) > 0.999


def test_the_air_of_an_image_that_keeps_the_signals_sign_is_grey():
    rng = np.random.default_rng(0)
    head = _ball(radius=0.7)
    tissue = np.where(np.indices(head.shape)[0] < 20, -300, 300)
    image = (1000 + head * tissue + rng.normal(0, 10, head.shape)).astype(np.float32)
    found = brain_mask(Volume(image, np.eye(4)))
    assert found.method == "otsu"
    assert np.mean(found.inside == head) > 0.999


def test_bright_fat_does_not_leave_the_brain_outside():
    rng = np.random.default_rng(0)
    head, inner = _ball(radius=0.85), _ball(radius=0.7)
    image = np.abs(np.where(inner, 150, np.where(head, 1000, 0)) + rng.normal(0, 10, head.shape))
    image[20][(head & ~inner)[20]] = 5  # a gap in the fat, through which the brain is not lost
    found = brain_mask(Volume(image, np.eye(4))).inside
    assert np.mean(found[inner]) > 0.98


def test_the_share_of_background_that_counts_is_a_setting():
    image = np.where(_ball(), np.random.default_rng(0).normal(300, 10, _ball().shape), 0)  # 82 %
    assert brain_mask(Volume(image, np.eye(4))).method == "background"
    assert brain_mask(Volume(image, np.eye(4)), least_background=0.9).method == "otsu"


@pytest.mark.parametrize("value", [0, 7])
def test_a_flat_image_holds_no_brain(value):
    found = brain_mask(Volume(np.full((5, 6, 7), value), np.eye(4)))
    assert found.method == "flat"
    assert not found.inside.any()
    with pytest.raises(Unreadable, match="empty"):
        mask_box(found.inside)


def test_statistics_are_numpys_inside_the_mask_and_over_the_image():
    rng = np.random.default_rng(0)
    channels = rng.normal((50, -3), (10, 2), (7, 8, 9, 2)).astype(np.float32)
    mask = rng.random((7, 8, 9)) < 0.3
    stats = region_stats(channels, mask)
    assert stats.shape == (2, 2, 2) and stats.dtype == np.float32
    for channel in range(2):
        values = channels[..., channel].astype(np.float64)
        np.testing.assert_allclose(stats[0, channel], (values.mean(), values.std()), rtol=1e-6)
        expected = (values[mask].mean(), values[mask].std())
        np.testing.assert_allclose(stats[1, channel], expected, rtol=1e-6)


def test_a_constant_channel_is_zero_and_a_presence_channel_itself_when_normalised():
    channels = np.zeros((4, 5, 6, 3), np.float32)
    channels[..., 0] = 1000.1
    channels[..., 2] = 1.0
    stats = region_stats(channels, np.ones((4, 5, 6), bool), unscaled=(2,))
    np.testing.assert_array_equal(stats[:, 2], [[0, 1], [0, 1]])
    for region in ("image", "mask"):
        scores = normalize(channels[None], stats[None], dict(method="zscore", region=region)).numpy()
        np.testing.assert_array_equal(scores[..., :2], 0)
        np.testing.assert_array_equal(scores[..., 2], 1)


def test_standardised_is_the_zscore_inside_the_mask_and_exactly_0_outside():
    rng = np.random.default_rng(0)
    channels = rng.normal((500, -3, 7), (90, 2, 0), (7, 8, 9, 3)).astype(np.float32)
    mask = rng.random((7, 8, 9)) < 0.3
    presence = np.ones((7, 8, 9, 1), np.float32)
    channels = np.concatenate([channels, presence], axis=-1)
    scores, stats = standardise(channels, mask, region_stats(channels, mask, (3,)), (3,))
    assert scores.dtype == np.float32
    for channel in (0, 1):
        values = channels[..., channel][mask].astype(np.float64)
        expected = (values - values.mean()) / values.std()
        np.testing.assert_allclose(scores[..., channel][mask], expected, atol=1e-4)
        np.testing.assert_array_equal(scores[..., channel][~mask], 0)
    np.testing.assert_array_equal(scores[..., 2], 0)  # one value everywhere
    np.testing.assert_array_equal(scores[..., 3], 1)  # tells that a sequence exists
    np.testing.assert_array_equal(stats, np.tile([0, 1], (2, 4, 1)))


def test_statistics_inside_an_empty_mask_are_a_reason():
    with pytest.raises(Unreadable, match="empty"):
        region_stats(np.ones((3, 3, 3, 1)), np.zeros((3, 3, 3), bool))
    with pytest.raises(ValueError, match="shape"):
        region_stats(np.ones((3, 3, 3, 1)), np.ones((3, 3, 1), bool))

def test_a_small_standardised_head_is_what_is_not_0_whatever_lesion_it_has():
    x, y, z = np.ogrid[-16:16, -16:16, -16:16]
    distance = np.sqrt(x**2 + y**2 + z**2)
    noise = np.random.default_rng(0).normal(size=distance.shape)
    for radius in (2, 7):
        image = np.where(distance < radius, 160, 100) + 5 * noise
        inside = distance < 16.5
        scaled = (image - image[inside].mean()) / image[inside].std()
        image = np.where(inside, scaled, 0).astype(np.float32)[3:-3, 3:-3]  # it touches the sides
        found = brain_mask(Volume(image, np.eye(4)))
        assert found.method == "background"
        np.testing.assert_array_equal(found.inside, inside[3:-3, 3:-3])
