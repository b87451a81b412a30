"""BIDS: sessions as cases, suffixes as channels, labels of participants or of sessions."""

import numpy as np
import pytest
from refused import refusal

from data_prep.io.nifti import write_nifti
from data_prep.layout import find_layout
from data_prep.layout_calls import read_case
from data_prep.layouts import bids
from data_prep.volume import Volume
from mri_tf.core.progress import say_once
from mri_tf.task import Task
from mri_tf.task.overrides import with_values

TASK = Task(
    name="mine", layout="bids", channels=("t1w", "flair"), image_shape=(8, 8, 8), model="grader3d",
    class_names=("a", "b"), prep=dict(label_column="dx"),
)  # fmt: skip
AFFINE = np.diag([2.0, 2.0, 2.0, 1.0])


def image(path, value=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    array = np.random.default_rng(value).integers(1, 90, (8, 8, 8)).astype(np.int16)
    write_nifti(path, Volume(array, AFFINE))


@pytest.fixture
def root(tmp_path):
    """Two participants with two sessions, one without sessions."""
    for subject in ("sub-1", "sub-10"):
        for session in ("ses-01", "ses-02"):
            stem = tmp_path / subject / session / "anat" / f"{subject}_{session}"
            for number, suffix in enumerate(("T1w", "FLAIR")):
                image(stem.with_name(f"{stem.name}_{suffix}.nii.gz"), number)
    for number, suffix in enumerate(("T1w", "FLAIR")):
        image(tmp_path / "sub-2" / "anat" / f"sub-2_{suffix}.nii.gz", number)
    table(tmp_path, "participant_id\tdx\tage\tgroup", "sub-1\ta\t50\tpatient", "10\tb\tn/a\tcontrol",
          "sub-2\tb\t70\tpatient")  # fmt: skip
    return tmp_path


def table(root, *lines, name="participants.tsv"):
    (root / name).write_text("\n".join(lines) + "\n")


def test_sessions_are_cases_of_their_participant(root):
    cases = bids.list_cases(root, TASK)
    assert [(case.patient, case.label) for case in cases] == [
        ("sub-1", "a"), ("sub-1", "a"), ("sub-10", "b"), ("sub-10", "b"), ("sub-2", "b"),
    ]  # fmt: skip
    assert cases[0].facts == {"age": "50"} and cases[2].facts == {}
    assert not any(case.group for case in cases)  # of BIDS, group is what is compared
    layout = find_layout(TASK, root / "mine.py")
    assert all(read_case(layout, root, case, TASK) for case in cases)


@pytest.mark.parametrize("column", ["dx", "DX"])
def test_a_session_has_its_own_label_where_its_table_says_one(root, column):
    table(root / "sub-1", "session_id\tdx", "ses-01\tn/a", "02\tb", name="sub-1_sessions.tsv")
    cases = bids.list_cases(root, with_values(TASK, {"prep.label_column": column}))
    assert [case.label for case in cases[:2]] == ["a", "b"]


def test_group_can_be_the_label(root):
    found = bids.recognise(root, None)
    assert "group" in found.may_be_label and found.channels == ("flair", "t1w")
    task = with_values(TASK, {"prep.label_column": "group", "class_names": ("control", "patient")})
    assert [case.label for case in bids.list_cases(root, task)][-1] == "patient"


def test_a_mask_is_that_of_its_own_participant_and_session(root):
    image(root / "derivatives" / "m" / "sub-10" / "sub-10_ses-01_mask.nii.gz")
    image(root / "derivatives" / "m" / "sub-2" / "sub-2_mask.nii.gz")
    task = with_values(TASK, {"kind": "segmentation", "model": "unet3d"})
    masks = [case.files.get("mask", "") for case in bids.list_cases(root, task)]
    assert [bool(mask) for mask in masks] == [False, False, True, False, True]
    assert "sub-10_ses-01" in masks[2]


def test_several_masks_of_a_session_are_counted_and_one_may_end_in_nii(root):
    task = with_values(TASK, {"kind": "segmentation", "model": "unet3d"})
    layout = find_layout(task, root / "mine.py")
    for number, name in enumerate(("mask.nii", "dseg.nii.gz")):
        image(root / "derivatives" / "m" / f"sub-2_{name}")
        case = bids.list_cases(root, task)[-1]
        if not number:
            assert case.files["mask"] == "derivatives/m/sub-2_mask.nii"
    with pytest.raises(ValueError, match="2 mask files fit this session: keep the one"):
        read_case(layout, root, case, task)


def test_of_several_runs_the_plainest_is_read_and_the_others_are_counted(root):
    image(root / "sub-2" / "anat" / "sub-2_acq-fast_T1w.nii.gz", 7)
    image(root / "sub-2" / "anat" / "sub-2_ce-gad_T1w.nii.gz", 8)
    case = bids.list_cases(root, TASK)[-1]
    assert case.files["t1w"] == "sub-2/anat/sub-2_T1w.nii.gz" and case.facts["files_left_out"] == 1
    contrast = with_values(TASK, {"channels": ("t1ce", "flair")})
    assert bids.list_cases(root, contrast)[-1].files["t1ce"].endswith("ce-gad_T1w.nii.gz")


def test_participants_without_a_row_are_said_and_rows_without_a_folder_refused(root, capsys):
    say_once.cache_clear()
    table(root, "participant_id\tdx", "sub-1\ta", "sub-2\tb")
    assert len(bids.list_cases(root, TASK)) == 3
    assert "2 sessions of participants without a row" in capsys.readouterr().err
    table(root, "participant_id\tdx", "sub-1\ta", "sub-3\tb")
    assert "line 3" in refusal(bids.list_cases, root, TASK)


def test_a_session_without_any_channel_gives_the_reason(root):
    for path in (root / "sub-2" / "anat").iterdir():
        path.unlink()
    layout = find_layout(TASK, root / "mine.py")
    case = bids.list_cases(root, TASK)[-1]
    with pytest.raises(ValueError, match="its folder holds no t1w, flair"):
        read_case(layout, root, case, TASK)


def test_rows_that_lost_their_leading_zeros_are_refused_in_words(root):
    (root / "sub-1").rename(root / "sub-01")
    table(root, "participant_id\tdx", "1\ta", "10\tb", "sub-2\tb")
    message = refusal(bids.list_cases, root, TASK)
    assert "line 2; a folder's name differs only in leading zeros" in message
    table(root, "participant_id\tdx", "1\ta")  # no row fits any folder
    assert "differs only in leading zeros" in refusal(bids.list_cases, root, TASK)


def test_hidden_files_of_macos_are_no_images(root):
    folder = root / "sub-2" / "anat"
    (folder / "sub-2_T1w.nii.gz").rename(folder / "sub-2_run-1_T1w.nii.gz")
    (folder / "._sub-2_T1w.nii.gz").write_bytes(b"\0\5\x16\7")
    case = bids.list_cases(root, TASK)[-1]
    assert case.files["t1w"] == "sub-2/anat/sub-2_run-1_T1w.nii.gz"
    assert "files_left_out" not in case.facts
