"""A phantom whose writing is interrupted goes on where it stopped."""

import pytest
from phantom_files import written_phantom
from raw_folders import files_of

from data_prep.phantom.brain.dataset import write_brain_phantom
from data_prep.phantom.meningioma.dataset import write_meningioma_phantom
from data_prep.phantom.thorax.dataset import write_thorax_phantom


@pytest.mark.slow
@pytest.mark.parametrize(
    ("write", "counts", "table"),
    [(write_brain_phantom, (2, 4), "types.csv"), (write_thorax_phantom, (2, 3), "levels.csv")],
)
def test_interrupted_writing_continues_and_gives_the_same_files(
    tmp_path_factory, tmp_path, write, counts, table
):
    class Interrupted(Exception):
        pass

    def stop(done, total):
        if done == 3:
            raise Interrupted

    with pytest.raises(Interrupted):
        write(tmp_path, *counts, seed=5, progress=stop)
    assert not (tmp_path / table).exists()
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.nii.gz")}
    write(tmp_path, *counts, seed=5)
    assert len(before) == 5
    assert all(path.stat().st_mtime_ns == time for path, time in before.items())
    assert files_of(tmp_path) == files_of(written_phantom(tmp_path_factory, write, *counts)[0])


def test_an_interrupted_phantom_keeps_its_whole_patients(tmp_path):
    write_meningioma_phantom(tmp_path, 2, 1)
    kept = tmp_path / "M001" / "t1ce.nii.gz"
    before = kept.stat().st_mtime_ns
    (tmp_path / "M002" / "mask.nii.gz").unlink()
    write_meningioma_phantom(tmp_path, 2, 1)
    assert kept.stat().st_mtime_ns == before and (tmp_path / "M002" / "mask.nii.gz").exists()
