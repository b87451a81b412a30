"""Each file that pydicom and nibabel ship for their tests gives Volumes or one short reason."""

import time
from collections import Counter
from pathlib import Path

import nibabel
import pydicom
import pytest

from data_prep.case import Unreadable
from data_prep.io.dicom.series import read_dicom
from data_prep.io.nifti import read_nifti
from data_prep.volume import Volume

SECONDS = 10  # for one file; measured: 0.4 at most
DICOM = Path(pydicom.__file__).parent / "data"
NIBABEL = Path(nibabel.__file__).parent


def _files(folder: Path, inside: str = "") -> list[Path]:
    paths = [path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    return sorted(path for path in paths if inside in str(path.parent.relative_to(folder)))


def _read_each(paths: list[Path], read) -> tuple[int, Counter]:
    """How many files gave Volumes, and how often each reason was given for the others."""
    volumes, reasons = 0, Counter()
    for path in paths:
        begun = time.monotonic()
        try:
            found = read(path)
        except Unreadable as reason:
            found = [str(reason)]
        assert time.monotonic() - begun < SECONDS, path.name
        assert found, path.name
        if isinstance(found[0], str):
            (reason,) = found
            assert 5 < len(reason) < 150 and "\n" not in reason, path.name
            assert path.name not in reason
            reasons[reason] += 1
        else:
            assert all(isinstance(volume, Volume) for volume in found), path.name
            volumes += 1
    return volumes, reasons


def _dicom(path: Path) -> list:
    folder = read_dicom(path)
    assert bool(folder) != bool(folder.refused), path.name
    return list(folder) or [reason for reason, _ in folder.refused]


def test_each_of_pydicoms_files_alone():
    paths = _files(DICOM)
    volumes, reasons = _read_each(paths, _dicom)
    assert len(paths) >= 190 and volumes + sum(reasons.values()) == len(paths)
    assert volumes >= 40
    assert reasons["a colour image"] >= 25 and reasons["no pixel data"] >= 60
    assert sum(count for reason, count in reasons.items() if reason.startswith("not an image")) >= 5
    assert reasons["no position or orientation in the patient"] >= 15
    assert max(reasons.values()) < 120 and len(reasons) >= 8


def test_pydicoms_files_together_as_one_folder():
    folder = read_dicom(DICOM)
    named = [path for item in folder.series for path in item.files]
    named += [path for item in folder.refused for path in item.files]
    assert len(folder) >= 8
    assert sorted(named) == sorted(path for path in DICOM.rglob("*") if path.is_file())
    slices = {volume.array.shape for volume in folder}
    assert (16, 16, 5) in slices  # the one folder of five slices that lie evenly
    reasons = " / ".join(reason for reason, _ in folder.refused)
    for expected in ("mixed orientations", "uneven gaps: 202.5 mm", "slices at one position", "RTDOSE"):
        assert expected in reasons


def test_each_of_nibabels_files_as_nifti():
    paths = _files(NIBABEL, "tests/data")
    volumes, reasons = _read_each(paths, lambda path: [read_nifti(path)])
    assert len(paths) >= 110 and volumes + sum(reasons.values()) == len(paths)
    assert volumes >= 7
    assert sum("DICOM" in reason for reason in reasons.elements()) >= 3


@pytest.mark.parametrize(
    "name", ["anatomical.nii", "example4d.nii.gz", "example_nifti2.nii.gz", "functional.nii",
             "reoriented_anat_moved.nii", "standard.nii.gz", "test.mgz"],
)  # fmt: skip
def test_nibabels_images_have_nibabels_values(name):
    path = NIBABEL / "tests" / "data" / name
    image = nibabel.as_closest_canonical(nibabel.load(path))
    found = read_nifti(path)
    assert found.array.shape == image.shape
    assert abs(found.array - image.get_fdata()).max() <= 1e-6 * abs(image.get_fdata()).max()
    assert abs(found.affine - image.affine).max() < 1e-6


def test_each_of_nibabels_files_as_dicom():
    paths = _files(NIBABEL, "nicom/tests/data")
    volumes, reasons = _read_each(paths, _dicom)
    assert len(paths) >= 14 and volumes == 0
    # Two Siemens mosaics of one series would pass for two slices 3 mm apart.
    assert reasons["a mosaic: all slices of a volume as tiles of one image"] == 2
    assert reasons["a single slice of unknown thickness"] == 1
