"""A raw folder becomes the same set of bytes however often, wherever and in how many pieces it runs."""

import csv
import functools
import json
import stat
import subprocess
import sys
import tempfile
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from data_prep import write
from data_prep.layouts import cases_table
from data_prep.prepare import prepare as preparing
from data_prep.prepare.prepare import PrepareOptions, prepare
from data_prep.prepare.pseudonyms import Pseudonyms, read_or_make_salt
from data_prep.prepare.shards import JOURNAL, ShardWriter
from mri_tf.core.command_line import run_command
from mri_tf.core.errors import InputError
from mri_tf.store.prepared import PRIVATE, Prepared
from mri_tf.store.record import Record, parse_examples
from mri_tf.task.files import load_task

ROOT = Path(__file__).resolve().parents[3]
SIZE = 16
CASES = 6
DAMAGED = 4  # this case cannot be read, so that a run is also continued after a skipped one
PATIENTS = ["Schmidt-0001", "Schmidt-0001", "Özil-0002", "Meyer-0003", "Meyer-0003", "Haas-0004"]
SHARD_BYTES = 900  # two records a shard

TASK = """
from mri_tf.task import Task
TASK = Task(
    name="mine", channels=("g",), image_shape=(16, 16), class_names=("left", "right"), model="vgg"
)
"""


def _write_task(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "mine.py").write_text(TASK, encoding="utf-8")
    return folder / "mine.py"


def _pixels(number: int) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 256, (SIZE, SIZE), np.uint8)


def _file_name(number: int) -> str:
    return f"Herzkatheter_Aufnahme_{number:04d}.png"


def _write_raw(raw: Path, cases: int = CASES, damaged: int | None = DAMAGED) -> Path:
    (raw / "Bildablage").mkdir(parents=True)
    with (raw / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["image", "patient_id", "label", "split", "site", "group"])
        for number in range(cases):
            name = f"Bildablage/{_file_name(number)}"
            Image.fromarray(_pixels(number)).save(raw / name)
            patient = PATIENTS[number % len(PATIENTS)]
            table.writerow([name, patient, ("left", "right")[number % 2], "train", "A", f"g{number}"])
            if number == damaged:
                (raw / name).write_bytes((raw / name).read_bytes()[:90])
    return raw


def _set_bytes(out: Path) -> dict[str, bytes]:
    return {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def task_file(tmp_path_factory) -> Path:
    return _write_task(tmp_path_factory.mktemp("task"))


@pytest.fixture(scope="module")
def raw(tmp_path_factory) -> Path:
    return _write_raw(tmp_path_factory.mktemp("data") / "Rohdaten")


def _prepare(task_file: Path, raw: Path, out: Path, shard_bytes: int = SHARD_BYTES, **options):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(preparing, "ShardWriter", functools.partial(ShardWriter, shard_bytes=shard_bytes))
        return prepare(load_task(task_file), task_file, raw, out, PrepareOptions(**options))


@pytest.fixture(scope="module")
def whole(task_file, raw, tmp_path_factory) -> Path:
    """The set of an uninterrupted run, in several shards."""
    out = tmp_path_factory.mktemp("whole") / "set"
    _prepare(task_file, raw, out)
    return out


def _images(prepared: Prepared) -> np.ndarray:
    records = prepared.read(np.arange(len(prepared)))
    return parse_examples(records, prepared.image_shape, prepared.image_dtype)["image"].numpy()


def _command(task_file: Path, raw: Path, out: Path, *more: str) -> int:
    arguments = ["--task", str(task_file), "--raw", str(raw), "--out", str(out), *more]
    return run_command(write.main, arguments)


# What is in it


def test_prepared_images_labels_and_patients_are_those_of_the_files(whole):
    prepared = Prepared.open(whole)
    kept = [number for number in range(CASES) if number != DAMAGED]
    np.testing.assert_array_equal(_images(prepared)[..., 0], [_pixels(number) for number in kept])
    assert prepared.labels.tolist() == [number % 2 for number in kept]
    assert prepared.patients.tolist() == [PATIENTS[number] for number in kept]
    assert prepared.groups.tolist() == [f"g{number}" for number in kept]
    assert set(prepared.splits) == {"train"} and set(prepared.sites) == {"A"}
    assert prepared.manifest["counts"] == {
        "records": 5, "patients": 4, "skipped": 1, "per_class": {"left": 2, "right": 3},
    }  # fmt: skip


def test_the_private_table_leads_from_each_record_to_its_file_and_reason(whole):
    with (whole / PRIVATE).open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    by_file = {row["source"]: row for row in rows}
    assert len(rows) == CASES
    prepared = Prepared.open(whole)
    for record_id, patient in zip(prepared.record_ids, prepared.patients, strict=True):
        row = by_file[f"Bildablage/{_file_name(int(record_id[:6]))}"]
        assert (row["record_id"], row["patient_id"]) == (record_id, patient)
    damaged = by_file[f"Bildablage/{_file_name(DAMAGED)}"]
    assert damaged["record_id"] == "" and "PNG" in damaged["skipped_because"]


def test_records_of_several_shards_are_found_by_their_place_in_any_order(whole):
    prepared = Prepared.open(whole)
    shards = sorted(whole.glob("records-*"))
    assert len(shards) == len(prepared.manifest["shards"]) >= 2
    assert set(prepared.manifest["index"]["shard"]) == set(range(len(shards)))
    forward = prepared.read(np.arange(len(prepared)))
    order = np.array([3, 0, 4, 1, 2, 0])
    assert prepared.read(order) == [forward[place] for place in order]


def test_tensorflow_reads_the_shards_with_the_bytes_of_prepared_read(whole):
    prepared = Prepared.open(whole)
    files = [str(whole / shard["file"]) for shard in prepared.manifest["shards"]]
    by_tensorflow = [record.numpy() for record in tf.data.TFRecordDataset(files)]
    assert by_tensorflow == prepared.read(np.arange(len(prepared)))


def test_one_shard_and_several_hold_the_same_records(task_file, raw, whole, tmp_path):
    _prepare(task_file, raw, tmp_path / "set", shard_bytes=2**20)
    one, several = Prepared.open(tmp_path / "set"), Prepared.open(whole)
    assert len(one.manifest["shards"]) == 1
    assert one.read(np.arange(len(one))) == several.read(np.arange(len(several)))
    assert one.content_fingerprint() == several.content_fingerprint()


def test_files_of_any_format_become_equal_records(task_file, tmp_path):
    raw = tmp_path / "raw"
    raw.mkdir()
    names = ["a.png", "a.tif", "a.bmp", "a.webp"]
    for name in names:
        lossless = {"lossless": True} if name.endswith("webp") else {}
        Image.fromarray(_pixels(0)).save(raw / name, **lossless)
    rows = "".join(f" {name} , p , left \r\n" for name in names)
    (raw / "manifest.csv").write_bytes(b"\xef\xbb\xbfimage, patient_id ,label\r\n" + rows.encode())
    prepared, skipped = _prepare(task_file, raw, tmp_path / "set")
    assert not skipped and prepared.patients.tolist() == ["p"] * 4
    np.testing.assert_array_equal(_images(prepared)[..., 0], [_pixels(0)] * 4)
    assert len(set(prepared.contents)) == 1


# Again


def test_run_twice_it_does_nothing_and_says_the_same(task_file, raw, tmp_path, capsys):
    out = tmp_path / "set"
    assert _command(task_file, raw, out) == 1
    first = capsys.readouterr()
    times = {path: path.stat().st_mtime_ns for path in [out, *out.iterdir()]}
    assert _command(task_file, raw, out) == 1
    second = capsys.readouterr()
    assert {path: path.stat().st_mtime_ns for path in [out, *out.iterdir()]} == times
    assert second.out == first.out
    assert f"skipped Bildablage/{_file_name(DAMAGED)}: not a complete PNG" in second.err
    assert "5 records of 4 patients, 1 inputs skipped" in second.out


def test_an_image_redrawn_at_the_same_size_is_not_called_already_prepared(task_file, tmp_path):
    raw = tmp_path / "raw"
    raw.mkdir()
    (raw / "manifest.csv").write_text("image,patient_id,label\na.bmp,p,left\n")
    Image.fromarray(_pixels(1)).save(raw / "a.bmp")
    _prepare(task_file, raw, tmp_path / "set")
    Image.fromarray(_pixels(2)).save(raw / "a.bmp")
    with pytest.raises(InputError):
        _prepare(task_file, raw, tmp_path / "set")


def test_an_interrupted_command_says_so_and_the_same_command_finishes(
    task_file, raw, whole, tmp_path, capsys, monkeypatch
):
    out = tmp_path / "set"
    monkeypatch.setattr(
        preparing, "ShardWriter", functools.partial(ShardWriter, shard_bytes=SHARD_BYTES)
    )
    with pytest.MonkeyPatch.context() as patch:
        _interrupt_at(patch, 3)
        assert _command(task_file, raw, out) == 130
    assert "error: Interrupted." in capsys.readouterr().err
    assert not out.exists()
    assert _command(task_file, raw, out) == 1
    assert _set_bytes(out) == _set_bytes(whole)


def _interrupt_at(patch: pytest.MonkeyPatch, case: int, before: bool = True) -> None:
    """Ctrl-C at a case, before or after its records are written."""
    for name in ("add", "skip"):
        original = getattr(ShardWriter, name)

        def interrupted(writer, *arguments, original=original):
            reached = writer.cases_done == case
            if reached and before:
                raise KeyboardInterrupt
            original(writer, *arguments)
            if reached:
                raise KeyboardInterrupt

        patch.setattr(ShardWriter, name, interrupted)


def _interrupted(task_file: Path, raw: Path, out: Path, case: int, before: bool) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        _interrupt_at(patch, case, before)
        with pytest.raises(KeyboardInterrupt):
            _prepare(task_file, raw, out)
    assert not out.exists()
    return out.with_name(out.name + ".partial")


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("case", range(CASES))
def test_interrupted_at_any_case_the_rerun_gives_the_bytes_of_a_whole_run(
    task_file, raw, whole, tmp_path, case, before
):
    partial = _interrupted(task_file, raw, tmp_path / "set", case, before)
    _prepare(task_file, raw, tmp_path / "set")
    assert _set_bytes(tmp_path / "set") == _set_bytes(whole)
    assert not partial.exists()


def test_a_rerun_reads_only_the_cases_that_are_left(task_file, raw, tmp_path, monkeypatch):
    _interrupted(task_file, raw, tmp_path / "set", 4, before=True)
    read, original = [], cases_table.read_case
    monkeypatch.setattr(
        cases_table, "read_case", lambda *all: read.append(all[1].files["image"]) or original(*all)
    )
    _prepare(task_file, raw, tmp_path / "set")
    assert read == [f"Bildablage/{_file_name(number)}" for number in (4, 5)]


@given(
    case=st.integers(1, CASES - 1),
    file=st.sampled_from([JOURNAL, "first shard", "last shard"]),
    kept=st.floats(0, 1),
    tail=st.binary(max_size=40),
)
@settings(max_examples=25, deadline=None)
def test_torn_at_any_byte_the_rerun_gives_the_bytes_of_a_whole_run(
    task_file, raw, whole, case, file, kept, tail
):
    # A power cut may lose the end of any file that was not synced, or leave rubbish behind it.
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "set"
        partial = _interrupted(task_file, raw, out, case, before=True)
        shards = sorted(partial.glob("records-*"))
        torn = partial / JOURNAL if file == JOURNAL else shards[0 if file == "first shard" else -1]
        data = torn.read_bytes()
        tail = tail.replace(b"\n", b"") if file == JOURNAL else tail
        torn.write_bytes(data[: round(kept * len(data))] + tail)
        _prepare(task_file, raw, out)
        assert _set_bytes(out) == _set_bytes(whole)


@pytest.mark.parametrize("place", [-1, -4, 8])
def test_a_record_whose_own_checksums_are_torn_is_written_again(task_file, raw, whole, tmp_path, place):
    partial = _interrupted(task_file, raw, tmp_path / "set", 2, before=True)
    (shard,) = sorted(partial.glob("records-*"))
    data = bytearray(shard.read_bytes())
    data[place] ^= 1
    shard.write_bytes(data)
    _prepare(task_file, raw, tmp_path / "set")
    assert _set_bytes(tmp_path / "set") == _set_bytes(whole)


def test_a_shard_that_is_gone_is_written_again(task_file, raw, whole, tmp_path):
    partial = _interrupted(task_file, raw, tmp_path / "set", 5, before=True)
    sorted(partial.glob("records-*"))[0].unlink()
    _prepare(task_file, raw, tmp_path / "set")
    assert _set_bytes(tmp_path / "set") == _set_bytes(whole)


def test_what_was_begun_from_other_input_is_begun_again(task_file, raw, whole, tmp_path):
    other = _write_raw(tmp_path / "other", damaged=1)
    _interrupted(task_file, other, tmp_path / "set", 5, before=True)
    _prepare(task_file, raw, tmp_path / "set")
    again, expected = _set_bytes(tmp_path / "set"), _set_bytes(whole)
    # The sidecar keeps when a file was last changed: other for equal files of the other folder.
    assert again.pop(PRIVATE) and expected.pop(PRIVATE)
    assert again == expected


# Elsewhere


def test_two_spawned_workers_give_the_bytes_of_one(task_file, raw, whole, tmp_path):
    _prepare(task_file, raw, tmp_path / "set", workers=2)
    assert _set_bytes(tmp_path / "set") == _set_bytes(whole)


def test_a_dask_scheduler_gives_the_bytes_of_this_process(task_file, raw, whole, tmp_path):
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=2, processes=False, protocol="tcp", host="127.0.0.1",
        dashboard_address=None,
    ) as cluster:  # fmt: skip
        _prepare(task_file, raw, tmp_path / "set", scheduler=cluster.scheduler_address)
    assert _set_bytes(tmp_path / "set") == _set_bytes(whole)


def test_an_error_in_this_process_keeps_its_name_whatever_was_imported_before():
    program = """
from mri_tf.core.executors import executor, map_in_order
def fail(item):
    raise OSError(28, "full")
try:
    with executor(1) as pool:
        list(map_in_order(pool, fail, [1], 1))
except OSError as error:
    print("kept", error.errno)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "kept 28\n", done.stderr


def test_memory_stays_flat_however_many_images_there_are(task_file, tmp_path, monkeypatch):
    image = np.zeros((128, 128, 4), np.uint8)  # 64 KiB, so 300 more of them would be 19 MiB
    monkeypatch.setattr(
        cases_table, "read_case",
        lambda raw, case, task: [Record("", case.patient, image.copy(), label=0)],
    )  # fmt: skip

    def peak(cases: int) -> int:
        raw = tmp_path / str(cases)
        raw.mkdir()
        rows = "".join(f"{number}.png,p{number},left\n" for number in range(cases))
        (raw / "manifest.csv").write_text("image,patient_id,label\n" + rows)
        tracemalloc.start()
        _prepare(task_file, raw, tmp_path / f"set{cases}")
        _, highest = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return highest

    peak(5)  # imports and caches
    few, many = peak(100), peak(400)
    assert many - few < 300 * image.nbytes / 8


# Whose they are


@pytest.fixture(scope="module")
def hidden(task_file, raw, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("hidden") / "set"
    _prepare(task_file, raw, out, pseudonyms=Pseudonyms(b"0123456789abcdef"))
    return out


def test_pseudonyms_replace_the_ids_everywhere_but_in_the_private_table(hidden, whole):
    for name, data in _set_bytes(hidden).items():
        for patient in set(PATIENTS):
            spellings = (patient.encode(), json.dumps(patient).strip('"').encode())
            assert any(text in data for text in spellings) == (name == PRIVATE), name
    pseudonyms, ids = Prepared.open(hidden).patients, Prepared.open(whole).patients
    assert len(set(pseudonyms)) == len(set(ids)) == len(set(zip(pseudonyms, ids, strict=True)))


def test_the_same_salt_gives_the_same_pseudonyms_and_another_salt_others(
    hidden, task_file, raw, tmp_path
):
    same, _ = _prepare(task_file, raw, tmp_path / "a", pseudonyms=Pseudonyms(b"0123456789abcdef"))
    other, _ = _prepare(task_file, raw, tmp_path / "b", pseudonyms=Pseudonyms(b"fedcba9876543210"))
    assert same.patients.tolist() == Prepared.open(hidden).patients.tolist()
    assert not set(other.patients) & set(same.patients)
    assert other.contents.tolist() == same.contents.tolist()
    assert same.manifest["salt"] != other.manifest["salt"]
    assert b"0123456789abcdef" not in b"".join(_set_bytes(tmp_path / "a").values())


def test_no_file_but_the_private_one_holds_a_file_name_or_path(whole, raw):
    for name, data in _set_bytes(whole).items():
        for word in ("Herzkatheter", "Bildablage", ".png", "Rohdaten", str(raw.parent), "manifest.csv"):
            assert name == PRIVATE or word.encode() not in data, (name, word)
    assert b"Herzkatheter" in (whole / PRIVATE).read_bytes()


def test_the_private_table_is_for_its_owner_only(whole):
    assert stat.S_IMODE((whole / PRIVATE).stat().st_mode) == 0o600


def test_the_private_table_of_a_rerun_is_for_its_owner_only(task_file, raw, tmp_path):
    partial = _interrupted(task_file, raw, tmp_path / "set", 5, before=True)
    (partial / PRIVATE).write_text("left by an older run")
    (partial / PRIVATE).chmod(0o644)
    _prepare(task_file, raw, tmp_path / "set")
    assert stat.S_IMODE((tmp_path / "set" / PRIVATE).stat().st_mode) == 0o600


def test_the_salt_is_made_once_for_its_owner_only(task_file, raw, tmp_path, capsys):
    out, salt = tmp_path / "set", tmp_path / "keys" / "salt"
    assert _command(task_file, raw, out, "--pseudonyms", "--salt-file", str(salt)) == 1
    assert stat.S_IMODE(salt.stat().st_mode) == 0o600
    made = salt.read_bytes()
    assert len(made.strip()) >= 16 and made.strip() not in b"".join(_set_bytes(out).values())
    assert _command(task_file, raw, tmp_path / "b", "--pseudonyms", "--salt-file", str(salt)) == 1
    assert salt.read_bytes() == made
    patients = [Prepared.open(folder).patients.tolist() for folder in (out, tmp_path / "b")]
    assert patients[0] == patients[1] and not set(patients[0]) & set(PATIENTS)
    assert str(salt) in capsys.readouterr().out


def test_without_a_salt_file_the_salt_lies_beside_the_set(task_file, raw, tmp_path):
    assert _command(task_file, raw, tmp_path / "set", "--pseudonyms") == 1
    assert stat.S_IMODE((tmp_path / "set.salt").stat().st_mode) == 0o600


@pytest.mark.parametrize("place", ["set/salt", "set/deeper/salt", "set.partial/salt"])
def test_a_salt_inside_the_set_is_refused(task_file, raw, tmp_path, capsys, place):
    out = tmp_path / "set"
    arguments = ("--pseudonyms", "--salt-file", str(tmp_path / place))
    assert _command(task_file, raw, out, *arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1 and "Received:" in error
    assert not out.exists() and not (tmp_path / place).exists()


def test_a_salt_that_is_too_short_is_refused(tmp_path):
    (tmp_path / "salt").write_bytes(b"short\n")
    with pytest.raises(InputError, match="16 bytes"):
        read_or_make_salt(tmp_path / "salt", tmp_path / "set")


def test_ids_kept_once_are_not_mixed_with_pseudonyms(task_file, raw, whole):
    with pytest.raises(InputError, match="salt"):
        _prepare(task_file, raw, whole, pseudonyms=Pseudonyms(b"0123456789abcdef"))
