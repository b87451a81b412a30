"""A model and a layout in place of those that --model names."""

import pytest
from made_up import IMAGES, says_brightness

from data_prep.layouts import cases_table
from mri_tf.predict import model as asking


@pytest.fixture
def asked(monkeypatch):
    """Makes predict use this model and this layout."""

    def ask(model, module):
        monkeypatch.setattr(asking, "open_model", lambda options, needs_segmenter: (model, module))

    return ask


@pytest.fixture
def bright(asked):
    """Makes predict say how bright images are; the calls of the model."""
    calls = []
    asked(says_brightness(IMAGES, calls), cases_table)
    return calls
