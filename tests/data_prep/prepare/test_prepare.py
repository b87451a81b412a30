"""A raw folder becomes the same set of bytes however often, wherever and in how many pieces it runs."""

import csv
import json
import os
import stat
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from raw_folders import (
    CASES,
    DAMAGED,
    PATIENTS,
    files_of,
    image_of,
    pixels_of,
    prepare_shards,
    run_prepare,
    table_of,
)

from data_prep.layouts import cases_table
from data_prep.prepare.pseudonyms import Pseudonyms, read_or_make_salt
from mri_tf.core.errors import InputError
from mri_tf.store.prepared import PRIVATE, Prepared
from mri_tf.store.record import Record, parse_examples

SALT = b"0123456789abcdef"
ROOT = Path(__file__).resolve().parents[3]


def _images(prepared: Prepared) -> np.ndarray:
    records = prepared.read(np.arange(len(prepared)))
    return parse_examples(records, prepared.image_shape, prepared.image_dtype)["image"].numpy()


def test_prepared_images_labels_and_patients_are_those_of_the_files(whole):
    prepared = Prepared.open(whole)
    kept = [number for number in range(CASES) if number != DAMAGED]
    np.testing.assert_array_equal(_images(prepared)[..., 0], [pixels_of(number) for number in kept])
    assert prepared.labels.tolist() == [number % 2 for number in kept]
    assert prepared.patients.tolist() == [PATIENTS[number] for number in kept]
    assert prepared.groups.tolist() == [f"g{number}" for number in kept]
    assert set(prepared.splits) == {"train"} and set(prepared.sites) == {"A"}
    assert prepared.manifest["counts"] == {
        "cases": 5, "records": 5, "patients": 4, "skipped": 1, "per_class": {"left": 2, "right": 3},
    }  # fmt: skip


def test_the_private_table_leads_from_each_record_to_its_file_and_reason(whole):
    with (whole / PRIVATE).open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    by_file = {row["source"]: row for row in rows}
    assert len(rows) == CASES
    prepared = Prepared.open(whole)
    for record_id, patient in zip(prepared.record_ids, prepared.patients, strict=True):
        row = by_file[image_of(int(record_id[:6]))]
        assert (row["record_id"], row["patient_id"]) == (record_id, patient)
    damaged = by_file[image_of(DAMAGED)]
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
    prepare_shards(task_file, raw, tmp_path / "set", shard_bytes=2**20)
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
        Image.fromarray(pixels_of(0)).save(raw / name, **lossless)
    rows = "".join(f" {name} , p , left \r\n" for name in names)
    (raw / "manifest.csv").write_bytes(b"\xef\xbb\xbfimage, patient_id ,label\r\n" + rows.encode())
    prepared, skipped = prepare_shards(task_file, raw, tmp_path / "set")
    assert not skipped and prepared.patients.tolist() == ["p"] * 4
    np.testing.assert_array_equal(_images(prepared)[..., 0], [pixels_of(0)] * 4)
    assert len(set(prepared.contents)) == 1


def test_run_twice_it_does_nothing_and_says_the_same(task_file, raw, tmp_path, capsys):
    out = tmp_path / "set"
    assert run_prepare(task_file, raw, out) == 1
    first = capsys.readouterr()
    times = {path: path.stat().st_mtime_ns for path in [out, *out.iterdir()]}
    assert run_prepare(task_file, raw, out) == 1
    second = capsys.readouterr()
    assert {path: path.stat().st_mtime_ns for path in [out, *out.iterdir()]} == times
    assert second.out == first.out
    assert f"skipped {image_of(DAMAGED)}: not a complete PNG" in second.err
    assert "5 records of 4 patients, 1 skipped" in second.out


def test_an_image_redrawn_at_the_same_size_is_not_called_already_prepared(task_file, tmp_path):
    raw = tmp_path / "raw"
    raw.mkdir()
    (raw / "manifest.csv").write_text("image,patient_id,label\na.bmp,p,left\n")
    Image.fromarray(pixels_of(1)).save(raw / "a.bmp")
    prepare_shards(task_file, raw, tmp_path / "set")
    Image.fromarray(pixels_of(2)).save(raw / "a.bmp")
    with pytest.raises(InputError):
        prepare_shards(task_file, raw, tmp_path / "set")


def test_two_spawned_workers_give_the_bytes_of_one(task_file, raw, whole, tmp_path):
    prepare_shards(task_file, raw, tmp_path / "set", workers=2)
    assert files_of(tmp_path / "set") == files_of(whole)


def test_a_dask_scheduler_gives_the_bytes_of_this_process(task_file, raw, whole, tmp_path):
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=2, processes=False, protocol="tcp", host="127.0.0.1",
        dashboard_address=None,
    ) as cluster:  # fmt: skip
        prepare_shards(task_file, raw, tmp_path / "set", scheduler=cluster.scheduler_address)
    assert files_of(tmp_path / "set") == files_of(whole)


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
        (raw / "manifest.csv").write_text(table_of(cases))
        tracemalloc.start()
        prepare_shards(task_file, raw, tmp_path / f"set{cases}")
        _, highest = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return highest

    peak(5)  # imports and caches
    few, many = peak(100), peak(400)
    assert many - few < 300 * image.nbytes / 8


@pytest.fixture(scope="module")
def hidden(task_file, raw, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("hidden") / "set"
    prepare_shards(task_file, raw, out, pseudonyms=Pseudonyms(SALT))
    return out


def test_pseudonyms_replace_the_ids_everywhere_but_in_the_private_table(hidden, whole):
    for name, data in files_of(hidden).items():
        for patient in set(PATIENTS):
            spellings = (patient.encode(), json.dumps(patient).strip('"').encode())
            assert any(text in data for text in spellings) == (name == PRIVATE), name
    pseudonyms, ids = Prepared.open(hidden).patients, Prepared.open(whole).patients
    assert len(set(pseudonyms)) == len(set(ids)) == len(set(zip(pseudonyms, ids, strict=True)))


def test_the_same_salt_gives_the_same_pseudonyms_and_another_salt_others(
    hidden, task_file, raw, tmp_path
):
    same, _ = prepare_shards(task_file, raw, tmp_path / "a", pseudonyms=Pseudonyms(SALT))
    other, _ = prepare_shards(task_file, raw, tmp_path / "b", pseudonyms=Pseudonyms(b"fedcba9876543210"))
    assert same.patients.tolist() == Prepared.open(hidden).patients.tolist()
    assert not set(other.patients) & set(same.patients)
    assert other.contents.tolist() == same.contents.tolist()
    assert same.manifest["salt"] != other.manifest["salt"]
    assert SALT not in b"".join(files_of(tmp_path / "a").values())


def test_no_file_but_the_private_one_holds_a_file_name_or_path(whole, raw):
    for name, data in files_of(whole).items():
        for word in ("Herzkatheter", "Bildablage", ".png", "Rohdaten", str(raw.parent), "manifest.csv"):
            assert name == PRIVATE or word.encode() not in data, (name, word)
    assert b"Herzkatheter" in (whole / PRIVATE).read_bytes()


def test_the_private_table_is_for_its_owner_only(whole):
    assert stat.S_IMODE((whole / PRIVATE).stat().st_mode) == 0o600


def test_the_salt_is_made_once_for_its_owner_only(task_file, raw, tmp_path, capsys):
    out, salt = tmp_path / "set", tmp_path / "keys" / "salt"
    assert run_prepare(task_file, raw, out, "--pseudonyms", "--salt-file", str(salt)) == 1
    assert stat.S_IMODE(salt.stat().st_mode) == 0o600
    made = salt.read_bytes()
    assert len(made.strip()) >= 16 and made.strip() not in b"".join(files_of(out).values())
    assert run_prepare(task_file, raw, tmp_path / "b", "--pseudonyms", "--salt-file", str(salt)) == 1
    assert salt.read_bytes() == made
    patients = [Prepared.open(folder).patients.tolist() for folder in (out, tmp_path / "b")]
    assert patients[0] == patients[1] and not set(patients[0]) & set(PATIENTS)
    assert str(salt) in capsys.readouterr().out


def test_without_a_salt_file_the_salt_lies_beside_the_set(task_file, raw, tmp_path):
    assert run_prepare(task_file, raw, tmp_path / "set", "--pseudonyms") == 1
    assert stat.S_IMODE((tmp_path / "set.salt").stat().st_mode) == 0o600


@pytest.mark.parametrize("place", ["set/salt", "set/deeper/salt", "set.partial/salt"])
def test_a_salt_inside_the_set_is_refused(task_file, raw, tmp_path, capsys, place):
    out = tmp_path / "set"
    arguments = ("--pseudonyms", "--salt-file", str(tmp_path / place))
    assert run_prepare(task_file, raw, out, *arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1 and "Received:" in error
    assert not out.exists() and not (tmp_path / place).exists()


def test_a_salt_that_is_no_ordinary_file_is_refused_and_left_alone(tmp_path):
    os.mkfifo(tmp_path / "salt")
    with pytest.raises(InputError, match="no ordinary file"):
        read_or_make_salt(tmp_path / "salt", tmp_path / "set")
    assert (tmp_path / "salt").is_fifo()


def test_a_salt_that_is_too_short_is_refused(tmp_path):
    (tmp_path / "salt").write_bytes(b"short\n")
    with pytest.raises(InputError, match="16 bytes"):
        read_or_make_salt(tmp_path / "salt", tmp_path / "set")


def test_ids_kept_once_are_not_mixed_with_pseudonyms(task_file, raw, whole):
    with pytest.raises(InputError, match="salt"):
        prepare_shards(task_file, raw, whole, pseudonyms=Pseudonyms(SALT))
