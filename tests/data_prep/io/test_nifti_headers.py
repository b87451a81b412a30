"""NIfTI headers on which programs disagree: offsets, quaternions, scaled labels."""

import gzip
import struct

import nibabel
import numpy as np
import pytest

from data_prep.case import Case, Unreadable
from data_prep.cases.case_volumes import read_labels
from data_prep.io.geometry import read_grid
from data_prep.io.nifti import read_nifti
from data_prep.io.volume_file import read_volume_file
from data_prep.ops.stack import whole_labels
from data_prep.volume import Volume, to_ras_volume

SHAPE = (5, 6, 4)
AFFINE = np.diag([-0.8, 1.25, 3, 1.0])
PIXDIM, QUATERNION, FORM_CODES, SFORM = 76, 256, 252, 280  # bytes of NIfTI-1
KINDS = {"NIfTI-1": nibabel.Nifti1Image, "NIfTI-2": nibabel.Nifti2Image}


def noise() -> np.ndarray:
    return np.random.default_rng(3).integers(-900, 900, SHAPE).astype(np.int16)


def image(sform: int, qform: int, affine=AFFINE):
    made = nibabel.Nifti1Image(noise(), affine)
    made.set_sform(affine, sform)
    made.set_qform(affine, qform)
    return made


def changed(path, data: bytes, at: int, form: str, *values):
    data = bytearray(data)
    struct.pack_into(form, data, at, *values)
    path.write_bytes(data)
    return path


def assert_read(path, affine=AFFINE):
    expected, found = to_ras_volume(noise(), affine), read_nifti(path)
    np.testing.assert_array_equal(found.array, expected.array)
    np.testing.assert_allclose(found.affine, expected.affine, atol=1e-5)


@pytest.mark.parametrize("endian", ["<", ">"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("offset", [0, 16])
def test_an_offset_inside_the_header_means_right_after_it(tmp_path, kind, endian, offset):
    made = KINDS[kind](noise(), AFFINE)
    made = KINDS[kind](noise(), AFFINE, made.header.as_byteswapped(endian))
    at, form = (108, "f") if kind == "NIfTI-1" else (168, "q")
    assert_read(changed(tmp_path / "a.nii", made.to_bytes(), at, endian + form, offset))


def test_an_offset_after_an_extension_is_kept(tmp_path):
    made = nibabel.Nifti1Image(noise(), AFFINE)
    made.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"x" * 100))
    made.to_filename(tmp_path / "a.nii")
    assert_read(tmp_path / "a.nii")


@pytest.mark.parametrize("numbers", [(0, 1.0000002, 0), (0.8000002, 0.6, 0), (0.70735, 0, 0.70735)])
def test_a_quaternion_off_length_1_by_rounding_is_a_rotation(tmp_path, numbers):
    path = changed(tmp_path / "a.nii", image(0, 1).to_bytes(), QUATERNION, "<3f", *numbers)
    b, c, d = np.array(numbers) / np.linalg.norm(numbers)
    turn = nibabel.quaternions.quat2mat([0, b, c, d])  # w is 0 where the other three fill the length
    affine = np.eye(4)
    stored = nibabel.Nifti1Image.from_bytes(image(0, 1).to_bytes()).header
    flip = [1, 1, float(stored["pixdim"][0])]
    affine[:3, :3] = turn @ np.diag(np.array([0.8, 1.25, 3]) * flip)
    assert_read(path, affine)


def test_a_quaternion_that_is_no_rotation_is_named_as_the_reason(tmp_path):
    path = changed(tmp_path / "a.nii", image(0, 1).to_bytes(), QUATERNION, "<3f", 0.9, 0.9, 0)
    with pytest.raises(Unreadable, match="quaternion of the qform is no rotation"):
        read_nifti(path)


def test_a_bad_quaternion_that_no_code_points_at_does_no_harm(tmp_path):
    assert_read(changed(tmp_path / "a.nii", image(1, 0).to_bytes(), QUATERNION, "<3f", 3, 4, 5))


def test_an_sform_of_zeros_gives_way_to_a_valid_qform(tmp_path):
    data = image(1, 1).to_bytes()
    assert_read(changed(tmp_path / "a.nii", data, SFORM, "<12f", *[0] * 12))
    data = image(1, 0).to_bytes()
    with pytest.raises(Unreadable, match="do not span a volume"):
        read_nifti(changed(tmp_path / "b.nii", data, SFORM, "<12f", *[0] * 12))


@pytest.mark.parametrize("form", ["identity", "scaled"])
def test_an_sform_that_contradicts_the_spacing_gives_way_to_the_qform(tmp_path, form):
    wrong = np.eye(4) if form == "identity" else AFFINE @ np.diag([1.5, 1, 1, 1])
    data = changed(tmp_path / "a.nii", image(1, 1).to_bytes(), SFORM, "<12f", *wrong[:3].ravel())
    assert_read(data)
    alone = image(1, 0).to_bytes()  # nothing else says where it lies
    assert_read(changed(tmp_path / "b.nii", alone, SFORM, "<12f", *wrong[:3].ravel()), wrong)


def test_an_sform_off_the_spacing_by_rounding_is_the_place(tmp_path):
    moved = AFFINE @ np.diag([1.001, 1, 1, 1])
    assert_read(changed(tmp_path / "a.nii", image(1, 1).to_bytes(), SFORM, "<12f", *moved[:3].ravel()),
                moved)  # fmt: skip


def test_a_spacing_of_0_is_no_place(tmp_path):
    data = changed(tmp_path / "a.nii", image(0, 1).to_bytes(), PIXDIM + 12, "<f", 0.0)
    with pytest.raises(Unreadable, match="a spacing of 0 mm"):
        read_nifti(data)
    both = changed(tmp_path / "b.nii", image(1, 1).to_bytes(), PIXDIM + 12, "<f", 0.0)
    assert_read(both)  # the sform says it


def test_planning_sees_the_grid_that_preparation_reads(tmp_path):
    metres = nibabel.Nifti1Image(noise(), np.diag([-0.0008, 0.00125, 0.003, 1.0]))
    metres.header.set_xyzt_units("meter")
    (tmp_path / "metres.nii").write_bytes(metres.to_bytes())
    (tmp_path / "packed.nii").write_bytes(gzip.compress(image(1, 1).to_bytes()))
    pair = nibabel.Nifti1Pair(noise(), metres.affine)
    pair.header.set_xyzt_units("meter")
    nibabel.save(pair, tmp_path / "pair.hdr")
    for name in ("metres.nii", "packed.nii", "pair.hdr"):
        read, seen = read_volume_file(tmp_path / name), read_grid(tmp_path / name)
        assert read.array.shape == seen.shape == SHAPE
        np.testing.assert_allclose(read.spacing_mm, [0.8, 1.25, 3], atol=1e-3)
        np.testing.assert_allclose(seen.spacing_mm, [0.8, 1.25, 3], atol=1e-3)


def test_an_empty_file_is_said_to_be_empty(tmp_path):
    (tmp_path / "a.nii.gz").touch()
    with pytest.raises(Unreadable, match="the file is empty"):
        read_nifti(tmp_path / "a.nii.gz")


@pytest.mark.parametrize(
    ("highest", "stored"), [(2, np.int16), (40, np.uint8), (100, np.uint8), (200, np.int16)]
)
def test_labels_behind_a_scale_are_the_whole_numbers_they_were(tmp_path, highest, stored):
    labels = np.random.default_rng(1).integers(0, highest + 1, SHAPE)
    labels.flat[:2] = 0, highest
    made = nibabel.Nifti1Image(labels.astype(np.float64), np.diag([2.0, 2, 2, 1]))
    made.set_data_dtype(stored)  # nibabel chooses a scale
    made.to_filename(tmp_path / "labels.nii.gz")
    assert np.any(read_nifti(tmp_path / "labels.nii.gz").array % 1 != 0)
    found = read_labels(tmp_path, Case("p", {"mask": "labels.nii.gz"}), "mask")
    np.testing.assert_array_equal(found.array, labels)


def test_values_far_from_whole_numbers_stay_what_they_are():
    labels = Volume(np.array([[[0.0, 0.5, 0.97, 1.01]]], np.float32), np.eye(4))
    np.testing.assert_allclose(whole_labels(labels).array, [[[0, 0.5, 0.97, 1]]])
    scaled = Volume(np.array([[[0.0, 0.5, 1.5]]], np.float32), np.eye(4), value_step=1.5)
    np.testing.assert_allclose(whole_labels(scaled).array, [[[0, 0.5, 1.5]]])
