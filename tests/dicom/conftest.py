"""A model and a layout in place of those that --model names, for DICOM inputs."""

import pytest

from mri_tf.predict import model as asking


@pytest.fixture(scope="session", autouse=True)
def with_highdicom():
    pytest.importorskip("highdicom", reason="the package highdicom is not installed (extra dicom)")


@pytest.fixture
def asked(monkeypatch):
    """Makes predict use this model and this layout."""

    def ask(model, module):
        monkeypatch.setattr(asking, "open_model", lambda options, needs_segmenter: (model, module))

    return ask
