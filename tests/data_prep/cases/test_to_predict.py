"""What --input may name: files, folders, tables; each case is found once, with a name that differs."""

from pathlib import Path

import numpy as np
import pandas
import pytest
from dicom_series import each, noise, series, write
from PIL import Image

from data_prep.case import Case
from data_prep.cases.to_predict import list_cases_to_predict, made_at, volumes_at
from data_prep.layouts import (
    brats,
    cases_table,
    class_folders,
    labelled_volumes,
    rsna_mgmt,
    sequence_folders,
)
from data_prep.layouts import dicom_patients as patients
from data_prep.layouts import volume_and_mask as meningioma
from mri_tf.core.errors import InputError
from mri_tf.task.files import FOLDER, load_task
from mri_tf.task.overrides import with_values


def _task(name: str):
    return load_task(FOLDER / f"{name}.py")


def _touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
    return folder


def _found(module, task, *paths: Path, mask=None) -> list[tuple[str, dict]]:
    items = list_cases_to_predict(module, list(paths), task, mask)
    assert all(item.case.to_predict and not item.case.label for item in items)
    return [
        (item.name, {role: str(item.raw / path) for role, path in item.case.files.items()})
        for item in items
    ]


def test_a_prepared_set_is_keyed_alike_for_cases_with_and_without_to_predict():
    assert Case("p", {}, to_predict=True).as_json() == Case("p", {}).as_json()


def test_images_are_named_one_by_one_by_folder_or_by_table(tmp_path):
    raw = _touch(tmp_path / "raw", "b.png", "deep/a.JPG", "notes.txt", ".hidden.png", "odd")
    task = _task("sax_levels")
    by_folder = _found(cases_table, task, raw)
    assert by_folder == [
        ("raw/b.png", {"image": str(raw / "b.png")}),
        ("raw/deep/a.JPG", {"image": str(raw / "deep/a.JPG")}),
    ]  # fmt: skip
    # A file that is named is taken whatever it is called.
    assert _found(cases_table, task, raw / "odd") == [("odd", {"image": str(raw / "odd")})]
    (raw / "list.csv").write_text("image\ndeep/a.JPG\n")
    by_table = _found(class_folders, task, raw / "list.csv")
    assert by_table == [("deep/a.JPG", {"image": str(raw / "deep/a.JPG")})]


def test_equal_names_are_told_apart(tmp_path):
    for home in ("one", "two"):
        _touch(tmp_path / home, "a.png")
    names = _found(cases_table, _task("sax_levels"), tmp_path / "one/a.png", tmp_path / "two/a.png")
    assert [name for name, _ in names] == ["a.png", "a.png (2)"]


def test_a_patient_s_images_are_together_by_table_or_by_folder(tmp_path):
    task = with_values(_task("sax_levels"), {"bag": dict(pooling="mean")})
    _touch(tmp_path / "one/p", "1.png", "2.png")
    _touch(tmp_path / "two/p", "1.png")
    items = list_cases_to_predict(cases_table, [tmp_path / "one", tmp_path / "two"], task)
    assert [item.patient for item in items[:2]] == [str(tmp_path / "one/p")] * 2
    assert items[2].patient == str(tmp_path / "two/p")  # of the same name, and another patient
    (tmp_path / "list.csv").write_text(
        "image,patient_id\none/p/1.png,A\none/p/2.png,B\ntwo/p/1.png,A\none/p/1.png,\n"
    )
    listed = list_cases_to_predict(cases_table, [tmp_path / "list.csv"], task)
    assert listed[0].patient == listed[2].patient != listed[1].patient and not listed[3].patient


def test_volumes_are_found_in_their_folder_of_the_raw_layout_too(tmp_path):
    raw = _touch(tmp_path / "raw", "images/b.nii.gz", "images/a.nii", "labels/a.nii", "images/x.txt")
    task = _task("hippocampus")
    expected = [("raw/images/a.nii", {"t1": str(raw / "images/a.nii")}),
              ("raw/images/b.nii.gz", {"t1": str(raw / "images/b.nii.gz")})]  # fmt: skip
    assert _found(labelled_volumes, task, raw) == expected
    inside = _found(labelled_volumes, task, raw / "images")
    assert [files for _, files in inside] == [files for _, files in expected]
    assert _found(labelled_volumes, task, raw / "images/b.nii.gz") == [("b.nii.gz", expected[1][1])]
    (raw / "some.csv").write_text("patient_id\nb\nmissing\n")
    listed = _found(labelled_volumes, task, raw / "some.csv")
    assert [Path(files["t1"]).name for _, files in listed] == ["b.nii.gz", "missing.nii.gz"]


def test_a_manual_segmentation_beside_the_sequences_is_not_looked_at(tmp_path):
    names = [f"HGG/c1/c1_{part}.nii.gz" for part in ("t1", "t1ce", "t2", "flair", "seg")]
    raw = _touch(tmp_path / "raw", *names, "LGG/c2/c2_flair.nii", "LGG/notes/x.txt")
    task = _task("glioma_grading")
    found = _found(brats, task, raw)
    assert [name for name, _ in found] == ["raw/HGG/c1", "raw/LGG/c2"]
    assert set(found[0][1]) == {"t1", "t1ce", "t2", "flair"} and set(found[1][1]) == {"flair"}
    own = _touch(tmp_path, "m.nii") / "m.nii"
    ((_, files),) = _found(brats, task, raw / "HGG/c1", mask=own)
    assert files["seg"] == str(own)
    with pytest.raises(InputError, match="--mask is the tumour mask of a single case"):
        _found(brats, task, raw, mask=own)


def test_a_patient_of_any_sequence_is_one(tmp_path):
    raw = _touch(tmp_path / "raw", "p1/flair.nii.gz", "p1/seg.nii.gz", "p2/t1pre.nii.gz", "p3/x")
    found = _found(sequence_folders, _task("lgg_grade"), raw)
    assert [(name, set(files)) for name, files in found] == [
        ("raw/p1", {"flair"}), ("raw/p2", {"t1pre"})
    ]  # fmt: skip


def test_a_meningioma_is_a_folder_with_its_mask_or_a_volume_and_a_mask(tmp_path):
    raw = _touch(tmp_path / "raw", "p1/t1ce.nii.gz", "p1/mask.nii.gz", "p2/t1ce.nii.gz", "m.nii")
    task = _task("meningioma_grading")
    assert [set(files) for _, files in _found(meningioma, task, raw)] == [{"t1ce", "mask"}] * 2
    ((name, files),) = _found(meningioma, task, raw / "p2/t1ce.nii.gz", mask=raw / "m.nii")
    assert name == "t1ce.nii.gz" and files["mask"] == str(raw / "m.nii")


def test_folders_of_several_patients_are_told_by_their_headers(tmp_path):
    for name in ("one", "two"):
        own = each(series(noise()), lambda data, _, name=name: setattr(data, "PatientID", f"id-{name}"))
        write(tmp_path / "raw" / name / "deep", own)
    task = _task("mgmt")
    found = list_cases_to_predict(patients, [tmp_path / "raw"], task)
    assert [one.name for one in found] == ["raw/one", "raw/two"]
    assert {len(one.case.files) for one in found} == {6}
    (tmp_path / "raw" / "patients.csv").write_text("patient_id,folder\nX,two\n")
    (listed,) = list_cases_to_predict(patients, [tmp_path / "raw"], task)
    assert listed.name == "raw/two" and len(listed.case.files) == 6
    (tmp_path / "raw" / "patients.csv").write_text("patient_id,folder\nX,../../x\n")
    with pytest.raises(InputError, match="only name files and folders beside it"):
        list_cases_to_predict(patients, [tmp_path / "raw"], task)
    (alone,) = list_cases_to_predict(patients, [tmp_path / "raw/one"], task)
    assert alone.name == "one" and "id-one" not in repr(found)


@pytest.mark.parametrize("suffix", ["xlsx", "tsv"])
def test_a_table_of_any_format_names_the_cases_of_layouts_with_a_folder_each(tmp_path, suffix):
    raw = _touch(tmp_path / "raw", "p1/t1ce.nii.gz", "p2/t1ce.nii.gz", "test/00007/T1w/1.dcm")
    found = []
    for module, name, column, patient in (
        (meningioma, "meningioma_grading", "patient_id", "p2"), (rsna_mgmt, "mgmt", "BraTS21ID", "7"),
    ):  # fmt: skip
        table = raw / f"{name}.{suffix}"
        (table.write_text(f"{column}\tsite\n{patient}\tBonn\n") if suffix == "tsv"
         else pandas.DataFrame({column: [patient], "site": ["Bonn"]}).to_excel(table, index=False))
        found += list_cases_to_predict(module, [table], _task(name))
    assert [one.case.patient for one in found] == ["p2", "00007"]


@pytest.mark.parametrize("others", [("INFO.txt", "LICENSE.txt", "README.txt"), ("A", "B", "C", "INFO")])
def test_dicom_is_found_behind_other_files_of_its_folder(tmp_path, others):
    write(tmp_path / "raw", series(noise()), [f"S{number:04d}.dcm" for number in range(6)])
    for name in others:
        (tmp_path / "raw" / name).write_text("Some words about the data.")
    task = with_values(_task("hippocampus"), {"layout": "cases_table", "prep": {}})
    (one,) = list_cases_to_predict(cases_table, [tmp_path / "raw"], task)
    assert one.name == "raw" and set(one.case.files) >= {f"S{number:04d}.dcm" for number in range(6)}


def test_the_unlabelled_folder_of_the_radiogenomic_set_is_one_case_for_each_patient(tmp_path):
    raw = _touch(tmp_path / "raw", "train/00001/T1w/1.dcm", "test/00007/T1w/1.dcm", "test/00002/FLAIR/1")
    task = _task("mgmt")
    for path in (raw, raw / "test"):
        found = list_cases_to_predict(rsna_mgmt, [path], task)
        assert [one.case.patient for one in found] == ["00002", "00007"]
    (one,) = list_cases_to_predict(rsna_mgmt, [raw / "train/00001"], task)
    assert one.name == "00001" and list(one.case.files) == ["T1w/1.dcm"]
    (raw / "sample_submission.csv").write_text("BraTS21ID,MGMT_value\n7,0.5\n00009,0.5\n")
    found = list_cases_to_predict(rsna_mgmt, [raw / "sample_submission.csv"], task)
    assert [one.case.patient for one in found] == ["00007", "00009"]
    assert list(found[0].case.files) == ["T1w/1.dcm"]
    (raw / "wrong.csv").write_text("BraTS21ID\n../x\n")
    with pytest.raises(InputError, match="five digits"):
        list_cases_to_predict(rsna_mgmt, [raw / "wrong.csv"], task)


@pytest.mark.parametrize(
    "module, name, rule",
    [
        (cases_table, "sax_levels", "holds no images"),
        (labelled_volumes, "hippocampus", "holds no volumes or DICOM series"),
        (brats, "glioma_grading", "A case is a folder"),
        (sequence_folders, "lgg_grade", "A patient is a folder"),
        (meningioma, "meningioma_grading", "A patient is a folder"),
    ],
)
def test_a_folder_without_cases_is_refused(tmp_path, module, name, rule):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=rule):
        _found(module, _task(name), tmp_path / "empty")
    with pytest.raises(InputError, match="does not exist"):
        _found(module, _task(name), tmp_path / "nowhere")


def test_a_table_cannot_lead_elsewhere(tmp_path):
    (tmp_path / "t.csv").write_text("patient_id\n../../etc/passwd\n")
    with pytest.raises(InputError, match="only name files and folders beside it"):
        _found(labelled_volumes, _task("hippocampus"), tmp_path / "t.csv")


def test_a_layout_without_cases_to_predict_lists_those_of_a_raw_folder(tmp_path):
    class Own:
        @staticmethod
        def list_cases(raw, task):
            return [Case("p", {"image": "a.png"}, label="low")]

    (tmp_path / "raw").mkdir()
    (one,) = list_cases_to_predict(Own, [tmp_path / "raw"], _task("sax_levels"))
    assert one.name == "a.png" and one.case.to_predict
    with pytest.raises(InputError, match="reads whole raw folders only"):
        list_cases_to_predict(Own, [_touch(tmp_path, "x.png") / "x.png"], _task("sax_levels"))


def test_an_image_to_predict_needs_no_mask_where_training_needs_one(tmp_path):
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "a.png")
    task = with_values(_task("sax_blood_pool"), {"image_shape": (16, 16)})
    (one,) = list_cases_to_predict(cases_table, [tmp_path / "a.png"], task)
    (record,) = cases_table.read_case(one.raw, one.case, task)
    assert record.mask is None and record.image.shape == (16, 16, 1)


def test_a_table_of_patients_says_at_which_site_and_scanner_a_volume_was_made(tmp_path):
    (tmp_path / "volumes").mkdir()
    for name in ("p1", "p2"):
        (tmp_path / "volumes" / f"{name}.nii.gz").touch()
    table = tmp_path / "cases.csv"
    table.write_text("patient_id,site,scanner,age,modality\np1,Bonn,Verio,50,n/a\np2,,n/a,60,mri\n")
    cases = volumes_at(table, "t1", "volumes")
    first, second = [item.case.facts for item in cases]
    assert first == {"site": "Bonn", "scanner": "Verio"} and second == {"modality": "MR"}
    named = made_at(cases, {"site": "Ulm"})
    assert [item.case.facts.get("site") for item in named] == ["Bonn", "Ulm"]
