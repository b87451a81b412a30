"""Two answers made one: weights of other folds, on one scale, and what scikit-learn gives."""

import numpy as np
from sklearn.linear_model import LogisticRegression

from mri_tf.metrics.late_fusion import STRENGTH, folds_within, fused, standard_logits

RNG = np.random.default_rng(0)
LABELS = np.arange(60) % 2
PATIENTS = np.repeat(np.arange(30), 2).astype(str)
FOLDS = np.repeat(np.arange(5), 12)
FIRST, SECOND = (RNG.normal(size=(60, 1)) + LABELS[:, None] for _ in range(2))


def test_a_fold_is_answered_by_the_regression_that_scikit_learn_fits_to_the_other_folds():
    found = fused(FIRST, SECOND, LABELS, PATIENTS, FOLDS)
    both = np.concatenate([FIRST, SECOND], axis=1)
    for fold in range(5):
        others = fold != FOLDS
        model = LogisticRegression(C=1 / (STRENGTH * others.sum()), tol=1e-8, max_iter=5000)
        model.fit(both[others], LABELS[others])
        wanted = model.predict_proba(both[~others])
        np.testing.assert_allclose(found[~others], wanted, atol=1e-3)


def test_the_labels_of_a_fold_have_no_part_in_its_answers():
    own = FOLDS == 2
    other = np.where(own, 1 - LABELS, LABELS)
    found, changed = (fused(FIRST, SECOND, labels, PATIENTS, FOLDS) for labels in (LABELS, other))
    np.testing.assert_array_equal(found[own], changed[own])
    assert np.abs(found[~own] - changed[~own]).max() > 0.01


def test_a_patient_of_two_folds_has_no_part_in_the_answers_of_either():
    patients = PATIENTS.copy()
    patients[12] = patients[0]  # the first of fold 1 is the first of fold 0
    labels = LABELS.copy()
    labels[12] = 1 - labels[12]
    own = FOLDS == 0
    found, changed = (fused(FIRST, SECOND, known, patients, FOLDS)[own] for known in (LABELS, labels))
    np.testing.assert_array_equal(found, changed)


def test_where_the_other_folds_have_one_class_there_is_no_answer():
    folds = np.where(LABELS == 1, 0, 1)
    assert np.isnan(fused(FIRST, SECOND, LABELS, np.arange(60).astype(str), folds)).all()


def test_logits_of_a_fold_have_mean_0_and_sd_1_and_keep_their_order():
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.2, 0.8], [1.0, 0.0]])
    logits = standard_logits(probabilities)[:, 0]
    np.testing.assert_allclose([logits.mean(), logits.std()], [0, 1], atol=1e-12)
    assert logits.argsort().tolist() == [3, 0, 1, 2]
    assert not standard_logits(np.full((3, 2), 0.5)).any()


def test_patients_stay_whole_in_the_folds_within_one_split():
    folds = folds_within(np.repeat([0, 1], 30), PATIENTS)
    assert set(folds) == set(range(5))
    assert all(len(set(folds[name == PATIENTS])) == 1 for name in set(PATIENTS))
    assert set(folds_within(np.array([0, 0, 1]), np.array(["a", "b", "c"]))) == {-1}
