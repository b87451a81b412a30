"""The audit of a study that is repeated with one site left out, from the files of its cells."""

import json

import numpy as np
import pandas as pd
import pytest
from sited import of_sites

from mri_tf.audit import site_gap
from mri_tf.audit.finding import CANNOT_TELL, FOUND, NOT_FOUND
from mri_tf.audit.site_gap import SITE_STUDY, site_findings
from mri_tf.metrics.classifier import Predictions
from mri_tf.metrics.site_gap import site_gap as gap_of_studies
from mri_tf.store.run import Run
from mri_tf.task import Task

TASK = Task(name="t", channels=("mr",), image_shape=(8, 8), class_names=("a", "b"), model="vgg")


@pytest.fixture(autouse=True)
def runs(monkeypatch):
    """Runs are folders of predictions, all of the same task."""
    class Opened(Run):
        task = TASK

    monkeypatch.setattr(site_gap, "open_run", lambda folder: Opened(folder, {}))


def write_study(folder, made, sites, by, site_of_cell=False, train_size=None):
    """A finished cell for each value of `by`, of one variant."""
    for fold, name in enumerate(sorted(set(by))):
        own = by == name
        cell = folder / "cells" / f"manual-r0-f{fold}"
        (cell / "s0").mkdir(parents=True)
        pd.DataFrame({
            "record_id": made.patients[own], "patient": made.patients[own], "site": sites[own],
            "truth": np.array(TASK.class_names)[made.truth[own]],
            "predicted": np.array(TASK.class_names)[made.predicted[own]],
            "p_a": made.probabilities[own, 0], "p_b": made.probabilities[own, 1],
        }).to_parquet(cell / "s0" / "predictions.parquet")  # fmt: skip
        row = {"variant": "manual", "repeat": 0, "fold": fold, "train_size": train_size,
               "status": "done", "n_test": int(own.sum()), "n_train": int((~own).sum())}  # fmt: skip
        row |= {"site": str(name)} if site_of_cell else {}
        (cell / "row.json").write_text(json.dumps({"run": "s0", "row": row}))


def both_studies(folder, of_sites_skill, sizes=((15, 15),) * 4):
    made, sites = of_sites(sizes, seed=3, skill=3.0)
    worse, _ = of_sites(sizes, seed=4, skill=of_sites_skill)
    write_study(folder, made, sites, np.random.default_rng(1).permutation(np.arange(len(sites)) % 5))
    write_study(folder / SITE_STUDY, worse, sites, sites, site_of_cell=True)


def test_a_cross_validation_that_rests_on_the_sites_is_found(tmp_path):
    both_studies(tmp_path, of_sites_skill=0.0)
    (found,) = site_findings(tmp_path)
    assert found.status == FOUND and found.n == 120 and not found.certain and found.p is None
    assert found.evidence.startswith("manual: AUC 0.9") and "held-out sites" in found.what_to_do


def test_of_several_variants_the_level_is_divided_by_their_number():
    gap = {"value": 0.1, "low": 0.01, "high": 0.2, "n": 60, "crossed": 0.8, "by_site": 0.7,
           "method": "bootstrap", "low_adjusted": -0.01}  # fmt: skip
    found = site_gap._finding({"manual": gap, "scratch": gap})
    assert found.status == NOT_FOUND and "0.05 / 2" in found.evidence
    above = site_gap._finding({"manual": gap, "scratch": gap | {"low_adjusted": 0.001}})
    assert above.status == FOUND


def test_a_gap_of_several_comparisons_has_a_lower_adjusted_limit():
    made, sites = of_sites(((15, 15),) * 4, seed=3, skill=1.0)
    parts = [Predictions(*(column[sites == site] for column in made)) for site in np.unique(sites)]
    one, four = (gap_of_studies(parts, parts[::-1], (0.3, 0.3), comparisons=n) for n in (1, 4))
    assert one["low"] == one["low_adjusted"] == four["low"] and four["low_adjusted"] < four["low"]


def test_one_that_does_not_is_not_found(tmp_path):
    both_studies(tmp_path, of_sites_skill=3.0)
    (found,) = site_findings(tmp_path)
    assert found.status == NOT_FOUND and not found.what_to_do


def test_few_sites_a_missing_study_and_the_wrong_folder_cannot_tell(tmp_path):
    both_studies(tmp_path / "small", 0.0, sizes=((15, 15), (15, 15), (15, 3)))
    (few,) = site_findings(tmp_path / "small")
    assert few.status == CANNOT_TELL and few.evidence.startswith("2 of 3 sites")
    (around,) = site_findings(tmp_path / "small" / SITE_STUDY)
    assert around.status == CANNOT_TELL and "itself" in around.evidence
    made, sites = of_sites([(5, 5), (5, 5)])
    write_study(tmp_path / "alone", made, sites, np.arange(20) % 2)
    (alone,) = site_findings(tmp_path / "alone")
    assert alone.status == CANNOT_TELL and "--leave-one-site-out" in alone.what_to_do


def test_without_sites_there_is_no_finding(tmp_path):
    made, sites = of_sites([(5, 5), (5, 5)])
    write_study(tmp_path, made, np.full(20, ""), np.arange(20) % 2)
    assert site_findings(tmp_path) == []


def test_cells_of_a_training_size_are_not_compared(tmp_path):
    made, sites = of_sites([(9, 9)] * 4)
    write_study(tmp_path, made, sites, np.arange(72) % 3)
    write_study(tmp_path / SITE_STUDY, made, sites, sites, site_of_cell=True, train_size=4)
    (found,) = site_findings(tmp_path)
    assert found.status == CANNOT_TELL
