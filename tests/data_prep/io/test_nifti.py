"""NIfTI and MGH files are read as nibabel reads them, in RAS millimetres, or refused with a reason."""

import gzip
import tracemalloc
import zlib

import nibabel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nibabel.orientations import axcodes2ornt, inv_ornt_aff

from data_prep.case import Unreadable
from data_prep.io.nifti import read_nifti
from data_prep.volume import Volume, require_3d, to_ras_volume

SHAPE = (5, 6, 4)
AFFINE = np.array([[2, 0.2, 0, -7], [-0.1, 1, 0.3, 11], [0, 0, 3, -40], [0, 0, 0, 1.0]])
KINDS = {
    "nii": nibabel.Nifti1Image,
    "nii.gz": nibabel.Nifti1Image,
    "nifti-2": nibabel.Nifti2Image,
    "mgh": nibabel.MGHImage,
    "mgz": nibabel.MGHImage,
}


def noise(*channels: int) -> np.ndarray:
    return np.random.default_rng(3).integers(-900, 900, (*SHAPE, *channels)).astype(np.int16)


def packed(data: bytes, kind: str) -> bytes:
    return gzip.compress(data) if kind in ("nii.gz", "mgz") else data


def file_bytes(array, affine=AFFINE, kind="nii") -> bytes:
    return packed(KINDS[kind](array, affine).to_bytes(), kind)


def save(path, array, affine=AFFINE, kind="nii"):
    path.write_bytes(file_bytes(array, affine, kind))
    return path


@pytest.mark.parametrize("spacing", [(1e-4, 1, 1), (1, 1, 1e10), (1, 1, 1e-3), (600, 600, 600)])
def test_a_spacing_impossible_for_a_patient_is_a_reason(tmp_path, spacing):
    path = save(tmp_path / "x.nii", np.zeros((20, 20, 20), np.uint8), np.diag([*spacing, 1.0]))
    with pytest.raises(Unreadable, match="impossible for a patient"):
        read_nifti(path)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("order", ["RAS", "LPS", "SAL"])
@pytest.mark.parametrize("channels", [(), (3,)])
def test_every_kind_of_file_gives_what_nibabel_gives(tmp_path, kind, order, channels):
    affine = AFFINE @ inv_ornt_aff(axcodes2ornt(tuple(order)), SHAPE)
    path = save(tmp_path / "whatever", noise(*channels), affine, kind)  # told apart by content
    image = nibabel.as_closest_canonical(KINDS[kind](noise(*channels), affine))
    found = read_nifti(path)
    np.testing.assert_array_equal(found.array, np.asarray(image.dataobj))
    np.testing.assert_allclose(found.affine, image.affine, atol=1e-4)
    assert found.array.shape[3:] == channels and nibabel.aff2axcodes(found.affine) == tuple("RAS")


def test_channels_come_last_and_length_1_axes_are_dropped(tmp_path):
    for shape, expected in (
        ((), SHAPE), ((1,), SHAPE), ((1, 1), SHAPE), ((2,), (*SHAPE, 2)), ((2, 1), (*SHAPE, 2)),
        ((1, 3), (*SHAPE, 3)),
    ):  # fmt: skip
        array = noise(*shape)
        found = read_nifti(save(tmp_path / "a.nii", array))
        np.testing.assert_array_equal(found.array, array.reshape(expected))
    with pytest.raises(Unreadable, match="5 dimensions"):
        read_nifti(save(tmp_path / "a.nii", noise(2, 3)))


def test_three_dimensional_refuses_channels():
    three, four = Volume(np.zeros(SHAPE), np.eye(4)), Volume(np.zeros((*SHAPE, 2)), np.eye(4))
    assert require_3d(three) is three
    with pytest.raises(Unreadable, match="the image has 4 dimensions, not 3"):
        require_3d(four)


@pytest.mark.parametrize(("unit", "mm"), [("meter", 1000), ("mm", 1), ("micron", 0.001), ("unknown", 1)])
def test_millimetres_whatever_the_unit_of_the_header(tmp_path, unit, mm):
    image = nibabel.Nifti1Image(noise(), np.diag([2 / mm, 1 / mm, 3 / mm, 1]))
    image.header.set_xyzt_units(unit, "sec")
    (tmp_path / "a.nii").write_bytes(image.to_bytes())
    np.testing.assert_allclose(read_nifti(tmp_path / "a.nii").spacing_mm, (2, 1, 3), rtol=1e-5)


def test_scaled_values_of_the_header_are_applied(tmp_path):
    image = nibabel.Nifti1Image(noise(), AFFINE)
    image.header.set_slope_inter(0.5, -10)
    (tmp_path / "p.nii").write_bytes(image.to_bytes())
    expected = nibabel.load(tmp_path / "p.nii").get_fdata()
    np.testing.assert_allclose(read_nifti(tmp_path / "p.nii").array, expected)


@pytest.mark.parametrize("dtype", ["u1", "<i2", ">i2", "<u2", "<i4", "<f4", ">f4", "<f8"])
def test_integers_stay_as_stored_and_doubles_become_floats(tmp_path, dtype):
    array = np.abs(noise() % 200).astype(dtype)
    image = nibabel.Nifti1Image(array, AFFINE, header=nibabel.Nifti1Header(endianness=dtype[0] if
                                dtype[0] in "<>" else "<"))  # fmt: skip
    image.set_data_dtype(np.dtype(dtype))
    (tmp_path / "a.nii").write_bytes(image.to_bytes())
    found = read_nifti(tmp_path / "a.nii").array
    np.testing.assert_array_equal(found, to_ras_volume(array, AFFINE).array)
    expected = np.dtype("f4") if "f" in dtype else np.dtype(dtype).newbyteorder("=")
    assert found.dtype == expected and found.dtype.isnative


def test_values_beyond_single_precision_are_a_reason(tmp_path):
    array = noise().astype(float)
    array[0, 0, 0] = 1e300
    with pytest.raises(Unreadable, match="infinite"):
        read_nifti(save(tmp_path / "a.nii", array))


def test_a_file_of_another_format_is_refused_by_name(tmp_path):
    nibabel.Nifti1Pair(noise(), AFFINE).to_filename(tmp_path / "pair.hdr")
    with pytest.raises(Unreadable, match="hdr and .img pair"):
        read_nifti(tmp_path / "pair.hdr")
    nibabel.AnalyzeImage(noise(), np.eye(4)).to_filename(tmp_path / "old.hdr")
    with pytest.raises(Unreadable, match="ANALYZE"):
        read_nifti(tmp_path / "old.hdr")
    (tmp_path / "dicom").write_bytes(b"\0" * 128 + b"DICM" + b"\0" * 400)
    with pytest.raises(Unreadable, match="DICOM"):
        read_nifti(tmp_path / "dicom")


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_an_affine_that_spans_no_volume_is_a_reason(axis):
    affine = AFFINE.copy()
    affine[:, axis] = 0
    with pytest.raises(Unreadable, match="position and orientation"):
        to_ras_volume(noise(), affine)


def test_shear_is_the_angle_by_which_axes_miss_the_perpendicular():
    assert Volume(np.zeros(SHAPE), np.diag([1, 2, 3, 1.0])).shear_degrees == pytest.approx(0)
    affine = np.diag([1, 2, 3, 1.0])
    affine[1, 2] = 3 * np.tan(np.radians(12.5))
    assert Volume(np.zeros(SHAPE), affine).shear_degrees == pytest.approx(12.5)


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
    with pytest.raises(Unreadable, match=reason):
        require_3d(read_nifti(save(tmp_path / "p.nii", array)))


def test_a_missing_file_an_empty_one_and_a_text_are_reasons(tmp_path):
    with pytest.raises(Unreadable, match="does not exist"):
        read_nifti(tmp_path / "p.nii.gz")
    for name in ("p.nii", "p.nii.gz", "q.txt"):
        for data in (b"", b"Please see the other folder.\n" * 50):
            (tmp_path / name).write_bytes(data)
            with pytest.raises(Unreadable):
                read_nifti(tmp_path / name)


def _without_qform_and_sform() -> bytes:
    image = nibabel.Nifti1Image(np.zeros((4, 4, 4), np.int16), np.eye(4))
    image.set_sform(None, code=0)
    image.set_qform(None, code=0)
    return image.to_bytes()


def _sform_of_zeros() -> bytes:
    data = bytearray(file_bytes(noise()))
    data[252:256], data[280:328] = b"\x00\x00\x02\x00", bytes(48)  # no qform
    return bytes(data)


def _mgh_without_a_place() -> bytes:
    data = bytearray(file_bytes(noise(), kind="mgh"))
    data[28:30] = b"\0\0"
    return bytes(data)


@pytest.mark.parametrize("damaged", [_without_qform_and_sform, _sform_of_zeros, _mgh_without_a_place])
def test_a_file_that_does_not_say_where_it_lies_is_a_reason(tmp_path, damaged):
    (tmp_path / "a").write_bytes(damaged())
    with pytest.raises(Unreadable, match="position and orientation"):
        read_nifti(tmp_path / "a")


@pytest.mark.parametrize("voxels", [2000, 30_000])  # an axis: 16 GB and more
@pytest.mark.parametrize("kind", ["nii", "nii.gz"])
def test_a_header_that_claims_more_than_the_file_holds_is_refused_before_memory_is_filled(
    tmp_path, kind, voxels
):
    data = bytearray(file_bytes(noise()))
    data[42:48] = np.array([voxels] * 3, "<i2").tobytes()
    (tmp_path / "a").write_bytes(packed(data, kind))
    tracemalloc.start()
    with pytest.raises(Unreadable, match="shorter than its header says"):
        read_nifti(tmp_path / "a")
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()


@given(st.floats(0, 1, exclude_max=True), st.sampled_from(["nii", "nii.gz"]))
@settings(max_examples=50, deadline=None)
def test_a_file_cut_anywhere_is_a_reason_unless_all_voxels_are_there(tmp_path_factory, kept, kind):
    data = file_bytes(noise(), np.diag(AFFINE.diagonal()), kind)
    path = tmp_path_factory.mktemp("cut") / f"p.{kind}"
    path.write_bytes(data[: int(kept * len(data))])
    try:
        found = read_nifti(path).array
    except Unreadable as reason:
        assert path.name not in str(reason)
    else:
        assert kind == "nii.gz"  # the last bytes of a gzip file are its checksum
        np.testing.assert_array_equal(found, noise())


@given(st.sampled_from(sorted(KINDS)), st.integers(0, 2**32), st.integers(1, 4))
@settings(max_examples=160, deadline=None)
def test_a_damaged_file_is_a_volume_or_a_reason(tmp_path_factory, kind, seed, changes):
    path = tmp_path_factory.mktemp("damaged") / "a"
    data, draw = bytearray(file_bytes(noise(), kind=kind)), np.random.default_rng(seed)
    # Most changes go into the header, where most fields are.
    end = len(data) if draw.random() < 0.3 else min(600, len(data))
    for _ in range(changes):
        data[draw.integers(end)] = draw.integers(256)
    path.write_bytes(data if draw.random() < 0.7 else data[: draw.integers(len(data))])
    try:
        found = read_nifti(path)
        assert found.array.ndim in (3, 4)
        assert require_3d(found).array.ndim == 3
    except Unreadable as reason:
        assert str(path.parent) not in str(reason)


@given(st.floats(0.1, 0.99), st.integers(1, 255))
@settings(max_examples=60, deadline=None)
def test_a_changed_byte_in_a_gzip_file_never_changes_a_voxel_in_silence(tmp_path_factory, place, change):
    data = bytearray(file_bytes(noise(), np.diag(AFFINE.diagonal()), "nii.gz"))
    data[int(place * len(data))] ^= change
    path = tmp_path_factory.mktemp("changed") / "p.nii.gz"
    path.write_bytes(data)
    try:
        found = read_nifti(path).array
    except (Unreadable, zlib.error):  # that zlib.error is a reason is tested above
        return
    np.testing.assert_array_equal(found, noise())
