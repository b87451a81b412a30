"""Numbers of patients of whom several ids are tied by a group."""

import numpy as np

from mri_tf.splits.leakage import counted_by_id

VALUES = {"note": "few", "better_than_chance": {"p": {"auc": 0.01}, "exact": True}}
PATIENTS = np.array(["a", "a", "b", "c", "d"], dtype=object)


def test_ids_that_groups_tie_are_said_and_then_no_p_value_is_exact():
    groups = np.array(["one", "one", "one", "two", ""], dtype=object)
    found = counted_by_id(VALUES, PATIENTS, groups)
    assert found["note"].startswith("few; 2 of the tested ids are tied by 1 group: intervals and p-")
    assert found["better_than_chance"] == {"p": {"auc": 0.01}, "exact": False}
    assert VALUES["better_than_chance"]["exact"]


def test_groups_of_one_id_each_change_nothing():
    groups = np.array(["one", "one", "two", "three", ""], dtype=object)
    assert counted_by_id(VALUES, PATIENTS, groups) is VALUES


def test_a_segmentation_without_a_p_value_gets_the_note():
    found = counted_by_id({"note": ""}, PATIENTS, np.array(["", "", "x", "x", "x"], dtype=object))
    assert "3 of the tested ids" in found["note"] and list(found) == ["note"]
