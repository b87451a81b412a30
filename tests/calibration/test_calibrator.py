"""Answers: what a run stores, what it says of a class never seen, and the same in the export's graph."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax
from sklearn.metrics import balanced_accuracy_score

from mri_tf.calibration.answers import answers_to_json
from mri_tf.calibration.calibrator import (
    Calibrator,
    calibrator_from_json,
    fit_calibrator,
    with_prediction_sets,
    without_prediction_sets,
)
from mri_tf.calibration.operating_point import OperatingPoint
from mri_tf.calibration.prediction_sets import fit_conformal
from mri_tf.export.graph import answer_in_graph
from mri_tf.task import Task

PRIOR = np.array([0.7, 0.2, 0.1])


def made(classes: int = 3, **values) -> Task:
    names = ("background", "benign", "malignant")[-classes:]
    return Task(
        name="made", channels=("x",), image_shape=(8, 8), class_names=names, model="vgg", **values
    )


def outputs_of(count: int, prior: np.ndarray, trained: np.ndarray, seed: int):
    """Posteriors of unit Gaussians under the shares `trained`; classes drawn with `prior`."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(len(prior), size=count, p=prior)
    x = rng.normal(size=(count, len(prior))) + 1.5 * np.eye(len(prior))[truth]
    with np.errstate(divide="ignore"):
        return softmax(1.5 * x + np.log(trained), axis=-1), truth


def fitted(task: Task, count: int = 300, trained=(60, 60, 60), natural=None, seed: int = 0):
    """Answers fitted on `count` records of a patient each, of a network trained on equal shares."""
    outputs, truth = outputs_of(count, PRIOR[: len(trained)] / PRIOR[: len(trained)].sum(),
                                np.ones(len(trained)) / len(trained), seed)  # fmt: skip
    patients = np.arange(count).astype(str)
    return fit_calibrator(outputs, truth, patients, task, (trained, natural or trained)), outputs, truth


# ---- fitted on the validation side


def test_oversampled_outputs_are_brought_back_to_the_natural_shares():
    answers, outputs, _ = fitted(made(oversample=True), 2000, (700, 200, 100))
    assert answers.natural == pytest.approx(PRIOR)
    assert answers.trained == pytest.approx(np.ones(3) / 3)
    assert answers.temperature == pytest.approx(1, abs=0.1)
    np.testing.assert_allclose(answers.probabilities(outputs).mean(axis=0), PRIOR, atol=0.02)


def test_class_weights_change_the_shares_that_the_loss_saw_and_not_the_natural_ones():
    answers, _, _ = fitted(made(loss_weights="inverse_frequency"), 50, (70, 20, 10))
    assert answers.trained == pytest.approx(np.ones(3) / 3)
    assert answers.natural == pytest.approx(PRIOR)


def test_where_a_training_size_limited_the_sides_the_whole_sides_shares_are_reported():
    answers, outputs, _ = fitted(made(), 2000, (20, 20, 20), natural=(700, 200, 100))
    assert answers.natural == pytest.approx(PRIOR)
    np.testing.assert_allclose(answers.probabilities(outputs).mean(axis=0), PRIOR, atol=0.03)


def test_patients_that_chose_nothing_set_the_threshold_of_prediction_sets_and_nothing_else():
    answers, outputs, truth = fitted(made(oversample=True), 500, (700, 200, 100))
    assert not answers.has_sets and "reserved" in answers.why_no_sets
    assert answers.sets(outputs).all()
    new, new_truth = outputs_of(40, PRIOR, np.ones(3) / 3, seed=5)
    patients = np.arange(40) // 2
    with_sets = with_prediction_sets(answers, new, new_truth, patients)
    wanted = fit_conformal(answers.probabilities(new), new_truth, patients, 0.9)
    assert with_sets.set_threshold == wanted and with_sets.set_patients == 20
    assert with_sets.has_sets and with_sets.why_no_sets == ""
    np.testing.assert_array_equal(with_sets.probabilities(outputs), answers.probabilities(outputs))
    assert with_sets.point == answers.point


def test_eight_patients_give_no_prediction_sets_and_a_reason():
    answers, _, _ = fitted(made(), 100, (70, 20, 10))
    new, truth = outputs_of(8, PRIOR, PRIOR, seed=5)
    found = with_prediction_sets(answers, new, truth, np.arange(8))
    assert not found.has_sets and found.why_no_sets == "too few patients were reserved for them"
    assert without_prediction_sets(answers, "a limit").why_no_sets == "a limit"


def test_prediction_sets_of_an_earlier_version_are_what_they_were():
    answers, outputs, _ = fitted(made(), 100, (70, 20, 10))
    values = answers_to_json(answers) | {"set_threshold": 0.7}
    for key in ("set_patients", "set_reason", "intercepts"):
        del values[key]
    earlier = calibrator_from_json(values)
    assert earlier.has_sets and earlier.set_patients == 0
    np.testing.assert_array_equal(earlier.sets(outputs), 1 - earlier.probabilities(outputs) <= 0.7)
    assert "too few patients" in calibrator_from_json(values | {"set_threshold": 1.0}).why_no_sets


def test_prediction_sets_hold_the_truth_of_new_records_as_often_as_they_promise():
    answers, _, _ = fitted(made(oversample=True), 1000, (700, 200, 100))
    outputs, truth = outputs_of(1000, PRIOR, np.ones(3) / 3, seed=2)
    answers = with_prediction_sets(answers, outputs, truth, np.arange(1000))
    outputs, truth = outputs_of(4000, PRIOR, np.ones(3) / 3, seed=1)
    held = answers.sets(outputs)[np.arange(len(truth)), truth].mean()
    assert held == pytest.approx(0.9, abs=0.02)


def test_a_class_never_trained_on_is_never_reported_nor_decided():
    outputs, truth = outputs_of(400, PRIOR, np.array([0.5, 0.5, 0]), seed=0)
    patients = np.arange(400).astype(str)
    answers = fit_calibrator(outputs, truth, patients, made(), ((300, 100, 0), (300, 100, 0)))
    assert answers.natural == (0.75, 0.25, 0)
    new = np.concatenate([np.eye(3), np.full((1, 3), 1 / 3), outputs])
    reported = answers.probabilities(new)
    assert np.all(reported[:, 2] == 0)
    np.testing.assert_allclose(reported.sum(axis=1), 1)
    assert 2 not in answers.decisions(new)
    assert answers.point.n == int(np.sum(truth < 2))  # nothing is learned from its records


def test_a_class_that_a_training_size_left_out_has_no_natural_share():
    answers, _, _ = fitted(made(), 100, (20, 20, 0), natural=(70, 20, 10))
    assert answers.natural == pytest.approx((7 / 9, 2 / 9, 0))


def test_a_validation_side_of_classes_never_trained_on_leaves_bayes_rule():
    truth, patients = np.full(5, 2), np.arange(5).astype(str)
    outputs = np.full((5, 3), 1 / 3)
    answers = fit_calibrator(outputs, truth, patients, made(), ((30, 10, 0), (30, 10, 0)))
    assert answers.temperature == 1 and answers.reason
    assert answers.point.value is None and answers.point.reason
    assert answers.sets(outputs).all()
    json.dumps(answers_to_json(answers), allow_nan=False)


def test_the_operating_point_is_the_one_the_task_asks_for():
    task = made(2, operating_point={"criterion": "sensitivity_at_specificity", "specificity": 0.9})
    answers, outputs, truth = fitted(task, 300, (150, 150))
    assert (answers.point.criterion, answers.point.target) == ("sensitivity_at_specificity", 0.9)
    assert np.mean(answers.decisions(outputs)[truth == 0] == 0) >= 0.9
    balanced, outputs, truth = fitted(made(2), 300, (150, 150))
    value = balanced_accuracy_score(truth, balanced.decisions(outputs))
    assert value == pytest.approx(balanced.point.value)


# ---- stored, and under another prior


@given(st.integers(0, 1000), st.integers(1, 40), st.booleans())
@settings(max_examples=30, deadline=None)
def test_answers_are_the_same_after_json(seed, count, oversample):
    answers, outputs, _ = fitted(made(oversample=oversample), count, (7, 2, 1), seed=seed)
    again = calibrator_from_json(json.loads(json.dumps(answers_to_json(answers), allow_nan=False)))
    assert again == answers
    np.testing.assert_array_equal(again.probabilities(outputs), answers.probabilities(outputs))
    np.testing.assert_array_equal(again.sets(outputs), answers.sets(outputs))


def test_answers_of_an_earlier_version_have_no_intercepts_and_say_what_they_said():
    answers, outputs, _ = fitted(made(), 60, (30, 20, 10))
    values = answers_to_json(answers)
    assert len(values["intercepts"]) == 3
    del values["intercepts"]
    earlier = calibrator_from_json(json.loads(json.dumps(values)))
    wanted = softmax(np.log(outputs) / answers.temperature, axis=-1)  # trained and natural are alike
    np.testing.assert_allclose(earlier.probabilities(outputs), wanted)
    np.testing.assert_allclose(in_graph(earlier)(outputs)["probabilities"], wanted, atol=1e-6)


def test_another_prior_moves_the_probabilities_and_not_the_decisions():
    answers, outputs, truth = fitted(made(oversample=True), 2000, (700, 200, 100))
    decided = answers.decisions(outputs)
    other = np.array([0.2, 0.2, 0.6])
    moved = answers.probabilities(outputs, other)
    same, again = answers.probabilities(outputs, PRIOR), answers.probabilities(outputs)
    np.testing.assert_allclose(same, again)
    odds = (moved[:, 2] / moved[:, 0]) / (again[:, 2] / again[:, 0])
    np.testing.assert_allclose(odds, (0.6 / 0.2) / (0.1 / 0.7))  # Bayes' rule
    np.testing.assert_array_equal(answers.decisions(outputs), decided)
    # At a balanced operating point not every decision is the likeliest class of either prior.
    assert np.any(decided != again.argmax(axis=1)) and np.any(decided != moved.argmax(axis=1))


# ---- the same in the export's graph


def in_graph(answers: Calibrator):
    """`answer_in_graph` of a run that holds these answers, on arrays."""
    run = SimpleNamespace(
        task=SimpleNamespace(kind="classification"), values={"answers": answers_to_json(answers)}
    )
    answer = answer_in_graph(run)

    def on_arrays(outputs: np.ndarray) -> dict[str, np.ndarray]:
        return {name: value.numpy() for name, value in answer(tf.constant(outputs)).items()}

    return on_arrays


def any_answers(rng: np.random.Generator, classes: int, absent: bool) -> Calibrator:
    """Answers of random shares, temperature and factors; with `absent` class 0 was never trained on."""
    there = np.arange(classes) >= absent
    natural, trained = rng.dirichlet(np.ones(classes)) * there, rng.dirichlet(np.ones(classes)) * there
    natural, trained = natural / natural.sum(), trained / trained.sum()
    factors = np.where(there, 1 / np.where(there, natural, 1), 0) ** rng.choice([0, 0.5, 1])
    point = OperatingPoint("balanced_accuracy", None, tuple(factors / factors.sum()), None, None, 9)
    temperature = float(np.exp(rng.uniform(np.log(0.05), np.log(20))))
    intercepts = tuple(rng.normal(0, 2, classes).tolist())
    shares = tuple(trained.tolist()), tuple(natural.tolist())
    return Calibrator(temperature, *shares, point, 0.5, intercepts=intercepts)


def any_outputs(rng: np.random.Generator, classes: int) -> np.ndarray:
    """float32 softmax outputs: even, extreme, and of exact 0 and 1."""
    near = rng.dirichlet(np.ones(classes), 20)
    far = softmax(rng.normal(0, 30, (20, classes)), axis=-1)
    underflowed = np.where(far < 1e-8, 0, far)
    return np.concatenate([near, far, underflowed, np.eye(classes)]).astype(np.float32)


@pytest.mark.parametrize("absent", [False, True])
@pytest.mark.parametrize("classes", [2, 3, 7])
def test_the_graph_gives_the_same_probabilities_and_decisions(classes, absent):
    rng = np.random.default_rng([classes, absent])
    for _ in range(25):
        answers, outputs = any_answers(rng, classes, absent), any_outputs(rng, classes)
        found = in_graph(answers)(outputs)
        np.testing.assert_allclose(found["probabilities"], answers.probabilities(outputs), atol=1e-6)
        np.testing.assert_array_equal(found["decision"], answers.decisions(outputs))
        assert np.isfinite(found["logits"]).all()
        if absent:
            assert np.all(found["probabilities"][:, 0] == 0) and 0 not in found["decision"]


def test_a_network_that_collapsed_to_one_answer_gets_one_decision_everywhere():
    # Bayes' rule puts the threshold on the very probability of the one answer; what is left is
    # rounding, which differs between NumPy and a graph. Equal products mean the lowest label.
    rng = np.random.default_rng(0)
    for classes in (2, 3, 5):
        for _ in range(40):
            answers = any_answers(rng, classes, absent=False)
            natural = np.array(answers.natural)
            point = OperatingPoint("balanced_accuracy", None, tuple(1 / natural), None, None, 9)
            even = np.full(classes, 1 / classes)
            answers = Calibrator(answers.temperature, tuple(even), answers.natural, point, 0.5)
            outputs = np.tile(even.astype(np.float32), (3, 1))
            assert answers.decisions(outputs).tolist() == [0, 0, 0]
            assert in_graph(answers)(outputs)["decision"].tolist() == [0, 0, 0]


def test_of_equal_classes_the_lowest_label_is_decided_in_the_graph_too():
    point = OperatingPoint("accuracy", None, (1 / 3, 1 / 3, 1 / 3), None, None, 9)
    answers = Calibrator(1.0, (0.2, 0.4, 0.4), (0.2, 0.4, 0.4), point, 0.5)
    outputs = np.array([[0.4, 0.4, 0.2], [0.2, 0.4, 0.4], [0, 0.5, 0.5]], np.float32)
    assert answers.decisions(outputs).tolist() == [0, 1, 1]
    assert in_graph(answers)(outputs)["decision"].tolist() == [0, 1, 1]


def test_a_segmentation_has_no_answers_and_its_graph_gives_what_the_network_gives():
    run = SimpleNamespace(task=SimpleNamespace(kind="segmentation"), values={"answers": None})
    outputs = np.random.default_rng(0).dirichlet(np.ones(3), (2, 4, 4)).astype(np.float32)
    found = answer_in_graph(run)(tf.constant(outputs))
    np.testing.assert_array_equal(found["probabilities"], outputs)
    np.testing.assert_allclose(softmax(found["logits"], axis=-1), outputs, atol=1e-6)
