"""How many records of a cross-validation are flagged as far from the others, and what is said of it."""

from types import SimpleNamespace

import numpy as np
import pytest

from mri_tf.calibration.false_alarms import fit_limit
from mri_tf.calibration.pooled import Unseen
from mri_tf.evaluate.left_out import LeftOut
from mri_tf.evaluate.out_of_fold import _flags


def test_the_stated_rate_of_false_alarms_is_that_of_the_limits_that_judge_the_folds():
    patients, folds = np.arange(40), np.repeat(["1-0", "1-1", "1-2"], [8, 8, 24])
    members = np.repeat(np.arange(3), [8, 8, 24])
    distances = np.random.default_rng(0).gamma(9, size=40)
    rows = Unseen(np.zeros((40, 2)), patients % 2, patients, members)
    found = LeftOut(
        rows, np.ones(40, bool), patients, folds, distances, (None,) * 3, np.full((3, 2), 0.5)
    )
    model = SimpleNamespace(distance_limit=fit_limit(distances, patients))
    assert model.distance_limit.rate == pytest.approx(2 / 41)
    of_few = _flags(found, model, folds)["features"]
    assert "16 patients" in of_few["reason"]  # the last fold has too few others

    folds = np.repeat(["1-0", "1-1", "1-2"], [10, 10, 20])
    found = LeftOut(
        rows, np.ones(40, bool), patients, folds, distances, (None,) * 3, np.full((3, 2), 0.5)
    )
    said = _flags(found, model, folds)["features"]
    assert said["stated"] == pytest.approx((20 * 2 / 31 + 20 * 2 / 21) / 40)
    assert said["patients"] == 20
