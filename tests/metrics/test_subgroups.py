"""Numbers of subgroups: those of the records alone, and words where patients are too few."""

import numpy as np
from sited import of_sites

from mri_tf.metrics.classification import numbers_with_intervals
from mri_tf.metrics.classifier import checked
from mri_tf.metrics.subgroups import MOST_GROUPS, NUMBERS, OTHERS, subgroups

NAMES = ("a", "b")


def test_a_groups_numbers_are_those_of_its_records_alone():
    made, sites = of_sites([(6, 5), (7, 7)], records=2)
    rows = subgroups(made, {"site": sites}, NAMES)
    assert [(row["by"], row["group"], row["records"]) for row in rows] == [
        ("site", "S0", 22), ("site", "S1", 28)
    ]  # fmt: skip
    own = checked(*(column[sites == "S0"] for column in made))
    alone = numbers_with_intervals(own, NAMES)
    assert rows[0]["numbers"] == {name: alone[name] for name in NUMBERS}
    assert rows[0]["patients"] == {"a": 6, "b": 5}


def test_groups_with_too_few_patients_are_kept_and_say_so():
    made, sites = of_sites([(6, 5), (1, 0), (2, 1)])
    _, one, three = subgroups(made, {"site": sites}, NAMES)
    assert one["patients"] == {"a": 1, "b": 0}
    assert one["numbers"]["accuracy"]["value"] is None
    assert one["numbers"]["accuracy"]["reason"] == "1 patient is too few for a number"
    assert three["numbers"]["auc"]["reason"] == "3 patients are too few for a number"


def test_a_group_of_one_class_has_no_auc_and_a_kind_of_one_group_is_left_out():
    made, sites = of_sites([(6, 5), (6, 0)])
    rows = subgroups(made, {"site": sites, "sex": np.full(17, "not known")}, NAMES)
    assert {row["by"] for row in rows} == {"site"}
    numbers = rows[1]["numbers"]
    assert numbers["auc"]["value"] is None and numbers["auc"]["reason"] == "only one class occurs"
    assert numbers["accuracy"]["low"] is not None


def test_rare_groups_beyond_the_most_are_one_group():
    made, _ = of_sites([(50, 50)])
    names = np.array([f"g{number}" for number in range(100)], dtype=object)
    names[:30] = "large"
    groups = [row["group"] for row in subgroups(made, {"site": names}, NAMES)]
    assert len(groups) == MOST_GROUPS + 1 and groups[-1] == OTHERS and "large" in groups


def test_of_several_folds_the_auc_compares_records_of_a_fold():
    made, _ = of_sites([(8, 8)], skill=9.0)
    folds = np.arange(16) % 2
    moved = made.probabilities.copy()
    moved[folds == 1, 1] *= 1e-6
    moved[:, 0] = 1 - moved[:, 1]
    made = checked(made.truth, moved, made.predicted, made.patients)
    names = {"sex": np.where(np.arange(16) % 4 < 2, "female", "male")}
    for row in subgroups(made, names, NAMES, folds):
        assert row["numbers"]["auc"]["value"] == 1
    assert subgroups(made, names, NAMES)[0]["numbers"]["auc"]["value"] < 1
