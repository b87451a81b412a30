"""TensorFlow computes by oneDNN on every x86 processor, unless its user has chosen otherwise."""

import os
import platform
import subprocess
import sys

import pytest


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="oneDNN is for x86 here")
@pytest.mark.parametrize("chosen, wanted", [({}, True), ({"TF_ENABLE_ONEDNN_OPTS": "0"}, False)])
def test_onednn_computes_wherever_its_user_has_not_left_it_out(chosen, wanted):
    environment = {name: value for name, value in os.environ.items() if name != "TF_ENABLE_ONEDNN_OPTS"}
    program = "import mri_tf; from tensorflow.python.framework.test_util import IsMklEnabled\n"
    done = subprocess.run(
        [sys.executable, "-c", program + "print(IsMklEnabled())"], env=environment | chosen,
        text=True, capture_output=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == str(wanted)
