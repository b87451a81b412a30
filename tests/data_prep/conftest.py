"""The real case of the shared data that several tests read."""

import pytest


@pytest.fixture(scope="session")
def dicom_brain(shared_data):
    if not (shared_data / "dicom_brain").is_dir():
        pytest.skip("dicom_brain is not among the shared data")
    return shared_data / "dicom_brain"
