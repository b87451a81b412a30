"""A NIfTI or MGH file that is cut, changed or no volume is a reason, and never another volume."""

import tracemalloc
import zlib

import nibabel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nifti_files import AFFINE, KINDS, file_bytes, noise, packed, save

from data_prep.case import Unreadable
from data_prep.io.nifti import read_nifti
from data_prep.volume import three_dimensional


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
        three_dimensional(read_nifti(save(tmp_path / "p.nii", array)))


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
        assert three_dimensional(found).array.ndim == 3
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
