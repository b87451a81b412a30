"""What the page answers: the rows of predict, and volumes that lie on each other."""

import gzip
import io
import json
import zipfile
from pathlib import Path

import nibabel
import numpy as np
import pytest
from dicom_series import noise, series
from dicom_series import write as write_series
from PIL import Image

from mri_tf.predict.__main__ import main as predict

NAMES = ("decision", "most_probable", "probabilities", "prediction_set", "out_of_distribution",
         "reasons")  # fmt: skip


def png(value: int | np.ndarray) -> bytes:
    """A grey picture of 8 x 8 pixels."""
    data = io.BytesIO()
    Image.fromarray(np.broadcast_to(np.asarray(value, np.uint8), (8, 8)).copy()).save(data, "PNG")
    return data.getvalue()


@pytest.fixture(scope="module")
def marked(tmp_path_factory) -> Path:
    """An oblique-free, anisotropic NIfTI volume with a bright mark at 9, 4, -7 mm (RAS)."""
    array = np.full((12, 12, 8), 20, np.int16)
    affine = np.diag([-2.0, 3.0, 4.0, 1.0])  # stored from right to left
    affine[:3, 3] = [21.0, -11.0, -23.0]
    place = np.linalg.inv(affine) @ [9.0, 4.0, -7.0, 1.0]
    i, j, k = np.round(place[:3]).astype(int)
    array[i, j, k] = 250
    path = tmp_path_factory.mktemp("marked") / "t1.nii.gz"
    nibabel.save(nibabel.Nifti1Image(array, affine), path)
    return path


def predicted(exports: Path, model: str, path: Path, out: Path, *flags: str) -> list[dict]:
    """The answers of the command for the same file."""
    arguments = ["--model", str(exports / model), "--input", str(path), "--out", str(out), *flags]
    assert predict(arguments) == 0
    file = out / "answers.json" if out.is_dir() else out
    return json.loads(file.read_text(encoding="utf-8"))["answers"]


def volume(tab, url: str) -> nibabel.Nifti1Image:
    """A volume that the page gives."""
    answer = tab.http.get(url)
    assert answer.status_code == 200 and answer.headers["cache-control"] == "no-store"
    return nibabel.Nifti1Image.from_bytes(gzip.decompress(answer.content))


def test_answers_for_pictures_are_those_of_predict(tab, exports, tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name, value in (("a.png", 30), ("b.png", 200)):
        (folder / name).write_bytes(png(value))
    study = tab.add("bright", {f"pictures/{path.name}": path for path in sorted(folder.iterdir())})
    found = tab.run(study)
    assert found["state"] == "done" and found["done"] == found["of"] == 2 and not found["skipped"]
    wanted = predicted(exports, "bright", folder, tmp_path / "x.json")
    for case, row in zip(found["cases"], wanted, strict=True):
        assert {name: case["rows"][0][name] for name in NAMES} == {name: row[name] for name in NAMES}
        assert case["files"] == row["input"] and case["answered"] and case["header"] is None
    assert [case["name"] for case in found["cases"]] == ["case 1", "case 2"]
    assert found["cases"][0]["rows"][0]["decision"] == "dark"


def test_answers_for_a_volume_are_those_of_predict_with_its_maps(tab, exports, marked, tmp_path):
    found = tab.run(tab.add("bright3d", {"t1.nii.gz": marked}))
    (row,) = predicted(exports, "bright3d", marked, tmp_path / "x.json", "--explain")
    (case,) = found["cases"]
    assert {**case["rows"][0], "map": row["map"]} == row


def test_image_and_map_lie_on_each_other_and_on_the_mark(tab, marked):
    (case,) = tab.run(tab.add("bright3d", {"t1.nii.gz": marked}))["cases"]
    image, cam = volume(tab, case["image"]["url"]), volume(tab, case["map"]["url"])
    assert image.shape == cam.shape and nibabel.aff2axcodes(image.affine) == ("R", "A", "S")
    np.testing.assert_allclose(image.affine, cam.affine)
    for one in (image, cam):
        place = np.unravel_index(np.argmax(one.get_fdata()), one.shape)
        found_mm = nibabel.affines.apply_affine(one.affine, place)
        assert (np.abs(found_mm - [9.0, 4.0, -7.0]) <= np.abs(np.diag(one.affine)[:3])).all()
    assert case["image"] == {"url": case["image"]["url"], "channels": ["t1"], "is_2d": False}


def test_a_segmentation_comes_with_volumes_and_with_labels_on_both_grids(tab, exports, marked, tmp_path):
    (case,) = tab.run(tab.add("spots", {"t1.nii.gz": marked}))["cases"]
    (row,) = predicted(exports, "spots", marked, tmp_path / "labels")
    for name in ("voxels", "volume_ml"):
        assert case["rows"][0][name] == row[name]
    image, labels = volume(tab, case["image"]["url"]), volume(tab, case["labels"]["url"])
    np.testing.assert_allclose(image.affine, labels.affine)
    np.testing.assert_array_equal(labels.get_fdata() > 0, image.get_fdata() > 100)
    on_source = volume(tab, case["labels"]["url"] + "?grid=source")
    written = nibabel.load(tmp_path / "labels" / row["label_map"])
    np.testing.assert_array_equal(on_source.get_fdata(), written.get_fdata())
    np.testing.assert_allclose(on_source.affine, written.affine)


def test_a_picture_is_shown_as_it_is_where_the_patient_s_right_is_on_the_left(tab):
    picture = np.arange(64).reshape(8, 8)
    (case,) = tab.run(tab.add("bright", {"a.png": png(picture)}))["cases"]
    shown = volume(tab, case["image"]["url"])
    assert case["image"]["is_2d"] and shown.shape == (8, 8, 1)
    # RAS: x grows to the patient's right, which is on the left of the picture; y to the front, its top.
    np.testing.assert_array_equal(shown.get_fdata()[::-1, ::-1, 0].T, picture)


def test_a_dicom_series_in_a_zip_is_answered_and_nothing_of_its_header_is_shown(tab, tmp_path):
    array = noise((12, 10, 22), high=200)
    files = write_series(tmp_path / "raw", series(array))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for file in files:
            archive.write(file, f"study/series/{file.name}")
        archive.writestr("__MACOSX/study/._x", b"junk")
    study = tab.add("bright3d", {"scan.zip": packed.getvalue()})
    found = tab.run(study)
    assert found["state"] == "done", found["sentence"]
    (case,) = found["cases"]
    assert "patient-1" not in json.dumps(found) and "A^B" not in json.dumps(found)
    assert case["header"] is None and case["image"]["channels"] == ["t1"]


def test_what_cannot_be_read_has_the_reader_s_sentence(tab):
    study = tab.add("bright", {"p/a.png": png(9), "p/b.png": b"no picture", "p/c.png": png(9)[:40]})
    found = tab.run(study)
    assert found["state"] == "done" and len(found["cases"]) == 1
    assert [one["input"] for one in found["skipped"]] == ["p/b.png", "p/c.png"]
    broken = tab.run(tab.add("bright3d", {"t1.nii.gz": b"no volume at all"}))
    assert broken["state"] == "failed" and not broken["cases"]
    assert "not a NIfTI or MGH file" in broken["sentence"] and "--" not in broken["sentence"]
    assert "/tmp" not in broken["sentence"] and "input" not in broken["sentence"]


def test_models_are_listed_with_what_they_ask_and_what_the_audit_says(tab):
    listed = {one["name"]: one for one in tab.http.get("/api/models").json()["models"]}
    assert list(listed) == ["bright", "bright3d", "slow", "spots"]
    bright = listed["bright"]
    assert bright["question"] == "Is it light?" and bright["audit"]["verdict"] == "leak"
    assert bright["classes"] == ["dark", "light"] and bright["explains"] and bright["members"] == 1
    assert listed["spots"]["kind"] == "segmentation" and not listed["spots"]["explains"]
    assert listed["spots"]["audit"]["verdict"] == "not audited" and listed["spots"]["card"] is None
    card = tab.http.get(bright["card"])
    assert "A card." in card.text and "frame-ancestors 'self'" in card.headers["content-security-policy"]
    del tab.http.headers["x-session"]
    assert tab.http.get(bright["card"]).status_code == 404
    assert tab.http.get(f"{bright['card']}?session={tab.token}").status_code == 200


def test_headers_are_shown_where_the_page_was_started_so(exports, tmp_path):
    from paged import Tab, page

    from mri_tf.page.jobs import Asked

    files = write_series(tmp_path / "raw", series(noise((12, 10, 9), high=200)))
    with page(exports, tmp_path, {"asked": Asked(header=True)}) as server:
        tab = Tab(server)
        found = tab.run(tab.add("bright3d", {f"s/{file.name}": file for file in files}))
        assert found["cases"][0]["header"]["PatientID"] == "patient-1"


def test_volumes_of_several_slices_are_one_stack(tmp_path):
    from mri_tf.page.case_grid import CaseGrid
    from mri_tf.store.record import Record

    affine = np.array([[-2.0, 0, 0, 10], [0, -3, 0, 20], [0, 0, -5, 60], [0, 0, 0, 1]])
    records = []
    for number in range(4):
        own = affine.copy()
        own[2, 3] -= 7 * number  # slices 7 mm apart, whatever their thickness
        image = np.full((6, 5, 1), number, np.uint8)
        records.append(Record("", "", image, affine=own))
    CaseGrid(records).write_channels(tmp_path, "c1")
    found = nibabel.load(tmp_path / "c1_image_0.nii.gz")
    assert found.shape == (5, 6, 4)
    for number in range(4):
        place = np.linalg.inv(found.affine) @ records[number].affine[:, 3]
        assert found.get_fdata()[tuple(np.round(place[:3]).astype(int))] == number
