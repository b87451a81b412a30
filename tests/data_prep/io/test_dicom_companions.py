"""What lies beside the slices of a series: other objects, localizers, screenshots, slices sent twice."""

import copy

import numpy as np
import pytest
from dicom_series import (
    AFFINE,
    assert_same,
    each,
    multi_frame,
    noise,
    reason_of,
    series,
    volume_of,
    write,
)
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from data_prep.io.dicom.companions import COPY, LOCALIZER, OTHER_PLANE, SCREENSHOT
from data_prep.io.dicom.series import read_dicom


def beside(datasets: list, change) -> list:
    """The datasets and one more file of their series."""
    other = copy.deepcopy(datasets[2])
    other.SOPInstanceUID = other.file_meta.MediaStorageSOPInstanceUID = uid.generate_uid()
    change(other)
    return [*datasets, other]


def of_class(kind: str, modality: str, keep_pixels: bool = False):
    def change(data):
        data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = kind
        data.Modality = modality
        if not keep_pixels:
            for keyword in ("PixelData", "Rows", "Columns", "ImagePositionPatient"):
                delattr(data, keyword)

    return change


def read_beside(folder, datasets):
    """(the volume, the one reason beside it)."""
    write(folder, datasets)
    found = read_dicom(folder)
    assert len(found) == 1 and [len(item.files) for item in found.refused] == [1]
    return found[0], found.refused[0].reason


@pytest.mark.parametrize(
    ("kind", "modality", "named"),
    [
        (uid.RawDataStorage, "MR", "not an image but Raw Data"),
        (uid.GrayscaleSoftcopyPresentationStateStorage, "PR", "a PR object"),
        (uid.BasicTextSRStorage, "SR", "not an image but Basic Text SR"),
        (uid.EncapsulatedPDFStorage, "DOC", "not an image but Encapsulated PDF"),
        (uid.MRSpectroscopyStorage, "MR", "not an image but MR Spectroscopy"),
        (uid.RealWorldValueMappingStorage, "MR", "not an image but Real World Value Mapping"),
        ("1.3.12.2.1107.5.9.1", "MR", "private kind without pixel data"),  # Siemens' CSA non-image
    ],
)
def test_an_object_that_is_no_image_does_not_cost_the_series(tmp_path, kind, modality, named):
    volume, reason = read_beside(tmp_path, beside(series(noise()), of_class(kind, modality)))
    assert_same(volume, noise())
    assert named in reason


def test_a_segmentation_with_pixels_is_no_slice_of_its_series(tmp_path):
    change = of_class(uid.SegmentationStorage, "MR", keep_pixels=True)
    volume, reason = read_beside(tmp_path, beside(series(noise()), change))
    assert_same(volume, noise())
    assert reason == "not an image but Segmentation"


def test_an_image_without_pixels_stays_a_reason_against_the_series(tmp_path):
    datasets = series(noise())
    del datasets[5].PixelData
    assert reason_of(tmp_path, datasets) == "no pixel data (1 of 6 files)"


@pytest.mark.parametrize("sagittal", [True, False])
def test_a_localizer_is_left_out_and_named(tmp_path, sagittal):
    def change(data):
        data.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
        if sagittal:
            data.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]
        data.Rows, data.Columns, data.PixelData = 4, 4, b"\1" * 32

    volume, reason = read_beside(tmp_path, beside(series(noise()), change))
    assert_same(volume, noise())
    assert reason == LOCALIZER


def test_a_series_of_localizers_alone_is_read(tmp_path):
    datasets = each(series(noise()), lambda data, _: setattr(data, "ImageType", ["A", "B", "LOCALIZER"]))
    assert_same(volume_of(tmp_path, datasets), noise())


def test_an_image_across_the_stack_is_left_out_and_named(tmp_path):
    def change(data):
        data.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]

    volume, reason = read_beside(tmp_path, beside(series(noise()), change))
    assert_same(volume, noise())
    assert reason == OTHER_PLANE


def test_a_screenshot_is_left_out_and_named(tmp_path):
    def change(data):
        data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = uid.SecondaryCaptureImageStorage
        del data.ImagePositionPatient

    volume, reason = read_beside(tmp_path, beside(series(noise()), change))
    assert_same(volume, noise())
    assert reason == SCREENSHOT


def sent_again(datasets: list, numbers, change=lambda data: None) -> list:
    again = [copy.deepcopy(datasets[number]) for number in numbers]
    for data in again:
        data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = uid.generate_uid()
        change(data)
    return [*datasets, *again]


@pytest.mark.parametrize("numbers", [range(6), (1, 4)])
def test_slices_sent_twice_under_new_uids_are_one_and_the_copies_named(tmp_path, numbers):
    write(tmp_path, sent_again(series(noise()), numbers))
    found = read_dicom(tmp_path)
    assert_same(found[0], noise())
    assert [(reason, len(files)) for reason, files in found.refused] == [(COPY, len(numbers))]


def test_a_slice_whose_header_an_archive_touched_is_a_copy(tmp_path):
    datasets = series(noise())
    again = copy.deepcopy(datasets[2])
    again.InstitutionName, again.AcquisitionTime = "elsewhere", "101010"
    volume, reason = read_beside(tmp_path, [*datasets, again])
    assert_same(volume, noise())
    assert reason == COPY


def test_an_enhanced_file_sent_twice_with_its_frames_in_another_order_is_one(tmp_path):
    first = multi_frame(noise())
    second = copy.deepcopy(first)
    second.SOPInstanceUID = second.file_meta.MediaStorageSOPInstanceUID = uid.generate_uid()
    frames = np.frombuffer(first.PixelData, np.uint16).reshape(6, 5, 7)
    second.PixelData = np.ascontiguousarray(frames[::-1]).tobytes()
    groups = list(first.PerFrameFunctionalGroupsSequence)
    second.PerFrameFunctionalGroupsSequence = Sequence(groups[::-1])
    volume, reason = read_beside(tmp_path, [first, second])
    assert_same(volume, noise())
    assert reason == COPY


def test_other_pixels_at_the_same_places_are_a_reason_that_says_so(tmp_path):
    def change(data):
        data.PixelData = bytes(len(data.PixelData))

    reason = reason_of(tmp_path, sent_again(series(noise()), range(6), change))
    assert "12 slices at 6 positions with different pixels" in reason


@pytest.mark.parametrize("in_shared", [True, False])
def test_private_sequences_do_not_override_the_place_and_scale_of_frames(tmp_path, in_shared):
    data = multi_frame(noise())
    shared = list(data.SharedFunctionalGroupsSequence)
    for group in shared if in_shared else data.PerFrameFunctionalGroupsSequence:
        private = Dataset()
        private.ImagePositionPatient, private.PixelSpacing = [1, 2, 3], [9, 9]
        private.RescaleSlope, private.Rows, private.InversionTimes = 7, 99, [0.0]
        private.EffectiveEchoTime = 9.9
        block = group.private_block(0x2005, "Philips MR Imaging DD 005", create=True)
        block.add_new(0x0F, "SQ", Sequence([private]))
    volume = volume_of(tmp_path, [data])
    assert_same(volume, noise())
    assert volume.facts["te_ms"] == 12 and "ti_ms" not in volume.facts


def test_the_positions_of_referenced_images_are_not_those_of_the_frame(tmp_path):
    data = multi_frame(noise())
    for group in data.PerFrameFunctionalGroupsSequence:
        source = Dataset()
        source.ImagePositionPatient, source.RescaleSlope = [1, 2, 3], 5
        source.EffectiveEchoTime = 9.9
        derivation = Dataset()
        derivation.SourceImageSequence = Sequence([source])
        group.DerivationImageSequence = Sequence([derivation])
        group.ReferencedImageSequence = Sequence([copy.deepcopy(source)])
    volume = volume_of(tmp_path, [data])
    assert_same(volume, noise())
    assert volume.facts["te_ms"] == 12


@pytest.mark.parametrize("keyword", ["AcquisitionNumber", "EchoTime", "TemporalPositionIdentifier"])
@pytest.mark.parametrize("counts", [(6, 6), (6, 5)])
def test_two_acquisitions_half_a_step_apart_are_two_volumes(tmp_path, keyword, counts):
    shifted = AFFINE @ np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0.5], [0, 0, 0, 1]])
    both = [noise((7, 5, count), seed) for seed, count in enumerate(counts)]
    kind = uid.generate_uid()
    datasets = [series(both[0], AFFINE, kind), series(both[1], shifted, kind)]
    for value, stack in enumerate(datasets, 1):
        for data in stack:
            setattr(data, keyword, value)
    write(tmp_path, datasets[0] + datasets[1])
    found = read_dicom(tmp_path)
    assert len(found) == 2 and not found.refused
    for volume, array, affine in zip(found, both, (AFFINE, shifted), strict=True):
        assert_same(volume, array, affine)


def test_a_stack_acquired_in_two_blocks_is_one_volume(tmp_path):
    def change(data, number):
        data.AcquisitionNumber = number // 3

    datasets = each(series(noise()), change)
    assert_same(volume_of(tmp_path, datasets), noise())


def test_a_series_folder_that_is_a_link_is_followed_once_and_loops_end(tmp_path):
    write(tmp_path / "store" / "s1", series(noise()))
    patient = tmp_path / "patient"
    patient.mkdir()
    (patient / "t1").symlink_to(tmp_path / "store" / "s1")
    (patient / "again").symlink_to(tmp_path / "store" / "s1")
    (patient / "loop").symlink_to(patient)
    found = read_dicom(patient)
    assert len(found) == 1 and not found.refused
    assert_same(found[0], noise())


def test_one_stack_acquired_in_two_passes_is_one_volume(tmp_path):
    """Its slices are as far apart as they are thick, though their acquisition number alternates."""

    def change(data, number):
        data.AcquisitionNumber = 1 + number % 2

    assert_same(volume_of(tmp_path, each(series(noise()), change)), noise())
