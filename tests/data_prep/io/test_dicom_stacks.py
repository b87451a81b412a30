"""Several images of one place, and several frames in one file, become the volumes they are."""

import numpy as np
import pytest
from dicom_series import AFFINE, assert_same, multi_frame, noise, reason_of, series, volume_of, write
from pydicom.sequence import Sequence
from pydicom.uid import generate_uid

from data_prep.io.dicom.series import read_dicom
from data_prep.volume import to_ras_volume


def _twice(keyword: str, values) -> list:
    """Two stacks under one UID that only this field tells apart."""
    uid = generate_uid()
    stacks = [series(noise(seed=number), uid=uid) for number in range(2)]
    for stack, value in zip(stacks, values, strict=True):
        for data in stack:
            setattr(data, keyword, value)
    return stacks[0] + stacks[1]


@pytest.mark.parametrize(
    ("keyword", "values"),
    [("EchoTime", (9.5, 10)), ("TemporalPositionIdentifier", (1, 2)), ("AcquisitionNumber", (1, 2)),
     ("ImageType", (["ORIGINAL", "PRIMARY", "M"], ["ORIGINAL", "PRIMARY", "P"])),
     ("AcquisitionTime", ("090000", "091500"))],
)  # fmt: skip
def test_stacks_of_one_series_are_told_apart_by_the_field_that_differs(tmp_path, keyword, values):
    write(tmp_path, _twice(keyword, values))
    found = read_dicom(tmp_path)
    assert len(found) == 2 and not found.refused
    for number, volume in enumerate(found):
        assert_same(volume, noise(seed=number))
    if keyword == "EchoTime":
        assert [volume.facts["te_ms"] for volume in found] == [9.5, 10]


def test_echoes_at_several_times_need_two_fields(tmp_path):
    uid, datasets, expected = generate_uid(), [], []
    for time in (1, 2):
        for echo_ms in (9, 80):
            expected.append(noise(seed=len(expected)))
            for data in series(expected[-1], uid=uid):
                data.TemporalPositionIdentifier, data.EchoTime = time, echo_ms
                datasets.append(data)
    write(tmp_path, datasets)
    found = read_dicom(tmp_path)
    assert len(found) == 4
    assert {volume.array.tobytes() for volume in found} == {
        to_ras_volume(array, AFFINE).array.tobytes() for array in expected
    }


def test_a_time_point_that_lacks_a_slice_is_refused(tmp_path):
    assert "11 slices at 6 positions" in reason_of(
        tmp_path, _twice("TemporalPositionIdentifier", (1, 2))[:-1]
    )


def test_a_field_that_numbers_the_slices_tells_no_stacks_apart(tmp_path):
    datasets = _twice("EchoTime", (10, 10))
    for number, data in enumerate(datasets):
        data.AcquisitionNumber = number
    assert "12 slices at 6 positions" in reason_of(tmp_path, datasets)


def test_frames_lie_where_their_functional_groups_say(tmp_path):
    volume = volume_of(tmp_path, [multi_frame(noise())])
    assert_same(volume, noise())
    assert volume.facts["tr_ms"] == 600 and volume.facts["te_ms"] == 12
    assert volume.facts["flip_angle_degrees"] == 70


def test_several_frames_without_positions_are_refused(tmp_path):
    data = multi_frame(noise())
    del data.PerFrameFunctionalGroupsSequence
    assert "several frames without a position" in reason_of(tmp_path / "a", [data])
    data = multi_frame(noise())
    data.PerFrameFunctionalGroupsSequence = Sequence(data.PerFrameFunctionalGroupsSequence[1:])
    assert "6 frames, but positions for 5" in reason_of(tmp_path / "b", [data])
    data = multi_frame(noise())
    for frame in data.PerFrameFunctionalGroupsSequence:
        del frame.PlanePositionSequence
    assert "no position or orientation" in reason_of(tmp_path / "c", [data])


def test_a_missing_frame_is_a_gap(tmp_path):
    data = multi_frame(noise())
    frame = data.PerFrameFunctionalGroupsSequence[0].PlanePositionSequence[0]
    frame.ImagePositionPatient = list(np.array(frame.ImagePositionPatient, float) + [0, 0, 1.5])
    assert "uneven gaps" in reason_of(tmp_path, [data])
