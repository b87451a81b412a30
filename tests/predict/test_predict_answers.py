"""The predict command: where answers go, which flags are refused, what a bad case costs."""

import csv
import gc
import json
import os
import weakref
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_up import IMAGES, predicted_to, run_predict, says_brightness, write_images
from PIL import Image
from refused import error_line

from data_prep.layouts import cases_table, rsna_mgmt
from data_prep.phantom.glioma.mgmt import write_mgmt_phantom
from mri_tf.export.reader import Exported
from mri_tf.predict.__main__ import main as predict
from mri_tf.predict.answers import Model
from mri_tf.task import Task
from mri_tf.task.files import FOLDER, load_task
from mri_tf.task.overrides import with_values

BAG = with_values(IMAGES, {"bag": dict(pooling="mean")})


def _fails(capsys, *flags, **options) -> str:
    return error_line(capsys, predict, "--model", ".", *flags, **options)


def test_answers_are_printed_as_json_and_nothing_else_is(bright, tmp_path, capsys):
    assert run_predict("--input", write_images(tmp_path / "in", a=51, b=255)) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["task"] == "bright" and found["version"] == 3 and found["skipped"] == []
    first, second = found["answers"]
    assert first["input"] == "in/a.png" and first["decision"] == "dark"
    assert first["probabilities"] == pytest.approx({"dark": 0.8, "light": 0.2})
    assert second["decision"] == "light" and second["out_of_distribution"] is None


def test_a_csv_has_a_row_an_answer_and_a_row_an_input_without(bright, tmp_path):
    write_images(tmp_path / "in", a=51)
    (tmp_path / "in" / "b.png").write_bytes(b"no image at all, and more of it")
    assert run_predict("--input", tmp_path / "in", "--out", tmp_path / "x.csv") == 1
    with (tmp_path / "x.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert rows[0]["input"] == "in/a.png" and float(rows[0]["p_light"]) == pytest.approx(0.2)
    assert rows[1]["input"] == "in/b.png" and "no PNG, JPEG" in rows[1]["skipped"]
    assert not rows[1]["decision"] and not rows[0]["skipped"]


def test_a_bad_case_among_a_hundred_is_named_and_the_others_are_answered(bright, tmp_path, capsys):
    folder = write_images(tmp_path / "in", **{f"i{number:03d}": number for number in range(100)})
    data = (folder / "i057.png").read_bytes()
    (folder / "i057.png").write_bytes(data[: len(data) // 2])
    found = predicted_to(tmp_path / "x.json", "--input", folder, code=1)
    said = capsys.readouterr()
    assert "skipped in/i057.png: not a complete PNG" in said.err and "99 answers" in said.out
    assert [row["input"] for row in found["skipped"]] == ["in/i057.png"] and len(found["answers"]) == 99


def test_where_nothing_can_be_read_nothing_is_written(bright, tmp_path, capsys):
    (tmp_path / "a.png").write_bytes(b"")
    line = _fails(capsys, "--input", tmp_path / "a.png", "--out", tmp_path / "x.json")
    assert "a.png: the file is empty" in line and not (tmp_path / "x.json").exists()


def test_one_case_at_a_time_is_in_memory(asked, tmp_path, monkeypatch):
    model, alive = says_brightness(IMAGES), []

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
    folder = write_images(tmp_path / "in", **{f"i{number}": number for number in range(6)})
    assert run_predict("--input", folder, "--out", tmp_path / "x.json") == 0
    assert len(alive) == 6


def test_maps_that_were_written_before_the_end_are_counted_and_their_folder_is_named(
    asked, tmp_path, capsys
):
    model, calls = says_brightness(IMAGES), []

    def call(signature, feed):
        calls.append(signature)
        if calls.count("explain") == 2 and signature == "explain":
            raise KeyboardInterrupt
        return model.call(signature, feed)

    asked(replace(model, call=call), cases_table)
    folder, out = write_images(tmp_path / "in", a=51, b=255), tmp_path / "x.json"
    flags = ("--input", folder, "--explain", "--out", out)
    assert run_predict(*flags) == 130
    said = capsys.readouterr().err
    assert f"note: 1 map written into {tmp_path / 'x_maps'}; the same command replaces them." in said
    assert not out.exists() and run_predict(*flags) == 0


def test_ctrl_c_writes_no_answers(asked, tmp_path, capsys):
    def call(signature, feed):
        raise KeyboardInterrupt

    asked(Model(Exported(IMAGES), call, ()), cases_table)
    folder = write_images(tmp_path / "in", a=1)
    line = _fails(capsys, "--input", folder, "--out", tmp_path / "x.json", code=130)
    assert "before the list of answers was written" in line and not (tmp_path / "x.json").exists()


def test_a_patient_s_images_have_one_answer_and_those_that_are_bad_are_named(asked, tmp_path):
    calls = []
    asked(says_brightness(BAG, calls), cases_table)
    write_images(tmp_path / "in/p", a=0, b=102)
    (tmp_path / "in/p/c.png").write_bytes(b"")
    found = predicted_to(tmp_path / "x.json", "--input", tmp_path / "in", code=1)
    (row,) = found["answers"]
    assert row["input"] == "in/p" and row["probabilities"]["light"] == pytest.approx(0.2)
    assert found["skipped"] == [{"input": "in/p, c.png", "reason": "the file is empty"}]
    assert calls == [("slices", {"slices": (1, 2, 8, 8, 1), "mask": (1, 2)})]


def test_every_slice_of_a_patient_is_explained(asked, tmp_path):
    asked(says_brightness(BAG), cases_table)
    write_images(tmp_path / "in/p", a=0, b=102)
    (row,) = predicted_to(tmp_path / "x.json", "--input", tmp_path / "in", "--explain")["answers"]
    assert row["map"] == ["in_p_gradcam.png", "in_p-2_gradcam.png"]
    assert all((tmp_path / "x_maps" / name).is_file() for name in row["map"])


def test_a_submission_holds_every_unlabelled_patient_once(asked, tmp_path, capsys):
    task = load_task(FOLDER / "mgmt.py")
    task = with_values(task, {"image_shape": (16, 16), "prep.slices.count": 3})
    write_mgmt_phantom(tmp_path / "raw", 2, seed=0)
    asked(says_brightness(task), rsna_mgmt)
    out = tmp_path / "submission.csv"
    assert run_predict("--input", tmp_path / "raw", "--out", out, "--format", "submission") == 0
    header, *rows = out.read_text().splitlines()
    assert header == "BraTS21ID,MGMT_value"
    assert [row.split(",")[0] for row in rows] == ["00002"]  # the phantom's test/ holds one
    answers = predicted_to(tmp_path / "all.json", "--input", tmp_path / "raw")["answers"]
    assert [row["slice"] for row in answers] == [1, 2, 3]
    assert answers[0]["z_mm"] > answers[1]["z_mm"] > answers[2]["z_mm"]
    assert "submission.csv: 1 answer" in capsys.readouterr().out
    mean = np.mean([row["probabilities"]["methylated"] for row in answers])
    assert float(rows[0].split(",")[1]) == pytest.approx(mean)


@pytest.mark.parametrize(
    "flags, says",
    [
        ([], "Give --model DIR for an exported model, or --server URL"),
        (["--server", "http://127.0.0.1:1"], "--server needs --task or --model"),
        (["--model", ".", "--explain"], "Add --out FILE"),
        (["--model", ".", "--format", "json", "--out", "x.csv"], "a name that ends in .json"),
        (["--model", "nowhere"], "given with --model does not exist"),
        (["--server", "file:///etc", "--task", "sax_levels"], "address of a REST interface"),
        (["--model", ".", "--timeout-s", "abc"], "above 0 s and below 1000000 s, not abc"),
        (["--model", ".", "--timeout-s", "nan"], "above 0 s and below 1000000 s, not nan"),
    ],
)  # fmt: skip
def test_flags_that_do_not_fit_are_refused_in_one_line(tmp_path, monkeypatch, capsys, flags, says):
    monkeypatch.chdir(write_images(tmp_path, a=1))
    assert says in error_line(capsys, predict, *flags, "--input", "a.png")
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
    monkeypatch.chdir(write_images(tmp_path, a=1))
    assert says in _fails(capsys, *flags, "--input", "a.png")


def test_answers_are_never_written_over_what_is_read(bright, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(write_images(tmp_path, a=1))
    Path("t.csv").write_text("image\na.png\n")
    for flags in (["--input", "t.csv", "--out", "t.csv"], ["--input", ".", "--out", "t.csv"],
                  ["--input", "a.png", "--out", "a.png", "--format", "json"],
                  ["--input", "t.csv", "--out", "a.png", "--format", "json"]):  # fmt: skip
        before = {path: path.read_bytes() for path in tmp_path.iterdir()}
        assert "--out would " in _fails(capsys, *flags)
        assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    for out in ("t.json", "answers.csv"):  # the second time over answers of before
        for read in ("a.png", "."):
            assert run_predict("--input", read, "--out", out) == 0


@pytest.mark.parametrize("out", ["a_labels.nii.gz", "notes.json", "list.json", "t.csv"])
def test_a_file_that_is_no_answer_of_predict_is_never_replaced(
    bright, tmp_path, monkeypatch, capsys, out
):
    monkeypatch.chdir(write_images(tmp_path, a=1))
    contents = {"a_labels.nii.gz": b"\x1f\x8b a mask", "notes.json": b'{"task": "mine"}',
                "list.json": b"[1]", "t.csv": b"patient_id,label\nP1,2\n"}  # fmt: skip
    Path(out).write_bytes(contents[out])
    form = () if out.endswith(("json", "csv")) else ("--format", "json")
    line = _fails(capsys, "--input", "a.png", "--out", out, *form)
    assert "holds no answers of predict" in line and Path(out).read_bytes() == contents[out]


def test_a_file_whose_name_is_no_text_is_answered_under_a_readable_one(bright, tmp_path, capsys):
    folder = write_images(tmp_path / "in", a=51)
    os.rename(folder / "a.png", os.fsencode(folder) + b"/b\xff.png")
    assert run_predict("--input", folder, "--out", tmp_path / "x.csv") == 0
    assert run_predict("--input", folder) == 0
    (row,) = json.loads(capsys.readouterr().out.partition("\n")[2])["answers"]
    assert row["input"] == "in/b\\udcff.png" or row["input"] == "b\\udcff.png"


@pytest.mark.parametrize("cell", ["../a.png", "/etc/passwd", "", "a\0.png"])
def test_a_table_names_images_that_lie_beside_it(bright, tmp_path, capsys, cell):
    folder = write_images(tmp_path / "in", a=51)
    (folder / "t.csv").write_text(f"image,patient_id\na.png,1\n{cell},2\n")
    assert "able" in _fails(capsys, "--input", folder / "t.csv")


def test_a_model_without_maps_explains_nothing(asked, tmp_path, capsys):
    model = says_brightness(IMAGES)
    asked(Model(model.exported, model.call, ("serving_default",)), cases_table)
    flags = ["--input", write_images(tmp_path / "in", a=1), "--explain", "--out", tmp_path / "x.json"]
    assert "no signature explain" in _fails(capsys, *flags)
    assert not (tmp_path / "x.json").exists()


def test_a_segmentation_of_a_file_for_each_channel_lies_on_the_pixels_of_these_files(asked, tmp_path):
    task = Task(
        name="spots", kind="segmentation", channels=("t1", "t2"), image_shape=(8, 8), model="unet2d",
        class_names=("no", "spot"), normalize=IMAGES.normalize,
    )  # fmt: skip

    def call(signature, feed):
        share = feed["image"][..., 1] / 255  # of t2
        return {"probabilities": np.stack([1 - share, share], axis=-1)}

    asked(Model(Exported(task, version=3), call, ("serving_default",)), cases_table)
    for name, value in (("t1", 0), ("t2", 255)):
        Image.fromarray(np.full((16, 16), value, np.uint8)).save(tmp_path / f"{name}.png")
    (tmp_path / "cases.csv").write_text("patient_id,t1,t2\nP1,t1.png,t2.png\n")
    assert run_predict("--input", tmp_path / "cases.csv", "--out", tmp_path / "out") == 0
    (row,) = json.loads((tmp_path / "out" / "answers.json").read_text())["answers"]
    assert row["input"] == "P1" and row["voxels"] == {"no": 0, "spot": 256}


def test_maps_are_not_written_beside_an_input(asked, tmp_path, capsys):
    task = Task(
        name="spots", kind="segmentation", channels=("t1",), image_shape=(8, 8), model="unet2d",
        class_names=("no", "spot"), normalize=IMAGES.normalize,
    )  # fmt: skip
    asked(Model(Exported(task, version=3), None, ("serving_default",)), cases_table)
    folder = write_images(tmp_path / "in", a=1, a_labels=7)
    mask = (folder / "a_labels.png").read_bytes()
    for read, out in ((folder / "a.png", folder), (folder, folder), (folder, tmp_path)):
        line = _fails(capsys, "--input", read, "--out", out)
        assert "a folder that holds an input" in line
    assert (folder / "a_labels.png").read_bytes() == mask
