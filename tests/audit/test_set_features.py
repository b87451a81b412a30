"""What baselines see of a set: every record is read once, and splits learn from their own side only."""

from dataclasses import replace

import numpy as np
import pytest
from made_up_set import MadeUpSet

from mri_tf.audit.baselines import MAJORITY, split_answers
from mri_tf.audit.measured import VOLUME_OF_MASK
from mri_tf.audit.set_features import AGE_AND_SEX, FROZEN, OTHERS, features_of_set
from mri_tf.task import Task

COUNT = 40
LABELS = (np.arange(COUNT) % 2).tolist()
SIDES = [np.arange(24), np.arange(24, 30), np.arange(30, COUNT)]
TASK = Task(
    name="made_up", channels=("mr",), image_shape=(16, 16), class_names=("a", "b"), model="vgg",
    prep=dict(covariates=("stage", "age")),
)  # fmt: skip


class WithMasks(MadeUpSet):
    """Masks whose area tells the label; counts how often records are read."""

    read = 0

    def record(self, position):
        self.read += 1
        record = super().record(position)
        mask = np.zeros((16, 16), np.uint8)
        mask[: 3 + 6 * record.label + position % 3] = 1
        return replace(record, mask=mask)


@pytest.fixture
def prepared(tmp_path):
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 255, (16, 16, 1), dtype=np.uint8) for _ in range(COUNT)]
    facts = [{"age": 40 + 20 * label + number % 7, "sex": "FM"[number % 3 % 2], "stage": "III"}
             for number, label in enumerate(LABELS)]  # fmt: skip
    return WithMasks(tmp_path, images, facts=facts, label=LABELS)


def test_records_are_read_once_whatever_the_number_of_splits(prepared):
    measured = features_of_set(prepared, TASK)
    for _ in range(3):
        split_answers(measured, prepared, TASK, SIDES)
    assert prepared.read == COUNT


def test_age_and_the_volume_of_the_mask_tell_the_label_that_noise_does_not(prepared):
    measured = features_of_set(prepared, TASK)
    found = split_answers(measured, prepared, TASK, SIDES)
    truth = np.array(LABELS)[SIDES[2]]
    for name in (AGE_AND_SEX, VOLUME_OF_MASK):
        assert found.answers[name].decisions.tolist() == truth.tolist(), name
    assert (found.answers["histogram"].decisions != truth).any()
    assert found.covariates.decisions.tolist() == truth.tolist()
    assert found.record_ids.tolist() == prepared.record_ids[30:].tolist()
    assert found.share == pytest.approx(10 / 24)  # of those that the network is fitted to


def test_what_is_not_there_says_why(prepared):
    missing = features_of_set(prepared, TASK).missing
    assert missing[OTHERS] == "the records have no usable stage"  # the same in all
    assert missing[FROZEN] == "the images have fewer than 32 pixels on a side"
    without = features_of_set(prepared, replace(TASK, prep={})).missing
    assert "names no further columns" in without[OTHERS]


def test_labels_of_the_test_side_have_no_part_in_the_answers(prepared):
    measured = features_of_set(prepared, TASK)
    before = split_answers(measured, prepared, TASK, SIDES)
    prepared.labels[SIDES[2]] = 1 - prepared.labels[SIDES[2]]
    after = split_answers(measured, prepared, TASK, SIDES)
    for name, answers in before.answers.items():
        np.testing.assert_array_equal(answers.probabilities, after.answers[name].probabilities)


def test_with_a_bag_one_answer_is_about_a_patient_with_all_slices(prepared):
    task = replace(TASK, bag={"pooling": "mean"})
    prepared.patients = np.array([f"p{number // 4}" for number in range(COUNT)], dtype=object)
    prepared.labels = np.arange(COUNT) // 4 % 2
    sides = [np.arange(24), np.arange(24, 32), np.arange(32, COUNT)]
    found = split_answers(features_of_set(prepared, task), prepared, task, sides)
    assert found.record_ids.tolist() == prepared.record_ids[[32, 36]].tolist()
    assert found.answers[VOLUME_OF_MASK].decisions.tolist() == [0, 1]
    assert found.share == pytest.approx(2 / 6) and len(found.answers[MAJORITY].decisions) == 2
