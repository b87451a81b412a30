"""Brain masks of a file or of an installed program; a program that is missing or fails is an error."""

import stat
import sys

import numpy as np
import pytest
from refused import refusal

from data_prep.io.nifti import read_nifti, write_nifti
from data_prep.phantom.forms import write_patients
from data_prep.prepare.prepare import prepare
from data_prep.volume import Volume
from mri_tf.task import Task
from mri_tf.task.overrides import with_values

TASK = Task(
    name="mine", channels=("t1", "flair"), image_shape=(20, 40, 40), class_names=("low", "high"),
    model="grader3d", prep=dict(label_column="grade", brain_mask="synthstrip"),
    normalize=dict(method="zscore", region="mask"),
)  # fmt: skip
# What SynthStrip is called with; it takes the left half of the volume for the brain.
PROGRAM = """#!{python}
import sys
if sys.argv[1:] == ["--version"]:
    print("synthstrip 1.7")
    sys.exit()
import nibabel, numpy
places = dict(zip(sys.argv[1::2], sys.argv[2::2]))
image = nibabel.load(places["-i"])
if {fails}:
    sys.exit(3)
mask = numpy.zeros(image.shape, numpy.uint8)
mask[: image.shape[0] // 2] = 1
for flag in ("-o", "-m"):
    nibabel.save(nibabel.Nifti1Image(mask, image.affine), places[flag])
"""


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Puts a program of that name on an otherwise unchanged PATH."""

    def put(fails=False):
        file = tmp_path / "bin" / "mri_synthstrip"
        file.parent.mkdir()
        file.write_text(PROGRAM.format(python=sys.executable, fails=fails))
        file.chmod(file.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{file.parent}:/usr/bin:/bin")

    return put


def prepared(tmp_path, task):
    raw = tmp_path / "raw"
    if not raw.exists():
        write_patients(raw, 3, 0, "nifti")
    (tmp_path / "mine.py").touch()
    return prepare(task, tmp_path / "mine.py", raw, tmp_path / "set")


def test_the_mask_of_a_program_is_used_and_its_version_kept(tmp_path, program):
    program()
    found, skipped = prepared(tmp_path, TASK)
    assert not skipped and found.manifest["tools"] == {"synthstrip": "synthstrip 1.7"}
    image = found.record(0).image  # z-scores inside the mask, 0 outside; columns from right to left
    sides = [np.abs(image[:, :, :19]).sum(), np.abs(image[:, :, 21:]).sum()]
    assert min(sides) == 0 and max(sides) > 0


def test_a_program_that_is_missing_is_said_before_anything_is_read(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    message = refusal(prepared, tmp_path, TASK)
    assert "needs the program mri_synthstrip" in message and not (tmp_path / "set").exists()


def test_a_program_that_fails_is_a_reason_and_no_other_mask_takes_its_place(tmp_path, program):
    program(fails=True)
    message = refusal(prepared, tmp_path, TASK)
    assert "mri_synthstrip failed with exit code 3" in message


def test_the_mask_of_a_file_is_used(tmp_path):
    raw = tmp_path / "raw"
    write_patients(raw, 3, 0, "nifti")
    lines = (raw / "cases.csv").read_text().splitlines()
    rows = [lines[0] + ",brain_mask"]
    for number, line in enumerate(lines[1:]):
        name = line.partition(",")[0]
        first = read_nifti(raw / name / "t1.nii.gz")
        mask = np.zeros(first.array.shape, np.uint8)
        mask[:, :20] = 1  # the back
        write_nifti(raw / name / "brain.nii.gz", Volume(mask, first.affine))
        rows.append(f"{line},{name}/brain.nii.gz" if number else f"{line},")
    (raw / "cases.csv").write_text("\n".join(rows))
    found, skipped = prepared(tmp_path, with_values(TASK, {"prep.brain_mask": "file"}))
    assert [item.reason for item in skipped] == ["it has no brain mask"]
    image = found.record(0).image
    assert not image[:, :19].any() and image[:, 21:].any()  # rows from front to back
