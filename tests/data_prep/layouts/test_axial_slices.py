"""An axial slice shows the same patient however the file is stored, and says where each pixel lies."""

import contextlib
import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from volumes import affine_of, assert_same_records, save_nifti

from data_prep.case import Case, Unreadable
from data_prep.layouts import labelled_slices, volumes_with_levels
from data_prep.ops.axial import axial_slice, nearest_slice
from data_prep.volume import Volume
from mri_tf.task.files import find_task_file, load_task
from mri_tf.task.overrides import with_values

SHAPE = (10, 14, 6)  # x, y, z
SPACING = (2.0, 1.0, 3.0)
ORIGIN = (-7.0, 11.0, -40.0)
AFFINE = np.array([[2, 0, 0, -7], [0, 1, 0, 11], [0, 0, 3, -40], [0, 0, 0, 1.0]])
LABELLED = Case("p", {"volume": "volumes/p.nii.gz", "labels": "labels/p.nii.gz"})
ORDERS = ("RAS", "LPS", "PIR", "SAL", "ILP")


def _task(name: str, grid: tuple[int, int]):
    return with_values(load_task(find_task_file(name)), {"image_shape": grid})


def _noise(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(-1000, 1500, SHAPE).astype(np.int16)


def _height_mm(z: int) -> float:
    return ORIGIN[2] + SPACING[2] * z


def _labelled(raw, labels, image=None, orders=("RAS", "RAS"), affines=(AFFINE, AFFINE), grid=(12, 12)):
    """Records of an image, noise unless given, and a label map, each of its own order and affine."""
    image = _noise() if image is None else image
    save_nifti(raw / "volumes" / "p.nii.gz", image, affines[0], orders[0])
    save_nifti(raw / "labels" / "p.nii.gz", labels, affines[1], orders[1])
    return labelled_slices.read_case(raw, LABELLED, _task("cardiac_structures", grid))


def _slices(raw, array: np.ndarray, order: str, heights, grid=(24, 20)):
    save_nifti(raw / "volumes" / "p.nii.gz", array, AFFINE, order)
    case = Case("p", {"volume": "volumes/p.nii.gz"}, slices=tuple((h, "aortic_arch") for h in heights))
    return volumes_with_levels.read_case(raw, case, _task("cardiac_levels", grid))


@pytest.mark.parametrize("order", ORDERS[1:])
def test_a_file_of_any_axis_order_gives_the_slices_of_ras(tmp_path, order):
    heights = [_height_mm(z) for z in range(SHAPE[2] - 1, -1, -1)]
    expected = _slices(tmp_path / "ras", _noise(), "RAS", heights)
    found = _slices(tmp_path / order, _noise(), order, heights)
    assert len({record.image.tobytes() for record in expected}) == SHAPE[2]
    assert_same_records(found, expected)


@pytest.mark.parametrize("order", ORDERS[1:])
def test_images_and_label_maps_of_any_axis_order_stay_together(tmp_path, order):
    labels = np.random.default_rng(1).integers(0, 17, SHAPE).astype(np.uint8)
    found = [
        _labelled(tmp_path / "-".join(orders), labels, orders=orders, grid=(24, 20))
        for orders in (("RAS", "RAS"), (order, order), ("RAS", order))
    ]
    for records in found[1:]:
        assert_same_records(records, found[0])
    assert len({record.mask.tobytes() for record in found[0]}) == SHAPE[2]


def _centroid(image: np.ndarray) -> np.ndarray:
    """(column, row, 0, 1) of the bright spot above air."""
    weight = image.astype(float) - image.min()
    rows, columns = np.indices(weight.shape)
    return np.array([(weight * columns).sum(), (weight * rows).sum(), 0, weight.sum()]) / weight.sum()


@given(st.integers(1, 8), st.integers(1, 12), st.integers(0, 5), st.sampled_from(ORDERS))
@settings(max_examples=30, deadline=None)
def test_a_bright_voxel_lies_where_the_affine_of_its_slice_says(tmp_path_factory, x, y, z, order):
    array = np.full(SHAPE, -1024, np.int16)  # air, as what lies outside
    array[x, y, z] = 976
    # The field of view of 20 x 14 mm on 20 x 20 pixels: pixels of 1 mm, so that nothing is blurred.
    raw = tmp_path_factory.mktemp("voxel")
    (record,) = _slices(raw, array, order, [_height_mm(z)], grid=(20, 20))
    found = record.affine @ _centroid(record.image[..., 0])
    np.testing.assert_allclose(found, AFFINE @ [x, y, z, 1], atol=1e-3)


def test_rows_lead_from_front_to_back_and_columns_from_the_patients_right_to_left(tmp_path):
    def place(x, y):
        array = np.zeros(SHAPE, np.int16)
        array[x, y, 2] = 1000
        (record,) = _slices(tmp_path / f"{x}-{y}", array, "RAS", [_height_mm(2)], grid=(20, 20))
        column, row, *_ = _centroid(np.maximum(record.image[..., 0], 0))
        return row, column

    row, column = place(5, 7)
    assert place(5, 11)[0] < row < place(5, 3)[0]  # y grows to the front
    assert place(8, 7)[1] < column < place(1, 7)[1]  # x grows to the patient's right, in RAS


def test_slices_come_head_first(tmp_path):
    array = np.zeros(SHAPE, np.int16) + 100 * np.arange(SHAPE[2], dtype=np.int16)
    records = _labelled(tmp_path, np.zeros(SHAPE, np.uint8), array, orders=("PIR", "LPS"))
    assert [int(record.image[6, 6, 0]) for record in records] == [500, 400, 300, 200, 100, 0]
    heights = [record.affine[2, 3] for record in records]
    assert heights == pytest.approx([_height_mm(z) for z in (5, 4, 3, 2, 1, 0)])


def test_the_slices_of_a_table_come_head_first_whatever_their_order(tmp_path):
    (tmp_path / "levels.csv").write_text(
        "patient_id,z_mm,level\np,-40,aortic_arch\np,-9.5,aortic_root\np,-28,lung_apex\n"
    )
    (case,) = volumes_with_levels.list_cases(tmp_path, _task("cardiac_levels", (12, 12)))
    assert [height for height, _ in case.slices] == [-9.5, -28, -40]


@pytest.mark.parametrize(("rows", "columns"), [(40, 40), (40, 60), (80, 40)])
def test_a_square_of_24_mm_stays_a_square_of_24_mm(rows, columns):
    array = np.zeros((20, 40, 3), np.float32)  # 40 x 40 mm
    array[4:16, 8:32, 1] = 1.0  # 12 x 24 voxels of 2 x 1 mm
    image, affine = axial_slice(Volume(array, AFFINE), 1, (rows, columns), fill=0.0)
    pixel_mm = np.linalg.norm(affine[:3, :2], axis=0)
    np.testing.assert_allclose(pixel_mm, [40 / min(rows, columns)] * 2)
    inside = image > 0.5
    height_mm, width_mm = inside.any(axis=1).sum() * pixel_mm[1], inside.any(axis=0).sum() * pixel_mm[0]
    assert height_mm == pytest.approx(24, abs=pixel_mm[1])
    assert width_mm == pytest.approx(24, abs=pixel_mm[0])


def test_a_slice_on_its_own_grid_keeps_every_voxel():
    array = _noise().astype(np.float32)
    volume = Volume(array, np.diag([1.5, 1.5, 3, 1]))
    image, _ = axial_slice(volume, 4, (14, 10), fill=-1024)
    np.testing.assert_array_equal(image, array[::-1, ::-1, 4].T)


def test_what_lies_outside_the_field_of_view_is_filled():
    array = np.full((10, 10, 1), 7, np.float32)
    image, _ = axial_slice(Volume(array, np.eye(4)), 0, (10, 20), fill=-5)
    assert (image[:, :5] == -5).all() and (image[:, 15:] == -5).all() and (image[:, 5:15] == 7).all()


def test_an_oblique_slice_says_where_its_pixels_lie():
    affine = affine_of((20, 0, 0), SPACING, ORIGIN)
    array = np.zeros(SHAPE, np.float32)
    array[3, 9, 4] = 1.0
    image, to_mm = axial_slice(Volume(array, affine), 4, (20, 20), fill=0)
    np.testing.assert_allclose(to_mm @ _centroid(image), affine @ [3, 9, 4, 1], atol=1e-4)
    height = (affine @ [4.5, 6.5, 4, 1])[2]  # of the slice's centre
    assert nearest_slice(Volume(array, affine), height) == 4


@given(
    st.tuples(*[st.integers(1, 12)] * 2), st.tuples(*[st.integers(1, 12)] * 2),
    st.tuples(*[st.floats(0.3, 4)] * 2), st.integers(0, 999),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_nearest_gives_only_labels_that_exist(size, grid, spacing, seed):
    labels = np.random.default_rng(seed).choice([2, 9, 200], (*size, 1)).astype(np.uint8)
    volume = Volume(labels, np.diag([*spacing, 1, 1]))
    mask, _ = axial_slice(volume, 0, grid, fill=0, nearest=True)
    assert mask.shape == grid
    assert set(np.unique(mask)) <= set(np.unique(labels)) | {0}


@pytest.mark.parametrize(
    ("height_mm", "index"), [(-40, 0), (-41.4, 0), (-41.6, None), (-38.6, 0), (-38.4, 1), (-25, 5),
                             (-23.6, 5), (-23.4, None), (1e9, None), (-1e9, None)],
)  # fmt: skip
def test_a_height_finds_the_slice_whose_centre_is_nearest(height_mm, index):
    assert nearest_slice(Volume(_noise(), AFFINE), height_mm) == index


def test_a_height_outside_the_volume_is_a_reason(tmp_path):
    with pytest.raises(Unreadable, match="z_mm 100 lies outside"):
        _slices(tmp_path, _noise(), "RAS", [_height_mm(2), 100.0])


def test_one_slice_with_two_levels_is_a_reason(tmp_path):
    save_nifti(tmp_path / "volumes" / "p.nii.gz", _noise(), AFFINE)
    slices = ((_height_mm(2) + 0.1, "aortic_arch"), (_height_mm(2) - 0.1, "lung_apex"))
    case = Case("p", {"volume": "volumes/p.nii.gz"}, slices=slices)
    with pytest.raises(Unreadable, match="one slice is aortic_arch and lung_apex"):
        volumes_with_levels.read_case(tmp_path, case, _task("cardiac_levels", (12, 12)))


def test_a_series_of_volumes_is_a_reason_where_the_task_takes_one(tmp_path):
    heights = [_height_mm(2)]
    series = np.stack([_noise(seed) for seed in range(5)], axis=-1)
    with pytest.raises(Unreadable, match="4 dimensions"):
        _slices(tmp_path / "series", series, "RAS", heights)
    (of_one,) = _slices(tmp_path / "one", series[..., :1], "PIR", heights)
    (volume,) = _slices(tmp_path / "volume", series[..., 0], "RAS", heights)
    np.testing.assert_array_equal(of_one.image, volume.image)


@pytest.mark.parametrize(("stored", "expected"), [(40_000, 32_767), (-70_000, -32_768)])
def test_values_beyond_16_bits_do_not_turn_around(tmp_path, stored, expected):
    # Metal and padding reach there; a wrapped value would be air where metal was.
    array = np.full(SHAPE, stored, np.float32)
    (record,) = _slices(tmp_path, array, "RAS", [_height_mm(2)], grid=(14, 20))
    assert record.image[7, 10, 0] == expected


def test_a_label_map_on_another_grid_of_the_same_shape_is_a_reason(tmp_path):
    shifted = AFFINE.copy()
    shifted[:3, 3] += 30
    with pytest.raises(Unreadable):
        _labelled(tmp_path, np.zeros(SHAPE, np.uint8), affines=(AFFINE, shifted))


@pytest.mark.parametrize(("degrees", "taken"), [(0.0, True), (0.01, True), (0.4, False)])
def test_a_label_map_turned_so_little_that_only_far_voxels_miss_is_a_reason(tmp_path, degrees, taken):
    # By 0.4 degrees: 0.007 mm a voxel, and 1.4 mm after 200 of them. Rounded headers differ by less.
    shape, turned = (200, 4, 3), affine_of((0, 0, degrees), (1, 1, 1), (0, 0, 0))
    expected = contextlib.nullcontext() if taken else pytest.raises(Unreadable, match="not aligned with")
    with expected:
        labels = np.zeros(shape, np.uint8)
        _labelled(tmp_path, labels, labels.astype(np.int16), affines=(np.eye(4), turned))


@pytest.mark.parametrize(
    ("value", "reason"), [(17, "not labels: 17"), (0.5, "not labels: 0.5"), (-1, "not labels: -1")]
)
def test_a_label_map_with_a_value_that_is_no_label_is_a_reason(tmp_path, value, reason):
    labels = np.zeros(SHAPE, np.float32)
    labels[1, 2, 3] = value
    with pytest.raises(Unreadable, match=reason):
        _labelled(tmp_path, labels)
    missing = dataclasses.replace(LABELLED, files={**LABELLED.files, "volume": "volumes/q.nii.gz"})
    with pytest.raises(Unreadable, match="does not exist"):
        labelled_slices.read_case(tmp_path, missing, _task("cardiac_structures", (12, 12)))
