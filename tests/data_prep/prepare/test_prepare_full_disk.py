"""A full disk, wherever it is met first, is one line, and the rerun gives equal bytes."""

import errno
from pathlib import Path

import pytest
from raw_folders import files_of

from data_prep.prepare import shards
from mri_tf.store.prepared import MANIFEST

pytestmark = pytest.mark.usefixtures("small_raw")


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


@pytest.fixture
def assert_survived(tmp_path, one_line, said):
    """The command, while `fill` has filled the disk, fails in one line; its rerun gives equal bytes."""

    def run(fill) -> None:
        with pytest.MonkeyPatch.context() as patch:
            fill(patch)
            assert one_line(3).startswith("error: The disk is full")
        assert not (tmp_path / "out").exists()
        assert said()[0] == 0
        after = files_of(tmp_path / "out")
        (tmp_path / "out").rename(tmp_path / "rerun")
        assert said()[0] == 0
        assert after == files_of(tmp_path / "out")

    return run


@pytest.mark.parametrize("room", [0, 600])
def test_a_full_disk_is_one_line_and_the_rerun_gives_equal_bytes(assert_survived, room):
    assert_survived(lambda patch: _FullDisk(patch, room))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_that_tensorflows_writer_meets_first_is_told_the_same(assert_survived):
    framed = shards._framed

    def framed_on_a_full_disk(data, folder):
        (folder / "frame.tmp").symlink_to("/dev/full")
        try:
            return framed(data, folder)
        finally:
            (folder / "frame.tmp").unlink(missing_ok=True)

    assert_survived(lambda patch: patch.setattr(shards, "_framed", framed_on_a_full_disk))


def test_a_full_disk_at_the_manifest_is_one_line_and_the_rerun_gives_equal_bytes(assert_survived):
    write_text = Path.write_text

    def written(path, text, **named):
        if path.name == MANIFEST:
            write_text(path, text[: len(text) // 2], **named)
            raise OSError(errno.ENOSPC, "No space left on device")
        return write_text(path, text, **named)

    assert_survived(lambda patch: patch.setattr(Path, "write_text", written))
