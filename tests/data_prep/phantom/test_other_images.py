"""Phantoms whose test patients have other images: sides, scanners, missing sequences, and the looks."""

from collections import Counter

import numpy as np
import pytest
from phantom_files import rows_of
from PIL import Image
from raw_folders import files_of
from scipy.ndimage import binary_erosion, gaussian_filter
from sklearn.metrics import roc_auc_score

from data_prep.io.nifti import read_nifti
from data_prep.layout_calls import ListOptions
from data_prep.phantom.known_answers.examinations import KINDS, draw_examinations
from data_prep.phantom.known_answers.scan import PICTURE, anatomy
from data_prep.phantom.other_images.dataset import write_missing_sequence, write_shifted_scanner
from data_prep.phantom.other_images.looks import AWAY, HOME, Look, draw_look, seen
from data_prep.phantom.write import write_kind
from data_prep.prepare.prepare import prepare
from mri_tf.plan.planned import plan_folder

FLAT = np.ones(PICTURE, np.float32)
SPACING_MM = (3.0, 3.0, 3.0)


def _rng():
    return np.random.default_rng(0)


def test_a_look_that_does_nothing_leaves_the_signal_alone():
    signal = _rng().uniform(0.1, 1.5, PICTURE).astype(np.float32)
    np.testing.assert_allclose(seen(signal, Look(1.0, 0.0, 0.0, 0.0), SPACING_MM, _rng()), signal,
                               rtol=1e-6)  # fmt: skip


def test_each_part_of_a_look_does_what_it_says():
    signal = _rng().uniform(0.1, 1.5, PICTURE).astype(np.float32)
    bent = seen(signal, Look(0.5, 0.0, 0.0, 0.0), SPACING_MM, _rng())
    np.testing.assert_allclose(bent, np.sqrt(signal), rtol=1e-5)
    blurred = seen(signal, Look(1.0, 0.0, 1.5, 0.0), SPACING_MM, _rng())
    np.testing.assert_allclose(blurred, gaussian_filter(signal, 1.5, truncate=3.0), rtol=1e-5)
    fields = [seen(FLAT, Look(1.0, 0.2, 0.0, 0.0), SPACING_MM, np.random.default_rng(n))
              for n in range(30)]  # fmt: skip
    assert 0.12 < np.std(np.log(fields)) < 0.28  # of waves longer than the head, so it scatters
    steps = np.abs(np.diff(np.log(fields), axis=1))
    assert steps.max() < 0.05  # smooth
    noise = seen(0 * FLAT, Look(1.0, 0.0, 0.0, 0.1), SPACING_MM, _rng())
    # The real part is smoothed along the rows, so the length lies below sqrt(pi / 2) of a Rayleigh's.
    assert 0.8 * 0.1 < noise.mean() < 0.1 * np.sqrt(np.pi / 2) and noise.min() >= 0


def test_every_part_of_the_other_scanner_is_further_from_the_head_than_that_of_the_familiar_one():
    for rng in map(np.random.default_rng, range(20)):
        home, away = draw_look(HOME, rng), draw_look(AWAY, rng)
        assert away.contrast < 0.9 * home.contrast
        assert away.field > home.field and away.noise > home.noise
        assert away.blur_voxels > home.blur_voxels


def test_only_test_patients_are_of_the_other_scanner_and_both_classes_are_on_every_side(tmp_path):
    write_shifted_scanner(tmp_path, 60, 1)
    rows = rows_of(tmp_path / "cases.csv")
    counts = Counter((row["split"], row["scanner"], row["label"]) for row in rows)
    expected = {("train", "N1"): 12, ("validation", "N1"): 3, ("test", "N1"): 6, ("test", "W1"): 9}
    assert counts == {(*key, label): count for key, count in expected.items()
                      for label in ("benign", "malignant")}  # fmt: skip
    noise = {name: np.median([_air(tmp_path / row["flair"]) for row in rows if row["scanner"] == name])
             for name in ("N1", "W1")}  # fmt: skip
    assert noise["W1"] > 2 * noise["N1"]


def _air(path) -> float:
    """Mean of the picture's corners, in shares of its brightest pixels."""
    pixels = np.asarray(Image.open(path), float)
    corners = np.stack([pixels[rows, columns] for rows in (slice(6), slice(-6, None))
                        for columns in (slice(6), slice(-6, None))])  # fmt: skip
    return corners.mean() / np.percentile(pixels, 95)


def test_only_test_patients_lack_a_sequence_and_never_both(tmp_path):
    write_missing_sequence(tmp_path, 40, 1)
    rows = rows_of(tmp_path / "cases.csv")
    lacking = Counter((row["split"], *(name for name in ("flair", "t2") if not row[name]))
                      for row in rows)  # fmt: skip
    assert lacking == {("train",): 16, ("validation",): 4, ("test",): 4, ("test", "flair"): 8,
                       ("test", "t2"): 8}  # fmt: skip
    for name in ("flair", "t2"):
        assert {row[name] for row in rows if row[name]} == {
            path for path in files_of(tmp_path) if path.startswith(name)
        }


def test_each_sequence_tells_of_the_label_by_a_core_of_its_own(tmp_path):
    write_missing_sequence(tmp_path, 90, 3)
    cores = {"flair": [], "t2": []}
    malignant = []
    drawn = draw_examinations(KINDS["clean"], 90, 3, 1.0, flat=False)
    for one, row in zip(drawn, rows_of(tmp_path / "cases.csv"), strict=True):
        signal, lesion = anatomy(one.head, one.scan)
        core, brain = binary_erosion(lesion), (signal > 0.8) & ~lesion
        if core.any() and row["flair"] and row["t2"]:
            malignant.append(row["label"] == "malignant")
            for name, values in cores.items():
                image = read_nifti(tmp_path / row[name]).array
                values.append(image[core].mean() / image[brain].mean())
    assert min(roc_auc_score(malignant, values) for values in cores.values()) > 0.95
    for label in (False, True):  # what one sequence shows says nothing more of the other
        own = [np.array(values)[np.array(malignant) == label] for values in cores.values()]
        assert abs(np.corrcoef(own)[0, 1]) < 0.5


@pytest.mark.parametrize("kind", ["shifted_scanner", "missing_sequence"])
def test_a_phantom_of_other_images_is_planned_and_prepared_with_its_sides(here, kind):
    write_kind(kind, here / "raw", 20, seed=3)
    table = {row["patient_id"]: row for row in rows_of(here / "raw/cases.csv")}
    plan = plan_folder(here / "raw", ListOptions())
    prepared, skipped = prepare(plan.task, plan.file.resolve(), here / "raw", here / "prepared")
    assert skipped == [] and len(prepared) == len(table)
    for record in map(prepared.record, range(len(prepared))):
        row = table[record.patient]
        assert record.split == row["split"]
        assert plan.task.class_names[record.label] == row["label"]
    if kind == "missing_sequence":
        assert "has_t2" in plan.task.channels


@pytest.mark.parametrize("write", [write_shifted_scanner, write_missing_sequence])
def test_an_interrupted_phantom_of_other_images_continues_with_the_same_files(tmp_path, write):
    class Interrupted(Exception):
        pass

    def stop(done, total):
        if done == 3:
            raise Interrupted

    write(tmp_path / "whole", 8, 5)
    with pytest.raises(Interrupted):
        write(tmp_path / "stopped", 8, 5, progress=stop)
    write(tmp_path / "stopped", 8, 5)
    assert files_of(tmp_path / "stopped") == files_of(tmp_path / "whole")


def test_without_signal_labels_have_nothing_to_do_with_the_lesion(tmp_path):
    write_shifted_scanner(tmp_path / "with", 40, 2)
    write_shifted_scanner(tmp_path / "without", 40, 2, signal=False)
    labels = [[row["label"] for row in rows_of(tmp_path / name / "cases.csv")]
              for name in ("with", "without")]  # fmt: skip
    assert labels[0] == labels[1]  # the lesions differ, not the labels
    images = [files_of(tmp_path / name) for name in ("with", "without")]
    same = sum(images[0][path] == images[1][path] for path in images[0] if path.endswith(".png"))
    assert 8 <= same <= 32
