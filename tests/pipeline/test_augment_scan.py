"""Changes as scanners make them: closed forms, SciPy and NumPy as oracles, seeds and refusals."""

import numpy as np
import pytest
import tensorflow as tf
from augmented import SLICES, VOLUMES, noise, seeds
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter1d, uniform_filter1d
from scipy.stats import kstest, norm, rice

from mri_tf.core.errors import InputError
from mri_tf.pipeline.augment2d import check_augment
from mri_tf.pipeline.augment_scan import (
    OPERATIONS,
    apply_scan_changes,
    change_scan,
    draw_scan_changes,
)
from mri_tf.pipeline.axis_filters import (
    apply_along,
    blur_matrices,
    ghost_matrices,
    thick_slice_matrices,
)
from mri_tf.pipeline.batches import batch_function
from mri_tf.pipeline.intensity_changes import (
    apply_bias_field,
    apply_erasing,
    apply_noise,
    bias_terms,
    normal_numbers,
)
from mri_tf.pipeline.known import Known

ALL = {
    "random_bias_field": {}, "random_blur": {"max_mm": 2.0}, "random_low_resolution": {},
    "random_ghosting": {}, "random_noise": {}, "random_erasing": {},
}  # fmt: skip
EVERY = {name: {**values, "probability": 1.0} for name, values in ALL.items()}
EVERY["random_ghosting"] |= {"fewest": 2, "most": 2}  # more have no lines on grids as small as these
each_grid = pytest.mark.parametrize("size", [SLICES.size, VOLUMES.size], ids=("2D", "3D"))


def known(count: int, size: tuple[int, ...], channels: int = 2, spacing_mm=None) -> Known:
    spacing = tf.ones((count, len(size))) if spacing_mm is None else tf.constant(spacing_mm, tf.float32)
    return Known(size, spacing, tf.zeros((count, channels)), tf.fill((count, channels), 500.0))


def images_of(count: int, size: tuple[int, ...], channels: int = 2) -> tf.Tensor:
    return tf.constant(noise(count, *size, channels))


# ---- filters along an axis


@settings(max_examples=30, deadline=None)
@given(sd=st.floats(0.0, 4.0), length=st.integers(2, 40))
def test_a_blur_is_scipys_with_a_repeated_border(sd, length):
    line = np.random.default_rng(length).normal(size=length)
    matrix = blur_matrices(tf.constant([sd]), length)[0].numpy()
    np.testing.assert_allclose(matrix.sum(axis=1), 1, atol=1e-5)
    if 3 * sd < length:  # SciPy repeats the border for ever; here it is repeated for one more length
        expected = gaussian_filter1d(line, sd, mode="nearest", truncate=10) if sd > 0.05 else line
        np.testing.assert_allclose(matrix @ line, expected, atol=1e-3)


def test_thick_slices_are_means_of_what_they_cover_and_lines_between():
    line = np.random.default_rng(0).normal(size=21)
    thick = thick_slice_matrices(tf.constant([3.0]), 21)[0].numpy() @ line
    means = uniform_filter1d(line, 3)[1::3]  # slices about voxels 1, 4, 7 ... 19
    np.testing.assert_allclose(thick[1::3], means, atol=1e-5)
    np.testing.assert_allclose(thick[2:18:3], (2 * means[:-1] + means[1:])[: len(thick[2:18:3])] / 3,
                               atol=1e-5)  # fmt: skip


@settings(max_examples=30, deadline=None)
@given(factor=st.floats(1.0, 6.0), length=st.integers(7, 60))
def test_thick_slices_keep_constants_and_ramps_between_the_outermost_slices(factor, length):
    matrix = thick_slice_matrices(tf.constant([factor]), length)[0].numpy()
    np.testing.assert_allclose(matrix.sum(axis=1), 1, atol=1e-5)
    assert matrix.min() >= -1e-6
    margin = int(2 * factor) + 2
    inside = slice(margin, max(length - margin, margin))
    ramp = np.arange(length, dtype=float)
    # The mean of voxels that a slice covers in part lies a little beside the middle of the slice.
    np.testing.assert_allclose((matrix @ ramp)[inside], ramp[inside], atol=0.15)
    if factor == 1:
        np.testing.assert_allclose(matrix, np.eye(length), atol=1e-6)


def test_ghosts_are_weakened_lines_of_k_space():
    length, ghosts, intensity = 60, 5, 0.7
    line = np.random.default_rng(0).normal(size=length)
    spectrum = np.fft.fft(line)
    lines = np.abs(np.fft.fftfreq(length, 1 / length)).round()
    spectrum[(lines % ghosts == 0) & (lines > 0.02 * length)] *= 1 - intensity
    matrix = ghost_matrices(tf.constant([ghosts]), tf.constant([intensity]), length)[0].numpy()
    np.testing.assert_allclose(matrix @ line, np.fft.ifft(spectrum).real, atol=1e-5)
    spot = matrix @ np.eye(length)[10]
    copies = np.sort(np.argsort(np.abs(spot))[-ghosts:])
    assert set(np.diff(copies)) == {length // ghosts}  # as many copies as were asked for, evenly apart


@each_grid
def test_a_matrix_acts_along_its_own_axis_alone(size):
    images = images_of(2, size)
    for axis, length in enumerate(size):
        matrices = tf.constant(np.random.default_rng(axis).normal(size=(2, length, length)), tf.float32)
        changed = apply_along(images, matrices, axis).numpy()
        for record in range(2):
            moved = np.moveaxis(images[record].numpy(), axis, 0)
            expected = np.moveaxis(np.tensordot(matrices[record], moved, axes=1), 0, axis)
            np.testing.assert_allclose(changed[record], expected, rtol=1e-3, atol=0.1)


# ---- intensities


@each_grid
def test_a_bias_field_is_the_exponent_of_its_polynomial(size):
    terms = bias_terms(len(size))
    coefficients = np.random.default_rng(0).uniform(-0.5, 0.5, (2, len(terms)))
    images = images_of(2, size).numpy() + 1000
    places = np.meshgrid(*(np.linspace(-1, 1, length) for length in size), indexing="ij")
    found = apply_bias_field(tf.constant(images), tf.constant(coefficients, tf.float32)).numpy()
    for record in range(2):
        exponent = sum(
            coefficient * np.prod([place**power for place, power in zip(places, powers, strict=True)], 0)
            for coefficient, powers in zip(coefficients[record], terms, strict=True)
        )
        low = images[record].min(axis=tuple(range(len(size))))
        expected = low + (images[record] - low) * np.exp(exponent)[..., None]
        np.testing.assert_allclose(found[record], expected, rtol=1e-4)


def test_normal_numbers_are_the_quantiles_of_what_was_drawn_and_never_infinite():
    uniforms = np.arange(0, 2**23, 997, dtype=np.float32) / 2**23
    expected = norm.ppf(uniforms.astype(float) + 2.0**-24)
    np.testing.assert_allclose(normal_numbers(tf.constant(uniforms)), expected, rtol=2e-4, atol=1e-5)
    least, most = normal_numbers(tf.constant([0.0, 1 - 2.0**-23])).numpy()
    assert -5.5 < least < -5 and most == -least


def test_rician_noise_has_the_distribution_of_rice_and_brightens_air():
    signal, sd = 3.0, 1.0
    image = np.full((1, 200, 200, 1), signal, np.float32)
    image[0, 0, 0] = 0  # the least value, above which the signal counts
    normals = tf.random.stateless_normal((1, 2, 200, 200, 1), [0, 0])
    found = apply_noise(tf.constant(image), tf.constant([[sd]]), normals, "rician").numpy()[0, 1:]
    assert kstest(found.ravel(), rice(signal / sd, scale=sd).cdf).pvalue > 1e-3
    air = apply_noise(tf.zeros((1, 200, 200, 1)), tf.constant([[sd]]), normals, "rician").numpy()
    assert air.min() >= 0 and air.mean() == pytest.approx(np.sqrt(np.pi / 2), abs=0.02)
    even = apply_noise(tf.constant(image), tf.constant([[sd]]), normals, "gaussian").numpy() - image
    assert kstest(even.ravel(), "norm").pvalue > 1e-3


@each_grid
@pytest.mark.parametrize("fill", ["mean", "low"])
def test_an_erased_box_holds_one_value_a_channel_and_nothing_else_changes(size, fill):
    images = images_of(2, size)
    start = tf.constant([[1.0] * len(size), [2.0] * len(size)])
    stop = tf.constant([[4.0] * len(size), [2.0] * len(size)])  # of the second nothing
    found = apply_erasing(images, start, stop, fill).numpy()
    expected = images.numpy()
    grid = tuple(range(len(size)))
    box = (0, *[slice(1, 4)] * len(size))
    expected[box] = images[0].numpy().mean(grid) if fill == "mean" else images[0].numpy().min(grid)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-2)


# ---- drawing


@each_grid
def test_records_that_stay_as_they_are_keep_every_bit_and_the_others_change(size):
    images = images_of(6, size)
    chosen = tf.constant([True, False] * 3)
    for name in EVERY:
        one = {name: EVERY[name]}
        found = change_scan(images, seeds(6), known(6, size), one, chosen).numpy()
        np.testing.assert_array_equal(found[1::2], images[1::2])
        assert (np.abs(found - images)[::2].reshape(3, -1).max(axis=1) > 1).all(), name


@each_grid
def test_a_record_is_changed_alike_whatever_batch_is_around_it(size):
    images, of = images_of(4, size), known(4, size)
    together = change_scan(images, seeds(4), of, EVERY, tf.fill([4], True)).numpy()
    for number in range(4):
        one = slice(number, number + 1)
        part = Known(size, *(value[one] for value in of[1:4]))
        alone = change_scan(images[one], seeds(4)[one], part, EVERY, tf.fill([1], True)).numpy()
        np.testing.assert_allclose(alone, together[one], rtol=1e-4, atol=1e-2)
    again = change_scan(images, seeds(4), of, EVERY, tf.fill([4], True)).numpy()
    np.testing.assert_array_equal(again, together)
    other = change_scan(images, seeds(4, first=9), of, EVERY, tf.fill([4], True)).numpy()
    assert not np.allclose(other, together, atol=1)


def test_a_blur_is_as_wide_in_mm_whatever_the_spacing():
    size, sizes = (64, 64), [[1.0, 1.0], [0.5, 2.0]]
    of = known(2, size, 1, sizes)
    one = {"random_blur": {"max_mm": 4.0, "probability": 1.0}}
    same = tf.constant([[5, 1], [5, 1]], tf.int64)
    matrices = draw_scan_changes(same, of, one, tf.fill([2], True)).filters
    for axis in range(2):
        widths_mm = []
        for record in range(2):
            line = matrices[axis][record, 32].numpy()
            widths_mm.append(sizes[record][axis] * np.sqrt(np.sum(line * (np.arange(64) - 32) ** 2)))
        assert widths_mm[0] == pytest.approx(widths_mm[1], rel=0.05) and widths_mm[0] > 0.2


def test_noise_is_in_parts_of_the_channels_own_spread_and_a_missing_sequence_stays_empty():
    of = known(200, (4, 4), 2)._replace(sd=tf.tile([[100.0, 0.0]], (200, 1)))
    all_of_them, augment = tf.fill([200], True), {"random_noise": {"max_sd": 0.2}}
    sd = draw_scan_changes(seeds(200), of, augment, all_of_them).noise[0]
    assert sd.numpy()[:, 0].max() == pytest.approx(20, abs=1) and not sd.numpy()[:, 1].any()
    share = (sd.numpy()[:, 0] > 0).mean()
    assert 0.4 < share < 0.6  # of a probability of one half
    empty = tf.zeros((200, 4, 4, 2))
    of = of._replace(sd=tf.zeros((200, 2)))
    changed = change_scan(empty, seeds(200), of, EVERY, all_of_them)
    np.testing.assert_allclose(changed, 0, atol=1e-5)


def test_what_is_outside_a_standardised_brain_stays_0():
    images = images_of(3, VOLUMES.size).numpy()
    images[:, :, :3] = 0
    changes = draw_scan_changes(seeds(3), known(3, VOLUMES.size), EVERY, tf.fill([3], True))
    found = apply_scan_changes(tf.constant(images), changes, EVERY, keep_zero=True).numpy()
    assert not found[:, :, :3].any() and (found[:, :, 3:] != images[:, :, 3:]).mean() > 0.9


@pytest.mark.parametrize("grid", [SLICES, VOLUMES], ids=("2D", "3D"))
def test_a_task_names_them_beside_its_geometry(grid):
    task = grid.task(augment={**grid.augment, **EVERY}, normalize=dict(method="shift", offset=0.0))
    batch = grid.batch(6)
    image, mask, _ = batch_function(task, training=True)(batch)
    plain, moved, _ = batch_function(grid.task(normalize=dict(method="shift", offset=0.0)), True)(batch)
    np.testing.assert_array_equal(mask, moved)  # intensities say nothing of where things lie
    assert np.isfinite(image).all() and np.abs(image - plain).max() > 0.1


@pytest.mark.parametrize(
    ("augment", "message"),
    [
        ({"random_noise": {"kind": "pink"}}, "random_noise.kind must be rician or gaussian"),
        ({"random_noise": {"max_sd": -1.0}}, "random_noise.max_sd must be 0 or more"),
        ({"random_low_resolution": {"max_factor": 0.5}}, "must be 1 or more"),
        ({"random_ghosting": {"fewest": 1}}, "2 <= fewest <= most. Received: 1, 10"),
        ({"random_erasing": {"fill": "black"}}, "random_erasing.fill must be mean or low"),
        ({"random_blur": {"probability": 1.5}}, "random_blur.probability must be from 0 to 1"),
        ({"random_blur": {"sd": 1.0}}, "does not take sd"),
    ],
)
def test_values_that_change_no_image_are_refused(augment, message):
    for size in (SLICES.size, VOLUMES.size):
        with pytest.raises(InputError, match=message):
            check_augment(augment, size)
        check_augment(ALL, size)
    assert ALL.keys() == OPERATIONS.keys()
