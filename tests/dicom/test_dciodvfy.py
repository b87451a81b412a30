"""dciodvfy, which checks DICOM objects against the standard, finds no error in ours."""

import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from dicom_answered import explains_brightness, finds_bright, numbers_slices
from dicom_kinds import folders
from made_up import run_predict
from pydicom import dcmread

from data_prep.layouts import labelled_volumes, volumes_with_levels, volumes_with_types

needs_dciodvfy = pytest.mark.skipif(
    not shutil.which("dciodvfy"), reason="dciodvfy is not installed (Debian: apt install dicom3tools)"
)
LEAST = 50  # objects


def errors_of(path: Path) -> list[str]:
    """What dciodvfy calls an error in an object."""
    done = subprocess.run(["dciodvfy", "-new", path], capture_output=True, text=True, timeout=60)
    lines = (done.stdout + done.stderr).splitlines()
    assert lines, "dciodvfy says nothing"
    return [line for line in lines if line.startswith("Error")]


def _objects(asked, sources: list[Path], home: Path) -> list[Path]:
    """Labels, maps and reports of all sources."""
    asked(finds_bright(), labelled_volumes)
    flags = ("--input", *sources, "--anyway")
    assert run_predict(*flags, "--out", home / "labels", "--dicom-out", home / "segmented") == 0
    asked(explains_brightness(), volumes_with_types)
    found = ("--out", home / "x.json", "--explain", "--dicom-out", home / "classified")
    assert run_predict(*flags, *found) == 0
    return sorted([*(home / "segmented").iterdir(), *(home / "classified").iterdir()])


@needs_dciodvfy
def test_dciodvfy_finds_errors_where_there_are_some(asked, tmp_path):
    found = _objects(asked, [folders(tmp_path / "in")["one slice"]], tmp_path)
    assert len(found) == 4 and not any(map(errors_of, found))
    broken = dcmread(found[0])
    del broken.StudyInstanceUID
    broken.save_as(tmp_path / "broken.dcm")
    assert errors_of(tmp_path / "broken.dcm")


@pytest.mark.slow
@needs_dciodvfy
def test_dciodvfy_finds_no_error_in_fifty_objects(asked, tmp_path, shared_data):
    """Prints how many objects of which kind were checked: pytest -s."""
    real = sorted(path for path in (shared_data / "dicom_brain").glob("*/*") if path.is_dir())
    assert len(real) == 5
    made = folders(tmp_path / "in")
    sources = [*made.values(), *real]
    found = _objects(asked, sources, tmp_path)
    asked(numbers_slices(), volumes_with_levels)
    slices = ("--input", made["CT"], "--explain", "--out", tmp_path / "y.json")
    assert run_predict(*slices, "--dicom-out", tmp_path / "slices") == 0
    found += sorted((tmp_path / "slices").iterdir())
    counts, wrong = Counter(), []
    for path in found:
        errors = errors_of(path)
        counts[path.stem.rpartition("_")[2], "with errors" if errors else "without error"] += 1
        wrong += [f"{path.name}: {line}" for line in errors]
    print(f"\n{len(found)} objects of {len(sources)} sources")
    for (kind, result), count in sorted(counts.items()):
        print(f"{kind} {result}: {count}")
    assert len(found) >= LEAST and not wrong, "\n".join(wrong[:20])
