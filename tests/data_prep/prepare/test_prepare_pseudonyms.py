"""Pseudonyms replace ids, and only the private table and the salt lead back to patients and files."""

import json
import stat
from pathlib import Path

import pytest
from raw_folders import PATIENTS, files_of, prepare_command, prepare_in_shards

from data_prep.prepare.pseudonyms import Pseudonyms, read_or_make_salt
from mri_tf.core.errors import InputError
from mri_tf.store.prepared import PRIVATE, Prepared

SALT = b"0123456789abcdef"


@pytest.fixture(scope="module")
def hidden(task_file, raw, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("hidden") / "set"
    prepare_in_shards(task_file, raw, out, pseudonyms=Pseudonyms(SALT))
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
    same, _ = prepare_in_shards(task_file, raw, tmp_path / "a", pseudonyms=Pseudonyms(SALT))
    other, _ = prepare_in_shards(
        task_file, raw, tmp_path / "b", pseudonyms=Pseudonyms(b"fedcba9876543210")
    )
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
    assert prepare_command(task_file, raw, out, "--pseudonyms", "--salt-file", str(salt)) == 1
    assert stat.S_IMODE(salt.stat().st_mode) == 0o600
    made = salt.read_bytes()
    assert len(made.strip()) >= 16 and made.strip() not in b"".join(files_of(out).values())
    assert prepare_command(task_file, raw, tmp_path / "b", "--pseudonyms", "--salt-file", str(salt)) == 1
    assert salt.read_bytes() == made
    patients = [Prepared.open(folder).patients.tolist() for folder in (out, tmp_path / "b")]
    assert patients[0] == patients[1] and not set(patients[0]) & set(PATIENTS)
    assert str(salt) in capsys.readouterr().out


def test_without_a_salt_file_the_salt_lies_beside_the_set(task_file, raw, tmp_path):
    assert prepare_command(task_file, raw, tmp_path / "set", "--pseudonyms") == 1
    assert stat.S_IMODE((tmp_path / "set.salt").stat().st_mode) == 0o600


@pytest.mark.parametrize("place", ["set/salt", "set/deeper/salt", "set.partial/salt"])
def test_a_salt_inside_the_set_is_refused(task_file, raw, tmp_path, capsys, place):
    out = tmp_path / "set"
    arguments = ("--pseudonyms", "--salt-file", str(tmp_path / place))
    assert prepare_command(task_file, raw, out, *arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1 and "Received:" in error
    assert not out.exists() and not (tmp_path / place).exists()


def test_a_salt_that_is_too_short_is_refused(tmp_path):
    (tmp_path / "salt").write_bytes(b"short\n")
    with pytest.raises(InputError, match="16 bytes"):
        read_or_make_salt(tmp_path / "salt", tmp_path / "set")


def test_ids_kept_once_are_not_mixed_with_pseudonyms(task_file, raw, whole):
    with pytest.raises(InputError, match="salt"):
        prepare_in_shards(task_file, raw, whole, pseudonyms=Pseudonyms(SALT))
