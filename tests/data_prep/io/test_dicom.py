"""A DICOM folder is read as volumes at their place in the patient, or refused with a reason."""

import dataclasses
import os
import re
import shutil

import nibabel
import numpy as np
import pytest
from dicom_series import (
    AFFINE,
    assert_same,
    decimals,
    each,
    multi_frame,
    noise,
    reason_of,
    series,
    volume_of,
    write,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

import data_prep.io
from data_prep.case import Unreadable
from data_prep.io.dicom.companions import COPY
from data_prep.io.dicom.header import NOT_DICOM
from data_prep.io.dicom.series import NO_SERIES, find_series, read_dicom
from data_prep.io.nifti import read_nifti


def test_slices_are_ordered_by_where_they_lie_not_by_name_or_number(tmp_path):
    datasets = series(noise())
    numbers = np.random.default_rng(1).permutation(len(datasets))

    def renumber(data, number):
        data.InstanceNumber = int(numbers[number])

    volume = volume_of(tmp_path, each(datasets, renumber))
    assert_same(volume, noise())
    assert volume.array.dtype == np.uint16
    np.testing.assert_allclose(volume.spacing_mm, (0.8, 1.25, 3))


@given(
    st.integers(0, 10_000), st.tuples(*[st.integers(2, 6)] * 3), st.tuples(*[st.floats(0.3, 6)] * 3),
    st.floats(-0.5, 0.5), st.booleans(),
)  # fmt: skip
@settings(max_examples=40, deadline=None)
def test_a_volume_of_any_orientation_and_tilt_is_the_same_from_dicom_and_nifti(
    tmp_path_factory, seed, shape, spacing, tilt, enhanced
):
    folder = tmp_path_factory.mktemp("same")
    array = noise(shape, seed)
    turn = Rotation.random(random_state=seed).as_matrix()
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag(spacing)
    affine[:3, 2] += tilt * spacing[2] * turn[:, 1]  # a tilted gantry shifts each slice in its plane
    affine[:3, 3] = np.random.default_rng(seed).uniform(-200, 200, 3)
    write(folder / "dicom", [multi_frame(array, affine)] if enhanced else series(array, affine))
    nibabel.Nifti1Image(array, affine).to_filename(folder / "a.nii")
    found, expected = volume_of(folder / "dicom"), read_nifti(folder / "a.nii")
    np.testing.assert_array_equal(found.array, expected.array)
    np.testing.assert_allclose(found.affine, expected.affine, atol=2e-3)
    assert found.shear_degrees == pytest.approx(np.degrees(np.arctan(abs(tilt))), abs=0.1)


@pytest.mark.parametrize("order", ["LPS", "RAS", "PIR", "SAL", "AIL"])
def test_simpleitk_reads_the_same_values_at_the_same_places(tmp_path, order):
    sitk = pytest.importorskip("SimpleITK")
    turn = nibabel.orientations.inv_ornt_aff(nibabel.orientations.axcodes2ornt(tuple(order)), (7, 5, 6))
    oblique = np.eye(4)
    oblique[:3, :3] = Rotation.from_euler("xyz", [10, -7, 4], degrees=True).as_matrix()
    affine = oblique @ np.diag([0.9, 1.1, 2.5, 1]) @ turn
    write(tmp_path, series(noise(), affine))
    image = sitk.ImageSeriesReader()
    image.SetFileNames(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(tmp_path)))
    image = image.Execute()
    lps = np.eye(4)
    lps[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) @ np.diag(image.GetSpacing())
    lps[:3, 3] = image.GetOrigin()
    array = sitk.GetArrayFromImage(image).transpose(2, 1, 0)
    assert_same(volume_of(tmp_path), array, np.diag([-1, -1, 1, 1]) @ lps)


def test_a_tilted_stack_is_kept_as_it_is_and_its_affine_is_sheared(tmp_path):
    affine = AFFINE.copy()
    affine[1, 2] = -np.tan(np.radians(20)) * 3
    volume = volume_of(tmp_path, series(noise(), affine))
    assert_same(volume, noise(), affine)
    assert volume.shear_degrees == pytest.approx(20, abs=0.01)
    assert read_dicom(tmp_path)[0].affine[2, 2] == pytest.approx(3)  # along the normal


def test_folders_and_names_of_files_do_not_matter(tmp_path):
    first, second = series(noise(seed=1)), series(noise(seed=2))
    for number, data in enumerate(second):
        data.SeriesNumber = 2
        write(tmp_path, [data], [f"{'ab'[number % 2]}/deep/er/IM{number}"])
    write(tmp_path / "a", first, [f"{number}" for number in range(len(first))])
    found = read_dicom(tmp_path)
    assert not found.refused
    assert_same(found[0], noise(seed=1))
    assert_same(found[1], noise(seed=2))
    assert [len(item.files) for item in found.series] == [6, 6]


def test_the_order_of_series_is_that_of_their_numbers_whatever_the_folders_are_called(tmp_path):
    for number, name in ((3, "a"), (1, "b"), (2, "c")):
        datasets = series(noise(seed=number))
        for data in datasets:
            data.SeriesNumber = number
        write(tmp_path / name, datasets)
    for number, volume in enumerate(read_dicom(tmp_path), 1):
        assert_same(volume, noise(seed=number))


def test_every_file_is_in_a_series_or_refused_and_none_twice(tmp_path):
    write(tmp_path / "good", series(noise()))
    write(tmp_path / "gap", [data for n, data in enumerate(series(noise())) if n != 3])
    (tmp_path / "good" / "README").write_text("read me")
    (tmp_path / "empty.dcm").write_bytes(b"")
    os.mkfifo(tmp_path / "pipe")  # would block whoever opens it
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone")
    found = read_dicom(tmp_path)
    assert len(found) == 1
    named = [path for item in found.series for path in item.files]
    named += [path for item in found.refused for path in item.files]
    assert sorted(named) == sorted(path for path in tmp_path.rglob("*") if path.is_file())
    by_reason = dict(found.refused)
    assert sorted(path.name for path in by_reason[NOT_DICOM]) == ["README", "empty.dcm"]


def test_a_single_file_can_be_named_instead_of_a_folder(tmp_path):
    (path,) = write(tmp_path, [multi_frame(noise())], ["one"])
    assert_same(read_dicom(path)[0], noise())


def test_a_copy_of_a_file_is_left_out_and_named(tmp_path):
    paths = write(tmp_path / "a", series(noise()))
    shutil.copy(paths[2], tmp_path / "again.dcm")
    found = read_dicom(tmp_path)
    assert_same(found[0], noise())
    assert [(reason, len(files)) for reason, files in found.refused] == [(COPY, 1)]


def test_no_folder_and_an_empty_one_are_reasons(tmp_path):
    with pytest.raises(Unreadable, match="does not exist"):
        read_dicom(tmp_path / "nowhere")
    with pytest.raises(Unreadable, match="contains no files"):
        read_dicom(tmp_path)


def _drop(*numbers):
    return [data for number, data in enumerate(series(noise())) if number not in numbers]


def _changed(change, only=None):
    return each(series(noise()), lambda data, n: change(data, n) if only in (None, n) else None)


def _moved(number: int, by_mm):
    def change(data, _):
        position = np.array(data.ImagePositionPatient, float) + by_mm
        data.ImagePositionPatient = decimals(position)

    return _changed(change, number)


def _set(keyword: str, value, only=None):
    return _changed(lambda data, _: setattr(data, keyword, value), only)


def _without(keyword: str, only=None):
    return _changed(lambda data, _: delattr(data, keyword), only)


def _sagittal(data, _):
    data.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]


def _colour(data, _):
    data.SamplesPerPixel, data.PhotometricInterpretation, data.PlanarConfiguration = 3, "RGB", 0
    data.PixelData = data.PixelData * 3


REFUSED = {
    "a missing slice": (lambda: _drop(2), r"6 mm between slices 2 and 3 of 5, 3 mm .*missing"),
    "two missing slices": (lambda: _drop(1, 4), "slices 1 and 2 of 4, 3 mm between 2 and 3; a slice"),
    "a slice too near": (lambda: _moved(3, [0, 0, -1]), "uneven gaps"),
    "a slice aside": (lambda: _moved(3, [2, 0, 0]), "straight line"),
    "a slice twice at one place": (lambda: _moved(3, [0, 0, -3]), "6 slices at 5 positions"),
    "mixed orientations": (lambda: _changed(_sagittal, 1), "mixed orientations.*2 different"),
    "other rows": (lambda: _set("Rows", 4, 1), "numbers of rows or columns"),
    "other spacing": (lambda: _set("PixelSpacing", [2, 2], 1), "different pixel spacing"),
    "no rows": (lambda: _without("Rows"), "rows or columns"),
    "no columns in one": (lambda: _without("Columns", 4), r"rows or columns .*\(1 of 6 files\)"),
    "no pixel data": (lambda: _without("PixelData"), "no pixel data"),
    "no pixel data in one": (lambda: _without("PixelData", 0), r"no pixel data \(1 of 6 files\)"),
    "no position": (lambda: _without("ImagePositionPatient"), "no position"),
    "no position in one": (lambda: _without("ImagePositionPatient", 5), r"no position.*\(1 of 6"),
    "no orientation": (lambda: _without("ImageOrientationPatient"), "no position or orientation"),
    "an orientation of zeros": (lambda: _set("ImageOrientationPatient", [0] * 6), "perpendicular"),
    "an orientation of 5 numbers": (lambda: _set("ImageOrientationPatient", [1, 0, 0, 0, 1]), "orient"),
    "no pixel spacing": (lambda: _without("PixelSpacing"), "no pixel spacing"),
    "a spacing of 0": (lambda: _set("PixelSpacing", [0, 0]), "no pixel spacing"),
    "no series": (lambda: _without("SeriesInstanceUID"), NO_SERIES),
    "two patients": (lambda: _set("PatientID", "patient-2", 3), "2 patients"),
    "a colour image": (lambda: _changed(_colour), "colour"),
    "a palette": (lambda: _set("PhotometricInterpretation", "PALETTE COLOR"), "colour"),
    "a mosaic": (lambda: _set("ImageType", ["ORIGINAL", "PRIMARY", "M", "MOSAIC"]), "mosaic"),
    "a slope of 0": (lambda: _set("RescaleSlope", 0), "slope of 0"),
    "a segmentation": (lambda: _set("Modality", "SEG"), "SEG object"),
    "pixels cut off": (lambda: _set("PixelData", b"\0" * 20, 2), "damaged or cut off"),
    "one slice without thickness": (lambda: _without("SliceThickness")[:1], "unknown thickness"),
    "all at one place": (lambda: _set("ImagePositionPatient", [0, 0, 0]), "6 slices at one position"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_a_series_that_cannot_be_stacked_is_refused_with_its_reason_and_all_its_files(tmp_path, name):
    datasets, reason = REFUSED[name]
    assert re.search(reason, reason_of(tmp_path, datasets()))


def test_a_refused_series_does_not_keep_the_others_from_being_read(tmp_path):
    write(tmp_path / "gap", _drop(2))
    write(tmp_path / "good", series(noise()))
    found = read_dicom(tmp_path)
    assert len(found) == 1 and len(found.refused) == 1
    assert {path.parent.name for path in found.refused[0].files} == {"gap"}


@pytest.mark.parametrize(("moved_mm", "accepted"), [(0.1, True), (0.2, False)])
def test_gaps_may_differ_by_five_percent(tmp_path, moved_mm, accepted):
    write(tmp_path, _moved(3, [0, 0, moved_mm]))
    assert bool(read_dicom(tmp_path)) == accepted


def test_a_single_slice_of_known_thickness_is_a_volume(tmp_path):
    assert_same(volume_of(tmp_path, series(noise())[:1]), noise()[:, :, :1])


@given(st.integers(0, 2**32), st.integers(1, 5))
@settings(max_examples=60, deadline=None)
def test_a_file_with_changed_bytes_is_a_volume_or_a_reason(tmp_path_factory, seed, changes):
    folder = tmp_path_factory.mktemp("changed")
    path, *_ = write(folder, series(noise((4, 4, 3))))
    data, draw = bytearray(path.read_bytes()), np.random.default_rng(seed)
    for _ in range(changes):
        data[draw.integers(128, len(data))] = draw.integers(256)
    path.write_bytes(data)
    found = read_dicom(folder)
    assert len(found) + sum(len(item.files) for item in found.refused) >= 1


def test_headers_alone_list_the_same_series_without_reading_pixels(tmp_path):
    write(tmp_path, series(noise()))
    (item,) = find_series(tmp_path).series
    assert item.patient_id == "patient-1" and len(item.files) == 6
    assert_same(item.read(), noise())
    assert item.read().facts == item.facts
    for path in item.files:
        path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(Unreadable, match="cut off"):
        item.read()
    assert dataclasses.replace(item, description="x").files == item.files


def test_the_package_gives_both_readers_and_nothing_else():
    assert data_prep.io.read_nifti.__module__ == "data_prep.io.nifti"
    assert data_prep.io.read_dicom.__module__ == "data_prep.io.dicom.series"
    with pytest.raises(AttributeError, match="data_prep.io has no read_nrrd"):
        data_prep.io.read_nrrd  # noqa: B018
