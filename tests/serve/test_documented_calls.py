"""The calls that README shows are answered, and compose.yaml names files that export writes."""

import contextlib
import io
import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from fresh import export_source_of
from serving_models import running

from mri_tf.export.saved_model import write_saved_model
from mri_tf.serve.config_files import METRICS_PATH, MOUNT, write_config_files
from mri_tf.task import Task

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def served(saved, tmp_path_factory):
    """A server of a small model called cardiac_levels, in whose folder slice.png lies."""
    home = tmp_path_factory.mktemp("readme")
    shutil.copytree(saved / "tiny" / "1", home / "saved_models" / "cardiac_levels" / "1")
    write_config_files(home / "saved_models")
    image = tf.constant([[[10], [20]], [[30], [44]]], tf.uint8)
    (home / "slice.png").write_bytes(tf.io.encode_png(image).numpy())
    with running(home / "saved_models") as server:
        yield home, server


def _block(server, holds: str) -> str:
    """README's block of code that holds a word, with this server's ports."""
    text = (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")
    section = text[text.index("\n## Serving") :]
    blocks = re.findall(r"```(?:python)?\n(.*?)```", section, re.DOTALL)
    (code,) = [one for one in blocks if holds in one]
    assert "8501" in code or "8500" in code
    return code.replace("8501", str(server.rest_port)).replace("8500", str(server.grpc_port))


WITH_CURL = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not on this machine")


def _printed(server, holds: str, folder: Path) -> str:
    """What README's block prints as a script that runs in a folder."""
    script = "set -e -o pipefail\n" + _block(server, holds)
    done = subprocess.run(["bash", "-c", script], cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@WITH_CURL
def test_the_curl_calls_are_answered(served):
    home, server = served
    printed = _printed(server, "labels/stable", home)
    assert '"AVAILABLE"' in printed and '"predictions"' in printed
    assert '"probabilities": [1.0, ' in printed


@WITH_CURL
def test_the_curl_calls_of_classify_explain_and_bytes_are_answered(tmp_path):
    task = Task(
        name="cardiac_levels", channels=("cta",), image_shape=(128, 128), model="vgg",
        class_names=("low", "high"), model_args=dict(conv_filters=1, dense_units=4, blocks=2),
        normalize=dict(method="range", low=-200.0, high=600.0),
    )  # fmt: skip
    write_saved_model(export_source_of(task), tmp_path / task.name / "1")
    with running(tmp_path) as server:
        text = _printed(server, ":classify", tmp_path).strip()
        told = _printed(server, "octet-stream", tmp_path)
    assert "200 OK" in told and "probabilities=float32[1,2]" in told
    assert (tmp_path / "answer.bin").stat().st_size > 8
    decoder = json.JSONDecoder()
    classified, end = decoder.raw_decode(text)
    explained, _ = decoder.raw_decode(text[end:].strip())
    assert [label for label, _ in classified["results"][0]] == ["low", "high"]
    assert np.shape(explained["predictions"][0]["map"]) == (128, 128)
    assert explained["predictions"][0]["out_of_distribution"] == 1


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
