"""Patients of the validation side that choose nothing: how many, which, and that they stay whole."""

import numpy as np
import pytest

from mri_tf.splits.reserved import FEWEST, reserve, reserved_sentence


def side(patients: int, records: int = 3, seed: int = 0):
    """Positions, units and labels of a validation side; three in four patients are of class 0."""
    units = np.repeat(np.arange(patients), records)
    order = np.random.default_rng(seed).permutation(len(units))
    return 100 + np.arange(len(units)), units[order], (units[order] % 4 == 0).astype(int)


@pytest.mark.parametrize("patients", [27, 40, 100])
def test_a_third_of_the_patients_is_reserved_whole_and_with_the_classes_of_the_side(patients):
    validation, units, labels = side(patients)
    records = reserve(validation, units, labels).records - 100
    drawn, others = units[records], np.delete(units, records)
    assert not set(drawn) & set(others)
    assert len(set(drawn)) == pytest.approx(patients / 3, abs=1) and len(set(drawn)) >= FEWEST
    assert labels[records].mean() == pytest.approx(labels.mean(), abs=0.06)


@pytest.mark.parametrize("patients", [1, 9, 26])
def test_fewer_than_nine_in_a_third_are_not_reserved_and_the_reason_names_the_number(patients):
    found = reserve(*side(patients))
    assert not len(found.records)
    assert f"only {patients} (" in found.reason and "needs 9 patients" in found.reason


def test_the_same_side_gives_the_same_patients():
    one, again = (reserve(*side(40)).records for _ in range(2))
    np.testing.assert_array_equal(one, again)


def test_what_is_reserved_is_said_in_patients():
    validation, units, labels = side(27)
    found = reserve(validation, units, labels)
    patients = np.append(np.full(100, "other"), units.astype(str))
    ids = np.array([f"r{place}" for place in range(len(patients))])
    kept, count = found.to_json(ids), len(set(patients[found.records]))
    whose = patients[found.records].tolist()
    assert f"{count} patients of the validation side are set aside" in reserved_sentence(kept, whose)
    few = reserve(*side(5)).to_json(ids)
    assert "no prediction sets: their threshold needs 9 patients" in reserved_sentence(few, [])
    assert reserved_sentence(None, []) == ""
