"""Raw folders that no task describes: which layout they have, what is decided, which file is written."""

import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from refused import refusal

from data_prep.layout_calls import ListOptions
from data_prep.phantom.forms import write_patients
from mri_tf.core.command_line import run_command
from mri_tf.network.build import check_network, check_task
from mri_tf.plan.__main__ import main as plan
from mri_tf.plan.planned import label_setting, plan_folder, task_file_for, weights_at_hand
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
    assert "neither --task nor --raw" in refusal(task_file_for, None, None, NONE, "", [])


def test_a_misspelt_setting_is_refused_before_a_folder_is_planned(raws, here):
    raw = raws / "dicom_tree"
    message = refusal(task_file_for, None, raw, NONE, "", ["epochs=3", "epoch=3"])
    assert "Did you mean epochs?" in message
    assert "key=value" in refusal(task_file_for, None, raw, NONE, "", ["epochs"])
    assert not list(here.rglob("*.toml"))


def test_a_table_of_images_without_patients_is_refused(here):
    Image.fromarray(np.zeros((40, 40), np.uint8)).save(here / "a.png")
    (here / "cases.csv").write_text("subject,image,label\n1,a.png,x\n")
    assert "not whose they are" in refusal(plan_folder, here, NONE)


def facts_of(raws, form, here, **changes):
    return replace(plan_folder(raws / form, NONE, out=here / f"{form}.toml").facts, **changes)


def test_headers_of_folders_of_dicom_are_read_where_their_voxels_are_not(raws, here, monkeypatch):
    monkeypatch.setattr("mri_tf.plan.fingerprint.MOST_IMAGES", 1)
    shutil.copytree(raws / "dicom", here / "scans")
    for file in (here / "scans" / "P006" / "t1").iterdir():
        file.write_bytes(b"no image at all")
    facts = plan_folder(here / "scans", NONE).facts
    assert facts.unreadable == 1 and facts.shape == (40.0, 40.0, 20.0)


def decided(facts, weights=False):
    return {one.key: one.value for one in decide(facts, weights)}


def test_a_column_that_calls_the_modality_mri_or_mr_means_mr(raws, here):
    shutil.copytree(raws / "nifti", here / "scans")
    table = pd.read_csv(here / "scans/cases.csv", dtype=str)
    table.assign(modality=["mri", "MR", "Mri"] * 2).to_csv(here / "scans/cases.csv", index=False)
    facts = plan_folder(here / "scans", NONE).facts
    assert (facts.modality, facts.how_modality) == ("MR", "the column modality")


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
    assert ct["augment"]["random_noise"]["kind"] == "gaussian"
    assert "random_bias_field" not in ct["augment"]
    assert {"random_bias_field", "random_noise"} <= decided(volumes)["augment"].keys()
    assert "sequence_dropout" in missing["augment"] and "sequence_dropout" not in ct["augment"]
    rare = decided(facts_of(raws, "nifti", here, classes={"low": 5, "high": 50}))
    assert rare["oversample"] is True
    images = facts_of(raws, "images", here)
    assert decided(images, weights=True)["model"] == "backbone_classifier"
    assert decided(images)["model"] == "vgg" and "bag" in decided(images)
    assert not any("flip" in key for key in decided(images)["augment"])


def scans(home, rows, header="patient_id,image,grade"):
    home.mkdir(exist_ok=True)
    for number in range(len(rows)):
        pixels = np.random.default_rng(number).integers(0, 250, (40, 40), dtype=np.uint8)
        Image.fromarray(pixels).save(home / f"{number}.png")
    (home / "cases.csv").write_text("\n".join([header, *rows]))
    return home


def test_folders_of_patients_are_no_classes_where_the_table_is_forgotten(raws, here):
    (here / "scans").mkdir()
    for number in range(6):
        folder = here / "scans" / f"case{number}"
        folder.mkdir()
        for name in ("t1", "flair"):
            file = raws / "nifti" / f"P00{number + 1}" / f"{name}.nii.gz"
            (folder / f"case{number}_{name}.nii.gz").write_bytes(file.read_bytes())
    assert "name it with --labels" in refusal(plan_folder, here / "scans", NONE)
    rows = "\n".join(f"case{number},{'ab'[number % 2]}" for number in range(6))
    (here / "labels.csv").write_text(f"patient_id,WHO grade\n{rows}\ncase9,a")
    planned = plan_folder(here / "scans", ListOptions(labels=here / "labels.csv"))
    assert planned.task.layout == "sequence_folders"
    assert planned.task.channels == ("flair", "t1")  # a row without a folder changes nothing
    assert "--labels <the table>" in planned.file.read_text()


def test_classes_that_differ_in_capitals_and_measured_numbers_are_refused(here):
    rows = [f"p{number},{number}.png,{['II', 'III', 'ii'][number % 3]}" for number in range(9)]
    assert "differ only in capitals" in refusal(plan_folder, scans(here / "s", rows), NONE)
    rows = [f"p{number},{number}.png,{20 + number // 2}" for number in range(40)]
    assert "which are no classes" in refusal(plan_folder, scans(here / "n", rows), NONE, "grade")


def test_words_for_a_missing_value_are_no_class_and_no_patient(here):
    rows = [f"p{number},{number}.png,{'ab'[number % 2]}" for number in range(6)]
    raw = scans(here / "s", [*rows, "p7,6.png,#N/A"])
    planned = plan_folder(raw, ListOptions(skip_unlabelled=True))
    assert planned.task.class_names == ("a", "b") and planned.facts.cases == 6
    raw = scans(here / "t", [*rows, "n/a,6.png,a"])
    assert "must have a patient_id" in refusal(plan_folder, raw, NONE)


def test_columns_that_may_tell_who_a_patient_is_are_not_kept(here):
    header = "patient_id,image,grade,initials,accession_number,postcode,scanned,field"
    rows = [
        f"p{n},{n}.png,{'ab'[n % 2]},{'XY'[n % 2]},{n},1{n},2020-01-0{n % 3 + 1},{[1.5, 3][n // 2 % 2]}"
        for n in range(8)
    ]
    planned = plan_folder(scans(here / "s", rows, header), NONE, "grade")
    assert planned.task.prep["covariates"] == ("field",)


def test_a_plan_does_not_depend_on_the_network(raws, here, monkeypatch):
    for at_hand in (True, False):
        monkeypatch.setattr("mri_tf.plan.planned.weights_at_hand", lambda answer=at_hand: answer)
        assert plan_folder(raws / "images", NONE).task.model == "backbone_classifier"


def test_nothing_is_planned_where_nothing_can_be_read(raws, here):
    raw = here / "raw"
    write_patients(raw, 4, 0, "nifti")
    for path in raw.glob("*/*.nii.gz"):
        path.write_bytes(path.read_bytes()[:300])
    assert "can be read" in refusal(plan_folder, raw, NONE) and not list(here.glob("*.toml"))


def test_a_label_that_looks_like_a_number_is_a_name(raws, here, capsys):
    raw = scans(here / "s", [f"p{n},{n}.png,{'ab'[n % 2]}" for n in range(6)], "patient_id,image,2021")
    assert plan_folder(raw, NONE, "2021").task.prep["label_column"] == "2021"
    assert label_setting("t", "2021") == ["prep.label_column='2021'"]


def test_folders_that_are_ignored_are_no_classes(here):
    for name in ("a", "b", "docs"):
        (here / "s" / name).mkdir(parents=True)
        for number in range(4):
            pixels = np.random.default_rng(number).integers(0, 250, (40, 40), dtype=np.uint8)
            Image.fromarray(pixels).save(here / "s" / name / f"{number}{name}.png")
    planned = plan_folder(here / "s", ListOptions(ignore=("docs",)))
    assert planned.task.class_names == ("a", "b")


def test_columns_of_readers_are_neither_the_label_nor_covariates(here):
    header = "patient_id,image,grade_reader1,grade_reader2,grade_reader3"
    rows = []
    for n in range(12):
        grade, other = ("low", "high") if n % 2 else ("high", "low")
        rows.append(f"p{n},{n}.png,{grade},{other if n < 3 else grade},{grade}")
    task = plan_folder(scans(here / "s", rows, header), NONE).task
    assert task.class_names == ("high", "low")
    assert task.prep == {**task.prep, "label_column": "grade"} and "covariates" not in task.prep
    rows = [f"{row},{[1.5, 3][n // 2 % 2]}" for n, row in enumerate(rows)]
    task = plan_folder(scans(here / "t", rows, f"{header},field"), NONE, "grade").task
    assert task.prep["label_column"] == "grade" and task.prep["covariates"] == ("field",)
    rows = [f"{row},{['low', 'high'][n % 4 // 2]}" for n, row in enumerate(rows)]
    raw = scans(here / "u", rows, f"{header},field,label")
    assert plan_folder(raw, NONE).task.prep["label_column"] == "label"


def test_a_column_of_labels_beside_those_of_readers_of_another_name_is_asked_for(here):
    header = "patient_id,image,grade,label_reader1,label_reader2"
    rows = [f"p{n},{n}.png,{'ab'[n % 2]},{'ab'[n % 2]},{'ab'[n % 2]}" for n in range(8)]
    raw = scans(here / "s", rows, header)
    message = refusal(plan_folder, raw, NONE)
    assert "Several columns" in message and "grade (a, b)" in message and "label (a, b)" in message
    assert plan_folder(raw, NONE, "grade").task.prep["label_column"] == "grade"


def test_weights_are_at_hand_where_a_file_of_them_is_in_the_cache(monkeypatch, tmp_path):
    def no_network(*_, **__):
        raise OSError("no network")

    monkeypatch.setattr("socket.create_connection", no_network)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "none"))
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path))
    preset = tmp_path / "models" / "keras" / "resnetv1" / "keras" / "resnet_18_imagenet" / "2"
    preset.mkdir(parents=True)
    assert not weights_at_hand()  # a download that failed leaves empty folders
    (preset / "model.weights.h5").write_bytes(b"weights")
    assert weights_at_hand()
