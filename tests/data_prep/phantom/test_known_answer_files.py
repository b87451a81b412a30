"""The known-answer phantoms as written: doses, copies, continuation, and how they are prepared."""

import dataclasses
import json
import re

import numpy as np
import pytest
from phantom_files import rows_of
from PIL import Image
from raw_folders import files_of
from refused import error_line
from scipy.ndimage import binary_erosion

from data_prep.io.nifti import read_nifti
from data_prep.io.volume_file import read_volume_file
from data_prep.layout_calls import ListOptions
from data_prep.phantom.__main__ import main
from data_prep.phantom.kinds import KNOWN_ANSWERS, WITH_DOSE
from data_prep.phantom.known_answers.dataset import write_known_answer
from data_prep.phantom.known_answers.examinations import KINDS, VOLUME_SUFFIX
from data_prep.phantom.known_answers.scan import TE_MS
from data_prep.phantom.write import write_kind
from data_prep.prepare.prepare import prepare
from mri_tf.core.command_line import run_command
from mri_tf.plan.planned import plan_folder

HEADER_FACTS = ("manufacturer", "field_strength_t", "tr_ms", "te_ms")
TRICKS = [name for name, kind in KINDS.items() if kind.tied and kind.dosed]
CORNER = (slice(1, 4), slice(1, 4))  # of a picture: rows, columns


def _pixels(path) -> np.ndarray:
    """(rows, columns) float."""
    return np.asarray(Image.open(path), float)


def _columns_of_head(image: np.ndarray) -> np.ndarray:
    """The columns of the head along the row in its middle, from the half between air and brain."""
    middle = image[len(image) // 2]
    return np.flatnonzero(middle > 0.3 * np.median(image[24:40, 24:40]))


def _trick(name: str, raw, row: dict[str, str]) -> bool:
    """Whether the trick of a kind says malignant, measured on the files and the table alone."""
    image, mask = _pixels(raw / row["flair"]), _pixels(raw / row["mask"]) > 0
    brain = np.median(image[16:48, 20:44][~mask[16:48, 20:44]])
    if name == "shortcut_corner":
        return bool(np.all(image[CORNER] > 0.9 * brain))
    if name == "shortcut_te":
        return float(row["te_ms"]) == max(TE_MS)
    if name == "shortcut_site":
        return row["site"] in ("north", "east")
    if name == "volume_only":  # small lesions have radii up to 20 mm, large ones from 24 mm
        return mask.sum() * float(row["pixel_mm"]) ** 2 > np.pi * 22**2
    if name == "border":  # the second pixel on each side of the head is scalp
        head = _columns_of_head(image)
        return np.mean(image[len(image) // 2, [head[1], head[-2]]]) > brain
    inside = binary_erosion(mask, iterations=3)
    return np.mean(image[inside]) > 0.95 * brain


@pytest.mark.parametrize("dose", [1.0, 0.8])
@pytest.mark.parametrize("name", TRICKS)
def test_the_files_show_the_trick_in_exactly_the_dose_of_each_class(tmp_path, name, dose):
    write_known_answer(tmp_path, name, 30, seed=2, dose=dose)
    rows, truth = rows_of(tmp_path / "cases.csv"), rows_of(tmp_path / "truth.csv")
    agrees = [_trick(name, tmp_path, row) == (row["label"] == "malignant") for row in rows]
    assert [row["agrees"] == "yes" for row in truth] == agrees
    for label in ("benign", "malignant"):
        counted = [one for one, row in zip(agrees, rows, strict=True) if row["label"] == label]
        assert len(counted) == 15 and sum(counted) == round(15 * dose)


@pytest.mark.parametrize("form", ["", VOLUME_SUFFIX])
def test_a_copy_is_its_original_mirrored_or_shifted_with_another_contrast(tmp_path, form):
    write_known_answer(tmp_path, f"leaky_copies{form}", 12, seed=1)

    def read(row):  # (x, y, ...) of image and mask
        if form:
            image, mask = read_volume_file(tmp_path / row["flair"]), read_nifti(tmp_path / row["mask"])
            return image.array, mask.array
        return tuple(_pixels(tmp_path / row[part])[::-1, ::-1].T for part in ("flair", "mask"))

    rows = [row | true for row, true in zip(rows_of(tmp_path / "cases.csv"),
                                            rows_of(tmp_path / "truth.csv"), strict=True)]  # fmt: skip
    assert len(rows) == 24
    kinds = set()
    for copy in (row for row in rows if row["change"]):
        original = next(row for row in rows if row["person"] == copy["person"] and not row["change"])
        same = ("label", "site", "scanner", "age", "sex")
        assert original["patient_id"] != copy["patient_id"]
        assert [original[name] for name in same] == [copy[name] for name in same]
        how = re.fullmatch(r"copy: contrast x (\d\.\d+), (mirrored|shifted by (-?\d) and (-?\d) .*)",
                           copy["change"])  # fmt: skip
        for before, after, gain in zip(read(original), read(copy), (float(how[1]), 1), strict=True):
            if how[2] == "mirrored":
                moved = before[::-1]
            else:
                moved = np.roll(before, (int(how[3]), int(how[4])), (0, 1))
            difference = np.abs(moved[1:-1, 1:-1] * gain - after[1:-1, 1:-1])
            assert difference.max() <= 0.5 + 1e-4 * before.max()  # rounding, and of the gain's digits
        kinds.add("mirrored" if how[2] == "mirrored" else "shifted")
        assert 0.02 <= abs(float(how[1]) - 1) <= 0.08
    assert kinds == {"mirrored", "shifted"}


@pytest.mark.parametrize("name", ["leaky_copies", "border_3d"])
def test_the_same_seed_gives_the_same_bytes_and_an_interrupted_call_continues(tmp_path, name):
    class Interrupted(Exception):
        pass

    def stop(done, total):
        if done == 2:
            raise Interrupted

    write_known_answer(tmp_path / "whole", name, 4, seed=5)
    with pytest.raises(Interrupted):
        write_known_answer(tmp_path / "stopped", name, 4, seed=5, progress=stop)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "stopped").rglob("*.*")}
    assert before and not (tmp_path / "stopped/cases.csv").exists()
    write_known_answer(tmp_path / "stopped", name, 4, seed=5)
    assert all(path.stat().st_mtime_ns == time for path, time in before.items())
    assert files_of(tmp_path / "stopped") == files_of(tmp_path / "whole")
    write_known_answer(tmp_path / "other", name, 4, seed=6)
    images = [{bytes_ for path, bytes_ in files_of(tmp_path / one).items() if path.startswith("flair")}
              for one in ("whole", "other")]  # fmt: skip
    assert images[0].isdisjoint(images[1])


@pytest.mark.parametrize("name", KNOWN_ANSWERS)
def test_every_kind_is_planned_and_prepared_without_a_skipped_file(here, name):
    write_kind(name, here / "raw", 8, seed=3)
    table = rows_of(here / "raw/cases.csv")
    plan = plan_folder(here / "raw", ListOptions())
    prepared, skipped = prepare(plan.task, plan.file.resolve(), here / "raw", here / "prepared")
    assert skipped == [] and len(prepared) == len(table)
    records = {str(prepared.patients[n]): prepared.record(n) for n in range(len(prepared))}
    assert set(records) == {row["patient_id"] for row in table}
    sides = {"train", "validation", "test"} if name.startswith("leaky_patients") else {""}
    for row in table:
        record = records[row["patient_id"]]
        assert plan.task.class_names[record.label] == row["label"]
        assert record.split == row.get("split", "") and record.split in sides
        known = record.facts
        assert (known["site"], known["sex"], known["modality"]) == (row["site"], row["sex"], "MR")
        assert set(HEADER_FACTS) <= set(known) and float(known["te_ms"]) in TE_MS
        if name.endswith(VOLUME_SUFFIX):
            assert record.image.ndim == 4 and record.mask.any()


def test_the_mark_in_a_volume_stays_where_the_task_keeps_the_air(here):
    write_kind("shortcut_corner_3d", here / "raw", 6, seed=1)
    plan = plan_folder(here / "raw", ListOptions())
    prep = {**plan.task.prep, "crop_to_brain": False}
    whole = dataclasses.replace(plan.task, prep=prep, normalize={"method": "zscore", "region": "image"})
    for task, stays in ((plan.task, False), (whole, True)):
        prepared, _ = prepare(task, plan.file.resolve(), here / "raw", here / f"prepared-{stays}")
        for record in map(prepared.record, range(6)):
            image = record.image[..., 0]  # (depth, rows, columns)
            corner = image[:8, :8, :8].max() > 0.5 * np.percentile(image, 90)
            assert corner == (stays and record.label == 1)


def test_a_dose_is_noted_and_another_one_is_refused(tmp_path, capsys):
    arguments = ["--kind", "border", "--patients", "4", "--out", tmp_path / "raw"]
    assert run_command(main, [str(one) for one in (*arguments, "--dose", 0.5)]) == 0
    note = json.loads((tmp_path / "raw/phantom.json").read_text())
    assert (note["kind"], note["dose"], note["whole"]) == ("border", 0.5, True)
    assert "other settings" in error_line(capsys, main, *arguments)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("--kind", "bids", "--dose", 0.9), "shortcut_corner"),
        (("--kind", "clean_3d", "--dose", 0.9), "shortcut_corner"),
        (("--task", "mgmt", "--dose", 0.9), "--kind"),
        (("--kind", "border", "--dose", 1.1), "from 0 to 1"),
        (("--kind", "border", "--dose", "nan"), "from 0 to 1"),
        (("--kind", "border", "--no-signal"), "no_signal"),
    ],
)
def test_what_has_no_dose_is_refused_before_anything_is_written(tmp_path, capsys, arguments, word):
    assert word in error_line(capsys, main, *arguments, "--out", tmp_path / "raw")
    assert not (tmp_path / "raw").exists()


def test_kinds_without_a_trick_take_no_dose():
    assert set(KNOWN_ANSWERS) - set(WITH_DOSE) == {"clean", "clean_3d", "no_signal", "no_signal_3d"}
