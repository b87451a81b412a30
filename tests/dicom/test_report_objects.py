"""Answers as DICOM reports and maps, and what --dicom-out refuses."""

import dataclasses
import errno
import shutil

import numpy as np
import pytest
from dicom_answered import explains_brightness, numbers_slices
from dicom_kinds import bright_ellipsoid, turned
from dicom_series import multi_frame, series, write
from made_up import IMAGES, predicted_to, run_predict, says_brightness, write_images
from pydicom import dcmread

from data_prep.cases.dicom_sources import on_pixels
from data_prep.io.dicom.series import find_series
from data_prep.io.nifti import read_nifti, write_nifti
from data_prep.layouts import cases_table, volumes_with_levels, volumes_with_types
from data_prep.volume import Volume
from mri_tf.core.errors import RunFailed
from mri_tf.export.reader import Exported
from mri_tf.task.overrides import with_values

AXIAL = np.diag([-1, -1.2, 2.5, 1.0])


def _groups(path):
    import highdicom

    return highdicom.sr.srread(path).content.get_image_measurement_groups()


def _said(group) -> dict[str, list[str]]:
    said: dict[str, list[str]] = {}
    for one in group.get_qualitative_evaluations():
        said.setdefault(one.name.value, []).append(one.value.meaning)
    return said


def test_a_report_holds_probabilities_set_decision_and_model(asked, tmp_path):
    write(tmp_path / "scan", series(bright_ellipsoid(), turned()))
    asked(explains_brightness(), volumes_with_types)
    flags = ("--input", tmp_path / "scan", "--dicom-out", tmp_path / "objects")
    (row,) = predicted_to(tmp_path / "x.json", *flags)["answers"]
    (group,) = _groups(tmp_path / "objects/scan_report.dcm")
    found = {}
    for measured in group.get_measurements():
        assert (measured.name.value, measured.name.scheme_designator) == ("122157", "DCM")
        (about,) = measured[0].ContentSequence
        found[about.value.meaning.replace(" ", "_")] = measured.value
    assert found == pytest.approx(row["probabilities"], abs=1e-6)
    said = _said(group)
    assert said["DECISION"] == [row["decision"].replace("_", " ")]
    assert said["UNLIKE"] == ["Unknown"] and "INSET" not in said
    report = dcmread(tmp_path / "objects/scan_report.dcm")
    texts = {str(element.value) for element in report.iterall() if element.VR in ("UT", "LO")}
    assert {"brain_tumor_type", "3", "export_sha256 unknown"} <= texts
    assert "Research software, not a medical device." in texts


def test_a_map_lies_on_the_pixels_of_its_series(asked, tmp_path):
    write(tmp_path / "scan", [multi_frame(bright_ellipsoid(), turned())])
    asked(explains_brightness(), volumes_with_types)
    flags = ("--input", tmp_path / "scan", "--explain", "--dicom-out", tmp_path / "objects")
    (row,) = predicted_to(tmp_path / "x.json", *flags)["answers"]
    (one,) = find_series(tmp_path / "scan").series
    wanted = on_pixels(read_nifti(tmp_path / "x_maps" / row["map"]), one)
    made = dcmread(tmp_path / "objects/scan_gradcam.dcm")
    values = np.frombuffer(made.FloatPixelData, "<f4").reshape(-1, made.Rows, made.Columns)
    heights = {round(item.position[2], 3): place for place, item in enumerate(one.stack)}
    for frame, group in zip(values, made.PerFrameFunctionalGroupsSequence, strict=True):
        place = heights[round(float(group.PlanePositionSequence[0].ImagePositionPatient[2]), 3)]
        np.testing.assert_array_equal(frame, wanted[place])
    (mapping,) = made.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence
    assert mapping.RealWorldValueSlope == 1 and mapping.RealWorldValueIntercept == 0
    assert made.ContentQualification == "RESEARCH"


@pytest.mark.parametrize("frames", ["a file each", "one file"])
def test_answers_about_slices_refer_to_the_image_of_each(asked, tmp_path, frames):
    array = bright_ellipsoid((20, 16, 6))
    made = series(array, AXIAL) if frames == "a file each" else [multi_frame(array, AXIAL)]
    write(tmp_path / "scan", made)
    asked(numbers_slices(), volumes_with_levels)
    flags = ("--input", tmp_path / "scan", "--dicom-out", tmp_path / "objects", "--anyway")
    rows = predicted_to(tmp_path / "x.json", *flags)["answers"]
    heights = {}
    for path in (tmp_path / "scan").iterdir():
        data = dcmread(path)
        for number, group in enumerate(data.get("PerFrameFunctionalGroupsSequence", []), 1):
            heights[data.SOPInstanceUID, number] = group.PlanePositionSequence[0].ImagePositionPatient[2]
        if "NumberOfFrames" not in data:
            heights[data.SOPInstanceUID, None] = data.ImagePositionPatient[2]
    groups = _groups(tmp_path / "objects/scan_report.dcm")
    assert len(groups) == len(rows) == 6
    for row, group in zip(rows, groups, strict=True):
        (image,) = group.source_images
        frame = image.referenced_frame_numbers
        height = heights[image.referenced_sop_instance_uid, frame[0] if frame else None]
        assert float(height) == pytest.approx(row["z_mm"], abs=0.01)


def test_single_images_get_reports_and_maps_of_their_own(asked, tmp_path):
    array = bright_ellipsoid((20, 16, 6))
    (tmp_path / "scan").mkdir()
    write(tmp_path / "scan", series(array, AXIAL), [f"i{number}.dcm" for number in range(6)])
    asked(says_brightness(IMAGES), cases_table)
    flags = ("--input", tmp_path / "scan", "--explain", "--dicom-out", tmp_path / "objects")
    rows = predicted_to(tmp_path / "x.json", *flags)["answers"]
    assert len(rows) == 6 and len(list((tmp_path / "objects").iterdir())) == 12
    source = dcmread(tmp_path / "scan/i2.dcm")
    made = dcmread(tmp_path / "objects/scan_i2.dcm_gradcam.dcm")
    values = np.frombuffer(made.FloatPixelData, "<f4").reshape(made.Rows, made.Columns)
    assert np.corrcoef(values.ravel(), source.pixel_array.ravel())[0, 1] > 0.8
    (group,) = _groups(tmp_path / "objects/scan_i2.dcm_report.dcm")
    assert source.SOPInstanceUID in {one.referenced_sop_instance_uid for one in group.source_images}


def test_an_answer_for_a_patient_of_several_images_is_one_report_with_all_of_them(asked, tmp_path):
    array = bright_ellipsoid((20, 16, 6))
    write(tmp_path / "scan", series(array, AXIAL), [f"i{number}.dcm" for number in range(6)])
    asked(says_brightness(with_values(IMAGES, {"bag": dict(pooling="mean")})), cases_table)
    flags = ("--input", tmp_path / "scan", "--explain", "--dicom-out", tmp_path / "objects")
    (row,) = predicted_to(tmp_path / "x.json", *flags)["answers"]
    names = sorted(path.name for path in (tmp_path / "objects").iterdir())
    assert names == [*(f"scan_gradcam-{number}.dcm" for number in range(1, 7)), "scan_report.dcm"]
    (group,) = _groups(tmp_path / "objects/scan_report.dcm")
    assert _said(group)["DECISION"] == [row["decision"]]
    maps = {dcmread(tmp_path / "objects" / name).SOPInstanceUID for name in names[:-1]}
    images = {dcmread(path).SOPInstanceUID for path in (tmp_path / "scan").iterdir()}
    assert {one.referenced_sop_instance_uid for one in group.source_images} == images | maps
    (study,) = dcmread(tmp_path / "objects/scan_report.dcm").CurrentRequestedProcedureEvidenceSequence
    named = {one.ReferencedSOPInstanceUID for of_series in study.ReferencedSeriesSequence
             for one in of_series.ReferencedSOPSequence}  # fmt: skip
    assert named == images | maps


def test_other_files_beside_the_dicom_of_a_patient_do_not_matter(asked, tmp_path):
    write(tmp_path / "scan", series(bright_ellipsoid(), turned()))
    (tmp_path / "scan/readme.txt").write_text("no image")
    task = with_values(explains_brightness().exported.task, {"layout": "cases_table"})
    model = dataclasses.replace(explains_brightness(), exported=Exported(task))
    asked(model, cases_table)
    predicted_to(tmp_path / "x.json", "--input", tmp_path / "scan", "--dicom-out", tmp_path / "objects")
    assert (tmp_path / "objects/scan_report.dcm").is_file()


def test_inputs_that_are_not_dicom_are_refused_before_anything_is_predicted(asked, tmp_path, capsys):
    calls = []
    asked(says_brightness(IMAGES, calls), cases_table)
    folder = write_images(tmp_path / "in", a=51)
    assert run_predict("--input", folder, "--dicom-out", tmp_path / "objects") == 2
    assert "--dicom-out needs DICOM inputs" in capsys.readouterr().err
    assert not calls and not (tmp_path / "objects").exists()
    write_nifti(tmp_path / "a.nii.gz", Volume(bright_ellipsoid(), turned()), "LPS")
    asked(explains_brightness(), volumes_with_types)
    assert run_predict("--input", tmp_path / "a.nii.gz", "--dicom-out", tmp_path / "objects") == 2


def test_a_folder_that_holds_something_is_refused_and_nothing_in_it_changes(asked, tmp_path, capsys):
    write(tmp_path / "scan", series(bright_ellipsoid(), turned()))
    (tmp_path / "objects").mkdir()
    (tmp_path / "objects/scan_report.dcm").write_text("mine")
    asked(explains_brightness(), volumes_with_types)
    assert run_predict("--input", tmp_path / "scan", "--dicom-out", tmp_path / "objects") == 2
    assert "must be a new or an empty folder" in capsys.readouterr().err
    assert (tmp_path / "objects/scan_report.dcm").read_text() == "mine"


def test_where_the_model_fails_the_objects_so_far_are_counted_and_their_folder_is_to_be_removed(
    asked, tmp_path, capsys
):
    for name in ("first", "second"):
        write(tmp_path / name, series(bright_ellipsoid(), turned()))
    model, calls = explains_brightness(), []

    def call(signature, feed):
        calls.append(signature)
        if len(calls) == 2:
            raise RunFailed("The server failed.", "Try again.")
        return model.call(signature, feed)

    asked(dataclasses.replace(model, call=call), volumes_with_types)
    objects = tmp_path / "objects"
    flags = ("--input", tmp_path / "first", tmp_path / "second", "--dicom-out", objects)
    assert run_predict(*flags) == 3
    said = capsys.readouterr().err
    assert len(list(objects.iterdir())) == 1
    assert f"1 DICOM object written into {objects}; remove this folder before" in said
    assert run_predict(*flags) == 2 and "an empty folder" in capsys.readouterr().err
    shutil.rmtree(objects)
    assert run_predict(*flags) == 0


def test_objects_are_not_written_into_the_folder_of_the_scans(asked, tmp_path, capsys):
    write(tmp_path / "scan", series(bright_ellipsoid(), turned()))
    asked(explains_brightness(), volumes_with_types)
    flags = ("--input", tmp_path / "scan", "--dicom-out", tmp_path / "scan/objects")
    assert run_predict(*flags) == 2
    assert "must not lie in a folder of --input" in capsys.readouterr().err
    assert not (tmp_path / "scan/objects").exists()


def test_a_file_that_appears_meanwhile_is_not_overwritten(tmp_path):
    from mri_tf.core.errors import InputError
    from mri_tf.dicom.maker import write_new

    (data,) = series(bright_ellipsoid((4, 4, 1)))
    (tmp_path / "a.dcm").write_text("mine")
    with pytest.raises(InputError, match="is not overwritten"):
        write_new(tmp_path / "a.dcm", data)
    assert (tmp_path / "a.dcm").read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["a.dcm"]


def test_an_object_is_written_where_files_cannot_be_linked(tmp_path, monkeypatch):
    from mri_tf.core.errors import InputError
    from mri_tf.dicom import maker

    def no_links(*_):
        raise OSError(errno.ENOTSUP, "Operation not supported")

    monkeypatch.setattr(maker.os, "link", no_links)
    (data,) = series(bright_ellipsoid((4, 4, 1)))
    maker.write_new(tmp_path / "a.dcm", data)
    assert dcmread(tmp_path / "a.dcm").SOPInstanceUID == data.SOPInstanceUID
    with pytest.raises(InputError, match="is not overwritten"):
        maker.write_new(tmp_path / "a.dcm", data)
    assert [path.name for path in tmp_path.iterdir()] == ["a.dcm"]


def test_an_object_that_cannot_be_written_whole_leaves_no_file(tmp_path, monkeypatch):
    from mri_tf.dicom import maker

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(maker.os, "fsync", full)
    (data,) = series(bright_ellipsoid((4, 4, 1)))
    with pytest.raises(OSError):
        maker.write_new(tmp_path / "a.dcm", data)
    assert not list(tmp_path.iterdir())


def test_names_of_classes_in_another_alphabet_are_written_and_read_back(tmp_path):
    from mri_tf.dicom.headers import stand_ins
    from mri_tf.dicom.maker import Maker, write_new
    from mri_tf.dicom.segmentation import segmentation_of

    write(tmp_path / "scan", series(bright_ellipsoid((8, 8, 4))))
    (one,) = find_series(tmp_path / "scan").series
    names = ("background", "größter Tumor 腫瘍")
    labels = np.ones((4, 8, 8), np.uint8)
    made = segmentation_of(labels, names, one, stand_ins(one), Maker("t", "1", "a" * 64))
    write_new(tmp_path / "a.dcm", made)
    (segment,) = dcmread(tmp_path / "a.dcm").SegmentSequence
    assert segment.SegmentLabel == names[1]
    assert segment.SegmentedPropertyTypeCodeSequence[0].CodeMeaning == names[1]


def test_only_the_objects_name_the_patient(asked, tmp_path, capsys):
    def named(data):
        data.PatientName, data.PatientID = "Dumbledore^Albus", "HOGWARTS-1"
        data.AccessionNumber, data.StudyDate = "ACC-99", "19810731"

    datasets = series(bright_ellipsoid(), turned())
    for data in datasets:
        named(data)
    write(tmp_path / "scan", datasets)
    asked(explains_brightness(), volumes_with_types)
    flags = ("--input", tmp_path / "scan", "--explain", "--dicom-out", tmp_path / "objects")
    predicted_to(tmp_path / "x.json", *flags)
    printed = "".join(capsys.readouterr())
    assert "name the patient and the study" in printed
    written = [tmp_path / "x.json", *(tmp_path / "x_maps").iterdir()]
    for secret in ("Dumbledore", "HOGWARTS-1", "ACC-99", "19810731", datasets[0].StudyInstanceUID):
        assert secret not in printed
        assert not any(secret.encode() in path.read_bytes() for path in written)
        for path in (tmp_path / "objects").iterdir():
            assert secret in str(dcmread(path))
