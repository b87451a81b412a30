"""A user's own 3D task goes from NIfTI files to explained predictions of an exported model."""

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from mri_tf.core.command_line import run_command
from mri_tf.explain.__main__ import main as explain
from mri_tf.predict.__main__ import main as predict
from mri_tf.train.__main__ import main as train

# Five poolings: oneDNN's gradient of MaxPool3D differs between eager and graph where voxels are equal.
TASK = """
from mri_tf.task import Task

TASK = Task(
    name="shapes", layout="volumes_with_types", channels=("t1",), image_shape=(32, 32, 32),
    class_names=("ball", "cube"), epochs=1, batch_size=4,
    model="vgg3d", model_args=dict(conv_filters=4, dense_units=8, blocks=5),
)
"""


def write_shapes(raw: Path, count: int = 16) -> None:
    """Heads with a bright ball or cube in each."""
    (raw / "volumes").mkdir(parents=True)
    rng, rows = np.random.default_rng(0), ["patient_id,label"]
    places = np.stack(np.mgrid[-1:1:36j, -1:1:36j, -1:1:36j])  # (3, x, y, z)
    head = np.linalg.norm(places, axis=0) < 0.9
    for number in range(count):
        from_centre = places - rng.uniform(-0.3, 0.3, 3).reshape(3, 1, 1, 1)
        label = ("ball", "cube")[number % 2]
        ball = np.linalg.norm(from_centre, axis=0) < 0.35
        shape = ball if label == "ball" else np.abs(from_centre).max(axis=0) < 0.3
        tissue = 300 + 100 * gaussian_filter(rng.normal(size=head.shape), 1.5)
        values = (head * tissue + 300 * shape).clip(0).astype(np.int16)
        nibabel.Nifti1Image(values, np.diag([2, 2, 2, 1.0])).to_filename(
            raw / "volumes" / f"p{number:02d}.nii.gz"
        )
        rows.append(f"p{number:02d},{label}")
    (raw / "types.csv").write_text("\n".join(rows))


def run(command, *flags) -> int:
    return run_command(command, [str(flag) for flag in flags])


@pytest.mark.slow
def test_an_own_3d_task_is_trained_exported_asked_and_explained_alike(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("shapes.py").write_text(TASK)
    write_shapes(Path("raw"))
    assert run(train, "--task", "shapes.py", "--raw", "raw", "--out", "run") == 0
    assert "differ" not in capsys.readouterr().err  # neither probabilities nor maps
    inputs = sorted(Path("raw/volumes").iterdir())[:2]
    asked = ("--model", "saved_models/shapes", "--input", *inputs, "--explain", "--out", "answers.json")
    assert run(predict, *asked) == 0
    answers = json.loads(Path("answers.json").read_text())["answers"]
    assert len(answers) == 2
    maps = [nibabel.load(Path("answers_maps") / answer["map"]) for answer in answers]
    assert [image.shape for image in maps] == [(36, 36, 36)] * 2
    held_out = json.loads(Path("run/run.json").read_text())["patients"]["test"]
    assert run(explain, "--run", "run", "--patients", held_out[0], "--out", "maps") == 0
    assert any(Path("maps").iterdir())
