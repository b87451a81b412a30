"""The predict command: where answers and maps go, which flags are refused, what a bad case costs."""

import csv
import gc
import json
import os
import weakref
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image
from scipy.spatial.transform import Rotation

from data_prep.cases.to_predict import list_cases_to_predict
from data_prep.io.nifti import write_nifti
from data_prep.layouts import (
    brats,
    cases_table,
    labelled_volumes,
    rsna_mgmt,
    volume_and_mask,
    volumes_with_levels,
    volumes_with_types,
)
from data_prep.phantom.glioma.mgmt import write_mgmt_phantom
from data_prep.volume import Volume
from mri_tf.core.command_line import run_command
from mri_tf.export.out_of_distribution import STATISTICS
from mri_tf.export.reader import Exported
from mri_tf.pipeline.image_files import fit_to_grid
from mri_tf.predict import model as asking
from mri_tf.predict.__main__ import main as predict
from mri_tf.predict.answers import Model, boxed, feed_of
from mri_tf.predict.files import safe_name, write_label_picture, write_on_source
from mri_tf.store.record import Record
from mri_tf.task import Task
from mri_tf.task.files import FOLDER, load_task
from mri_tf.task.overrides import with_values

IMAGES = Task(
    name="bright", channels=("grey",), image_shape=(8, 8), class_names=("dark", "light"), model="vgg",
    normalize=dict(method="range", low=0.0, high=255.0),
)  # fmt: skip


def _says(task, calls=None):
    """A model whose probability of the last class is the image's mean / 255; its map is the image."""

    def call(signature, feed):
        if calls is not None:
            calls.append((signature, {name: array.shape for name, array in feed.items()}))
        image = feed["slices"][0] if signature == "slices" else feed["image"]
        share = image.reshape(len(image), -1).mean(axis=1) / 255
        share = share.mean(keepdims=True) if signature == "slices" else share
        found = {"probabilities": np.stack([1 - share, share], axis=1), "decision": share > 0.5}
        return found | ({"map": image[..., 0]} if signature == "explain" else {})

    return Model(Exported(task, version=3), call, ("serving_default", "explain"))


@pytest.fixture
def asked(monkeypatch):
    """Makes predict use this model and this layout."""

    def ask(model, module):
        monkeypatch.setattr(asking, "open_model", lambda options, needs_segmenter: (model, module))

    return ask


@pytest.fixture
def bright(asked):
    calls = []
    asked(_says(IMAGES, calls), cases_table)
    return calls


def _images(folder: Path, **values: int) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in values.items():
        Image.fromarray(np.full((8, 8), value, np.uint8)).save(folder / f"{name}.png")
    return folder


def _run(*flags) -> int:
    return run_command(predict, ["--model", ".", *map(str, flags)])


def _fails(capsys, *flags, code=2) -> str:
    capsys.readouterr()
    assert run_command(predict, [str(flag) for flag in flags]) == code
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    return line


# ---- answers


def test_answers_are_printed_as_json_and_nothing_else_is(bright, tmp_path, capsys):
    assert _run("--input", _images(tmp_path / "in", a=51, b=255)) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["task"] == "bright" and found["version"] == 3 and found["skipped"] == []
    first, second = found["answers"]
    assert first["input"] == "in/a.png" and first["decision"] == "dark"
    assert first["probabilities"] == pytest.approx({"dark": 0.8, "light": 0.2})
    assert second["decision"] == "light" and second["out_of_distribution"] is None


def test_a_csv_has_a_row_an_answer_and_a_row_an_input_without(bright, tmp_path):
    _images(tmp_path / "in", a=51)
    (tmp_path / "in" / "b.png").write_bytes(b"no image at all, and more of it")
    assert _run("--input", tmp_path / "in", "--out", tmp_path / "x.csv") == 1
    with (tmp_path / "x.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert rows[0]["input"] == "in/a.png" and float(rows[0]["p_light"]) == pytest.approx(0.2)
    assert rows[1]["input"] == "in/b.png" and "unknown format" in rows[1]["skipped"]
    assert not rows[1]["decision"] and not rows[0]["skipped"]


def test_a_bad_case_among_a_hundred_is_named_and_the_others_are_answered(bright, tmp_path, capsys):
    folder = _images(tmp_path / "in", **{f"i{number:03d}": number for number in range(100)})
    data = (folder / "i057.png").read_bytes()
    (folder / "i057.png").write_bytes(data[: len(data) // 2])
    assert _run("--input", folder, "--out", tmp_path / "x.json") == 1
    said = capsys.readouterr()
    assert "skipped in/i057.png: not a complete PNG" in said.err and "99 answers" in said.out
    found = json.loads((tmp_path / "x.json").read_text())
    assert [row["input"] for row in found["skipped"]] == ["in/i057.png"] and len(found["answers"]) == 99


def test_where_nothing_can_be_read_nothing_is_written(bright, tmp_path, capsys):
    (tmp_path / "a.png").write_bytes(b"")
    line = _fails(capsys, "--model", ".", "--input", tmp_path / "a.png", "--out", tmp_path / "x.json")
    assert "a.png: the file is empty" in line and not (tmp_path / "x.json").exists()


def test_one_case_at_a_time_is_in_memory(asked, tmp_path, monkeypatch):
    model, alive = _says(IMAGES), []

    class Counted:
        @staticmethod
        def cases_to_predict(path, task):
            return cases_table.cases_to_predict(path, task)

        @staticmethod
        def read_case(raw, case, task):
            gc.collect()
            assert sum(one() is not None for one in alive) <= 1  # at most the case before
            records = cases_table.read_case(raw, case, task)
            alive.append(weakref.ref(records[0].image))
            return records

    asked(model, Counted)
    folder = _images(tmp_path / "in", **{f"i{number}": number for number in range(6)})
    assert _run("--input", folder, "--out", tmp_path / "x.json") == 0
    assert len(alive) == 6


def test_ctrl_c_writes_no_answers(asked, tmp_path, capsys):
    def call(signature, feed):
        raise KeyboardInterrupt

    asked(Model(Exported(IMAGES), call, ()), cases_table)
    folder = _images(tmp_path / "in", a=1)
    line = _fails(capsys, "--model", ".", "--input", folder, "--out", tmp_path / "x.json", code=130)
    assert "No answers were written" in line and not (tmp_path / "x.json").exists()


def test_a_patient_s_images_have_one_answer_and_those_that_are_bad_are_named(asked, tmp_path):
    task, calls = with_values(IMAGES, {"bag": dict(pooling="mean")}), []
    asked(_says(task, calls), cases_table)
    _images(tmp_path / "in/p", a=0, b=102)
    (tmp_path / "in/p/c.png").write_bytes(b"")
    assert _run("--input", tmp_path / "in", "--out", tmp_path / "x.json") == 1
    found = json.loads((tmp_path / "x.json").read_text())
    (row,) = found["answers"]
    assert row["input"] == "in/p" and row["probabilities"]["light"] == pytest.approx(0.2)
    assert found["skipped"] == [{"input": "in/p, c.png", "reason": "the file is empty"}]
    assert calls == [("slices", {"slices": (1, 2, 8, 8, 1), "mask": (1, 2)})]


def test_every_slice_of_a_patient_is_explained(asked, tmp_path):
    task = with_values(IMAGES, {"bag": dict(pooling="mean")})
    asked(_says(task), cases_table)
    _images(tmp_path / "in/p", a=0, b=102)
    assert _run("--input", tmp_path / "in", "--explain", "--out", tmp_path / "x.json") == 0
    (row,) = json.loads((tmp_path / "x.json").read_text())["answers"]
    assert row["map"] == ["in_p_gradcam.png", "in_p-2_gradcam.png"]
    assert all((tmp_path / "x_maps" / name).is_file() for name in row["map"])


# ---- the radiogenomic set's submission


def test_a_submission_holds_every_unlabelled_patient_once(asked, tmp_path, capsys):
    task = load_task(FOLDER / "mgmt.py")
    task = with_values(task, {"image_shape": (16, 16), "prep.slices.count": 3})
    write_mgmt_phantom(tmp_path / "raw", 2, seed=0)
    asked(_says(task), rsna_mgmt)
    out = tmp_path / "submission.csv"
    assert _run("--input", tmp_path / "raw", "--out", out, "--format", "submission") == 0
    header, *rows = out.read_text().splitlines()
    assert header == "BraTS21ID,MGMT_value"
    assert [row.split(",")[0] for row in rows] == ["00002"]  # the phantom's test/ holds one
    assert _run("--input", tmp_path / "raw", "--out", tmp_path / "all.json") == 0
    answers = json.loads((tmp_path / "all.json").read_text())["answers"]
    assert [row["slice"] for row in answers] == [1, 2, 3]
    assert answers[0]["z_mm"] > answers[1]["z_mm"] > answers[2]["z_mm"]
    assert "submission.csv: 1 answer" in capsys.readouterr().out
    mean = np.mean([row["probabilities"]["methylated"] for row in answers])
    assert float(rows[0].split(",")[1]) == pytest.approx(mean)


# ---- masks and boxes


def test_a_given_mask_is_boxed_as_a_manual_one_in_training_and_a_segmenter_s_goes_before(tmp_path):
    from data_prep.phantom.glioma.dataset import write_glioma_phantom
    from mri_tf.pipeline.field_of_view import cut_function
    from mri_tf.store.record import encode_example, parse_examples

    write_glioma_phantom(tmp_path, 1, seed=0, shape=(24, 24, 16))
    task = with_values(
        load_task(FOLDER / "glioma_grading.py"),
        {"image_shape": (16, 24, 24), "prep": dict(crop_to_brain=True, dtype="float16"),
         "box.grid": (8, 8, 8), "box.margin_voxels": 1},
    )  # fmt: skip
    (seg,) = tmp_path.rglob("*_seg.nii.gz")
    (case,) = list_cases_to_predict(brats, [seg.parent], task, mask=seg)
    (record,) = brats.read_case(case.raw, case.case, task)
    alone = Model(Exported(task), None, ())
    given = feed_of([boxed(alone, record)], alone.exported)
    raw = parse_examples([encode_example(record)], record.image.shape, "float16", ("mask",))
    np.testing.assert_array_equal(given["image"], cut_function(task, training=True)(raw)["image"])

    corner = np.zeros((1, 16, 24, 24, 2), np.float32)
    corner[0, :3, :3, :3, 1] = 1
    tumour = Exported(load_task(FOLDER / "glioma_tumour.py"))
    finder = Model(tumour, lambda *_: {"probabilities": corner}, ())
    found = boxed(Model(Exported(task), None, (), finder), record)
    np.testing.assert_array_equal(found.predicted_mask, corner[0, ..., 1] > 0)


def test_a_mask_named_on_the_command_line_is_as_good_as_one_in_the_folder(asked, tmp_path, capsys):
    from data_prep.phantom.meningioma.dataset import write_meningioma_phantom

    write_meningioma_phantom(tmp_path, 1, seed=0)
    (mask,) = tmp_path.rglob("mask.nii.gz")
    task = load_task(FOLDER / "meningioma_grading.py")
    calls = []

    def call(signature, feed):
        calls.append((signature, feed))
        return {"probabilities": np.array([[0.3, 0.7]]), "decision": np.array([1])}

    fitted = {"pixel_mm": 1.0, "slice_mm": 4.0}
    asked(Model(Exported(task, fitted=fitted), call, ("serving_default", "slices")), volume_and_mask)
    assert _run("--input", mask.parent) == 0
    image = mask.with_name("t1ce.nii.gz")
    assert _run("--input", image, "--mask", mask.rename(tmp_path / "elsewhere.nii.gz")) == 0
    (_, by_folder), (_, by_flag) = calls
    assert {name: value.shape[0] for name, value in by_flag.items()} == dict.fromkeys(by_folder, 1)
    for name, values in by_folder.items():
        np.testing.assert_array_equal(values, by_flag[name])
    assert 1 <= by_flag["slices"].shape[1] < 40
    assert "give one with --mask" in _fails(capsys, "--model", ".", "--input", image)


def test_an_empty_mask_is_a_reason_and_a_tumour_that_is_not_found_is_said(asked, tmp_path, capsys):
    from data_prep.phantom.glioma.dataset import write_glioma_phantom

    write_glioma_phantom(tmp_path, 1, seed=0, shape=(24, 24, 16))
    (seg,) = tmp_path.rglob("*_seg.nii.gz")
    mask = nibabel.load(seg)
    empty = tmp_path / "empty.nii.gz"
    nibabel.save(nibabel.Nifti1Image(np.zeros(mask.shape, np.uint8), mask.affine), empty)
    task = with_values(
        load_task(FOLDER / "glioma_grading.py"),
        {"image_shape": (16, 24, 24), "prep": dict(crop_to_brain=True, dtype="float16"),
         "box.grid": (8, 8, 8), "box.margin_voxels": 1},
    )  # fmt: skip
    graded = {"probabilities": np.array([[0.3, 0.7]]), "decision": np.array([1])}
    nothing = np.zeros((1, 16, 24, 24, 2), np.float32)
    nothing[..., 0] = 1
    finder = Model(Exported(load_task(FOLDER / "glioma_tumour.py")),
                   lambda *_: {"probabilities": nothing}, ())  # fmt: skip
    wide = dict.fromkeys(STATISTICS, [-1e9, 1e9])
    ranges = {"records": 1, "intensity": dict.fromkeys(task.channels, wide), "size": {}}
    signatures = ("serving_default",)
    asked(Model(Exported(task, ranges=ranges), lambda *_: graded, signatures), brats)
    line = _fails(capsys, "--model", ".", "--input", seg.parent, "--mask", empty)
    assert "tumour mask is empty" in line
    asked(Model(Exported(task, ranges=ranges), lambda *_: graded, signatures, finder), brats)
    assert _run("--input", seg.parent) == 0
    (row,) = json.loads(capsys.readouterr().out)["answers"]
    assert row["out_of_distribution"] and "no tumour was found" in row["reasons"][0]


# ---- files on the source's grid


def _oblique(shape=(20, 16, 12)) -> tuple[np.ndarray, np.ndarray]:
    """A bright ellipsoid off the middle of an anisotropic, turned volume; (x, y, z) and its affine."""
    place = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    inside = (((place - (6, 9, 5)) / (4, 3, 3)) ** 2).sum(axis=-1) < 1
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", (8, -6, 12), True).as_matrix() @ np.diag((1, 1.2, 2.5))
    affine[:3, 3] = (-30, 12, 44)
    return np.where(inside, 200, 20).astype(np.int16), affine


def test_a_segmentation_s_labels_lie_on_the_voxels_of_the_file(asked, tmp_path):
    array, affine = _oblique()
    write_nifti(tmp_path / "head.nii.gz", Volume(array, affine), "LPS")
    task = with_values(load_task(FOLDER / "hippocampus.py"), {"image_shape": (48, 48, 48)})

    def call(signature, feed):
        bright = (feed["image"][..., 0] > 110).astype(np.float32)
        return {"probabilities": np.stack([1 - bright, bright, 0 * bright], axis=-1)}

    asked(Model(Exported(task), call, ("serving_default",)), labelled_volumes)
    out = tmp_path / "labels"
    assert _run("--input", tmp_path / "head.nii.gz", "--out", out) == 0
    (row,) = json.loads((out / "answers.json").read_text())["answers"]
    given, found = nibabel.load(tmp_path / "head.nii.gz"), nibabel.load(out / row["label_map"])
    np.testing.assert_allclose(found.affine, given.affine, atol=1e-5)
    labels, wanted = np.asarray(found.dataobj), np.asarray(given.dataobj) > 110
    overlap = 2 * np.sum((labels == 1) & wanted) / (np.sum(labels == 1) + np.sum(wanted))
    assert labels.shape == given.shape and overlap > 0.93
    assert row["voxels"]["anterior"] == np.sum(labels == 1)
    assert row["volume_ml"]["anterior"] == pytest.approx(row["voxels"]["anterior"] * 3 / 1000, rel=1e-4)


def test_slices_maps_are_put_into_the_slices_of_the_file_they_were_cut_from(asked, tmp_path):
    from data_prep.io.nifti import read_nifti

    array, affine = _oblique((16, 16, 6))
    write_nifti(tmp_path / "chest.nii.gz", Volume(array, affine), "RAS")
    task = with_values(load_task(FOLDER / "cardiac_levels.py"), {"image_shape": (32, 32)})

    def call(signature, feed):
        count, one_hot = len(feed["image"]), np.eye(9)[[4]]
        found = {"probabilities": np.repeat(one_hot, count, axis=0), "decision": np.full(count, 4)}
        return found | ({"map": feed["image"][..., 0]} if signature == "explain" else {})

    asked(Model(Exported(task), call, ("serving_default", "explain")), volumes_with_levels)
    assert _run("--input", tmp_path / "chest.nii.gz", "--explain", "--out", tmp_path / "x.json") == 0
    rows = json.loads((tmp_path / "x.json").read_text())["answers"]
    assert [row["slice"] for row in rows] == [1, 2, 3, 4, 5, 6]
    (name,) = {row["map"] for row in rows}
    written = read_nifti(tmp_path / "x_maps" / name)
    given = read_nifti(tmp_path / "chest.nii.gz")
    np.testing.assert_allclose(written.affine, given.affine, atol=1e-4)
    inner = np.s_[2:-2, 2:-2]
    errors = np.abs(written.array[inner] - given.array[inner])
    assert np.median(errors) < 1 and errors.mean() < 12  # blurred at the ellipsoid's border only


@pytest.mark.parametrize("inside", [True, False])
def test_a_map_that_lies_outside_the_brain_is_warned_of(asked, tmp_path, capsys, inside):

    array, affine = _oblique()
    write_nifti(tmp_path / "head.nii.gz", Volume(array - 20, affine), "LPS")  # 0 but for the ellipsoid
    task = load_task(FOLDER / "brain_tumor_type.py")
    task = with_values(task, {"image_shape": (16, 24, 24), "prep": {}})

    def call(signature, feed):
        bright = feed["image"][..., 0] > 90
        found = {"probabilities": np.array([[0.2, 0.5, 0.3]]), "decision": np.array([1])}
        return found | {"map": (bright if inside else ~bright).astype(np.float32)}

    asked(Model(Exported(task), call, ("serving_default", "explain")), volumes_with_types)
    flags = ["--input", tmp_path / "head.nii.gz", "--explain", "--out", tmp_path / "x.json"]
    assert _run(*flags) == 0
    (row,) = json.loads((tmp_path / "x.json").read_text())["answers"]
    warned = "of its map lies outside the brain" in capsys.readouterr().err
    assert warned is not inside and (row["map_outside_brain"] > 0.5) is not inside


def test_parts_are_put_where_resampling_the_whole_would_put_them(tmp_path):
    """Turned and shifted grids, some of them beside the volume: only their surroundings are touched."""
    from data_prep.ops.resample import resample_like, volume_of_grid

    rng, affine = np.random.default_rng(3), _oblique()[1]
    facts = {"source_shape": [20, 16, 12], "source_affine": affine.ravel().tolist()}
    record = Record("", "p", np.zeros((2, 2, 1), np.float32), facts=facts)
    reference = Volume(np.zeros((20, 16, 12), np.uint8), affine)
    for turn, shift, depth in ((0, 0, 1), (20, 5, 1), (-35, -8, 4), (10, 300, 2)):
        place = affine @ np.diag([-1.3, -0.8, -1.1, 1.0])
        place[:3, :3] = Rotation.from_euler("y", turn, True).as_matrix() @ place[:3, :3]
        place[:3, 3] = (affine @ [14, 13, 7, 1])[:3] + shift
        values = rng.uniform(1, 2, (depth, 9, 11)).astype(np.float32)
        written = write_on_source([(values, place)], record, tmp_path / "m.nii.gz", labels=False)
        wanted = resample_like(volume_of_grid(values, place), reference)
        np.testing.assert_allclose(written.array, wanted.array, atol=1e-5)
        assert (written.array.max() > 0) == (shift < 100)


def test_a_map_of_an_image_file_is_a_picture(bright, tmp_path):
    folder = _images(tmp_path / "in", a=51)
    assert _run("--input", folder, "--explain", "--out", tmp_path / "x.json") == 0
    (row,) = json.loads((tmp_path / "x.json").read_text())["answers"]
    assert Image.open(tmp_path / "x_maps" / row["map"]).size[0] > 500


def test_labels_of_a_picture_come_back_to_its_pixels(tmp_path):
    rng = np.random.default_rng(0)
    for shape in ((20, 12), (7, 31), (16, 16)):
        labels = np.kron(rng.integers(0, 4, (-(-shape[0] // 4), -(-shape[1] // 4))), np.ones((4, 4)))
        labels = labels[: shape[0], : shape[1]].astype(np.uint8)
        fitted = fit_to_grid(labels[..., None].astype(np.float32), (96, 96), "nearest").numpy()[..., 0]
        written = write_label_picture(fitted.astype(np.uint8), shape, tmp_path / "l.png")
        assert np.mean(written == labels) > 0.97
        np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "l.png")), written)


def test_a_record_of_unknown_source_is_written_on_its_own_grid(tmp_path):
    record = Record("", "p", np.zeros((4, 5, 6, 1), np.float32), affine=np.diag([-2.0, -2, -3, 1]))
    values = np.arange(120, dtype=np.float32).reshape(4, 5, 6)
    written = write_on_source([(values, record.affine)], record, tmp_path / "m.nii.gz", labels=False)
    assert written.array.shape == (6, 5, 4) and written.array.max() == 119


def test_names_of_inputs_become_names_of_files():
    assert safe_name("test/00012") == "test_00012" and safe_name("a b/ü.nii.gz") == "a_b_ü"
    assert safe_name("../..") == "input" and safe_name("s.1.png") == "s.1"


# ---- what is refused


@pytest.mark.parametrize(
    "flags, says",
    [
        ([], "Give --model DIR for an exported model, or --server URL"),
        (["--server", "http://127.0.0.1:1"], "--server needs --task or --model"),
        (["--model", ".", "--explain"], "Add --out FILE"),
        (["--model", ".", "--format", "json", "--out", "x.csv"], "a name that ends in .json"),
        (["--model", "nowhere"], "given with --model does not exist"),
        (["--server", "file:///etc", "--task", "sax_levels"], "address of a REST interface"),
    ],
)  # fmt: skip
def test_flags_that_do_not_fit_are_refused_in_one_line(tmp_path, monkeypatch, capsys, flags, says):
    monkeypatch.chdir(_images(tmp_path, a=1))
    assert says in _fails(capsys, *flags, "--input", "a.png")
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.parametrize(
    "flags, says",
    [
        (["--mask", "a.png"], "does not use a tumour mask"),
        (["--format", "submission"], "has no submission table"),
        (["--out", "."], "must be a file, not a folder"),
        (["--out", "a.png/x.json"], "Cannot write to the folder of --out"),
    ],
)
def test_flags_a_task_does_not_support_are_refused(bright, tmp_path, monkeypatch, capsys, flags, says):
    monkeypatch.chdir(_images(tmp_path, a=1))
    assert says in _fails(capsys, "--model", ".", *flags, "--input", "a.png")


def test_answers_are_never_written_over_what_is_read(bright, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(_images(tmp_path, a=1))
    Path("t.csv").write_text("image\na.png\n")
    for flags in (["--input", "t.csv", "--out", "t.csv"], ["--input", ".", "--out", "t.csv"],
                  ["--input", "a.png", "--out", "a.png", "--format", "json"],
                  ["--input", "t.csv", "--out", "a.png", "--format", "json"]):  # fmt: skip
        before = {path: path.read_bytes() for path in tmp_path.iterdir()}
        assert "--out would overwrite an input" in _fails(capsys, "--model", ".", *flags)
        assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    for out in ("t.json", "answers.csv"):  # the second time over answers of before
        assert _run("--input", "a.png", "--out", out) == _run("--input", ".", "--out", out) == 0


def test_a_file_whose_name_is_no_text_is_answered_under_a_readable_one(bright, tmp_path, capsys):
    folder = _images(tmp_path / "in", a=51)
    os.rename(folder / "a.png", os.fsencode(folder) + b"/b\xff.png")
    assert _run("--input", folder, "--out", tmp_path / "x.csv") == 0
    assert _run("--input", folder) == 0
    (row,) = json.loads(capsys.readouterr().out.partition("\n")[2])["answers"]
    assert row["input"] == "in/b\\udcff.png" or row["input"] == "b\\udcff.png"


@pytest.mark.parametrize("cell", ["../a.png", "/etc/passwd", "", "a\0.png"])
def test_a_table_names_images_that_lie_beside_it(bright, tmp_path, capsys, cell):
    folder = _images(tmp_path / "in", a=51)
    (folder / "t.csv").write_text(f"image,patient_id\na.png,1\n{cell},2\n")
    assert "able" in _fails(capsys, "--model", ".", "--input", folder / "t.csv")


def test_a_model_without_maps_explains_nothing(asked, tmp_path, capsys):
    model = _says(IMAGES)
    asked(Model(model.exported, model.call, ("serving_default",)), cases_table)
    flags = ["--input", _images(tmp_path / "in", a=1), "--explain", "--out", tmp_path / "x.json"]
    assert "no signature explain" in _fails(capsys, "--model", ".", *flags)
    assert not (tmp_path / "x.json").exists()
