"""A prepared set that is damaged, of another version or of other input is refused and left alone."""

import json

import numpy as np
import pytest
from raw_folders import TWO, files_of, write_task

from mri_tf.core.errors import InputError
from mri_tf.store.prepared import MANIFEST, PRIVATE, Prepared
from mri_tf.task.files import load_task
from mri_tf.task.overrides import with_values

SHARD = "records-00000.tfrecord"


@pytest.fixture
def prepared_folder(small_raw, said, tmp_path):
    assert said()[0] == 0
    return tmp_path / "out"


def _changed_manifest(change):
    def damage(folder):
        manifest = json.loads((folder / MANIFEST).read_text())
        change(manifest)
        (folder / MANIFEST).write_text(json.dumps(manifest))

    return damage


def _cut(out):
    (out / SHARD).write_bytes((out / SHARD).read_bytes()[:-1])


DAMAGES = {
    "another version": (_changed_manifest(lambda old: old.update(schema_version=0)), "schema version"),
    "a shorter column": (_changed_manifest(lambda old: old["index"]["label"].pop()), MANIFEST),
    "a truncated shard": (_cut, "records-00000"),
    "a missing shard": (lambda out: (out / SHARD).unlink(), "records-00000"),
    "no folder": (lambda out: out.rename(out.with_name("elsewhere")), MANIFEST),
} | {
    text: (lambda out, text=text: (out / MANIFEST).write_text(text), MANIFEST)
    for text in (
        "", "{", "[]", "null", "{}", '{"schema_version": 1}', '{"schema_version": 1, "shards": []}',
    )
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_set_is_refused_in_one_line(prepared_folder, name):
    damage, words = DAMAGES[name]
    damage(prepared_folder)
    with pytest.raises(InputError, match=words) as refused:
        Prepared.open(prepared_folder)
    assert "\n" not in str(refused.value) and "Received:" in str(refused.value)


@pytest.mark.parametrize("place", [0, 12, -20])
def test_a_flipped_byte_in_a_record_is_refused_when_it_is_read(prepared_folder, place):
    shard = prepared_folder / SHARD
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
    other = load_task(write_task(tmp_path, name="other"))
    for changed in (other, with_values(task, {"prep": {"slope": 2.0}})):
        with pytest.raises(InputError, match="Received: .*out of task mine"):
            prepared.check_fits(changed)


def test_a_set_shared_without_its_private_table_is_still_said_to_be_there_or_refused(
    prepared_folder, said
):
    (prepared_folder / PRIVATE).unlink()
    code, lines = said()
    assert code in (0, 2) and not any("Unexpected" in line for line in lines)


def test_a_folder_prepared_from_other_input_is_refused_and_left_alone(prepared_folder, tmp_path, said):
    before = files_of(prepared_folder)
    (tmp_path / "raw" / "manifest.csv").write_text(TWO + "c.png,p3,left\n")
    code, lines = said()
    assert code == 2 and "prepared from other input (list of cases)" in lines[0]
    assert files_of(prepared_folder) == before
