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
    "ElementType = MET_UCHAR\n"
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
