"""Whatever a folder holds, preparation says one line about it and leaves nothing half-written."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image
from raw_folders import HEADER, TASK, pixels_of, write_task

from data_prep import write
from mri_tf.core.command_line import run_command
from mri_tf.store.prepared import Prepared
from mri_tf.task.files import task_names

pytestmark = pytest.mark.usefixtures("small_raw")


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ("empty", ("cases.csv", "patient_id, label and g or image")),
        ("nowhere", ("--raw must be a folder",)),
        ("raw/manifest.csv", ("--raw must be a folder",)),
    ],
)
def test_a_raw_folder_that_is_empty_missing_or_a_file_is_refused(tmp_path, refused, raw, words):
    (tmp_path / "empty").mkdir()
    line = refused(*words, raw=raw)
    assert raw != "nowhere" or str(tmp_path / raw) in line


@pytest.mark.parametrize(
    ("table", "named"),
    [
        ("image,label\na.png,left\n", "patient_id"),
        ("", "patient_id"),
        ("\n\n\n", "patient_id"),
        (HEADER, "manifest.csv has no rows"),
        (HEADER + "\n \n", "manifest.csv"),
        (HEADER + "a.png,,left\nb.png,p2,right\n", "line 2"),
        (HEADER + "a.png\n", "line 2"),
        (HEADER + "a.png,p1,links\nb.png,p2,right\n", "'links'"),
        (HEADER + "a.png,p1,\nb.png,p2,right\n", "no label"),
        (HEADER + ",p1,left\nb.png,p2,right\n", "line 2"),
        ("image,patient_id,label,split\na.png,p1,left,train\nb.png,p1,left,test\n", "a.png in line 2"),
        ("image,patient_id,label,split\na.png,p1,left,train\nb.png,p1,left,\n", "line 3"),
        (b"PK\x03\x04 an Excel workbook \xff\xfe\x00", "manifest.csv"),
        (HEADER + 'a.png,"p1,left\n' + "x" * 200_000, "manifest.csv"),
        (HEADER + "x" * 5000 + ".png,p1,left\n", ""),
    ],
    ids=lambda value: None if isinstance(value, bytes) or len(value) > 40 else repr(value)[:30],
)
def test_a_table_that_cannot_be_used_is_refused(small_raw, refused, table, named):
    (small_raw / "manifest.csv").write_bytes(table if isinstance(table, bytes) else table.encode())
    refused(named)


def test_a_table_that_is_a_folder_is_refused(small_raw, refused):
    _into_a_folder(small_raw / "manifest.csv")
    refused("must hold a table")


def test_a_table_of_nothing_readable_is_refused(small_raw, refused):
    (small_raw / "a.png").write_bytes(b"")
    (small_raw / "b.png").unlink()
    refused("a.png: the file is empty", "b.png: the file does not exist")


def test_out_that_holds_other_files_is_refused_and_left_alone(tmp_path, one_line):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("mine")
    assert one_line(2).startswith("error: The output folder must be new or empty. Received:")
    assert [path.name for path in tmp_path.glob("out*/*")] == ["thesis.txt"]


def test_out_that_is_a_file_is_refused_and_left_alone(tmp_path, one_line):
    (tmp_path / "out").write_text("mine")
    line = one_line(2)
    assert line.startswith("error: ") and "Received:" in line
    assert (tmp_path / "out").read_text() == "mine" and not (tmp_path / "out.partial").exists()


def test_an_empty_current_folder_as_out_is_used_or_refused(tmp_path, capsys, monkeypatch):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    code = run_command(write.main, ["--task", "../mine.py", "--raw", "../raw", "--out", "."])
    assert code in (0, 2), capsys.readouterr().err


def test_an_empty_out_folder_is_used(tmp_path, said):
    (tmp_path / "out").mkdir()
    assert said()[0] == 0
    assert len(Prepared.open(tmp_path / "out")) == 2


def test_a_salt_file_that_is_a_folder_is_refused(tmp_path, refused):
    (tmp_path / "salt").mkdir()
    refused(more=["--pseudonyms", "--salt-file", str(tmp_path / "salt")])


def _into_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


NAN = Image.fromarray(np.full((16, 16), np.nan, np.float32))
WORDS = "Please see the other folder.\n" * 9
SPOILT = {
    "truncated": (lambda path: path.write_bytes(path.read_bytes()[:150]), "not a complete PNG"),
    "cut in the header": (lambda path: path.write_bytes(path.read_bytes()[:20]), "not a complete image"),
    "gone": (Path.unlink, "does not exist"),
    "empty": (lambda path: path.write_bytes(b""), "the file is empty"),
    "text": (lambda path: path.write_text(WORDS), "not a readable image"),
    "folder": (_into_a_folder, ""),
    "DICOM": (lambda path: path.write_bytes(bytes(128) + b"DICM" + bytes(200)), "no DICOM series"),
    "one channel of NaN": (lambda path: NAN.save(path, format="TIFF"), "NaN"),
}


@pytest.mark.parametrize("name", SPOILT)
def test_a_spoilt_image_is_skipped_by_name_and_reason_and_the_rest_is_written(
    small_raw, tmp_path, one_line, name
):
    spoil, reason = SPOILT[name]
    spoil(small_raw / "a.png")
    line = one_line(1)
    assert line.startswith("skipped a.png: ") and reason in line
    prepared = Prepared.open(tmp_path / "out")
    assert prepared.patients.tolist() == ["p2"] and prepared.manifest["counts"]["skipped"] == 1


@pytest.mark.parametrize("name", ["truncated", "gone", "text"])
def test_strict_refuses_a_spoilt_image_and_writes_nothing(small_raw, refused, name):
    SPOILT[name][0](small_raw / "a.png")
    line = refused("Received: a.png: ", more=["--strict"])
    assert line.startswith("error: --strict")


def test_strict_refuses_a_set_that_was_prepared_with_gaps(small_raw, said):
    (small_raw / "a.png").unlink()
    assert said()[0] == 1
    code, lines = said("--strict")
    assert code == 2 and "a.png: the file does not exist" in lines[-1]


def _write_segmentation(raw, mask_of_a="ma.png"):
    write_task(raw.parent, more='kind="segmentation", class_names=("left", "right", "none")')
    table = f"image,patient_id,mask\na.png,p1,{mask_of_a}\nb.png,p2,mb.png\n"
    (raw / "manifest.csv").write_text(table)
    Image.fromarray(np.eye(16, dtype=np.uint8)).save(raw / "mb.png")


@pytest.mark.parametrize(
    ("mask", "reason"),
    [
        (np.zeros((16, 8), np.uint8), "(16, 8)"),
        (np.full((16, 16), 3, np.uint8), "not labels: 3"),
        (np.full((16, 16), 255, np.uint8), "not labels: 255"),
        (np.full((16, 16), 65535, np.uint16), "not labels: 65535"),
        (None, "mask: the file does not exist"),
    ],
)
def test_a_mask_that_does_not_fit_is_skipped_by_name_and_reason(
    small_raw, tmp_path, one_line, mask, reason
):
    _write_segmentation(small_raw)
    if mask is not None:
        Image.fromarray(mask).save(small_raw / "ma.png")
    line = one_line(1)
    assert line.startswith("skipped a.png: ") and reason in line
    assert Prepared.open(tmp_path / "out").patients.tolist() == ["p2"]


def test_a_row_without_a_mask_is_skipped_by_name_and_reason(small_raw, one_line):
    _write_segmentation(small_raw, mask_of_a="")
    assert one_line(1) == "skipped a.png: the row names no mask"


def test_a_16_bit_image_of_an_8_bit_task_is_not_clipped_in_silence(small_raw, said):
    pixels = pixels_of(0, np.uint16, high=4096)  # what most MR exports look like
    Image.fromarray(pixels).save(small_raw / "a.png")
    code, lines = said()
    assert code in (1, 2) and any("a.png" in line for line in lines)


@pytest.mark.parametrize(
    ("row", "column"),
    [(f"p1,{height}", "z_mm") for height in ("", "12;5", "nan", "inf", "-inf", "1e999")]
    + [(",10", "patient_id")],
)
def test_a_level_without_a_height_or_a_patient_is_refused(small_raw, refused, row, column):
    (small_raw / "levels.csv").write_text(f"patient_id,z_mm,level\n{row},aortic_arch\n")
    (small_raw / "volumes").mkdir()
    volume = nibabel.Nifti1Image(np.zeros((4, 4, 4), np.int16), np.eye(4))
    nibabel.save(volume, small_raw / "volumes" / "p1.nii.gz")
    refused(column, "line 2", task="cardiac_levels")


def _task(more: str) -> str:
    return TASK.format(name="mine", more=more)


def test_a_scheduler_that_does_not_answer_is_one_line_and_leaves_nothing(refused):
    pytest.importorskip("distributed")
    line = refused("Received: http://nowhere", more=["--scheduler", "http://nowhere"])
    assert line.startswith("error: No Dask scheduler answers at the --scheduler address.")


def test_an_unknown_task_lists_the_tasks(refused):
    refused("Received: cardiac_level.", *task_names(), task="cardiac_level")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("TASK = Task(\n", "SyntaxError"),
        ("raise RuntimeError('first line\\nsecond line')\n", "first line second line"),
        ("import not_installed_anywhere\n", "not_installed_anywhere"),
        ("import sys\nsys.exit('bye')\n", "mine.py"),
        ("TASK = 3\n", "TASK = Task"),
        (TASK.format(name="other", more=""), "'other'"),
        (_task("kind='segment'"), "kind"),
        (_task("prep=dict(dtype='unit8')"), "unit8"),
        (_task("prep=dict(dytpe='int16')"), "dytpe"),
        (_task("prep=dict(duplicates=True)"), "prep.duplicates must be a dictionary"),
        (_task("prep=dict(slope='two')"), "prep.slope must be a number"),
        (_task("prep=dict(clahe=3)"), "prep.clahe must be a dictionary"),
        ("\x00", "mine.py"),
        (_task("image_shape=(8, 16, 16)"), "not a NIfTI or MGH file"),
        (_task("channels=('t1', 't2')"), "channels"),
        (_task("layout='tables'"), "one of bids, brats, cases_table"),
    ],
)
def test_a_task_file_that_cannot_be_used_is_one_line(tmp_path, refused, text, named):
    (tmp_path / "mine.py").write_text(text)
    refused(named)


def test_a_layout_file_without_its_functions_is_one_line(tmp_path, refused):
    write_task(tmp_path, 'layout="mine_layout.py"')
    refused("The layout file does not exist")
    (tmp_path / "mine_layout.py").write_text("OPERATIONS = ()\n")
    refused("without VERSION, list_cases, read_case, SETTINGS")


@pytest.mark.parametrize(
    "text, advice",
    [
        ("from data_prep.class_folders import *\n", 'layout="class_folders" in mine.py and remove'),
        ("from data_prep.csv_manifest import *\n", 'layout="cases_table" in mine.py and remove'),
        ("def list_sources(raw, task): ...\n", 'Write layout="mine_prep.py" in mine.py, rename'),
    ],
)
def test_a_prep_file_of_an_earlier_version_is_told_the_line_to_write(tmp_path, refused, text, advice):
    (tmp_path / "mine_prep.py").write_text(text)
    refused(advice)
