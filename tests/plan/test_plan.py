"""Raw folders that no task describes: which layout they have, what is decided, which file is written."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from refused import refusal

from data_prep.layout import ListOptions
from data_prep.phantom.forms import write_patients
from mri_tf.core.command_line import run_command
from mri_tf.network.build import check_network, check_task
from mri_tf.plan.__main__ import main as plan
from mri_tf.plan.planned import plan_folder, task_file_for
from mri_tf.plan.rules import decide
from mri_tf.task.files import load_task

FORMS = {
    "nifti": ("cases_table", ("t1", "flair")), "dicom": ("cases_table", ("t1", "flair")),
    "dicom_tree": ("dicom_tree", ("t1", "flair")), "bids": ("bids", ("flair", "t1w")),
    "class_folders": ("class_folders", ("flair", "t1")), "images": ("cases_table", ("image",)),
}  # fmt: skip
NONE = ListOptions()


@pytest.fixture(scope="module")
def raws(tmp_path_factory):
    home = tmp_path_factory.mktemp("raws")
    for form in FORMS:
        write_patients(home / form, 6, 0, form)
    return home


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("suffix", [".toml", ".py"])
@pytest.mark.parametrize("form", FORMS)
def test_a_folder_is_recognised_and_its_task_can_be_trained(raws, here, form, suffix):
    planned = plan_folder(raws / form, NONE, out=here / f"mine{suffix}")
    layout, channels = FORMS[form]
    task = load_task(planned.file)
    assert (task.layout, task.channels) == (layout, channels)
    assert task.class_names == ("high", "low") and planned.facts.patients == 6
    check_task(task)
    check_network(task)


def test_planning_again_gives_the_same_file_and_a_changed_file_is_kept(raws, here):
    first = plan_folder(raws / "nifti", NONE).file
    text = first.read_text()
    assert plan_folder(raws / "nifti", NONE).file.read_text() == text
    first.write_text(text.replace("steps = 400", "steps = 9"))
    assert "--task" in refusal(plan_folder, raws / "nifti", NONE)
    assert "steps = 9" in first.read_text()


def test_every_value_of_a_task_file_stands_below_its_reason(raws, here):
    lines = plan_folder(raws / "dicom", NONE).file.read_text().splitlines()
    body = lines[lines.index("") + 1 :]
    for number, line in enumerate(body):
        if re.match(r"\w+ = ", line):
            above = [text for text in body[:number] if not re.match(r"\w+ = ", text)]
            assert above[-1].startswith("# ")


def test_python_and_toml_hold_the_same_task(raws, here):
    files = [plan_folder(raws / "bids", NONE, out=here / f"mine{end}").file for end in (".py", ".toml")]
    assert load_task(files[0]) == load_task(files[1])


def test_the_command_shows_what_it_found_and_names_no_patient(raws, here, capsys):
    assert run_command(plan, ["--raw", str(raws / "dicom_tree")]) == 0
    shown = capsys.readouterr().out
    assert "6 cases of 6 patients" in shown and "high 3 (3 patients)" in shown
    written = "".join(path.read_text() for path in here.iterdir())
    assert "P001" not in shown + written
    assert json.loads((here / "dicom_tree_grade.fingerprint.json").read_text())["cases"] == 6


def test_two_columns_that_can_be_the_label_are_asked_for(raws, here):
    (here / "scans").mkdir()
    rows = ["patient_id,image,grade,outcome"]
    for number in range(8):
        Image.fromarray(np.full((40, 40), number, np.uint8)).save(here / "scans" / f"{number}.png")
        rows.append(f"p{number},{number}.png,{'ab'[number % 2]},{number // 4}")
    (here / "scans" / "cases.csv").write_text("\n".join(rows))
    message = refusal(plan_folder, here / "scans", NONE)
    assert "Several columns" in message and "grade (a, b), outcome (0, 1)" in message
    assert plan_folder(here / "scans", NONE, "outcome").task.class_names == ("0", "1")
    assert "no column of that name" in refusal(plan_folder, here / "scans", NONE, "stage")


def test_labels_may_lie_elsewhere(raws, here):
    (here / "labels.csv").write_text((raws / "dicom_tree" / "labels.csv").read_text())
    tree = here / "tree"
    tree.mkdir()
    for folder in (raws / "dicom_tree").glob("export*"):
        (tree / folder.name).symlink_to(folder)
    planned = plan_folder(tree, ListOptions(labels=here / "labels.csv"))
    assert planned.task.layout == "dicom_tree" and planned.facts.cases == 6


def test_a_folder_of_something_else_is_refused_with_what_to_do(here):
    (here / "empty").mkdir()
    assert "cases.csv" in refusal(plan_folder, here / "empty", NONE)
    assert "must be a folder" in refusal(plan_folder, here / "gone", NONE)
    assert "neither --task nor --raw" in refusal(task_file_for, None, None, NONE, "")


def test_a_table_of_images_without_patients_is_refused(here):
    Image.fromarray(np.zeros((40, 40), np.uint8)).save(here / "a.png")
    (here / "cases.csv").write_text("subject,image,label\n1,a.png,x\n")
    assert "not whose they are" in refusal(plan_folder, here, NONE)


def facts_of(raws, form, here, **changes):
    return replace(plan_folder(raws / form, NONE, out=here / f"{form}.toml").facts, **changes)


def decided(facts, weights=False):
    return {one.key: one.value for one in decide(facts, weights)}


def test_the_rules_follow_the_facts(raws, here):
    volumes = facts_of(raws, "nifti", here)
    grid = decided(volumes)["image_shape"]
    assert all(size % 16 == 0 for size in grid) and np.prod(grid) <= 300_000
    thick = decided(facts_of(raws, "nifti", here, spacing_mm=(0.5, 0.5, 6.0), shape=(256, 256, 9)))
    assert thick["prep.slices"] == {"count": 9} and thick["bag"] == {"pooling": "mean"}
    missing = decided(facts_of(raws, "nifti", here, missing={"t1": 1, "flair": 0}))
    assert missing["prep.missing"] == "zero_fill" and "has_t1" in missing["channels"]
    ct = decided(facts_of(raws, "nifti", here, modality="CT"))
    assert ct["normalize"]["method"] == "range" and "prep.crop_to_brain" not in ct
    rare = decided(facts_of(raws, "nifti", here, classes={"low": 5, "high": 50}))
    assert rare["oversample"] is True
    images = facts_of(raws, "images", here)
    assert decided(images, weights=True)["model"] == "backbone_classifier"
    assert decided(images)["model"] == "vgg" and "bag" in decided(images)
    assert not any("flip" in key for key in decided(images)["augment"])
