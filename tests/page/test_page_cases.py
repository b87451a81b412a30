"""The cases of a study: what was dropped, slices of a stack, several images of a patient."""

from pathlib import Path
from types import SimpleNamespace

import nibabel
import numpy as np
import pytest
from dicom_series import noise, series
from dicom_series import write as write_series
from made_up import says_brightness, write_images

from data_prep.io.nifti import write_nifti
from data_prep.layouts import cases_table
from data_prep.volume import Volume
from mri_tf.core.errors import InputError
from mri_tf.page.answering import answer_study, cases_in, sentence_of
from mri_tf.page.sessions import ANSWERING, DONE, Study
from mri_tf.page.shown import study_of
from mri_tf.task import Task

RANGE = dict(method="range", low=0.0, high=255.0)
KEYS = dict(class_names=("dark", "light"), normalize=RANGE, layout="cases_table")
PICTURES = Task(name="pictures", channels=("grey",), image_shape=(8, 8), model="vgg", **KEYS)
BAGS = Task(name="bags", channels=("grey",), image_shape=(8, 8), model="vgg", bag=dict(pooling="mean"),
            **KEYS)  # fmt: skip
SLICES = Task(name="slices", channels=("t1",), image_shape=(12, 12), model="vgg",
              prep=dict(slices=dict(count=4)), **KEYS)  # fmt: skip
VOLUMES = Task(name="volumes", channels=("t1",), image_shape=(8, 12, 12), model="vgg3d", **KEYS)
TWO = Task(name="two", channels=("t1", "t2"), image_shape=(8, 12, 12), model="vgg3d", **KEYS)


@pytest.fixture
def home(tmp_path) -> Path:
    """An empty folder of dropped files, and one beside it for the answers."""
    (tmp_path / "out").mkdir()
    (tmp_path / "input").mkdir()
    return tmp_path / "input"


def _answered(home: Path, task: Task, reading: bool = False) -> tuple[list[dict], list[dict]]:
    """The cases that are told of, and all events."""
    job = {"input": str(home), "out": str(home.parent / "out"), "reading": reading, "header": False}
    events: list[dict] = []
    answer_study(job, says_brightness(task), cases_table, events.append)
    return [event["case"] for event in events if event["event"] == "case"], events


def _stack(home: Path, name: str = "t1.nii.gz") -> Path:
    """A volume whose slices grow brighter to the head, with a mark around x = -5 and y = 5 mm in all."""
    array = np.zeros((12, 12, 12), np.float32) + np.arange(12)[None, None] * 10
    affine = np.diag([2.0, 2.0, 3.0, 1.0])
    affine[:3, 3] = [-11, -11, -17]
    array[2:5, 7:10] += 100
    write_nifti(home / name, Volume(array, affine))
    return home / name


def test_slices_of_a_stack_are_one_case_with_a_row_each(home):
    _stack(home)
    (case,), events = _answered(home, SLICES)
    assert [row["slice"] for row in case["rows"]] == [1, 2, 3, 4] and not case["is_2d"] and case["map"]
    assert events[0] == {"event": "listed", "of": 1} and events[-1]["event"] == "finished"
    image = nibabel.load(home.parent / "out/c1_image_0.nii.gz")
    cam = nibabel.load(home.parent / "out/c1_map.nii.gz")
    assert image.shape == cam.shape == (12, 12, 4)
    means = image.get_fdata().mean(axis=(0, 1))
    assert (np.diff(means) > 0).all()  # towards the head
    np.testing.assert_allclose(image.get_fdata(), cam.get_fdata(), atol=1e-3)
    marked = np.argwhere(image.get_fdata()[..., 2] >= image.get_fdata()[..., 2].max() - 1e-3)
    middle = nibabel.affines.apply_affine(image.affine, [*marked.mean(axis=0), 2])
    assert (np.abs(middle[:2] - [-5, 5]) <= 2).all()
    heights = sorted(row["z_mm"] for row in case["rows"])
    found = image.affine[2, 3] + image.affine[2, 2] * np.arange(4)
    np.testing.assert_allclose(found, heights, atol=0.01)


def test_in_reading_mode_every_slice_is_a_case_of_the_same_patient(home):
    _stack(home)
    cases, _ = _answered(home, SLICES, reading=True)
    assert [case["id"] for case in cases] == ["c1", "c2", "c3", "c4"]
    assert [case["files"] for case in cases] == [f"t1.nii.gz, slice {number}" for number in range(1, 5)]
    assert all(case["is_2d"] and len(case["rows"]) == 1 and case["patient"] == 1 for case in cases)
    assert {case["decision"] for case in cases} <= {"dark", "light"}
    assert nibabel.load(home.parent / "out/c4_image_0.nii.gz").shape == (12, 12, 1)


def test_the_images_of_a_patient_are_one_case_with_all_images(home):
    write_images(home / "P1", a=10, b=250)
    write_images(home / "P2", c=30)
    cases, _ = _answered(home, BAGS)
    assert [(case["files"], len(case["rows"]), case["patient"]) for case in cases] == [
        ("P1", 1, 1), ("P2", 1, 2)
    ]  # fmt: skip
    image = nibabel.load(home.parent / "out/c1_image_0.nii.gz").get_fdata()
    assert image.shape == (8, 8, 2) and sorted(image.mean(axis=(0, 1))) == [10, 250]
    assert not cases[0]["is_2d"] and cases[1]["is_2d"]


def test_every_channel_is_a_volume(home):
    for name, shift in (("t1", 0), ("t2", 1)):
        array = np.full((12, 12, 8), 40, np.float32)
        array[2:6, 3:7, 2 + shift : 5 + shift] = 200
        write_nifti(home / f"{name}.nii.gz", Volume(array, np.diag([2.0, 2.0, 2.0, 1.0])))
    (case,), _ = _answered(home, TWO)
    assert case["channels"] == 2
    first, second = (nibabel.load(home.parent / f"out/c1_image_{number}.nii.gz") for number in (0, 1))
    np.testing.assert_allclose(first.affine, second.affine)
    assert not np.array_equal(first.get_fdata(), second.get_fdata())


@pytest.mark.parametrize("place", ["", "P01", "study/P01", "a/b/c", "a/b/c/d"])
def test_a_case_is_found_in_whatever_folders_lie_around_it(home, place):
    folder = home / place
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("t1", "t2"):
        _stack(folder, f"{name}.nii.gz")
    (case,), _ = _answered(home, TWO)
    assert case["files"] == "2 files" if not place else f"/{place}".endswith(f"/{case['files']}")


def test_loose_files_of_a_series_and_a_single_one_of_dicom_are_cases(home):
    write_series(home, series(noise((12, 12, 9), high=200)))
    (case,), _ = _answered(home, VOLUMES)
    assert case["files"] == "9 files"
    for file in sorted(home.iterdir())[1:]:
        file.unlink()
    (single,), _ = _answered(home, PICTURES)
    assert single["is_2d"]


def test_names_of_several_files_are_the_user_s(home):
    _stack(home, "one.nii.gz")
    _stack(home, "two.nii.gz")
    cases, _ = _answered(home, VOLUMES)
    assert [case["files"] for case in cases] == ["one.nii.gz", "two.nii.gz"]


def test_what_holds_no_case_is_said_without_our_folders_and_flags(home):
    (home / "notes.txt").write_text("no image")
    (home / "more.txt").write_text("no image")
    with pytest.raises(InputError) as caught:
        cases_in(home, cases_table, PICTURES)
    sentence = sentence_of(caught.value, home)
    assert sentence.startswith("The folder holds no images.") and "--" not in sentence
    assert str(home) not in sentence
    error = InputError("Of another modality.", f"{home}/a.png", "Give MR; --anyway asks all the same.")
    assert sentence_of(error, home) == "Of another modality. Received: a.png."


def test_a_study_at_work_is_told_without_its_cases_as_it_is_asked_for_often(home):
    case = {"name": "case 1", "files": "a.png", "channels": 1, "is_2d": True, "map": False,
            "labels": False, "header": None, "rows": [{"decision": "dark"}]}  # fmt: skip
    model = SimpleNamespace(name="bright", exported=SimpleNamespace(task=PICTURES))
    study = Study("0" * 16, home, model, None, state=ANSWERING, done=1, of=2, cases={"c1": case})
    assert study_of(study)["cases"] == [] and study_of(study)["done"] == 1
    study.state = DONE
    assert [one["id"] for one in study_of(study)["cases"]] == ["c1"]


def test_slices_that_are_read_one_by_one_are_cases_of_their_own(home):
    _stack(home, "one.nii.gz")
    (together,), _ = _answered(home, SLICES)
    alone, _ = _answered(home, SLICES, reading=True)
    assert [case["rows"] for case in alone] == [[row] for row in together["rows"]]
    assert [case["files"] for case in alone[:2]] == ["one.nii.gz, slice 1", "one.nii.gz, slice 2"]
