"""NRRD and MetaImage headers that name another file: refused, however they hide it."""

from pathlib import Path

import numpy as np
import pytest
import SimpleITK

from data_prep.case import Unreadable
from data_prep.io.volume_file import read_volume_file

SIZE = 6
NRRD = (
    "NRRD0004\ntype: uchar\ndimension: 3\nspace: left-posterior-superior\nsizes: 6 6 6\n"
    "space directions: (1,0,0) (0,1,0) (0,0,1)\nkinds: domain domain domain\nencoding: raw\n"
    "space origin: (0,0,0)\n"
)
META = (
    "ObjectType = Image\nNDims = 3\n{comment}TransformMatrix = 1 0 0 0 1 0 0 0 1\nDimSize = 6 6 6\n"
    "ElementSpacing = 1 1 1\nElementType = MET_UCHAR\n"
)
LONG, HIDING = "x" * 5000, "Comment = ElementDataFile = LOCAL\n"


@pytest.fixture
def secret(tmp_path) -> Path:
    """A file that is none of the user's."""
    path = tmp_path / "secret.bin"
    path.write_bytes(bytes(range(SIZE**3)))
    return path


def _as_written(path: Path) -> np.ndarray:
    """What the library reads that is used for these formats."""
    return SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path)))


@pytest.mark.parametrize(
    "name, header",
    [
        ("a.nrrd", NRRD + "data file: {secret}\n"),
        ("a.nrrd", NRRD + "# " + LONG + "\ndata file: {secret}\n"),
        ("a.nrrd", NRRD.replace("\n", "\r\n") + "data file: {secret}\r\n"),
        ("a.mha", META.format(comment="") + "ElementDataFile = {secret}\n"),
        ("a.mha", META.format(comment=HIDING) + "ElementDataFile = {secret}\n"),
    ],
)  # fmt: skip
def test_a_header_that_names_another_file_is_refused_wherever_it_does(tmp_path, secret, name, header):
    path = tmp_path / name
    path.write_text(header.format(secret=secret) + "\n", newline="")
    assert _as_written(path).ravel()[7] == 7  # the library itself would read it
    with pytest.raises(Unreadable, match="in another file|longer than|position"):
        read_volume_file(path)


def test_a_header_with_its_voxels_is_read_with_either_line_end(tmp_path):
    voxels = bytes(range(SIZE**3))
    for number, header in enumerate((NRRD + "\n", NRRD.replace("\n", "\r\n") + "\r\n")):
        path = tmp_path / f"{number}.nrrd"
        path.write_bytes(header.encode() + voxels)
        assert read_volume_file(path).array.size == SIZE**3
    path = tmp_path / "a.mha"
    header = META.format(comment="Comment = a scan\n") + "ElementDataFile = LOCAL\n"
    path.write_bytes(header.encode() + voxels)
    np.testing.assert_array_equal(np.sort(read_volume_file(path).array.ravel()), np.arange(SIZE**3))


@pytest.mark.parametrize(("name", "old", "new", "reason"), [
    ("a.mha", b"ElementSpacing = 4 4 6\n", b"", "no spacing"),
    ("a.nrrd", b"space directions:", b'space units: "um" "um" "um"\nspace directions:', "not in mm"),
])  # fmt: skip
def test_lengths_that_are_not_said_or_not_in_mm_are_a_reason(tmp_path, name, old, new, reason):
    image = SimpleITK.GetImageFromArray(np.ones((4, 5, 6), np.int16))
    image.SetSpacing((4, 4, 6))
    SimpleITK.WriteImage(image, str(tmp_path / name))
    assert read_volume_file(tmp_path / name).spacing_mm == (4, 4, 6)
    data = (tmp_path / name).read_bytes()
    assert old in data
    (tmp_path / name).write_bytes(data.replace(old, new))
    with pytest.raises(Unreadable, match=reason):
        read_volume_file(tmp_path / name)
