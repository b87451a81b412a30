"""The calls that README shows are answered, and compose.yaml names files that export writes."""

import contextlib
import io
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from serving_models import running

from mri_tf.serving.config_files import METRICS_PATH, MOUNT, write_config_files

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def served(saved, tmp_path_factory):
    """A server of a small model called cardiac_levels, in whose folder slice.png lies."""
    import tensorflow as tf

    home = tmp_path_factory.mktemp("readme")
    shutil.copytree(saved / "tiny" / "1", home / "saved_models" / "cardiac_levels" / "1")
    write_config_files(home / "saved_models")
    image = tf.constant([[[10], [20]], [[30], [44]]], tf.uint8)
    (home / "slice.png").write_bytes(tf.io.encode_png(image).numpy())
    with running(home / "saved_models") as server:
        yield home, server


def _block(server, holds: str) -> str:
    """README's block of code that holds a word, with this server's ports."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    section = text[text.index("\n## Serving") :]
    blocks = re.findall(r"```(?:python)?\n(.*?)```", section, re.DOTALL)
    (code,) = [one for one in blocks if holds in one]
    assert "8501" in code or "8500" in code
    return code.replace("8501", str(server.rest_port)).replace("8500", str(server.grpc_port))


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not on this machine")
def test_the_curl_calls_are_answered(served):
    home, server = served
    script = "set -e -o pipefail\n" + _block(server, "curl")
    done = subprocess.run(["bash", "-c", script], cwd=home, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert '"AVAILABLE"' in done.stdout and '"predictions"' in done.stdout
    assert '"probabilities": [1.0, ' in done.stdout


def test_the_python_call_is_answered(served, monkeypatch):
    home, server = served
    monkeypatch.chdir(home)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(_block(server, "import grpc"), "README", "exec"), {})
    assert printed.getvalue().startswith("[[1.")


def test_compose_starts_tf_serving_with_the_files_that_export_writes(tmp_path):
    text = (ROOT / "compose.yaml").read_text(encoding="utf-8")
    (tmp_path / "m" / "1").mkdir(parents=True)
    for path in write_config_files(tmp_path):
        assert f"={MOUNT}/{path.name}" in text, path.name
    assert f"./saved_models:{MOUNT}:ro" in text and METRICS_PATH in text
    assert re.search(r"image: tensorflow/serving:\S*\d+\.\d+\.\d+", text)
    assert not re.search(r'"\d+:\d+"', text), "ports are opened to this machine only"
