"""NIfTI and MGH files are read as nibabel reads them, in RAS millimetres, or refused with a reason."""

import nibabel
import numpy as np
import pytest
from nibabel.orientations import axcodes2ornt, inv_ornt_aff
from nifti_files import AFFINE, KINDS, SHAPE, noise, save

from data_prep.case import Unreadable
from data_prep.io.nifti import read_nifti
from data_prep.volume import Volume, in_ras, three_dimensional


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
    assert three_dimensional(three) is three
    with pytest.raises(Unreadable, match="the image has 4 dimensions, not 3"):
        three_dimensional(four)


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
    np.testing.assert_array_equal(found, in_ras(array, AFFINE).array)
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
        in_ras(noise(), affine)


def test_shear_is_the_angle_by_which_axes_miss_the_perpendicular():
    assert Volume(np.zeros(SHAPE), np.diag([1, 2, 3, 1.0])).shear_degrees == pytest.approx(0)
    affine = np.diag([1, 2, 3, 1.0])
    affine[1, 2] = 3 * np.tan(np.radians(12.5))
    assert Volume(np.zeros(SHAPE), affine).shear_degrees == pytest.approx(12.5)
