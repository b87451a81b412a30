"""3D operations keep landmarks in place, create no new labels, and refuse what they cannot do."""

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from nibabel import Nifti1Image
from nibabel.orientations import aff2axcodes
from nibabel.processing import resample_from_to
from volumes import OBLIQUE, SHAPE, SPACING, affine_of, labels, landmarks, noise, positions_mm

from data_prep.case import Unreadable
from data_prep.ops.crop import Box, crop, mask_box
from data_prep.ops.resample import (
    covered_share,
    resample_like,
    resize_to_grid,
    volume_of_grid,
)
from data_prep.ops.stack import channel_names, stack_channels
from data_prep.volume import Volume

EXAMPLES = settings(max_examples=40, deadline=None)
spacings = st.tuples(*[st.floats(0.4, 6.0)] * 3)
angles = st.floats(-30.0, 30.0)
affines = st.builds(affine_of, st.tuples(angles, angles, angles), spacings, shear=st.floats(-0.3, 0.3))


def _inner(volume: Volume, shape, affine) -> np.ndarray:
    """Voxels of a grid so far inside the volume that no border reaches into their value."""
    to_voxels = np.linalg.inv(volume.affine) @ affine
    places = positions_mm(shape, to_voxels)
    steps = np.linalg.norm(to_voxels[:3, :3], axis=1)
    reach = np.where(steps > 1, np.ceil(2 * (steps - 1)) + 1, 0)  # 4 SD of the blur
    return np.all((places >= reach) & (places <= np.array(volume.array.shape[:3]) - 1 - reach), axis=-1)


def _assert_landmarks_kept(volume: Volume, moved: Volume) -> int:
    inner = _inner(volume, moved.array.shape, moved.affine)
    expected = positions_mm(moved.array.shape, moved.affine)
    np.testing.assert_allclose(moved.array[inner], expected[inner], atol=2e-3)
    return int(inner.sum())


def at_spacing(volume: Volume, spacing_mm, nearest: bool = False) -> Volume:
    """The volume on voxels of another size over the same extent."""
    step = np.array(spacing_mm) / volume.spacing_mm  # in old voxels
    size = np.array(volume.array.shape[:3])
    shape = np.maximum(1, np.floor(size / step + 0.5)).astype(int)
    to_voxel = np.diag([*step, 1.0])
    to_voxel[:3, 3] = (size - 1) / 2 - step * (shape - 1) / 2
    reference = Volume(np.broadcast_to(np.uint8(0), shape), volume.affine @ to_voxel)
    return resample_like(volume, reference, nearest)


def test_landmarks_are_seen_at_most_voxels_of_a_fine_grid():
    # What `_assert_landmarks_kept` looks at is not an empty set.
    volume = landmarks(OBLIQUE)
    moved = at_spacing(volume, (0.7, 0.7, 0.7))
    assert _assert_landmarks_kept(volume, moved) > 0.7 * np.prod(moved.array.shape[:3])
    assert _assert_landmarks_kept(volume, at_spacing(volume, (1.5, 2.0, 3.0))) > 100


@given(affines, affines)
@EXAMPLES
def test_resampling_onto_another_volume_keeps_landmarks(affine, other):
    volume, reference = landmarks(affine), noise(other, (9, 12, 10))
    moved = resample_like(volume, reference)
    _assert_landmarks_kept(volume, moved)
    np.testing.assert_array_equal(moved.affine, reference.affine)
    assert moved.array.shape == (9, 12, 10, 3)


@given(affines, affines)
@EXAMPLES
def test_label_maps_get_no_label_they_had_not(affine, other):
    label_map = labels(affine)
    for array in (
        at_spacing(label_map, (0.9, 3.0, 1.3), nearest=True).array,
        resample_like(label_map, noise(other, (8, 9, 7)), nearest=True).array,
        resize_to_grid(label_map, (9, 8, 7), nearest=True)[0],
    ):
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
    volume = labels() if nearest else noise()
    around = affine_of(degrees, (0.8, 0.9, 1.1), origin=(-25.0, 5.0, 30.0))
    reference = noise(around, (40, 40, 36))
    method = sitk.sitkNearestNeighbor if nearest else sitk.sitkLinear
    expected = sitk.Resample(_itk(volume), _itk(reference), sitk.Transform(), method, 7)
    expected = sitk.GetArrayFromImage(expected).T
    found = resample_like(volume, reference, nearest=nearest, fill=7).array
    assert 0.02 < np.mean(expected == 7) < 0.98
    agree = np.isclose(found, expected, atol=1e-2)
    assert agree.mean() > 0.9999  # a centre on a face may fall on either side


@pytest.mark.parametrize("shear", [0.0, 0.25])
def test_resampling_is_nibabels_inside_a_sheared_volume(shear):
    volume = noise(affine_of((5.0, 10.0, 0.0), SPACING, shear=shear))
    reference = noise(affine_of((0.0, 0.0, 15.0), (0.9, 0.8, 1.0)), (20, 22, 24))
    image = Nifti1Image(volume.array, volume.affine)
    expected = resample_from_to(image, ((20, 22, 24), reference.affine), order=1).get_fdata()
    inner = _inner(volume, (20, 22, 24), reference.affine)
    assert inner.sum() > 500
    np.testing.assert_allclose(
        resample_like(volume, reference).array[inner], expected[inner], rtol=1e-4
    )


def test_a_grid_of_its_own_changes_nothing():
    volume = noise()
    for moved in (at_spacing(volume, SPACING), resample_like(volume, volume)):
        np.testing.assert_allclose(moved.array, volume.array, rtol=1e-5)
        np.testing.assert_allclose(moved.affine, volume.affine, atol=1e-9)
    array, affine = resize_to_grid(volume, SHAPE[::-1], keep_aspect=False)
    np.testing.assert_allclose(array, volume.array[::-1, ::-1, ::-1].T, rtol=1e-5)
    np.testing.assert_allclose(volume_of_grid(array, affine).affine, volume.affine, atol=1e-9)


@given(spacings)
@EXAMPLES
def test_a_constant_image_stays_constant_to_its_faces(spacing):
    volume = Volume(np.full(SHAPE, 50, np.int16), OBLIQUE)
    moved = at_spacing(volume, spacing)
    np.testing.assert_allclose(moved.array, 50, rtol=1e-5)
    assert moved.array.dtype == np.float32
    array, _ = resize_to_grid(volume, (12, 12, 12), keep_aspect=False, fill=-1)
    np.testing.assert_allclose(array, 50, rtol=1e-5)


def test_stripes_finer_than_the_new_voxels_become_grey_not_other_stripes():
    stripes = Volume((np.indices((48, 8, 8))[0] % 2).astype(np.float32), np.eye(4))
    moved = at_spacing(stripes, (3.0, 1.0, 1.0)).array[3:-3]
    assert np.abs(moved - 0.5).max() < 0.02


def test_what_lies_outside_the_other_volume_is_fill():
    volume = noise()
    elsewhere = noise(affine_of((0, 0, 0), SPACING, origin=(500.0, 0.0, 0.0)))
    assert np.all(resample_like(volume, elsewhere, fill=-3).array == -3)
    assert covered_share(volume, elsewhere) == 0
    assert covered_share(volume, volume) == 1
    shifted = volume.affine @ np.array([[1, 0, 0, 5], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    assert covered_share(volume, Volume(volume.array, shifted)) == pytest.approx(14 / 19)


def test_a_mask_of_bools_is_resampled_as_one():
    mask = Volume(labels().array > 0, OBLIQUE)
    moved = at_spacing(mask, (2.0, 2.0, 2.0), nearest=True)
    assert moved.array.dtype == bool
    assert moved.array.any() and not moved.array.all()


def test_a_spacing_no_patient_has_is_a_reason():
    in_metres = Volume(np.zeros((50, 50, 50), np.int16), np.diag([1000.0, 1000.0, 1000.0, 1.0]))
    with pytest.raises(Unreadable, match="50000x50000x50000"):
        at_spacing(in_metres, (1.0, 1.0, 1.0))


@given(affines, st.booleans())
@EXAMPLES
def test_a_grid_is_head_front_and_right_first_and_says_where_it_lies(affine, keep_aspect):
    volume = landmarks(affine)
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
    volume = Volume(np.full((20, 12, 4), 9, np.float32), affine_of((3, 4, 5), (1.0, 1.0, 5.0)))
    array, affine = resize_to_grid(volume, (10, 10, 10), fill=-1)
    np.testing.assert_allclose(np.linalg.norm(affine[:3, :3], axis=0), 2.0)
    inside = array == 9
    assert inside.sum() == 10 * 6 * 10  # 20 mm in depth, 12 in rows, 20 in columns
    assert set(np.unique(array)) == {-1, 9}
    assert inside[:, 2:8].all() and not inside[:, [0, 1, 8, 9]].any()  # padded at both ends
    stretched, affine = resize_to_grid(volume, (10, 10, 10), keep_aspect=False, fill=-1)
    np.testing.assert_allclose(np.linalg.norm(affine[:3, :3], axis=0), (2.0, 1.2, 2.0))
    assert np.all(stretched == 9)


places = st.tuples(*[st.integers(-6, 20)] * 3)
sizes = st.tuples(*[st.integers(1, 25)] * 3)


def test_a_masks_box_holds_all_of_it_and_no_more():
    mask = np.zeros(SHAPE, np.uint8)
    mask[3, 5:9, 2] = 4
    mask[10, 7, 8] = 1
    assert mask_box(mask) == Box((3, 5, 2), (11, 9, 9))


@given(places, sizes)
@EXAMPLES
def test_a_crop_keeps_landmarks_and_fills_what_lies_beyond_the_volume(start, size):
    stop = tuple(first + length for first, length in zip(start, size, strict=True))
    volume, box = landmarks(OBLIQUE), Box(start, stop)
    inside = [slice(max(0, a), max(0, b)) for a, b in zip(box.start, box.stop, strict=True)]
    if volume.array[tuple(inside)].size == 0:
        with pytest.raises(Unreadable, match="outside"):
            crop(volume, box)
        return
    cut = crop(volume, box, fill=-1e5)
    assert cut.array.shape == (*box.size, 3)
    kept = cut.array[..., 0] != -1e5
    expected = positions_mm(cut.array.shape, cut.affine)[kept]
    np.testing.assert_allclose(cut.array[kept], expected, atol=1e-3)
    np.testing.assert_array_equal(cut.array[kept], volume.array[tuple(inside)].reshape(-1, 3))


def test_an_empty_mask_and_a_box_outside_are_reasons():
    with pytest.raises(Unreadable, match="empty"):
        mask_box(np.zeros((4, 4, 4)))
    with pytest.raises(Unreadable, match="outside"):
        crop(noise(shape=(9, 9, 9)), Box((9, 0, 0), (12, 2, 2)))


def _case():
    t1 = noise()
    other = affine_of((0.0, 0.0, 4.0), (1.2, 1.2, 2.0), origin=(-22.0, 12.0, 38.0))
    return {"t1": t1, "t2": noise(other, (24, 24, 20), seed=1)}


def test_sequences_become_channels_on_the_first_ones_grid():
    volumes = _case()
    stacked = stack_channels(volumes, ("t1", "t2"))
    assert stacked.names == ("t1", "t2") and stacked.missing == () and stacked.presence == ()
    np.testing.assert_array_equal(stacked.volume.array[..., 0], volumes["t1"].array)
    expected = resample_like(volumes["t2"], volumes["t1"]).array
    np.testing.assert_array_equal(stacked.volume.array[..., 1], expected)
    np.testing.assert_array_equal(stacked.volume.affine, volumes["t1"].affine)
    turned = stack_channels(volumes, ("t2", "t1"))
    assert turned.volume.array.shape == (24, 24, 20, 2)


def test_sequences_meet_on_a_reference_grid_at_the_same_place():
    one, other = affine_of((0, 0, 0), SPACING), affine_of((5, 0, 9), (1.1, 1.3, 2.2))
    reference = noise(affine_of((0, 0, 3), (1.0, 1.0, 1.0), origin=(-16.0, 18.0, 44.0)), (12, 13, 14))
    volumes = {
        name: Volume(landmarks(affine).array[..., 0], affine)
        for name, affine in (("t1", one), ("flair", other))
    }
    stacked = stack_channels(volumes, ("t1", "flair"), reference=reference).volume
    inner = np.ones((12, 13, 14), bool)
    for affine in (one, other):
        inner &= _inner(landmarks(affine), inner.shape, reference.affine)
    assert inner.sum() > 300
    apart = stacked.array[inner][:, 0] - stacked.array[inner][:, 1]
    np.testing.assert_allclose(apart, 0, atol=2e-3)


def test_a_missing_sequence_fails_skips_or_is_zero_with_a_channel_that_says_so():
    volumes = {"t2": _case()["t2"]}
    order = ("t1", "t2")
    with pytest.raises(Unreadable, match="missing sequences: t1$"):
        stack_channels(volumes, order, "fail")
    assert stack_channels(volumes, order, "skip") is None
    assert stack_channels(_case(), order, "skip").names == order
    filled = stack_channels(volumes, order, "zero_fill")
    assert filled.names == channel_names(order, "zero_fill") == ("t1", "t2", "has_t1", "has_t2")
    assert filled.missing == ("t1",) and filled.presence == (2, 3)
    array = filled.volume.array
    assert not array[..., 0].any() and not array[..., 2].any() and np.all(array[..., 3] == 1)
    np.testing.assert_array_equal(array[..., 1], volumes["t2"].array)
    whole = stack_channels(_case(), order, "zero_fill")
    assert whole.missing == () and np.all(whole.volume.array[..., 2:] == 1)
    for rule in ("fail", "skip", "zero_fill"):
        with pytest.raises(Unreadable, match="missing sequences: t1, t2"):
            stack_channels({}, order, rule)
    with pytest.raises(ValueError, match="zero_fill"):
        stack_channels(volumes, order, "zerofill")


def test_a_sequence_that_lies_elsewhere_or_holds_several_values_a_voxel_is_a_reason():
    volumes = _case()
    far = Volume(volumes["t2"].array, affine_of((0, 0, 0), SPACING, origin=(300.0, 0.0, 0.0)))
    with pytest.raises(Unreadable, match="t2 shows another place"):
        stack_channels({**volumes, "t2": far}, ("t1", "t2"))
    with pytest.raises(Unreadable, match="4 dimensions"):
        stack_channels({**volumes, "t2": landmarks(OBLIQUE)}, ("t1", "t2"))


@pytest.mark.parametrize("seed", range(8))
def test_a_parallel_grid_gives_what_the_general_transform_gives(seed, monkeypatch):
    rng = np.random.default_rng(seed)
    array = rng.normal(100, 50, rng.integers(1, 24, 3)).astype(np.float32)
    volume = Volume(array, affine_of((3, 4, 5), tuple(rng.uniform(0.5, 4, 3))))
    grid, keep = tuple(int(size) for size in rng.integers(1, 30, 3)), bool(seed % 2)
    placed, _ = resize_to_grid(volume, grid, keep, fill=-1)
    monkeypatch.setattr("data_prep.ops.resample._axis_weights", lambda *_: None)
    general, _ = resize_to_grid(volume, grid, keep, fill=-1)
    np.testing.assert_allclose(placed, general, rtol=0, atol=1e-3)


def test_whole_numbers_on_their_own_grid_stay_what_they_are():
    array = np.random.default_rng(0).integers(-1000, 3000, (9, 8, 7)).astype(np.int16)
    volume = Volume(array, np.diag([2.0, 2.0, 2.0, 1.0]))
    placed, _ = resize_to_grid(volume, (7, 8, 9))
    assert np.array_equal(placed, np.moveaxis(array, (0, 2), (2, 0))[::-1, ::-1, ::-1])


def test_zeros_outside_a_mask_stay_exactly_zero_whatever_the_corner_holds():
    array = np.random.default_rng(0).normal(size=(20, 20, 20)).astype(np.float32)
    array[:, 10:] = 0
    assert array[0, 0, 0] != 0
    placed, _ = resize_to_grid(Volume(array, np.diag([1.0, 1.0, 1.0, 1.0])), (13, 17, 11))
    assert not placed[:, :7].any()  # rows from front to back
