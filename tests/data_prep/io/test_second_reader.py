"""dcm2niix, where it is installed, makes the same volumes of a series as our reader."""

import dataclasses
import shutil
import subprocess

import numpy as np
import pytest
from dicom_series import AFFINE, each, multi_frame, noise, series, write
from pydicom import uid
from scipy.spatial.transform import Rotation

from data_prep.io.dicom.series import read_dicom
from data_prep.io.nifti import read_nifti

PROGRAM = shutil.which("dcm2niix")
OBLIQUE = np.eye(4)
TURN = Rotation.from_euler("xyz", [10, -7, 4], degrees=True).as_matrix()
OBLIQUE[:3, :3] = TURN @ np.diag([1, 1.2, 3])


def scaled(data, _):
    data.RescaleSlope, data.RescaleIntercept = 2.5, -100


def numbered(datasets: list, number: int) -> list:
    return each(datasets, lambda data, _: setattr(data, "AcquisitionNumber", number))


KIND = uid.generate_uid()
SERIES = {
    "plain": lambda: series(noise((20, 16, 12))),
    "oblique": lambda: series(noise((20, 16, 12)), OBLIQUE),
    "scaled": lambda: each(series(noise((20, 16, 12))), scaled),
    "enhanced": lambda: [multi_frame(noise((20, 16, 12)), OBLIQUE)],
    "two acquisitions": lambda: [
        *numbered(series(noise((20, 16, 12)), AFFINE, KIND), 1),
        *numbered(series(noise((20, 16, 12), 1), AFFINE, KIND), 2),
    ],
}


@pytest.mark.skipif(PROGRAM is None, reason="dcm2niix is not installed")
@pytest.mark.parametrize("name", SERIES)
def test_dcm2niix_makes_the_same_volumes(tmp_path, name):
    write(tmp_path / "in", SERIES[name]())
    (tmp_path / "out").mkdir()
    command = [PROGRAM, "-b", "n", "-z", "n", "-o", tmp_path / "out", tmp_path / "in"]
    subprocess.run(command, capture_output=True, check=False)
    theirs = []  # which puts stacks of one place into one file of four axes
    for path in sorted((tmp_path / "out").glob("*.nii")):
        volume = read_nifti(path)
        arrays = np.moveaxis(volume.array, 3, 0) if volume.array.ndim == 4 else [volume.array]
        theirs += [dataclasses.replace(volume, array=array) for array in arrays]
    ours = list(read_dicom(tmp_path / "in"))
    assert len(ours) == len(theirs) == (2 if name == "two acquisitions" else 1)
    for volume in ours:
        assert any(
            np.array_equal(volume.array, other.array)
            and np.allclose(volume.affine, other.affine, atol=1e-2)
            for other in theirs
        )
