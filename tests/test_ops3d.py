"""Preparing in 3D moves no landmark, invents no label, and says what it cannot do."""

import json
import subprocess
import sys

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from nibabel import Nifti1Image
from nibabel.orientations import aff2axcodes
from nibabel.processing import resample_from_to
from scipy import ndimage

from data_prep.ops.brain_mask import brain_mask
from data_prep.ops.clahe3d import clahe3d
from data_prep.ops.crop import (
    Box,
    clipped,
    crop,
    mask_box,
    moved_inside,
    placed_back,
    with_aspect,
    with_margin,
    with_margin_mm,
)
from data_prep.ops.intensity_stats import region_stats
from data_prep.ops.n4 import n4_corrected, shrink_factors
from data_prep.ops.resample import (
    covered_share,
    resample_like,
    resample_to_spacing,
    resize_to_grid,
    volume_of_grid,
)
from data_prep.ops.stack import channel_names, stack_channels
from data_prep.source import Unreadable
from data_prep.volume import Volume

SHAPE = (19, 14, 11)  # x, y, z
SPACING = (1.0, 1.5, 2.5)
EXAMPLES = settings(max_examples=40, deadline=None)
spacings = st.tuples(*[st.floats(0.4, 6.0)] * 3)


def _affine(degrees, spacing_mm, origin=(-20.0, 15.0, 40.0), shear=0.0) -> np.ndarray:
    """Turned about x, y and z; the third axis sheared along the second, as by a tilted gantry."""
    turn = np.eye(3)
    for axis, angle in enumerate(np.radians(degrees)):
        one, other = [k for k in range(3) if k != axis]
        about = np.eye(3)
        about[[one, other], [one, other]] = np.cos(angle)
        about[one, other], about[other, one] = -np.sin(angle), np.sin(angle)
        turn = turn @ about
    tilt = np.eye(3)
    tilt[1, 2] = shear
    affine = np.eye(4)
    affine[:3, :3] = turn @ tilt @ np.diag(spacing_mm)
    affine[:3, 3] = origin
    return affine


angles = st.floats(-30.0, 30.0)
affines = st.builds(_affine, st.tuples(angles, angles, angles), spacings, shear=st.floats(-0.3, 0.3))
OBLIQUE = _affine((12.0, -7.0, 20.0), SPACING)


def _indices(shape) -> np.ndarray:
    """(x, y, z, 3): every voxel's own index."""
    return np.stack(np.meshgrid(*map(np.arange, shape[:3]), indexing="ij"), axis=-1).astype(float)


def _positions(shape, affine) -> np.ndarray:
    """(x, y, z, 3): every voxel's world position in mm. Linear, so linear interpolation keeps it."""
    return _indices(shape) @ affine[:3, :3].T + affine[:3, 3]


def _landmarks(affine, shape=SHAPE) -> Volume:
    return Volume(_positions(shape, affine).astype(np.float32), affine)


def _noise(affine=OBLIQUE, shape=SHAPE, seed=0) -> Volume:
    return Volume(np.random.default_rng(seed).normal(100, 30, shape).astype(np.float32), affine)


def _labels(affine=OBLIQUE, shape=SHAPE, seed=0) -> Volume:
    return Volume(np.random.default_rng(seed).choice([0, 1, 4, 250], shape).astype(np.uint8), affine)


def _in_voxels_of(volume: Volume, shape, affine) -> np.ndarray:
    """(x, y, z, 3): a grid's centres in the volume's indices."""
    return _positions(shape, np.linalg.inv(volume.affine) @ affine)


def _inner(volume: Volume, shape, affine) -> np.ndarray:
    """Voxels of a grid so far inside the volume that no border reaches into their value."""
    places = _in_voxels_of(volume, shape, affine)
    steps = np.linalg.norm((np.linalg.inv(volume.affine) @ affine)[:3, :3], axis=1)
    reach = np.where(steps > 1, np.ceil(2 * (steps - 1)) + 1, 0)  # 4 SD of the blur
    return np.all((places >= reach) & (places <= np.array(volume.array.shape[:3]) - 1 - reach), axis=-1)


def _assert_landmarks_kept(volume: Volume, moved: Volume) -> int:
    inner = _inner(volume, moved.array.shape, moved.affine)
    expected = _positions(moved.array.shape, moved.affine)
    np.testing.assert_allclose(moved.array[inner], expected[inner], atol=2e-3)
    return int(inner.sum())


def _faces_mm(volume: Volume) -> np.ndarray:
    """(2, 3): middles of the lower and upper outer faces along each axis, in mm along that axis."""
    size = np.array(volume.array.shape[:3])
    unit = volume.affine[:3, :3] / volume.spacing_mm
    middle = volume.affine[:3, :3] @ ((size - 1) / 2) + volume.affine[:3, 3]
    centre = np.linalg.solve(unit, middle)
    half = size * volume.spacing_mm / 2
    return np.stack([centre - half, centre + half])


# Resampling


@given(affines, spacings)
@EXAMPLES
def test_resampling_to_a_spacing_keeps_landmarks_extent_and_directions(affine, spacing):
    volume = _landmarks(affine)
    moved = resample_to_spacing(volume, spacing)
    _assert_landmarks_kept(volume, moved)
    np.testing.assert_allclose(moved.spacing_mm, spacing, rtol=1e-9)
    unit, other = affine[:3, :3] / volume.spacing_mm, moved.affine[:3, :3] / spacing
    np.testing.assert_allclose(unit, other, atol=1e-9)
    apart = np.abs(_faces_mm(volume) - _faces_mm(moved))
    length = np.array(SHAPE) * volume.spacing_mm
    assert np.all(apart <= np.where(length >= spacing, 0.25, 0.5) * spacing + 1e-6)


def test_landmarks_are_seen_at_most_voxels_of_a_fine_grid():
    # What `_assert_landmarks_kept` looks at is not an empty set.
    volume = _landmarks(OBLIQUE)
    moved = resample_to_spacing(volume, (0.7, 0.7, 0.7))
    assert _assert_landmarks_kept(volume, moved) > 0.7 * np.prod(moved.array.shape[:3])
    assert _assert_landmarks_kept(volume, resample_to_spacing(volume, (1.5, 2.0, 3.0))) > 100


@given(affines, affines)
@EXAMPLES
def test_resampling_onto_another_volume_keeps_landmarks(affine, other):
    volume, reference = _landmarks(affine), _noise(other, (9, 12, 10))
    moved = resample_like(volume, reference)
    _assert_landmarks_kept(volume, moved)
    np.testing.assert_array_equal(moved.affine, reference.affine)
    assert moved.array.shape == (9, 12, 10, 3)


@given(affines, affines)
@EXAMPLES
def test_label_maps_get_no_label_they_had_not(affine, other):
    labels = _labels(affine)
    for moved in (
        resample_to_spacing(labels, (0.9, 3.0, 1.3), nearest=True),
        resample_like(labels, _noise(other, (8, 9, 7)), nearest=True),
    ):
        assert moved.array.dtype == np.uint8
        assert set(np.unique(moved.array)) <= {0, 1, 4, 250}
    array, _ = resize_to_grid(labels, (9, 8, 7), nearest=True)
    assert array.dtype == np.uint8
    assert set(np.unique(array)) <= {0, 1, 4, 250}


def _itk(volume: Volume):
    """The same image for SimpleITK, whose world is LPS and whose arrays are (z, y, x)."""
    image = sitk.GetImageFromArray(np.ascontiguousarray(volume.array.T))
    to_lps = np.diag([-1.0, -1.0, 1.0])
    image.SetSpacing(volume.spacing_mm)
    image.SetDirection((to_lps @ volume.affine[:3, :3] / volume.spacing_mm).ravel().tolist())
    image.SetOrigin((to_lps @ volume.affine[:3, 3]).tolist())
    return image


@pytest.mark.parametrize("nearest", [False, True])
@pytest.mark.parametrize("degrees", [(0.0, 0.0, 0.0), (9.0, 21.0, -14.0)])
def test_resampling_onto_a_finer_grid_is_simpleitks_border_included(nearest, degrees):
    volume = _labels() if nearest else _noise()
    around = _affine(degrees, (0.8, 0.9, 1.1), origin=(-25.0, 5.0, 30.0))
    reference = _noise(around, (40, 40, 36))
    method = sitk.sitkNearestNeighbor if nearest else sitk.sitkLinear
    expected = sitk.Resample(_itk(volume), _itk(reference), sitk.Transform(), method, 7)
    expected = sitk.GetArrayFromImage(expected).T
    found = resample_like(volume, reference, nearest=nearest, fill=7).array
    assert 0.02 < np.mean(expected == 7) < 0.98
    agree = np.isclose(found, expected, atol=1e-2)
    assert agree.mean() > 0.9999  # a centre on a face may fall on either side


@pytest.mark.parametrize("shear", [0.0, 0.25])
def test_resampling_is_nibabels_inside_a_sheared_volume(shear):
    volume = _noise(_affine((5.0, 10.0, 0.0), SPACING, shear=shear))
    reference = _noise(_affine((0.0, 0.0, 15.0), (0.9, 0.8, 1.0)), (20, 22, 24))
    image = Nifti1Image(volume.array, volume.affine)
    expected = resample_from_to(image, ((20, 22, 24), reference.affine), order=1).get_fdata()
    inner = _inner(volume, (20, 22, 24), reference.affine)
    assert inner.sum() > 500
    np.testing.assert_allclose(
        resample_like(volume, reference).array[inner], expected[inner], rtol=1e-4
    )


def test_a_grid_of_its_own_changes_nothing():
    volume = _noise()
    for moved in (resample_to_spacing(volume, SPACING), resample_like(volume, volume)):
        np.testing.assert_allclose(moved.array, volume.array, rtol=1e-5)
        np.testing.assert_allclose(moved.affine, volume.affine, atol=1e-9)
    array, affine = resize_to_grid(volume, SHAPE[::-1], keep_aspect=False)
    np.testing.assert_allclose(array, volume.array[::-1, ::-1, ::-1].T, rtol=1e-5)
    np.testing.assert_allclose(volume_of_grid(array, affine).affine, volume.affine, atol=1e-9)


@given(spacings)
@EXAMPLES
def test_a_constant_image_stays_constant_to_its_faces(spacing):
    volume = Volume(np.full(SHAPE, 50, np.int16), OBLIQUE)
    moved = resample_to_spacing(volume, spacing)
    np.testing.assert_allclose(moved.array, 50, rtol=1e-5)
    assert moved.array.dtype == np.float32
    array, _ = resize_to_grid(volume, (12, 12, 12), keep_aspect=False, fill=-1)
    np.testing.assert_allclose(array, 50, rtol=1e-5)


def test_stripes_finer_than_the_new_voxels_become_grey_not_other_stripes():
    stripes = Volume((np.indices((48, 8, 8))[0] % 2).astype(np.float32), np.eye(4))
    moved = resample_to_spacing(stripes, (3.0, 1.0, 1.0)).array[3:-3]
    assert np.abs(moved - 0.5).max() < 0.02


def test_what_lies_outside_the_other_volume_is_fill():
    volume = _noise()
    elsewhere = _noise(_affine((0, 0, 0), SPACING, origin=(500.0, 0.0, 0.0)))
    assert np.all(resample_like(volume, elsewhere, fill=-3).array == -3)
    assert covered_share(volume, elsewhere) == 0
    assert covered_share(volume, volume) == 1
    shifted = volume.affine @ np.array([[1, 0, 0, 5], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    assert covered_share(volume, Volume(volume.array, shifted)) == pytest.approx(14 / 19)


def test_a_mask_of_bools_is_resampled_as_one():
    mask = Volume(_labels().array > 0, OBLIQUE)
    moved = resample_to_spacing(mask, (2.0, 2.0, 2.0), nearest=True)
    assert moved.array.dtype == bool
    assert moved.array.any() and not moved.array.all()


def test_a_spacing_no_patient_has_is_a_reason():
    in_metres = Volume(np.zeros((50, 50, 50), np.int16), np.diag([1000.0, 1000.0, 1000.0, 1.0]))
    with pytest.raises(Unreadable, match="50000x50000x50000"):
        resample_to_spacing(in_metres, (1.0, 1.0, 1.0))
    for wrong in ((1.0, 0.0, 1.0), (1.0, 1.0), (1.0, -2.0, 1.0)):
        with pytest.raises(ValueError, match="positive"):
            resample_to_spacing(_noise(), wrong)


# A fixed grid


@given(affines, st.booleans())
@EXAMPLES
def test_a_grid_is_head_front_and_right_first_and_says_where_it_lies(affine, keep_aspect):
    volume = _landmarks(affine)
    grid = (13, 17, 12)
    array, to_world = resize_to_grid(volume, grid, keep_aspect=keep_aspect)
    assert array.shape == (*grid, 3)
    # The affine takes (column, row, depth).
    as_columns = Volume(np.moveaxis(array, (0, 2), (2, 0)), to_world)
    _assert_landmarks_kept(volume, as_columns)
    right, front, head = np.linalg.solve(affine[:3, :3], to_world[:3, :3]).diagonal()
    assert max(right, front, head) < 0
    back = volume_of_grid(array, to_world)
    _assert_landmarks_kept(volume, back)
    if np.abs(affine[:3, :3] / volume.spacing_mm).diagonal().min() > 0.8:
        assert aff2axcodes(back.affine) == ("R", "A", "S")


def test_an_asymmetric_corner_lands_where_the_axes_say():
    array = np.zeros((8, 10, 6), np.float32)
    array[7, 9, 5] = 1  # right, front, head
    volume = Volume(array, np.diag([1.0, 1.0, 2.0, 1.0]))
    placed, _ = resize_to_grid(volume, (6, 10, 8), keep_aspect=False)
    assert np.argwhere(placed > 0.9).tolist() == [[0, 0, 0]]


def test_kept_aspect_gives_cubes_with_fill_around_a_stretched_grid_none():
    volume = Volume(np.full((20, 12, 4), 9, np.float32), _affine((3, 4, 5), (1.0, 1.0, 5.0)))
    array, affine = resize_to_grid(volume, (10, 10, 10), fill=-1)
    np.testing.assert_allclose(np.linalg.norm(affine[:3, :3], axis=0), 2.0)
    inside = array == 9
    assert inside.sum() == 10 * 6 * 10  # 20 mm in depth, 12 in rows, 20 in columns
    assert set(np.unique(array)) == {-1, 9}
    assert inside[:, 2:8].all() and not inside[:, [0, 1, 8, 9]].any()  # padded at both ends
    stretched, affine = resize_to_grid(volume, (10, 10, 10), keep_aspect=False, fill=-1)
    np.testing.assert_allclose(np.linalg.norm(affine[:3, :3], axis=0), (2.0, 1.2, 2.0))
    assert np.all(stretched == 9)


# N4


def _biased_head(shape=(60, 66, 52), seed=1):
    """Folded tissue of three intensities in zero background, times a smooth field."""
    rng = np.random.default_rng(seed)
    x, y, z = np.moveaxis(2 * _indices(shape) / (np.array(shape) - 1) - 1, -1, 0)
    inside = (x / 0.8) ** 2 + (y / 0.85) ** 2 + (z / 0.9) ** 2 < 1
    folds = ndimage.gaussian_filter(rng.standard_normal(shape), 2.0)
    tissue = np.digitize(folds / folds.std(), (-0.5, 0.5))  # 0, 1, 2
    clean = np.array([250.0, 450.0, 600.0])[tissue]
    field = np.exp(0.3 * x + 0.25 * y * z - 0.3 * z**2)
    image = clean * field * (1 + 0.03 * rng.standard_normal(shape)) * inside
    return image.astype(np.float32), inside, tissue, field


def test_n4_removes_most_of_a_known_field_and_leaves_zeros():
    image, inside, tissue, field = _biased_head()
    volume = Volume(image, _affine((8, 0, 5), (3.0, 3.0, 3.5)))
    corrected = n4_corrected(volume, inside, shrink_factor=2, iterations=(30, 30, 30))
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
    own, given_mask = (n4_corrected(volume, mask, 2, (20, 20)) for mask in (None, inside))
    np.testing.assert_array_equal(own.array, given_mask.array)


def test_n4_puts_the_number_of_threads_back_and_takes_integers():
    before = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    image, inside, _, field = _biased_head((40, 40, 10))
    thick = Volume(image.astype(np.int16), np.diag([2.0, 2.0, 9.0, 1.0]))
    corrected = n4_corrected(thick, inside, 3, (20, 20))
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
    corrected = n4_corrected(volume)
    np.testing.assert_array_equal(corrected.array, volume.array)
    assert corrected.array.dtype == np.float32


def test_n4_with_an_empty_mask_gives_the_image_back():
    volume = _noise()
    np.testing.assert_array_equal(n4_corrected(volume, np.zeros(SHAPE, bool)).array, volume.array)


@pytest.mark.parametrize("shape", [(1, 1, 2), (2, 3, 2), (30, 30, 1), (5, 5, 5), (40, 3, 2)])
def test_n4_of_few_voxels_is_finite_or_a_reason(shape):
    volume = _noise(shape=shape)
    try:
        corrected = n4_corrected(volume, iterations=(5, 5))
    except Unreadable as reason:
        assert "N4" in str(reason)
    else:
        assert np.all(np.isfinite(corrected.array))


FULL_SIZE = """
import json, resource, time
import numpy as np
from scipy import ndimage
from data_prep.ops.n4 import n4_corrected
from data_prep.volume import Volume
shape = (240, 240, 155)
rng = np.random.default_rng(0)
x, y, z = np.meshgrid(*[np.linspace(-1, 1, n, dtype=np.float32) for n in shape], indexing="ij")
inside = (x / 0.6) ** 2 + (y / 0.75) ** 2 + (z / 0.9) ** 2 < 1
folds = ndimage.gaussian_filter(rng.standard_normal(shape, np.float32), 5.0)
image = 200 + 200 * np.digitize(folds / folds.std(), (-0.5, 0.5))
image = (image * np.exp(0.3 * x - 0.3 * z**2) * inside).astype(np.float32)
before = time.process_time(), time.monotonic()
corrected = n4_corrected(Volume(image, np.eye(4)), inside, shrink_factor=4)
after = time.process_time(), time.monotonic()
found, true = np.log(image[inside] / corrected.array[inside]), (0.3 * x - 0.3 * z**2)[inside]
print(json.dumps(dict(
    cpu_seconds=after[0] - before[0], seconds=after[1] - before[1],
    gigabytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    correlation=float(np.corrcoef(found, true)[0, 1]),
)))
"""


@pytest.mark.slow
def test_n4_of_a_whole_study_at_shrink_factor_4_takes_30_seconds_of_one_core_and_3_gb():
    done = subprocess.run([sys.executable, "-c", FULL_SIZE], capture_output=True, text=True, check=True)
    measured = json.loads(done.stdout)
    print(measured)
    assert measured["cpu_seconds"] < 30
    assert measured["gigabytes"] < 3
    assert measured["correlation"] > 0.95


# CLAHE


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


# Brain mask


def _ball(shape=(40, 44, 30), radius=0.7) -> np.ndarray:
    x, y, z = np.moveaxis(2 * _indices(shape) / (np.array(shape) - 1) - 1, -1, 0)
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


# Statistics


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
    from mri_tf.data.normalize import normalize

    channels = np.zeros((4, 5, 6, 3), np.float32)
    channels[..., 0] = 1000.1
    channels[..., 2] = 1.0
    stats = region_stats(channels, np.ones((4, 5, 6), bool), unscaled=(2,))
    np.testing.assert_array_equal(stats[:, 2], [[0, 1], [0, 1]])
    for region in ("image", "mask"):
        scores = normalize(channels[None], stats[None], dict(method="zscore", region=region)).numpy()
        np.testing.assert_array_equal(scores[..., :2], 0)
        np.testing.assert_array_equal(scores[..., 2], 1)


def test_statistics_inside_an_empty_mask_are_a_reason():
    with pytest.raises(Unreadable, match="empty"):
        region_stats(np.ones((3, 3, 3, 1)), np.zeros((3, 3, 3), bool))
    with pytest.raises(ValueError, match="shape"):
        region_stats(np.ones((3, 3, 3, 1)), np.ones((3, 3, 1), bool))


# Boxes

places = st.tuples(*[st.integers(-6, 20)] * 3)
sizes = st.tuples(*[st.integers(1, 25)] * 3)


def _box_at(start, size) -> Box:
    return Box(start, tuple(one + more for one, more in zip(start, size, strict=True)))


def test_a_masks_box_holds_all_of_it_and_no_more():
    mask = np.zeros(SHAPE, np.uint8)
    mask[3, 5:9, 2] = 4
    mask[10, 7, 8] = 1
    box = mask_box(mask)
    assert box == Box((3, 5, 2), (11, 9, 9))
    assert with_margin(box, 10) == Box((-7, -5, -8), (21, 19, 19))
    assert with_margin(box, (1, 0, 2)) == Box((2, 5, 0), (12, 9, 11))
    assert with_margin_mm(box, 6.0, (0.5, 1.0, 5.0)) == Box((-9, -1, 0), (23, 15, 11))
    assert with_margin_mm(box, 0.6, (0.2, 0.3, 0.6)) == Box((0, 3, 1), (14, 11, 10))


@given(places, sizes)
@EXAMPLES
def test_a_crop_keeps_landmarks_and_goes_back_where_it_was(start, size):
    volume, box = _landmarks(OBLIQUE), _box_at(start, size)
    inside = [slice(max(0, a), max(0, b)) for a, b in zip(box.start, box.stop, strict=True)]
    if volume.array[tuple(inside)].size == 0:
        with pytest.raises(Unreadable, match="outside"):
            crop(volume, box)
        return
    cut = crop(volume, box, fill=-1e5)
    assert cut.array.shape == (*box.size, 3)
    there = cut.array[..., 0] != -1e5
    np.testing.assert_allclose(
        cut.array[there], _positions(cut.array.shape, cut.affine)[there], atol=1e-3
    )
    assert there.sum() == volume.array[tuple(inside)][..., 0].size
    back = placed_back(cut.array, box, volume, fill=-1e5)
    np.testing.assert_array_equal(back.affine, volume.affine)
    kept = back.array[..., 0] != -1e5
    assert kept.sum() == there.sum()
    np.testing.assert_array_equal(back.array[kept], volume.array[kept])


@given(places, sizes, spacings, st.tuples(*[st.integers(8, 128)] * 3))
@EXAMPLES
def test_a_box_grows_to_the_grids_proportions_within_a_voxel(start, size, spacing, grid):
    box = _box_at(start, size)
    grown = with_aspect(box, spacing, grid)
    assert np.all(np.array(grown.start) <= box.start)
    assert np.all(np.array(grown.stop) >= box.stop)
    before = np.array(box.start) - grown.start
    after = np.array(grown.stop) - box.stop
    assert np.all((after - before >= 0) & (after - before <= 1))
    sides_mm = np.array(grown.size) * spacing
    scale_mm = np.max(np.array(box.size) * spacing / grid[::-1])  # of a voxel of the grid
    excess = sides_mm - scale_mm * np.array(grid[::-1])
    assert np.all((excess >= -1e-4 * np.array(spacing)) & (excess < 1.0001 * np.array(spacing)))


@given(places, sizes)
@EXAMPLES
def test_a_box_is_moved_inside_the_least_way_and_its_size_kept(start, size):
    box = _box_at(start, size)
    moved = moved_inside(box, SHAPE)
    assert moved.size == box.size
    for axis, length in enumerate(SHAPE):
        first, last = moved.start[axis], moved.stop[axis]
        if size[axis] > length:
            assert first <= 0 and last >= length and abs((length - last) - first) <= 1
        else:
            nearest = min(range(length - size[axis] + 1), key=lambda at: abs(at - start[axis]))
            assert first == nearest


def test_an_empty_mask_and_a_box_outside_are_reasons():
    with pytest.raises(Unreadable, match="empty"):
        mask_box(np.zeros((4, 4, 4)))
    with pytest.raises(Unreadable, match="outside"):
        clipped(Box((9, 0, 0), (12, 2, 2)), (9, 9, 9))
    assert clipped(Box((-3, 2, 4), (5, 20, 6)), (9, 9, 9)) == Box((0, 2, 4), (5, 9, 6))


# Sequences as channels


def _study():
    t1 = _noise()
    other = _affine((0.0, 0.0, 4.0), (1.2, 1.2, 2.0), origin=(-22.0, 12.0, 38.0))
    return {"t1": t1, "t2": _noise(other, (24, 24, 20), seed=1)}


def test_sequences_become_channels_on_the_first_ones_grid():
    study = _study()
    stacked = stack_channels(study, ("t1", "t2"))
    assert stacked.names == ("t1", "t2") and stacked.missing == () and stacked.presence == ()
    np.testing.assert_array_equal(stacked.volume.array[..., 0], study["t1"].array)
    expected = resample_like(study["t2"], study["t1"]).array
    np.testing.assert_array_equal(stacked.volume.array[..., 1], expected)
    np.testing.assert_array_equal(stacked.volume.affine, study["t1"].affine)
    turned = stack_channels(study, ("t2", "t1"))
    assert turned.volume.array.shape == (24, 24, 20, 2)


def test_sequences_meet_on_a_reference_grid_at_the_same_place():
    one, other = _affine((0, 0, 0), SPACING), _affine((5, 0, 9), (1.1, 1.3, 2.2))
    reference = _noise(_affine((0, 0, 3), (1.0, 1.0, 1.0), origin=(-16.0, 18.0, 44.0)), (12, 13, 14))
    study = {
        name: Volume(_landmarks(affine).array[..., 0], affine)
        for name, affine in (("t1", one), ("flair", other))
    }
    stacked = stack_channels(study, ("t1", "flair"), reference=reference).volume
    inner = np.ones((12, 13, 14), bool)
    for affine in (one, other):
        inner &= _inner(_landmarks(affine), inner.shape, reference.affine)
    assert inner.sum() > 300
    apart = stacked.array[inner][:, 0] - stacked.array[inner][:, 1]
    np.testing.assert_allclose(apart, 0, atol=2e-3)


def test_a_missing_sequence_fails_skips_or_is_zero_with_a_channel_that_says_so():
    study = {"t2": _study()["t2"]}
    order = ("t1", "t2")
    with pytest.raises(Unreadable, match="no t1$"):
        stack_channels(study, order, "fail")
    assert stack_channels(study, order, "skip") is None
    assert stack_channels(_study(), order, "skip").names == order
    filled = stack_channels(study, order, "zero_fill")
    assert filled.names == channel_names(order, "zero_fill") == ("t1", "t2", "has_t1", "has_t2")
    assert filled.missing == ("t1",) and filled.presence == (2, 3)
    array = filled.volume.array
    assert not array[..., 0].any() and not array[..., 2].any() and np.all(array[..., 3] == 1)
    np.testing.assert_array_equal(array[..., 1], study["t2"].array)
    whole = stack_channels(_study(), order, "zero_fill")
    assert whole.missing == () and np.all(whole.volume.array[..., 2:] == 1)
    for rule in ("fail", "skip", "zero_fill"):
        with pytest.raises(Unreadable, match="no t1, t2"):
            stack_channels({}, order, rule)
    with pytest.raises(ValueError, match="zero_fill"):
        stack_channels(study, order, "zerofill")


def test_a_sequence_that_lies_elsewhere_or_holds_several_values_a_voxel_is_a_reason():
    study = _study()
    far = Volume(study["t2"].array, _affine((0, 0, 0), SPACING, origin=(300.0, 0.0, 0.0)))
    with pytest.raises(Unreadable, match="t2 lies elsewhere"):
        stack_channels({**study, "t2": far}, ("t1", "t2"))
    with pytest.raises(Unreadable, match="4 dimensions"):
        stack_channels({**study, "t2": _landmarks(OBLIQUE)}, ("t1", "t2"))
