"""The answers of several members in a graph are those that NumPy computes."""

import numpy as np
import pytest
import tensorflow as tf

from mri_tf.calibration.correlation import Correlation
from mri_tf.calibration.member_scale import MemberScale
from mri_tf.calibration.pooled import Unseen, fit_pooled
from mri_tf.explain.saliency import zoom_maps
from mri_tf.export.members_graph import DISAGREEMENT, IN_SET, members_in_graph


def answers_of(classes: int, patients: int, untrained: bool = False):
    """Answers of three members of a simulated cross-validation, and outputs of new records."""
    rng = np.random.default_rng(classes)
    truth = np.arange(patients) % classes
    evidence = rng.normal(size=(patients, classes)) + 2 * np.eye(classes)[truth]
    scales = [MemberScale(tuple(rng.normal(size=classes)), 1.5, (True,) * classes) for _ in range(3)]
    if untrained:
        scales[1] = MemberScale((0.3, -0.3, 0.0), 0.7, (True, True, False))
    rows = Unseen(evidence, truth, np.arange(patients).astype(str), np.arange(patients) % 3)
    answers = fit_pooled(
        rows, tuple(scales), Correlation(0.5, patients), "balanced_accuracy",
        np.full(classes, 1 / classes),
    )  # fmt: skip
    outputs = rng.dirichlet(np.ones(classes), (50, 3)).astype(np.float32)
    outputs[0] = np.eye(classes)[0]  # a saturated softmax
    return answers, outputs


@pytest.mark.parametrize("classes, untrained", [(2, False), (3, False), (3, True)])
def test_the_graph_answers_as_numpy_does(classes, untrained):
    answers, outputs = answers_of(classes, 60, untrained)
    found = tf.function(members_in_graph(answers))(tf.constant(outputs))
    np.testing.assert_allclose(found["probabilities"], answers.probabilities(outputs), atol=1e-6)
    np.testing.assert_allclose(found[DISAGREEMENT], answers.disagreement(outputs), atol=1e-6)
    np.testing.assert_array_equal(found["decision"], answers.decisions(outputs))
    np.testing.assert_array_equal(found[IN_SET], answers.sets(outputs).astype(int))
    assert 0 < np.mean(found[IN_SET]) < 1


def test_without_enough_patients_there_is_no_output_of_sets():
    answers, outputs = answers_of(2, 8)
    assert not answers.has_sets and IN_SET not in members_in_graph(answers)(tf.constant(outputs))


def test_a_map_is_read_about_its_centre_at_another_spacing():
    ramp = np.arange(9.0, dtype=np.float32)[None, :, None] * np.ones((1, 9, 9), np.float32)
    finer = zoom_maps(tf.constant(ramp), 0.5).numpy()[0]
    np.testing.assert_allclose(finer[:, 4], 4 + 0.5 * (np.arange(9) - 4))
    coarser = zoom_maps(tf.constant(ramp), 2.0).numpy()[0]
    np.testing.assert_allclose(coarser[2:7, 4], [0, 2, 4, 6, 8])
    assert not coarser[:2].any() and not coarser[7:].any() and not coarser[:, 0].any()
    assert zoom_maps(tf.constant(ramp), 1.0).numpy() is not None
