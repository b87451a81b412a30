"""Segmentations as DICOM SEG: they lie on the voxels of their source, whatever wrote that."""

import json
from pathlib import Path

import numpy as np
import pytest
from dicom_answered import finds_bright
from dicom_kinds import bright_ellipsoid, folders, turned, two_echoes
from dicom_series import each, multi_frame, series, write
from made_up import run_predict
from pydicom import dcmread

from data_prep.io.dicom.masks import read_mask_object
from data_prep.io.dicom.series import find_series
from data_prep.io.nifti import read_nifti
from data_prep.io.volume_file import read_volume_file
from data_prep.layouts import labelled_volumes
from mri_tf.predict import model as asking

NAMES = ("background", "anterior", "posterior")
KINDS = (
    "MR", "oblique", "steep", "sagittal", "tilted gantry", "one slice", "feet first", "bare headers",
    "strange values", "uneven directions", "multi-frame", "multi-frame oblique", "RLE", "JPEG-LS",
    "JPEG 2000", "implicit VR", "CT", "multi-frame CT",
)  # fmt: skip


@pytest.fixture(scope="module")
def sources(tmp_path_factory) -> dict[str, Path]:
    return folders(tmp_path_factory.mktemp("kinds"))


@pytest.fixture(scope="module")
def home(sources, tmp_path_factory) -> Path:
    """A folder with the label maps and the objects of all sources, by one command."""
    home = tmp_path_factory.mktemp("segmented")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asking, "open_model", lambda *_, **__: (finds_bright(), labelled_volumes))
        flags = ("--input", *sources.values(), "--anyway")
        flags += ("--out", home / "labels", "--dicom-out", home / "objects")
        assert run_predict(*flags) == 0
    return home


def _labels_of(home, source):
    return read_nifti(home / "labels" / f"{source.name}_labels.nii.gz")


def _object_of(home, source, kind="labels"):
    return home / "objects" / f"{source.name}_{kind}.dcm"


@pytest.mark.parametrize("kind", KINDS)
def test_a_segmentation_reads_back_to_the_voxel(home, sources, kind):
    labels, image = _labels_of(home, sources[kind]), read_volume_file(sources[kind])
    back = read_mask_object(_object_of(home, sources[kind]), image, NAMES)
    np.testing.assert_allclose(labels.affine, image.affine, atol=1e-3)
    np.testing.assert_array_equal(back.array, labels.array)
    bright = image.array > (image.array.min() + image.array.max()) / 2
    assert np.mean(bright == (back.array > 0)) > 0.95


@pytest.mark.parametrize("kind", ["MR", "multi-frame", "tilted gantry"])
def test_each_plane_refers_to_the_source_image_at_its_place(home, sources, kind):
    places = {}
    for path in sources[kind].iterdir():
        data = dcmread(path)
        if "NumberOfFrames" in data:
            for number, group in enumerate(data.PerFrameFunctionalGroupsSequence, 1):
                place = group.PlanePositionSequence[0].ImagePositionPatient
                places[data.SOPInstanceUID, number] = place
        else:
            places[data.SOPInstanceUID, None] = data.ImagePositionPatient
    made = dcmread(_object_of(home, sources[kind]))
    for group in made.PerFrameFunctionalGroupsSequence:
        (source,) = group.DerivationImageSequence[0].SourceImageSequence
        number = source.get("ReferencedFrameNumber")
        place = places[source.ReferencedSOPInstanceUID, None if number is None else int(number)]
        np.testing.assert_allclose(
            np.array(group.PlanePositionSequence[0].ImagePositionPatient, float),
            np.array(place, float), atol=1e-3,
        )  # fmt: skip
    (of_series,) = made.ReferencedSeriesSequence
    referred = {one.ReferencedSOPInstanceUID for one in of_series.ReferencedInstanceSequence}
    assert referred == {uid for uid, _ in places}


def test_a_segmentation_of_one_of_two_stacks_in_a_file_refers_to_its_own_frames(tmp_path):
    from mri_tf.dicom.headers import stand_ins
    from mri_tf.dicom.maker import Maker
    from mri_tf.dicom.segmentation import segmentation_of

    write(tmp_path, [two_echoes(bright_ellipsoid(), turned())])
    for one in find_series(tmp_path).series:
        labels = np.ones((12, 16, 20), np.uint8)
        maker = Maker("two", "1", "a" * 64)
        made = segmentation_of(labels, ("background", "tumour"), one, stand_ins(one), maker)
        frames = [
            int(group.DerivationImageSequence[0].SourceImageSequence[0].ReferencedFrameNumber)
            for group in made.PerFrameFunctionalGroupsSequence
        ]
        assert sorted(frames) == sorted(item.frame + 1 for item in one.stack)


def test_a_segmentation_of_a_file_of_one_frame_refers_to_frame_1(tmp_path):
    from mri_tf.dicom.headers import frame_number, stand_ins
    from mri_tf.dicom.maker import Maker
    from mri_tf.dicom.segmentation import segmentation_of

    write(tmp_path, [multi_frame(bright_ellipsoid((20, 16, 1)))])
    (one,) = find_series(tmp_path).series
    images, labels = stand_ins(one), np.ones((1, 16, 20), np.uint8)
    maker = Maker("one", "1", "a" * 64)
    made = segmentation_of(labels, ("background", "tumour"), one, images, maker)
    (group,) = made.PerFrameFunctionalGroupsSequence
    assert group.DerivationImageSequence[0].SourceImageSequence[0].ReferencedFrameNumber == 1
    assert frame_number(one.stack[0], images[0]) == 1


def test_an_object_carries_patient_study_model_and_codes(home, sources):
    strange = sources["strange values"]
    made, source = dcmread(_object_of(home, strange)), dcmread(next(strange.iterdir()))
    named = ("PatientID", "StudyInstanceUID", "FrameOfReferenceUID", "AccessionNumber", "StudyID")
    for keyword in named:
        assert made[keyword].value == source[keyword].value
    assert str(made.PatientName) == "Müller^Jürgen=山田^太郎"
    assert made.PatientSex == "" and not made.StudyDate and "PatientAge" not in made
    assert made.SeriesInstanceUID != source.SeriesInstanceUID
    assert made.ManufacturerModelName == "hippocampus" and made.Manufacturer == "mri_tf"
    first, second = made.SegmentSequence
    assert (first.SegmentLabel, second.SegmentLabel) == NAMES[1:]
    assert first.SegmentAlgorithmType == "AUTOMATIC"
    (algorithm,) = first.SegmentationAlgorithmIdentificationSequence
    assert algorithm.AlgorithmName == "hippocampus" and algorithm.AlgorithmVersion == "3"
    assert "c" * 64 in str(algorithm.AlgorithmParameters)
    category, kind = (first[f"SegmentedProperty{word}CodeSequence"][0] for word in ("Category", "Type"))
    assert (category.CodeValue, category.CodingSchemeDesignator) == ("91723000", "SCT")
    assert kind.CodingSchemeDesignator == "99MRITF" and kind.CodeMeaning == "anterior"
    (scheme,) = made.CodingSchemeIdentificationSequence
    assert scheme.CodingSchemeDesignator == "99MRITF"


def test_a_report_refers_to_each_segment_and_says_its_volume(home, sources):
    import highdicom

    answers = json.loads((home / "labels/answers.json").read_text())["answers"]
    (row,) = (one for one in answers if one["input"] == sources["oblique"].name)
    report = highdicom.sr.srread(_object_of(home, sources["oblique"], "report"))
    groups = report.content.get_volumetric_roi_measurement_groups()
    made = dcmread(_object_of(home, sources["oblique"]))
    for number, (name, group) in enumerate(zip(NAMES[1:], groups, strict=True), 1):
        (volume,) = group.get_measurements()
        assert volume.name.meaning == "Volume" and volume.unit.value == "mm3"
        assert volume.value == pytest.approx(1000 * row["volume_ml"][name], abs=0.01)
        (segment,) = (item for item in group.referenced_segment if item.ValueType == "IMAGE")
        (referred,) = segment.ReferencedSOPSequence
        assert referred.ReferencedSegmentNumber == number
        assert referred.ReferencedSOPInstanceUID == made.SOPInstanceUID


def test_a_series_whose_headers_lack_its_study_is_named_and_its_answer_stays(asked, tmp_path, capsys):
    def without_study(data, number):
        del data.StudyInstanceUID

    write(tmp_path / "scan", each(series(bright_ellipsoid()), without_study))
    asked(finds_bright(), labelled_volumes)
    flags = ("--input", tmp_path / "scan", "--out", tmp_path / "labels", "--dicom-out", tmp_path / "o")
    assert run_predict(*flags) == 1
    assert "no DICOM objects for scan: its headers do not name the study" in capsys.readouterr().err
    assert (tmp_path / "labels/answers.json").is_file() and not any((tmp_path / "o").iterdir())
