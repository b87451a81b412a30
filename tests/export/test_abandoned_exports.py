"""What exports that were killed leave behind is removed by the next one; one under way is left alone."""

from mri_tf.core.system import try_lock
from mri_tf.export.publish import PARTIAL, remove_abandoned
from mri_tf.store.run import LOCK


def test_only_folders_that_no_export_holds_are_removed(tmp_path):
    held, left, unknown = (tmp_path / f"{PARTIAL}{name}" for name in ("held", "left", "unknown"))
    for folder in (held, left, unknown):
        (folder / "model").mkdir(parents=True)
    for folder in (held, left):
        (folder / LOCK).touch()
    (tmp_path / "1").mkdir()
    with (held / LOCK).open("wb") as lock:
        assert try_lock(lock)
        remove_abandoned(tmp_path)
    assert held.exists() and unknown.exists() and (tmp_path / "1").exists()
    assert not left.exists()
