"""Interrupted or torn anywhere, preparation goes on and gives the bytes of a whole run."""

import functools
import stat
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from raw_folders import CASES, SHARD_BYTES, files_of, image_of, prepare_shards, run_prepare, write_cases

from data_prep.layouts import cases_table
from data_prep.prepare import prepare as preparing
from data_prep.prepare.shards import JOURNAL, ShardWriter
from mri_tf.store.prepared import PRIVATE


def test_an_interrupted_command_says_so_and_the_same_command_finishes(
    task_file, raw, whole, tmp_path, capsys, monkeypatch
):
    out = tmp_path / "set"
    monkeypatch.setattr(
        preparing, "ShardWriter", functools.partial(ShardWriter, shard_bytes=SHARD_BYTES)
    )
    with pytest.MonkeyPatch.context() as patch:
        _interrupt_at(patch, 3)
        assert run_prepare(task_file, raw, out) == 130
    assert "error: Interrupted." in capsys.readouterr().err
    assert not out.exists()
    assert run_prepare(task_file, raw, out) == 1
    assert files_of(out) == files_of(whole)


@pytest.mark.parametrize(
    ("case", "said"), [(0, "Interrupted. Nothing was written."), (3, "Finished work is kept")]
)
def test_an_interrupted_command_says_what_is_kept_only_if_something_is(
    task_file, raw, tmp_path, capsys, case, said
):
    with pytest.MonkeyPatch.context() as patch:
        _interrupt_at(patch, case)
        assert run_prepare(task_file, raw, tmp_path / "set") == 130
    assert said in capsys.readouterr().err


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
            prepare_shards(task_file, raw, out)
    assert not out.exists()
    return out.with_name(out.name + ".partial")


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("case", range(CASES))
def test_interrupted_at_any_case_the_rerun_gives_the_bytes_of_a_whole_run(
    task_file, raw, whole, tmp_path, case, before
):
    partial = _interrupted(task_file, raw, tmp_path / "set", case, before)
    prepare_shards(task_file, raw, tmp_path / "set")
    assert files_of(tmp_path / "set") == files_of(whole)
    assert not partial.exists()


def test_a_rerun_reads_only_the_cases_that_are_left(task_file, raw, tmp_path, monkeypatch):
    _interrupted(task_file, raw, tmp_path / "set", 4, before=True)
    read, original = [], cases_table.read_case
    monkeypatch.setattr(
        cases_table, "read_case", lambda *all: read.append(all[1].files["image"]) or original(*all)
    )
    prepare_shards(task_file, raw, tmp_path / "set")
    assert read == [image_of(number) for number in (4, 5)]


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
        prepare_shards(task_file, raw, out)
        assert files_of(out) == files_of(whole)


@pytest.mark.parametrize(("case", "place"), [(2, -1), (2, -4), (2, 8), (5, None)])
def test_a_shard_that_is_gone_or_whose_own_checksums_are_torn_is_written_again(
    task_file, raw, whole, tmp_path, case, place
):
    partial = _interrupted(task_file, raw, tmp_path / "set", case, before=True)
    shard, *others = sorted(partial.glob("records-*"))
    data = bytearray(shard.read_bytes())
    if place is None:
        shard.unlink()
    else:
        assert not others
        data[place] ^= 1
        shard.write_bytes(data)
    prepare_shards(task_file, raw, tmp_path / "set")
    assert files_of(tmp_path / "set") == files_of(whole)


def test_what_was_begun_from_other_input_is_begun_again(task_file, raw, whole, tmp_path):
    other = write_cases(tmp_path / "other", damaged=1)
    _interrupted(task_file, other, tmp_path / "set", 5, before=True)
    prepare_shards(task_file, raw, tmp_path / "set")
    again, expected = files_of(tmp_path / "set"), files_of(whole)
    # The sidecar keeps when a file was last changed: other for equal files of the other folder.
    assert again.pop(PRIVATE) and expected.pop(PRIVATE)
    assert again == expected


def test_the_private_table_of_a_rerun_is_for_its_owner_only(task_file, raw, tmp_path):
    partial = _interrupted(task_file, raw, tmp_path / "set", 5, before=True)
    (partial / PRIVATE).write_text("left by an older run")
    (partial / PRIVATE).chmod(0o644)
    prepare_shards(task_file, raw, tmp_path / "set")
    assert stat.S_IMODE((tmp_path / "set" / PRIVATE).stat().st_mode) == 0o600
