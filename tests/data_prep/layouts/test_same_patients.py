"""The same patients as files of five formats, DICOM, BIDS and class folders give the same records."""

import shutil

import pytest

from data_prep.cases.to_predict import list_cases_to_predict
from data_prep.layout import find_layout
from data_prep.layout_calls import read_case
from data_prep.layouts import bids, dicom_tree
from data_prep.phantom.forms import FORMS, write_patients
from data_prep.prepare.prepare import prepare
from mri_tf.core.hashing import content_hash
from mri_tf.task import Task
from mri_tf.task.overrides import with_values

PATIENTS = 4
VOLUMES = [form for form in FORMS if form != "images"]
TASK = Task(
    name="mine", layout="cases_table", channels=("t1", "flair"), image_shape=(20, 40, 40),
    model="grader3d", class_names=("low", "high"), prep=dict(label_column="grade", dtype="int16"),
)  # fmt: skip
SLICES = with_values(
    TASK, {"channels": ("flair",), "image_shape": (40, 40), "model": "vgg", "prep.slices": {"count": 20}}
)
LAYOUTS = {"dicom_tree": "dicom_tree", "bids": "bids", "class_folders": "class_folders"}


@pytest.fixture(scope="module")
def raws(tmp_path_factory):
    home = tmp_path_factory.mktemp("forms")
    for form in FORMS:
        write_patients(home / form, PATIENTS, 0, form)
    return home


def task_of(form, task=TASK):
    task = with_values(task, {"layout": LAYOUTS.get(form, "cases_table")})
    if form == "class_folders":
        return with_values(task, {"prep": {"dtype": "int16"}})
    return task


def prepared(raw, form, out, task=TASK):
    task_file = out.with_name("mine.py")
    task_file.touch()
    found, skipped = prepare(task_of(form, task), task_file, raw / form, out)
    assert not skipped
    return found


@pytest.mark.parametrize("form", VOLUMES)
def test_every_form_gives_the_same_records_with_the_same_labels(raws, tmp_path, form):
    wanted = prepared(raws, "nifti", tmp_path / "wanted")
    found = prepared(raws, form, tmp_path / "found")
    contents = [dict(zip(one.manifest["index"]["content"], one.labels.tolist(), strict=True))
                for one in (found, wanted)]  # fmt: skip
    assert len(contents[0]) == PATIENTS and contents[0] == contents[1]


def test_images_are_the_slices_of_the_volumes(raws, tmp_path):
    images = with_values(SLICES, {"prep": {"label_column": "grade", "dtype": "int16"}})
    slices = prepared(raws, "nifti", tmp_path / "slices", SLICES).manifest["index"]["content"]
    pictures = prepared(raws, "images", tmp_path / "pictures", images).manifest["index"]["content"]
    assert set(slices) <= set(pictures) and len(slices) > PATIENTS


@pytest.mark.parametrize("asked", ["dicom_tree", "nrrd", "mgh", "bids"])
@pytest.mark.parametrize("trained", ["nifti", "dicom_tree", "bids", "class_folders"])
def test_a_task_answers_for_every_form_whatever_it_was_trained_on(raws, trained, asked):
    patient = {
        "dicom_tree": "export00/x000", "nrrd": "P001", "mgh": "P001", "bids": "sub-P001",
    }[asked]  # fmt: skip
    task = task_of(trained)
    layout = find_layout(task, raws / "mine.py")
    (case,) = list_cases_to_predict(layout, [raws / asked / patient], task)
    (record,) = read_case(layout, case.raw, case.case, task)
    nifti = find_layout(TASK, raws / "mine.py")
    (wanted,) = list_cases_to_predict(nifti, [raws / "nifti" / "P001"], TASK)
    (same,) = read_case(nifti, wanted.raw, wanted.case, TASK)
    assert content_hash(record.image) == content_hash(same.image)


def test_all_patients_of_a_tree_or_a_bids_root_are_answered(raws):
    for form, layout in (("dicom_tree", dicom_tree), ("bids", bids)):
        cases = list_cases_to_predict(layout, [raws / form], task_of(form))
        assert len(cases) == PATIENTS
        assert all(read_case(layout, case.raw, case.case, task_of(form)) for case in cases)


def test_a_dicom_folder_that_changes_makes_another_set(raws, tmp_path):
    shutil.copytree(raws / "dicom", tmp_path / "dicom")
    prepared(tmp_path, "dicom", tmp_path / "set")
    file = next((tmp_path / "dicom" / "P001" / "t1").iterdir())
    file.write_bytes(file.read_bytes() + b"\0\0")
    with pytest.raises(Exception, match="P001/t1 has changed"):
        prepared(tmp_path, "dicom", tmp_path / "set")


def test_no_patient_id_of_a_header_is_in_a_set_of_a_dicom_tree(raws, tmp_path):
    import mri_tf.train.datasets as datasets

    task = task_of("dicom_tree")
    task_file = tmp_path / "mine.py"
    task_file.touch()
    loaded = datasets.LoadedTask(task, task, task_file)
    found, _ = datasets._prepare(loaded, raws / "dicom_tree", tmp_path, datasets.DataOptions(None, None))
    assert all(patient.startswith("p-") for patient in found.patients)
    for path in (tmp_path / "mine").iterdir():
        if path.name != "sources.private.csv":
            assert b"P001" not in path.read_bytes(), path.name


def test_tasks_of_the_older_layouts_take_dicom_and_tasks_of_dicom_take_files(raws):
    """What was trained on NIfTI answers for DICOM, and the reverse."""
    one = with_values(
        TASK, {"layout": "labelled_volumes", "channels": ("t1",), "prep": {"dtype": "int16"},
               "kind": "segmentation", "model": "unet3d"},
    )  # fmt: skip
    found = [_record(one, raws / name / "P001" / "t1") for name in ("dicom",)]
    found.append(_record(one, raws / "nifti" / "P001" / "t1.nii.gz"))
    assert content_hash(found[0].image) == content_hash(found[1].image)
    rules = {name: {"description": (name,)} for name in ("t1", "flair")}
    dicom = with_values(
        TASK, {"layout": "dicom_patients", "prep": {"dtype": "int16", "sequences": rules}}
    )
    pair = [_record(dicom, raws / name / "P001") for name in ("dicom", "nifti")]
    assert content_hash(pair[0].image) == content_hash(pair[1].image)


def _record(task, path):
    layout = find_layout(task, path / "mine.py")
    (case,) = list_cases_to_predict(layout, [path], task)
    (record,) = read_case(layout, case.raw, case.case, task)
    return record
