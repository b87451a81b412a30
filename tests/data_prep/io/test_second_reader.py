"""dcm2niix, where it is installed, makes the same volumes of a series as our reader."""

import shutil
import subprocess

import numpy as np
import pytest
from dicom_series import each, multi_frame, noise, series, write
from scipy.spatial.transform import Rotation

from data_prep.io.dicom.series import read_dicom
from data_prep.io.nifti import read_nifti

PROGRAM = shutil.which("dcm2niix")
OBLIQUE = np.eye(4)
TURN = Rotation.from_euler("xyz", [10, -7, 4], degrees=True).as_matrix()
OBLIQUE[:3, :3] = TURN @ np.diag([1, 1.2, 3])


def scaled(data, _):
    data.RescaleSlope, data.RescaleIntercept = 2.5, -100


SERIES = {
    "plain": lambda: series(noise((20, 16, 12))),
    "oblique": lambda: series(noise((20, 16, 12)), OBLIQUE),
    "scaled": lambda: each(series(noise((20, 16, 12))), scaled),
    "enhanced": lambda: [multi_frame(noise((20, 16, 12)), OBLIQUE)],
}


@pytest.mark.skipif(PROGRAM is None, reason="dcm2niix is not installed")
@pytest.mark.parametrize("name", SERIES)
def test_dcm2niix_makes_the_same_volumes(tmp_path, name):
    write(tmp_path / "in", SERIES[name]())
    (tmp_path / "out").mkdir()
    command = [PROGRAM, "-b", "n", "-z", "n", "-o", tmp_path / "out", tmp_path / "in"]
    subprocess.run(command, capture_output=True, check=False)
    (theirs,) = [read_nifti(path) for path in (tmp_path / "out").glob("*.nii")]
    (ours,) = read_dicom(tmp_path / "in")
    np.testing.assert_array_equal(ours.array, theirs.array)
    np.testing.assert_allclose(ours.affine, theirs.affine, atol=1e-2)
