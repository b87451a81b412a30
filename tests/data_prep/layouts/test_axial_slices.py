"""An axial slice shows the same patient however the file is stored, and says where each pixel lies."""

import contextlib
import dataclasses
import gzip
import zlib

import nibabel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nibabel.orientations import axcodes2ornt, io_orientation, ornt_transform

from data_prep.case import Case, Unreadable
from data_prep.io.nifti import read_nifti
from data_prep.layouts import labelled_slices, volumes_with_levels
from data_prep.ops.axial import axial_slice, nearest_slice
from data_prep.volume import Volume, three_dimensional
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


def _save(path, array: np.ndarray, order: str = "RAS", affine: np.ndarray = AFFINE):
    """A RAS array saved with its axes in another order: the same patient, another file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nibabel.Nifti1Image(array, affine)
    change = ornt_transform(io_orientation(affine), axcodes2ornt(order))
    nibabel.save(image.as_reoriented(change), path)
    return path


def _noise(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(-1000, 1500, SHAPE).astype(np.int16)


def _height_mm(z: int) -> float:
    return ORIGIN[2] + SPACING[2] * z


def _slices(raw, array: np.ndarray, order: str, heights, grid=(24, 20)):
    _save(raw / "volumes" / "p.nii.gz", array, order)
    case = Case("p", {"volume": "volumes/p.nii.gz"}, slices=tuple((h, "aortic_arch") for h in heights))
    return volumes_with_levels.read_case(raw, case, _task("cardiac_levels", grid))


# Orientation


@pytest.mark.parametrize("order", ORDERS[1:])
def test_a_file_of_any_axis_order_gives_the_slices_of_ras(tmp_path, order):
    heights = [_height_mm(z) for z in range(SHAPE[2] - 1, -1, -1)]
    expected = _slices(tmp_path / "ras", _noise(), "RAS", heights)
    found = _slices(tmp_path / order, _noise(), order, heights)
    stored = nibabel.load(tmp_path / order / "volumes/p.nii.gz")
    assert nibabel.aff2axcodes(stored.affine) == tuple(order)
    assert len({record.image.tobytes() for record in expected}) == SHAPE[2]
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_array_equal(one.image, other.image)
        np.testing.assert_allclose(one.affine, other.affine, atol=1e-4)


@pytest.mark.parametrize("order", ORDERS[1:])
def test_images_and_label_maps_of_any_axis_order_stay_together(tmp_path, order):
    labels = np.random.default_rng(1).integers(0, 17, SHAPE).astype(np.uint8)
    found = []
    for volume_order, label_order in (("RAS", "RAS"), (order, order), ("RAS", order)):
        raw = tmp_path / f"{volume_order}-{label_order}"
        _save(raw / "volumes" / "p.nii.gz", _noise(), volume_order)
        _save(raw / "labels" / "p.nii.gz", labels, label_order)
        task = _task("cardiac_structures", (24, 20))
        found.append(labelled_slices.read_case(raw, LABELLED, task))
    for records in zip(*found, strict=True):
        for record in records[1:]:
            np.testing.assert_array_equal(record.image, records[0].image)
            np.testing.assert_array_equal(record.mask, records[0].mask)
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
    _save(tmp_path / "volumes" / "p.nii.gz", array, "PIR")
    _save(tmp_path / "labels" / "p.nii.gz", np.zeros(SHAPE, np.uint8), "LPS")
    records = labelled_slices.read_case(tmp_path, LABELLED, _task("cardiac_structures", (12, 12)))
    assert [int(record.image[6, 6, 0]) for record in records] == [500, 400, 300, 200, 100, 0]
    heights = [record.affine[2, 3] for record in records]
    assert heights == pytest.approx([_height_mm(z) for z in (5, 4, 3, 2, 1, 0)])


def test_the_slices_of_a_table_come_head_first_whatever_their_order(tmp_path):
    (tmp_path / "levels.csv").write_text(
        "patient_id,z_mm,level\np,-40,aortic_arch\np,-9.5,aortic_root\np,-28,lung_apex\n"
    )
    (case,) = volumes_with_levels.list_cases(tmp_path, _task("cardiac_levels", (12, 12)))
    assert [height for height, _ in case.slices] == [-9.5, -28, -40]


# Extent


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
    angle = np.radians(20)
    turn = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    affine = AFFINE.copy()
    affine[:3, :3] = turn @ affine[:3, :3]
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


# What cannot be used


def test_a_height_outside_the_volume_is_a_reason(tmp_path):
    with pytest.raises(Unreadable, match="z_mm 100 lies outside"):
        _slices(tmp_path, _noise(), "RAS", [_height_mm(2), 100.0])


def test_one_slice_with_two_levels_is_a_reason(tmp_path):
    _save(tmp_path / "volumes" / "p.nii.gz", _noise(), "RAS")
    slices = ((_height_mm(2) + 0.1, "aortic_arch"), (_height_mm(2) - 0.1, "lung_apex"))
    case = Case("p", {"volume": "volumes/p.nii.gz"}, slices=slices)
    with pytest.raises(Unreadable, match="one slice is aortic_arch and lung_apex"):
        volumes_with_levels.read_case(tmp_path, case, _task("cardiac_levels", (12, 12)))


def _nifti_bytes(array: np.ndarray, affine=AFFINE) -> bytes:
    return nibabel.Nifti1Image(array, affine).to_bytes()


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.zeros((4, 4, 3, 5), np.int16), "4 dimensions"),
        (np.zeros((4, 4), np.int16), "2 dimensions"),
        (np.full((3, 3, 3), np.nan, np.float32), "NaN"),
        (np.where(np.arange(27).reshape(3, 3, 3) == 5, np.inf, 0).astype(np.float32), "NaN or infinite"),
        (np.zeros((3, 3, 3), [("R", "u1"), ("G", "u1"), ("B", "u1")]), ""),
        (np.zeros((3, 3, 3), np.complex64), ""),
    ],
    ids=["4d", "2d", "nan", "inf", "rgb", "complex"],
)
def test_an_image_that_is_no_volume_of_numbers_is_a_reason(tmp_path, array, reason):
    (tmp_path / "p.nii").write_bytes(_nifti_bytes(array))
    with pytest.raises(Unreadable, match=reason):
        three_dimensional(read_nifti(tmp_path / "p.nii"))


def test_a_fourth_axis_of_length_one_is_no_obstacle(tmp_path):
    # Many converters write it; the image is a volume all the same.
    (tmp_path / "p.nii").write_bytes(_nifti_bytes(_noise()[..., None]))
    np.testing.assert_array_equal(read_nifti(tmp_path / "p.nii").array, _noise())


def test_a_series_of_volumes_is_a_reason_where_the_task_takes_one(tmp_path):
    heights = [_height_mm(2)]
    series = np.stack([_noise(seed) for seed in range(5)], axis=-1)
    with pytest.raises(Unreadable, match="4 dimensions"):
        _slices(tmp_path / "series", series, "RAS", heights)
    (of_one,) = _slices(tmp_path / "one", series[..., :1], "PIR", heights)
    (volume,) = _slices(tmp_path / "volume", series[..., 0], "RAS", heights)
    np.testing.assert_array_equal(of_one.image, volume.image)


def test_a_missing_file_an_empty_one_and_a_text_are_reasons(tmp_path):
    with pytest.raises(Unreadable, match="does not exist"):
        read_nifti(tmp_path / "p.nii.gz")
    for name in ("p.nii", "p.nii.gz", "q.txt"):
        for data in (b"", b"Please see the other folder.\n" * 50):
            (tmp_path / name).write_bytes(data)
            with pytest.raises(Unreadable):
                read_nifti(tmp_path / name)


def test_a_header_without_a_place_in_space_is_a_reason(tmp_path):
    header = bytearray(_nifti_bytes(_noise()))
    header[252:256] = b"\x00\x00\x02\x00"  # no qform, an sform
    header[280:328] = bytes(48)  # of zeros
    (tmp_path / "p.nii").write_bytes(header)
    with pytest.raises(Unreadable):
        read_nifti(tmp_path / "p.nii")


@given(st.floats(0, 1, exclude_max=True), st.booleans())
@settings(max_examples=50, deadline=None)
def test_a_file_cut_anywhere_is_a_reason_unless_all_voxels_are_there(tmp_path_factory, kept, zipped):
    data = _nifti_bytes(_noise())
    data = gzip.compress(data) if zipped else data
    path = tmp_path_factory.mktemp("cut") / ("p.nii.gz" if zipped else "p.nii")
    path.write_bytes(data[: int(kept * len(data))])
    try:
        found = read_nifti(path).array
    except Unreadable as reason:
        assert path.name not in str(reason)
    else:
        assert zipped  # the last bytes of a gzip file are its checksum
        np.testing.assert_array_equal(found, _noise())


@given(
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=4),
    st.booleans(),
)
@settings(max_examples=100, deadline=None)
def test_a_file_with_changed_bytes_is_a_volume_or_a_reason(tmp_path_factory, changes, zipped):
    data = bytearray(_nifti_bytes(_noise()))
    if zipped:
        data = bytearray(gzip.compress(data))
    for place, value in changes:
        # Half of the changes go into the header, where most fields are.
        data[int(place * (len(data) if zipped else 400))] = value
    path = tmp_path_factory.mktemp("changed") / ("p.nii.gz" if zipped else "p.nii")
    path.write_bytes(data)
    with contextlib.suppress(Unreadable):
        assert three_dimensional(read_nifti(path)).array.ndim == 3


@given(st.floats(0.1, 0.99), st.integers(1, 255))
@settings(max_examples=60, deadline=None)
def test_a_changed_byte_in_a_gzip_file_never_changes_a_voxel_in_silence(tmp_path_factory, place, change):
    data = bytearray(gzip.compress(_nifti_bytes(_noise())))
    data[int(place * len(data))] ^= change
    path = tmp_path_factory.mktemp("changed") / "p.nii.gz"
    path.write_bytes(data)
    try:
        found = read_nifti(path).array
    except (Unreadable, zlib.error):  # that zlib.error is a reason is tested above
        return
    np.testing.assert_array_equal(found, _noise())


def test_a_header_that_claims_an_enormous_volume_is_a_reason(tmp_path):
    data = bytearray(_nifti_bytes(_noise()))
    data[42:48] = np.array([30_000] * 3, np.int16).tobytes()
    (tmp_path / "p.nii.gz").write_bytes(gzip.compress(data))
    (tmp_path / "p.nii").write_bytes(data)
    for name in ("p.nii", "p.nii.gz"):
        with pytest.raises(Unreadable):
            read_nifti(tmp_path / name)


def test_scaled_values_of_the_header_are_applied(tmp_path):
    image = nibabel.Nifti1Image(_noise(), AFFINE)
    image.header.set_slope_inter(0.5, -10)
    (tmp_path / "p.nii").write_bytes(image.to_bytes())
    expected = nibabel.load(tmp_path / "p.nii").get_fdata()
    np.testing.assert_allclose(read_nifti(tmp_path / "p.nii").array, expected)


@pytest.mark.parametrize(("stored", "expected"), [(40_000, 32_767), (-70_000, -32_768)])
def test_values_beyond_16_bits_do_not_turn_around(tmp_path, stored, expected):
    # Metal and padding reach there; a wrapped value would be air where metal was.
    array = np.full(SHAPE, stored, np.float32)
    (record,) = _slices(tmp_path, array, "RAS", [_height_mm(2)], grid=(14, 20))
    assert record.image[7, 10, 0] == expected


def test_a_label_map_on_another_grid_of_the_same_shape_is_a_reason(tmp_path):
    shifted = AFFINE.copy()
    shifted[:3, 3] += 30
    _save(tmp_path / "volumes" / "p.nii.gz", _noise())
    _save(tmp_path / "labels" / "p.nii.gz", np.zeros(SHAPE, np.uint8), affine=shifted)
    with pytest.raises(Unreadable):
        labelled_slices.read_case(tmp_path, LABELLED, _task("cardiac_structures", (12, 12)))


@pytest.mark.parametrize(("degrees", "taken"), [(0.0, True), (0.01, True), (0.4, False)])
def test_a_label_map_turned_so_little_that_only_far_voxels_miss_is_a_reason(tmp_path, degrees, taken):
    # By 0.4 degrees: 0.007 mm a voxel, and 1.4 mm after 200 of them. Rounded headers differ by less.
    shape, turned, angle = (200, 4, 3), np.eye(4), np.radians(degrees)
    turned[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    _save(tmp_path / "volumes" / "p.nii.gz", np.zeros(shape, np.int16), affine=np.eye(4))
    _save(tmp_path / "labels" / "p.nii.gz", np.zeros(shape, np.uint8), affine=turned)
    expected = contextlib.nullcontext() if taken else pytest.raises(Unreadable, match="not aligned with")
    with expected:
        labelled_slices.read_case(tmp_path, LABELLED, _task("cardiac_structures", (12, 12)))


@pytest.mark.parametrize(
    ("value", "reason"), [(17, "not labels: 17"), (0.5, "not labels: 0.5"), (-1, "not labels: -1")]
)
def test_a_label_map_with_a_value_that_is_no_label_is_a_reason(tmp_path, value, reason):
    labels = np.zeros(SHAPE, np.float32)
    labels[1, 2, 3] = value
    _save(tmp_path / "volumes" / "p.nii.gz", _noise())
    _save(tmp_path / "labels" / "p.nii.gz", labels)
    task = _task("cardiac_structures", (12, 12))
    with pytest.raises(Unreadable, match=reason):
        labelled_slices.read_case(tmp_path, LABELLED, task)
    missing = dataclasses.replace(LABELLED, files={**LABELLED.files, "volume": "volumes/q.nii.gz"})
    with pytest.raises(Unreadable, match="does not exist"):
        labelled_slices.read_case(tmp_path, missing, task)


def test_a_volume_that_does_not_say_where_it_lies_is_a_reason(tmp_path):
    image = nibabel.Nifti1Image(np.zeros((4, 4, 4), np.int16), np.eye(4))
    image.set_sform(None, code=0)
    image.set_qform(None, code=0)
    nibabel.save(image, tmp_path / "a.nii.gz")
    with pytest.raises(Unreadable, match="position and orientation"):
        read_nifti(tmp_path / "a.nii.gz")
