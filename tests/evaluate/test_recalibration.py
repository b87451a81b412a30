"""What a recalibration on some patients of another hospital gives on the others."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit, logit

from mri_tf.calibration.calibrator import Calibrator, recalibrated
from mri_tf.calibration.operating_point import OperatingPoint
from mri_tf.evaluate.recalibration import DRAWS, Answered, recalibration_by_size
from mri_tf.task import Task

TASK = Task(name="t", channels=("a",), image_shape=(8, 8), class_names=("low", "high"), model="vgg")
POINT = OperatingPoint("balanced_accuracy", None, (0.5, 0.5), 0.5, None, 100)
CALIBRATOR = Calibrator(1.0, (0.5, 0.5), (0.5, 0.5), POINT, 1.0)


def _hospital(patients: int, shift: float, share: float = 0.5, seed: int = 0) -> Answered:
    """A patient a record; the network's logit is calibrated for equal shares but for a shift."""
    rng = np.random.default_rng(seed)
    labels = (rng.random(patients) < share).astype(int)
    logits = rng.normal(np.where(labels, 1.0, -1.0), np.sqrt(2)) + shift  # log odds of equal shares
    high = expit(logits)
    return Answered(np.stack([1 - high, high], axis=1), labels, np.arange(patients).astype(str))


def _sizes(answered: Answered) -> dict[int, dict]:
    found = recalibration_by_size(answered, CALIBRATOR, TASK)
    assert found["draws"] == DRAWS
    return {size["patients"]: size for size in found["sizes"]}


def test_a_shifted_hospital_is_brought_on_scale_by_more_patients_more_surely():
    sizes = _sizes(_hospital(400, shift=2.0))
    assert list(sizes) == [10, 20, 50, 100]
    for size in sizes.values():
        assert size["log_loss"]["recalibrated"] < size["log_loss"]["as_is"]
        assert size["balanced_accuracy"]["recalibrated"] > size["balanced_accuracy"]["as_is"] + 0.05
    assert sizes[100]["calibration_in_the_large"]["recalibrated"] < 0.06
    assert sizes[100]["calibration_in_the_large"]["as_is"] > 0.2
    width = {count: size["brier"]["high"] - size["brier"]["low"] for count, size in sizes.items()}
    assert width[100] < width[10]


def test_a_hospital_on_scale_loses_little_by_recalibration():
    sizes = _sizes(_hospital(400, shift=0.0))
    assert sizes[100]["log_loss"]["recalibrated"] < sizes[100]["log_loss"]["as_is"] + 0.01
    assert sizes[10]["log_loss"]["recalibrated"] < sizes[10]["log_loss"]["as_is"] + 0.08


def test_other_class_shares_are_learned():
    sizes = _sizes(_hospital(400, shift=0.0, share=0.15))
    assert sizes[50]["log_loss"]["recalibrated"] < sizes[50]["log_loss"]["as_is"]


def test_no_patient_is_counted_by_what_was_fitted_on_it():
    answered = _hospital(60, shift=0.0)
    repeated = Answered(*(np.repeat(part, 5, axis=0) for part in vars(answered).values()))
    one, five = _sizes(answered), _sizes(repeated)
    assert list(one) == list(five) == [10, 20, 50]
    for size in one:  # records of a patient are drawn together, so nothing changes but rounding
        assert five[size]["brier"]["as_is"] == pytest.approx(one[size]["brier"]["as_is"])


def test_too_few_patients_give_no_sizes_and_draws_of_one_class_are_counted():
    assert recalibration_by_size(_hospital(19, 0.0), CALIBRATOR, TASK)["sizes"] == []
    rare = _sizes(_hospital(60, shift=0.0, share=0.05))
    assert rare[10]["one_class"] > 0


def test_the_network_s_own_class_shares_count_like_one_patient():
    answered = _hospital(40, shift=0.0, share=0.5)
    found = recalibrated(CALIBRATOR, *vars(answered).values(), TASK)
    seen = np.bincount(answered.labels)
    assert found.natural == pytest.approx((seen + 0.5) / 41)
    assert not found.has_sets and found.trained == CALIBRATOR.trained
    untrained = replace(CALIBRATOR, trained=(1.0, 0.0), natural=(1.0, 0.0))
    assert recalibrated(untrained, *vars(answered).values(), TASK).natural == (1.0, 0.0)


def test_the_shift_is_learned_from_many_patients():
    answered = _hospital(2000, shift=1.5)
    found = recalibrated(CALIBRATOR, *vars(answered).values(), TASK)
    moved = logit(found.probabilities(np.array([[0.5, 0.5]]))[0, 1])
    assert moved == pytest.approx(-1.5, abs=0.25)
