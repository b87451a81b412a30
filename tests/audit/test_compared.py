"""A network beside baselines: differences, too few patients, and what the image adds to covariates."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from mri_tf.audit.baseline_fit import Answers
from mri_tf.audit.baselines import MAJORITY, SplitAnswers
from mri_tf.audit.compared import Cell, added_value, compared_values
from mri_tf.audit.set_features import FROZEN, NAMES
from mri_tf.metrics.classifier import checked
from mri_tf.metrics.too_few import FEWEST_TO_COMPARE
from mri_tf.task import Task

CLASSES = ("low", "high")
TASK = Task(name="t", channels=("mr",), image_shape=(8, 8), class_names=CLASSES, model="vgg")
MISSING = dict.fromkeys([name for name in NAMES if name != "histogram"], "not there")


def answers(scores):
    return Answers(np.stack([1 - scores, scores], axis=1), (scores > 0.5).astype(int))


def cell(labels, network, baseline, first=0, covariates=None):
    """A split whose network and baselines give these probabilities of the second class."""
    count = len(labels)
    ids = np.array([f"{first + number:05d}" for number in range(count)], dtype=object)
    made = answers(network)
    table = pd.DataFrame({
        "record_id": ids, "patient": ids, "truth": [CLASSES[label] for label in labels],
        "predicted": [CLASSES[label] for label in made.decisions],
        "p_low": made.probabilities[:, 0], "p_high": made.probabilities[:, 1],
    }).sample(frac=1, random_state=0)  # fmt: skip
    given = {MAJORITY: answers(np.full(count, 0.4)), "histogram": answers(baseline)}
    known = None if covariates is None else answers(covariates)
    return Cell(SplitAnswers(ids, given, known, 0.25), table)


def scores(labels, distance, rng):
    return 1 / (1 + np.exp(-(rng.normal(size=len(labels)) + distance * (labels - 0.5))))


def folds(count, rng, distances, folds=4):
    """Labels and probabilities of network, baseline and covariates in each fold."""
    found = []
    for number in range(folds):
        labels = rng.permutation(np.arange(count) % 2)
        of_each = [scores(labels, distance, rng) for distance in distances]
        found.append(cell(labels, *of_each[:2], number * count, of_each[2]))
    return found


def of(values, name):
    return next(one for one in values["baselines"] if one["name"] == name)


def test_the_difference_of_one_split_is_that_of_scikit_learns_aucs():
    rng = np.random.default_rng(0)
    labels = np.arange(40) % 2
    network, baseline = scores(labels, 2, rng), scores(labels, 0.5, rng)
    values = compared_values([cell(labels, network, baseline)], MISSING, TASK)
    found = of(values, "histogram")
    aucs = [roc_auc_score(labels, one) for one in (network, baseline)]
    assert found["numbers"]["auc"]["value"] == pytest.approx(aucs[1])
    difference = found["difference"]["auc"]
    assert difference["value"] == pytest.approx(aucs[0] - aucs[1])
    assert difference["low"] < difference["value"] < difference["high"] and difference["n"] == 40
    assert of(values, MAJORITY)["difference"]["auc"]["value"] == pytest.approx(aucs[0] - 0.5)
    json.dumps(values, allow_nan=False)


def test_of_several_folds_the_auc_is_within_them_and_the_interval_the_corrected_one():
    cells = folds(20, np.random.default_rng(1), (2, 0, 0))
    values = compared_values(cells, MISSING, TASK)
    found = of(values, "histogram")
    within = [
        roc_auc_score(one.table.sort_values("record_id")["truth"] == "high",
                      one.baselines.answers["histogram"].probabilities[:, 1]) for one in cells
    ]  # fmt: skip
    assert found["numbers"]["auc"]["value"] == pytest.approx(np.mean(within))
    assert "trained anew" in found["difference"]["auc"]["question"]
    assert of(values, MAJORITY)["numbers"]["auc"]["value"] == 0.5


def test_a_baseline_that_is_not_there_says_why():
    values = compared_values(folds(20, np.random.default_rng(1), (2, 0, 0)), MISSING, TASK)
    assert of(values, FROZEN) == {"name": FROZEN, "numbers": {}, "difference": {},
                                  "reason": "not there"}  # fmt: skip
    assert [one["name"] for one in values["baselines"]] == [MAJORITY, *NAMES]


def test_few_patients_get_no_interval_but_the_reason():
    labels = np.arange(FEWEST_TO_COMPARE - 2) % 2
    rng = np.random.default_rng(0)
    made = cell(labels, *(scores(labels, 3, rng) for _ in range(2)), 0, scores(labels, 1, rng))
    values = compared_values([made], MISSING, TASK)
    difference = of(values, "histogram")["difference"]["auc"]
    assert difference["low"] is None
    assert f"too few to compare two answers: {FEWEST_TO_COMPARE - 2}" in difference["reason"]
    added = values["added_value"]
    assert not added["shown"] and "too few" in added["reason"]


def test_without_covariates_it_is_not_known_what_the_image_adds():
    labels = np.arange(40) % 2
    rng = np.random.default_rng(0)
    made = cell(labels, scores(labels, 2, rng), scores(labels, 0, rng))
    added = compared_values([made], MISSING, TASK)["added_value"]
    assert not added["shown"] and added["reason"].startswith("no covariates")
    assert added["image"]["value"] > 0.8 and added["difference"]["value"] is None


def test_an_image_that_tells_more_than_the_covariates_is_found_in_folds_and_in_one_split():
    rng = np.random.default_rng(2)
    for cells in (folds(30, rng, (3, 0, 0.5)), folds(120, rng, (3, 0, 0.5), folds=1)):
        added = compared_values(cells, MISSING, TASK)["added_value"]
        assert added["shown"] and added["difference"]["low"] > 0 and not added["reason"]
        assert added["both"]["value"] > added["covariates"]["value"]


def test_the_same_answers_again_add_nothing():
    """A copy of the covariates' scores; of noise it is benchmarks/added_value.py that counts."""
    rng = np.random.default_rng(3)
    cells = []
    for number in range(4):
        labels = rng.permutation(np.arange(30) % 2)
        answer = answers(scores(labels, 1, rng))
        ids = np.arange(number * 30, number * 30 + 30)
        cells.append(checked(labels, *answer, ids))
    added = added_value(cells, cells, [0] * 4, TASK, 0.3)
    assert added["difference"]["value"] == pytest.approx(0) and not added["shown"]


def test_what_the_image_adds_is_not_known_where_a_class_has_one_held_out_patient():
    rng = np.random.default_rng(4)
    labels = np.repeat([0, 1, 2], [30, 30, 1])
    task = replace(TASK, class_names=("low", "middle", "high"))
    two = [
        checked(labels, chances, chances.argmax(axis=1), np.arange(61))
        for chances in rng.dirichlet(np.ones(3), (2, 61))
    ]
    added = added_value(two[:1], two[1:], [0], task, 0.3)
    assert not added["shown"] and added["reason"].startswith("a class has one held-out patient")
    assert added["both"]["value"] is None and added["image"]["value"] is not None
