"""NIfTI and MGH files are read as nibabel reads them, in RAS millimetres, or refused with a reason."""

import gzip
import tracemalloc

import nibabel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nibabel.orientations import axcodes2ornt, inv_ornt_aff

from data_prep.case import Unreadable
from data_prep.io.nifti import read_nifti
from data_prep.volume import Volume, in_ras, three_dimensional

SHAPE = (5, 6, 4)
AFFINE = np.array([[2, 0.2, 0, -7], [-0.1, 1, 0.3, 11], [0, 0, 3, -40], [0, 0, 0, 1.0]])
KINDS = {
    "nii": nibabel.Nifti1Image,
    "nii.gz": nibabel.Nifti1Image,
    "nifti-2": nibabel.Nifti2Image,
    "mgh": nibabel.MGHImage,
    "mgz": nibabel.MGHImage,
}


def _noise(*channels: int) -> np.ndarray:
    return np.random.default_rng(3).integers(-900, 900, (*SHAPE, *channels)).astype(np.int16)


def _save(path, array, affine=AFFINE, kind="nii"):
    data = KINDS[kind](array, affine).to_bytes()
    path.write_bytes(gzip.compress(data) if kind in ("nii.gz", "mgz") else data)
    return path


@pytest.mark.parametrize("spacing", [(1e-4, 1, 1), (1, 1, 1e10), (1, 1, 1e-3), (600, 600, 600)])
def test_a_spacing_impossible_for_a_patient_is_a_reason(tmp_path, spacing):
    path = _save(tmp_path / "x.nii", np.zeros((20, 20, 20), np.uint8), np.diag([*spacing, 1.0]))
    with pytest.raises(Unreadable, match="impossible for a patient"):
        read_nifti(path)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("order", ["RAS", "LPS", "SAL"])
@pytest.mark.parametrize("channels", [(), (3,)])
def test_every_kind_of_file_gives_what_nibabel_gives(tmp_path, kind, order, channels):
    affine = AFFINE @ inv_ornt_aff(axcodes2ornt(tuple(order)), SHAPE)
    path = _save(tmp_path / "whatever", _noise(*channels), affine, kind)  # told apart by content
    image = nibabel.as_closest_canonical(KINDS[kind](_noise(*channels), affine))
    found = read_nifti(path)
    np.testing.assert_array_equal(found.array, np.asarray(image.dataobj))
    np.testing.assert_allclose(found.affine, image.affine, atol=1e-4)
    assert found.array.shape[3:] == channels and nibabel.aff2axcodes(found.affine) == tuple("RAS")


def test_channels_come_last_and_length_1_axes_are_dropped(tmp_path):
    for shape, expected in (
        ((), SHAPE), ((1,), SHAPE), ((1, 1), SHAPE), ((2,), (*SHAPE, 2)), ((2, 1), (*SHAPE, 2)),
        ((1, 3), (*SHAPE, 3)),
    ):  # fmt: skip
        array = _noise(*shape)
        found = read_nifti(_save(tmp_path / "a.nii", array))
        np.testing.assert_array_equal(found.array, array.reshape(expected))
    with pytest.raises(Unreadable, match="5 dimensions"):
        read_nifti(_save(tmp_path / "a.nii", _noise(2, 3)))


def test_three_dimensional_refuses_channels():
    three, four = Volume(np.zeros(SHAPE), np.eye(4)), Volume(np.zeros((*SHAPE, 2)), np.eye(4))
    assert three_dimensional(three) is three
    with pytest.raises(Unreadable, match="the image has 4 dimensions, not 3"):
        three_dimensional(four)


@pytest.mark.parametrize(("unit", "mm"), [("meter", 1000), ("mm", 1), ("micron", 0.001), ("unknown", 1)])
def test_millimetres_whatever_the_unit_of_the_header(tmp_path, unit, mm):
    image = nibabel.Nifti1Image(_noise(), np.diag([2 / mm, 1 / mm, 3 / mm, 1]))
    image.header.set_xyzt_units(unit, "sec")
    (tmp_path / "a.nii").write_bytes(image.to_bytes())
    np.testing.assert_allclose(read_nifti(tmp_path / "a.nii").spacing_mm, (2, 1, 3), rtol=1e-5)


@pytest.mark.parametrize("dtype", ["u1", "<i2", ">i2", "<u2", "<i4", "<f4", ">f4", "<f8"])
def test_integers_stay_as_stored_and_doubles_become_floats(tmp_path, dtype):
    array = np.abs(_noise() % 200).astype(dtype)
    image = nibabel.Nifti1Image(array, AFFINE, header=nibabel.Nifti1Header(endianness=dtype[0] if
                                dtype[0] in "<>" else "<"))  # fmt: skip
    image.set_data_dtype(np.dtype(dtype))
    (tmp_path / "a.nii").write_bytes(image.to_bytes())
    found = read_nifti(tmp_path / "a.nii").array
    np.testing.assert_array_equal(found, in_ras(array, AFFINE).array)
    expected = np.dtype("f4") if "f" in dtype else np.dtype(dtype).newbyteorder("=")
    assert found.dtype == expected and found.dtype.isnative


def test_values_beyond_single_precision_are_a_reason(tmp_path):
    array = _noise().astype(float)
    array[0, 0, 0] = 1e300
    with pytest.raises(Unreadable, match="infinite"):
        read_nifti(_save(tmp_path / "a.nii", array))


def test_a_header_that_claims_more_than_the_file_holds_is_refused_before_memory_is_filled(tmp_path):
    data = bytearray(nibabel.Nifti1Image(_noise(), AFFINE).to_bytes())
    data[42:48] = np.array([2000] * 3, "<i2").tobytes()  # 16 GB
    (tmp_path / "a.nii").write_bytes(data)
    tracemalloc.start()
    with pytest.raises(Unreadable, match="shorter than its header says"):
        read_nifti(tmp_path / "a.nii")
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()


def test_a_file_of_another_format_is_refused_by_name(tmp_path):
    nibabel.Nifti1Pair(_noise(), AFFINE).to_filename(tmp_path / "pair.hdr")
    with pytest.raises(Unreadable, match="hdr and .img pair"):
        read_nifti(tmp_path / "pair.hdr")
    nibabel.AnalyzeImage(_noise(), np.eye(4)).to_filename(tmp_path / "old.hdr")
    with pytest.raises(Unreadable, match="ANALYZE"):
        read_nifti(tmp_path / "old.hdr")
    (tmp_path / "dicom").write_bytes(b"\0" * 128 + b"DICM" + b"\0" * 400)
    with pytest.raises(Unreadable, match="DICOM"):
        read_nifti(tmp_path / "dicom")


def test_an_mgh_file_that_does_not_say_where_it_lies_is_a_reason(tmp_path):
    data = bytearray(nibabel.MGHImage(_noise(), AFFINE).to_bytes())
    data[28:30] = b"\0\0"
    (tmp_path / "a.mgh").write_bytes(data)
    with pytest.raises(Unreadable, match="position and orientation"):
        read_nifti(tmp_path / "a.mgh")


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_an_affine_that_spans_no_volume_is_a_reason(axis):
    affine = AFFINE.copy()
    affine[:, axis] = 0
    with pytest.raises(Unreadable, match="position and orientation"):
        in_ras(_noise(), affine)


@given(st.sampled_from(["nifti-2", "mgh", "mgz"]), st.integers(0, 2**32), st.integers(1, 4))
@settings(max_examples=60, deadline=None)
def test_a_damaged_file_is_a_volume_or_a_reason(tmp_path_factory, kind, seed, changes):
    path = _save(tmp_path_factory.mktemp("damaged") / "a", _noise(), kind=kind)
    data, draw = bytearray(path.read_bytes()), np.random.default_rng(seed)
    for _ in range(changes):
        data[draw.integers(min(600, len(data)))] = draw.integers(256)
    path.write_bytes(data if draw.random() < 0.7 else data[: draw.integers(len(data))])
    try:
        assert read_nifti(path).array.ndim in (3, 4)
    except Unreadable as reason:
        assert str(path.parent) not in str(reason)


def test_shear_is_the_angle_by_which_axes_miss_the_perpendicular():
    assert Volume(np.zeros(SHAPE), np.diag([1, 2, 3, 1.0])).shear_degrees == pytest.approx(0)
    affine = np.diag([1, 2, 3, 1.0])
    affine[1, 2] = 3 * np.tan(np.radians(12.5))
    assert Volume(np.zeros(SHAPE), affine).shear_degrees == pytest.approx(12.5)
