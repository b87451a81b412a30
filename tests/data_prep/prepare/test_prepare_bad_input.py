"""Whatever a folder holds, preparation says one line about it and leaves nothing half-written."""

import errno
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data_prep import write
from data_prep.prepare import shards
from mri_tf.core.command_line import run_command
from mri_tf.core.errors import InputError
from mri_tf.store.prepared import MANIFEST, PRIVATE, Prepared
from mri_tf.task.files import load_task, task_names
from mri_tf.task.overrides import with_values

TASK = """
from mri_tf.task import Task
TASK = Task(name="{name}", channels=("g",), image_shape=(16, 16), class_names=("left", "right", "none"),
            model="vgg", **dict({more}))
"""
HEADER = "image,patient_id,label\n"
GOOD = HEADER + "a.png,p1,left\nb.png,p2,right\n"


def _write_task(folder: Path, name: str = "mine", more: str = "") -> Path:
    path = folder / f"{name}.py"
    path.write_text(TASK.format(name=name, more=more), encoding="utf-8")
    return path


def _save(path: Path, seed: int = 0, dtype=np.uint8, highest: int = 256) -> None:
    pixels = np.random.default_rng(seed).integers(0, highest, (16, 16)).astype(dtype)
    Image.fromarray(pixels).save(path)


def _write_raw(folder: Path, table: str | bytes | None = GOOD) -> Path:
    """raw/ with a.png, b.png and a table; other tests put worse things beside them."""
    raw = folder / "raw"
    raw.mkdir()
    _save(raw / "a.png", 1)
    _save(raw / "b.png", 2)
    if table is not None:
        data = table if isinstance(table, bytes) else table.encode()
        (raw / "manifest.csv").write_bytes(data)
    return raw


def _command(folder: Path, *more: str, task: str = "", raw: Path | None = None) -> int:
    arguments = ["--task", task or str(folder / "mine.py"), "--raw", str(raw or folder / "raw")]
    return run_command(write.main, [*arguments, "--out", str(folder / "out"), *more])


def _errors(capsys) -> list[str]:
    """The lines on stderr, without those that tell progress."""
    return [line for line in capsys.readouterr().err.splitlines() if not line.startswith("preparing ")]


def _assert_refused(folder: Path, capsys, *names: str, code: int = 2, **arguments) -> str:
    assert _command(folder, **arguments) == code
    lines = _errors(capsys)
    assert len(lines) == 1, lines
    assert lines[0].startswith("error: ") and "Unexpected" not in lines[0], lines
    assert code != 2 or "Received:" in lines[0]
    for name in names:
        assert name in lines[0]
    assert sorted(path.name for path in folder.glob("out*")) == []
    return lines[0]


@pytest.fixture(autouse=True)
def _task(tmp_path):
    _write_task(tmp_path)


# The folder and the table


def test_an_empty_raw_folder_is_refused(tmp_path, capsys):
    (tmp_path / "raw").mkdir()
    _assert_refused(tmp_path, capsys, "manifest.csv", "image, patient_id, label")


def test_a_missing_raw_folder_is_refused(tmp_path, capsys):
    _assert_refused(tmp_path, capsys, "--raw must be a folder", str(tmp_path / "raw"))


def test_a_file_in_place_of_the_raw_folder_is_refused(tmp_path, capsys):
    raw = _write_raw(tmp_path)
    _assert_refused(tmp_path, capsys, "--raw must be a folder", raw=raw / "manifest.csv")


@pytest.mark.parametrize(
    ("table", "named"),
    [
        ("image,label\na.png,left\n", "patient_id"),
        ("", "patient_id"),
        ("\n\n\n", "patient_id"),
        (HEADER, "manifest.csv has no rows"),
        (HEADER + "\n \n", "manifest.csv"),
        ("image;patient_id;label\na.png;p1;left\n", "patient_id"),
        (HEADER + "a.png,,left\nb.png,p2,right\n", "line 2"),
        (HEADER + "a.png\n", "line 2"),
        (HEADER + "a.png,p1,links\nb.png,p2,right\n", "'links'"),
        (HEADER + "a.png,p1,\nb.png,p2,right\n", "''"),
        (HEADER + ",p1,left\nb.png,p2,right\n", "line 2"),
        ("image,patient_id,label,split\na.png,p1,left,train\nb.png,p1,left,test\n", "p1"),
        ("image,patient_id,label,split\na.png,p1,left,train\nb.png,p1,left,\n", "p1"),
        (GOOD.encode("utf-16"), "UTF-8"),
        ((GOOD + "a.png,M\u00fcller,left\n").encode("latin-1"), "UTF-8"),
        (b"PK\x03\x04 an Excel workbook \xff\xfe\x00", "manifest.csv"),
        (HEADER + 'a.png,"p1,left\n' + "x" * 200_000, "manifest.csv"),
        (HEADER + "x" * 5000 + ".png,p1,left\n", ""),
    ],
    ids=lambda value: None if isinstance(value, bytes) or len(value) > 40 else repr(value)[:30],
)
def test_a_table_that_cannot_be_used_is_refused(tmp_path, capsys, table, named):
    _write_raw(tmp_path, table)
    _assert_refused(tmp_path, capsys, named)


def test_a_table_that_is_a_folder_is_refused(tmp_path, capsys):
    (_write_raw(tmp_path, None) / "manifest.csv").mkdir()
    _assert_refused(tmp_path, capsys, "manifest.csv")


def test_a_table_of_nothing_readable_is_refused(tmp_path, capsys):
    raw = _write_raw(tmp_path)
    (raw / "a.png").write_bytes(b"")
    (raw / "b.png").unlink()
    _assert_refused(tmp_path, capsys, "a.png: the file is empty", "b.png: the file does not exist")


def test_out_that_holds_other_files_is_refused_and_left_alone(tmp_path, capsys):
    _write_raw(tmp_path)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("mine")
    assert _command(tmp_path) == 2
    assert _errors(capsys)[0].startswith("error: The output folder must be new or empty. Received:")
    assert [path.name for path in tmp_path.glob("out*/*")] == ["thesis.txt"]


def test_out_that_is_a_file_is_refused_and_left_alone(tmp_path, capsys):
    _write_raw(tmp_path)
    (tmp_path / "out").write_text("mine")
    assert _command(tmp_path) == 2
    (line,) = _errors(capsys)
    assert line.startswith("error: ") and "Received:" in line
    assert (tmp_path / "out").read_text() == "mine" and not (tmp_path / "out.partial").exists()


def test_an_empty_current_folder_as_out_is_used_or_refused(tmp_path, capsys, monkeypatch):
    raw = _write_raw(tmp_path)
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    task = str(tmp_path / "mine.py")
    code = run_command(write.main, ["--task", task, "--raw", str(raw), "--out", "."])
    assert code in (0, 2), _errors(capsys)


def test_an_empty_out_folder_is_used(tmp_path):
    _write_raw(tmp_path)
    (tmp_path / "out").mkdir()
    assert _command(tmp_path) == 0
    assert len(Prepared.open(tmp_path / "out")) == 2


def test_a_salt_file_that_is_a_folder_is_refused(tmp_path, capsys):
    _write_raw(tmp_path)
    (tmp_path / "salt").mkdir()
    assert _command(tmp_path, "--pseudonyms", "--salt-file", str(tmp_path / "salt")) == 2
    (line,) = _errors(capsys)
    assert line.startswith("error: ") and "Received:" in line


# Single files


def _truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:150])


def _cut_in_the_header(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:20])


def _gone(path: Path) -> None:
    path.unlink()


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _text(path: Path) -> None:
    path.write_text("Please see the other folder.\n" * 9)


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _dicom(path: Path) -> None:
    path.write_bytes(bytes(128) + b"DICM" + bytes(200))


def _one_channel_of_nan(path: Path) -> None:
    Image.fromarray(np.full((16, 16), np.nan, np.float32)).save(path, format="TIFF")


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (_truncated, "not a complete PNG"), (_cut_in_the_header, "not a complete image"),
        (_gone, "does not exist"), (_empty, "the file is empty"), (_text, "not a readable image"),
        (_folder, ""), (_dicom, "not a readable image"), (_one_channel_of_nan, "NaN"),
    ],
)  # fmt: skip
def test_a_spoilt_image_is_skipped_by_name_and_reason_and_the_rest_is_written(
    tmp_path, capsys, spoil, reason
):
    spoil(_write_raw(tmp_path) / "a.png")
    assert _command(tmp_path) == 1
    (line,) = _errors(capsys)
    assert line.startswith("skipped a.png: ") and reason in line
    prepared = Prepared.open(tmp_path / "out")
    assert prepared.patients.tolist() == ["p2"] and prepared.manifest["counts"]["skipped"] == 1


@pytest.mark.parametrize("spoil", [_truncated, _gone, _text])
def test_strict_refuses_a_spoilt_image_and_writes_nothing(tmp_path, capsys, spoil):
    spoil(_write_raw(tmp_path) / "a.png")
    assert _command(tmp_path, "--strict") == 2
    (line,) = _errors(capsys)
    assert line.startswith("error: --strict") and "Received: a.png: " in line
    assert not list(tmp_path.glob("out*"))


def test_strict_refuses_a_set_that_was_prepared_with_gaps(tmp_path, capsys):
    _gone(_write_raw(tmp_path) / "a.png")
    assert _command(tmp_path) == 1
    assert _command(tmp_path, "--strict") == 2
    assert "a.png: the file does not exist" in _errors(capsys)[-1]


def _write_segmentation(folder: Path, mask: np.ndarray | None, table: str = "") -> None:
    _write_task(folder, more='kind="segmentation"')
    raw = _write_raw(folder, table or "image,patient_id,mask\na.png,p1,ma.png\nb.png,p2,mb.png\n")
    Image.fromarray(np.eye(16, dtype=np.uint8)).save(raw / "mb.png")
    if mask is not None:
        Image.fromarray(mask).save(raw / "ma.png")


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
def test_a_mask_that_does_not_fit_is_skipped_by_name_and_reason(tmp_path, capsys, mask, reason):
    _write_segmentation(tmp_path, mask)
    assert _command(tmp_path) == 1
    (line,) = _errors(capsys)
    assert line.startswith("skipped a.png: ") and reason in line
    assert Prepared.open(tmp_path / "out").patients.tolist() == ["p2"]


def test_a_row_without_a_mask_is_skipped_by_name_and_reason(tmp_path, capsys):
    _write_segmentation(tmp_path, None, "image,patient_id,mask\na.png,p1,\nb.png,p2,mb.png\n")
    assert _command(tmp_path) == 1
    assert _errors(capsys) == ["skipped a.png: the row names no mask"]


def test_a_16_bit_image_of_an_8_bit_task_is_not_clipped_in_silence(tmp_path, capsys):
    raw = _write_raw(tmp_path)
    _save(raw / "a.png", dtype=np.uint16, highest=4096)  # what most MR exports look like
    assert _command(tmp_path) in (1, 2)
    assert any("a.png" in line for line in _errors(capsys))


# levels.csv


def _write_levels(folder: Path, rows: str) -> Path:
    raw = folder / "raw"
    raw.mkdir()
    (raw / "levels.csv").write_text("patient_id,z_mm,level\n" + rows)
    return raw


@pytest.mark.parametrize("height", ["", "12;5", "nan", "inf", "-inf", "1e999"])
def test_a_height_that_is_no_number_is_refused(tmp_path, capsys, height):
    import nibabel

    raw = _write_levels(tmp_path, f"p1,{height},aortic_arch\n")
    (raw / "volumes").mkdir()
    volume = nibabel.Nifti1Image(np.zeros((4, 4, 4), np.int16), np.eye(4))
    nibabel.save(volume, raw / "volumes" / "p1.nii.gz")
    _assert_refused(tmp_path, capsys, "z_mm", "line 2", task="cardiac_levels")


def test_a_level_without_a_patient_is_refused(tmp_path, capsys):
    _write_levels(tmp_path, ",10,aortic_arch\n")
    _assert_refused(tmp_path, capsys, "patient_id", "line 2", task="cardiac_levels")


# Opening a set


@pytest.fixture
def prepared_folder(tmp_path) -> Path:
    _write_raw(tmp_path)
    assert _command(tmp_path) == 0
    return tmp_path / "out"


def _change_manifest(folder: Path, change) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    change(manifest)
    (folder / MANIFEST).write_text(json.dumps(manifest))


def _assert_not_opened(folder: Path, match: str) -> None:
    with pytest.raises(InputError, match=match) as refused:
        Prepared.open(folder)
    assert "\n" not in str(refused.value) and "Received:" in str(refused.value)


def test_a_set_of_another_schema_version_is_refused(prepared_folder):
    _change_manifest(prepared_folder, lambda manifest: manifest.update(schema_version=0))
    _assert_not_opened(prepared_folder, "schema version")


def test_a_truncated_shard_is_refused(prepared_folder):
    shard = prepared_folder / "records-00000.tfrecord"
    shard.write_bytes(shard.read_bytes()[:-1])
    _assert_not_opened(prepared_folder, "records-00000")


def test_a_missing_shard_is_refused(prepared_folder):
    (prepared_folder / "records-00000.tfrecord").unlink()
    _assert_not_opened(prepared_folder, "records-00000")


def test_a_folder_without_a_manifest_is_refused(tmp_path):
    _assert_not_opened(tmp_path / "nowhere", MANIFEST)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", "{}", '{"schema_version": 1}', '{"schema_version": 1, "shards": []}']
)
def test_a_broken_manifest_is_refused(prepared_folder, text):
    (prepared_folder / MANIFEST).write_text(text)
    _assert_not_opened(prepared_folder, MANIFEST)


def test_a_manifest_with_a_shorter_column_is_refused(prepared_folder):
    _change_manifest(prepared_folder, lambda manifest: manifest["index"]["label"].pop())
    _assert_not_opened(prepared_folder, MANIFEST)


@pytest.mark.parametrize("place", [0, 12, -20])
def test_a_flipped_byte_in_a_record_is_refused_when_it_is_read(prepared_folder, place):
    shard = prepared_folder / "records-00000.tfrecord"
    prepared = Prepared.open(prepared_folder)
    length = prepared.manifest["index"]["length"][0]
    data = bytearray(shard.read_bytes())
    data[12 + place % length] ^= 1
    shard.write_bytes(data)
    opened = Prepared.open(prepared_folder)
    with pytest.raises(InputError, match="damaged"):
        opened.read(np.array([0]))
    assert len(opened.read(np.array([1]))) == 1


def test_a_set_of_another_task_or_of_other_prep_does_not_fit(prepared_folder, tmp_path):
    task, prepared = load_task(tmp_path / "mine.py"), Prepared.open(prepared_folder)
    prepared.check_fits(task)
    prepared.check_fits(with_values(task, {"epochs": 3}))
    other = load_task(_write_task(tmp_path, "other"))
    for changed in (other, with_values(task, {"prep": {"slope": 2.0}})):
        with pytest.raises(InputError, match="Received: .*out of task mine"):
            prepared.check_fits(changed)


def test_a_set_shared_without_its_private_table_is_still_said_to_be_there_or_refused(
    prepared_folder, tmp_path, capsys
):
    (prepared_folder / PRIVATE).unlink()
    assert _command(tmp_path) in (0, 2)
    assert not any("Unexpected" in line for line in _errors(capsys))


def test_a_folder_prepared_from_other_input_is_refused_and_left_alone(prepared_folder, tmp_path, capsys):
    before = {path: path.read_bytes() for path in prepared_folder.iterdir()}
    (tmp_path / "raw" / "manifest.csv").write_text(GOOD + "a.png,p3,none\n")
    assert _command(tmp_path) == 2
    assert "prepared from other input (list of cases)" in _errors(capsys)[0]
    assert {path: path.read_bytes() for path in prepared_folder.iterdir()} == before


# A full disk


class _FullDisk:
    """Lets files named records-* take `room` bytes, then half of what is written and an error."""

    def __init__(self, patch: pytest.MonkeyPatch, room: int):
        original = Path.open
        written = [0]

        def opened(path, *arguments, **named):
            file = original(path, *arguments, **named)
            if not path.name.startswith("records-"):
                return file
            write_whole = file.write

            def write(data):
                written[0] += len(data)
                if written[0] > room:
                    write_whole(data[: len(data) // 2])
                    file.flush()
                    raise OSError(errno.ENOSPC, "No space left on device")
                return write_whole(data)

            return _Wrapped(file, write)

        patch.setattr(Path, "open", opened)


class _Wrapped:
    def __init__(self, file, write):
        self._file, self.write = file, write

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._file.close()

    def __getattr__(self, name):
        return getattr(self._file, name)


def _assert_full_disk_is_survived(tmp_path, capsys, fill) -> None:
    _write_raw(tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        fill(patch)
        assert _command(tmp_path) == 3
    (line,) = _errors(capsys)
    assert line.startswith("error: The disk is full")
    assert not (tmp_path / "out").exists()
    assert _command(tmp_path) == 0
    after = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    (tmp_path / "out").rename(tmp_path / "rerun")
    assert _command(tmp_path) == 0
    assert after == {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}


@pytest.mark.parametrize("room", [0, 600])
def test_a_full_disk_is_one_line_and_the_rerun_gives_equal_bytes(tmp_path, capsys, room):
    _assert_full_disk_is_survived(tmp_path, capsys, lambda patch: _FullDisk(patch, room))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_that_tensorflows_writer_meets_first_is_told_the_same(tmp_path, capsys):
    framed = shards._framed

    def framed_on_a_full_disk(data, folder):
        (folder / "frame.tmp").symlink_to("/dev/full")
        try:
            return framed(data, folder)
        finally:
            (folder / "frame.tmp").unlink(missing_ok=True)

    _assert_full_disk_is_survived(
        tmp_path, capsys, lambda patch: patch.setattr(shards, "_framed", framed_on_a_full_disk)
    )


def test_a_full_disk_at_the_manifest_is_one_line_and_the_rerun_gives_equal_bytes(tmp_path, capsys):
    def fill(patch):
        write_text = Path.write_text

        def written(path, text, **named):
            if path.name == MANIFEST:
                write_text(path, text[: len(text) // 2], **named)
                raise OSError(errno.ENOSPC, "No space left on device")
            return write_text(path, text, **named)

        patch.setattr(Path, "write_text", written)

    _assert_full_disk_is_survived(tmp_path, capsys, fill)


# The task and the machines


def test_a_scheduler_that_does_not_answer_is_one_line_and_leaves_nothing(tmp_path, capsys):
    pytest.importorskip("distributed")
    _write_raw(tmp_path)
    assert _command(tmp_path, "--scheduler", "http://nowhere") == 2
    (line,) = _errors(capsys)
    assert line.startswith("error: --scheduler") and "Received: http://nowhere" in line
    assert not list(tmp_path.glob("out*"))


def test_an_unknown_task_lists_the_tasks(tmp_path, capsys):
    _write_raw(tmp_path)
    line = _assert_refused(tmp_path, capsys, "Received: cardiac_level.", task="cardiac_level")
    for name in task_names():
        assert name in line


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("TASK = Task(\n", "SyntaxError"),
        ("raise RuntimeError('first line\\nsecond line')\n", "first line second line"),
        ("import not_installed_anywhere\n", "not_installed_anywhere"),
        ("import sys\nsys.exit('bye')\n", "mine.py"),
        ("TASK = 3\n", "TASK = Task"),
        (TASK.format(name="other", more=""), "'other'"),
        (TASK.format(name="mine", more="kind='segment'"), "kind"),
        (TASK.format(name="mine", more="prep=dict(dtype='unit8')"), "unit8"),
        (TASK.format(name="mine", more="prep=dict(dytpe='int16')"), "dytpe"),
        ("\x00", "mine.py"),
    ],
)
def test_a_task_file_that_does_not_run_is_one_line(tmp_path, capsys, text, named):
    _write_raw(tmp_path)
    (tmp_path / "mine.py").write_text(text)
    _assert_refused(tmp_path, capsys, named)


def test_a_3d_task_without_a_layout_is_told_that_the_table_is_of_2d_images(tmp_path, capsys):
    text = TASK.format(name="mine", more="").replace("(16, 16)", "(8, 16, 16)")
    (tmp_path / "mine.py").write_text(text)
    _write_raw(tmp_path)
    _assert_refused(tmp_path, capsys, "image_shape")


def test_a_task_of_two_channels_without_a_layout_is_one_line(tmp_path, capsys):
    text = TASK.format(name="mine", more="").replace('("g",)', '("t1", "t2")')
    (tmp_path / "mine.py").write_text(text)
    _write_raw(tmp_path)
    _assert_refused(tmp_path, capsys, "channels")


def test_a_layout_file_without_its_functions_is_one_line(tmp_path, capsys):
    _write_raw(tmp_path)
    (tmp_path / "mine.py").write_text(TASK.format(name="mine", more='layout="mine_layout.py"'))
    _assert_refused(tmp_path, capsys, "The layout file does not exist")
    (tmp_path / "mine_layout.py").write_text("OPERATIONS = ()\n")
    _assert_refused(tmp_path, capsys, "without VERSION, list_cases, read_case, SETTINGS")


@pytest.mark.parametrize(
    "text, advice",
    [
        ("from data_prep.class_folders import *\n", 'layout="class_folders" in mine.py and remove'),
        ("from data_prep.csv_manifest import *\n", 'layout="cases_table" in mine.py and remove'),
        ("def list_sources(raw, task): ...\n", 'Write layout="mine_prep.py" in mine.py, rename'),
    ],
)
def test_a_prep_file_of_an_earlier_version_is_told_the_line_to_write(tmp_path, capsys, text, advice):
    _write_raw(tmp_path)
    (tmp_path / "mine.py").write_text(TASK.format(name="mine", more=""))
    (tmp_path / "mine_prep.py").write_text(text)
    _assert_refused(tmp_path, capsys, advice)


def test_an_unknown_layout_is_one_line(tmp_path, capsys):
    _write_raw(tmp_path)
    (tmp_path / "mine.py").write_text(TASK.format(name="mine", more='layout="tables"'))
    _assert_refused(tmp_path, capsys, "one of brats, cases_table")
