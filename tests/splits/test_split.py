"""Splits: nobody is on two sides, whatever the visits, groups and classes."""

import json

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from visits import visits

from mri_tf.core.errors import InputError
from mri_tf.splits.split import (
    limit_per_class,
    read_split_file,
    split_by_column,
    split_by_patients,
    split_units,
    tie_together,
)
from mri_tf.task.spec import SIDES

FRACTIONS = (0.6, 0.2, 0.2)


def column(values) -> np.ndarray:
    return np.array(list(values), dtype=object)


def components(patients, groups) -> np.ndarray:
    """Units by SciPy: records are joined to patients and groups in one graph."""
    nodes: dict = {}
    edges = []
    for record, (patient, group) in enumerate(zip(patients, groups, strict=True)):
        edges.append((record, nodes.setdefault(("p", patient), len(patients) + len(nodes))))
        if group:
            edges.append((record, nodes.setdefault(("g", group), len(patients) + len(nodes))))
    size = len(patients) + len(nodes)
    rows, columns = np.array(edges).T
    graph = coo_array((np.ones(len(edges)), (rows, columns)), shape=(size, size))
    return connected_components(graph, directed=False)[1][: len(patients)]


def assert_a_partition(sides, count):
    assert sorted(np.concatenate(sides)) == list(range(count))
    assert all(len(side) for side in sides)


def assert_disjoint(sides, names):
    held = [{names[record] for record in side} - {""} for side in sides]
    for first in range(len(held)):
        for second in range(first):
            assert not held[first] & held[second]


@given(visits())
@settings(max_examples=80, deadline=None)
def test_records_share_a_unit_exactly_if_patients_and_groups_chain_them(records):
    patients, groups, _ = records
    ours, theirs = tie_together(patients, groups), components(patients, groups)
    assert np.array_equal(ours[:, None] == ours, theirs[:, None] == theirs)


@given(visits(), st.integers(0, 1000))
@settings(max_examples=120, deadline=None)
def test_a_patient_or_group_is_never_on_two_sides(records, seed):
    patients, groups, labels = records
    units = tie_together(patients, groups)
    assume(len(set(units)) >= 3)
    sides = split_units(units, labels, FRACTIONS, seed)
    assert_a_partition(sides, len(patients))
    assert_disjoint(sides, patients)
    assert_disjoint(sides, groups)


@given(visits(with_groups=False), st.sampled_from([(0.98, 0.01, 0.01), (0.01, 0.01, 0.98), FRACTIONS]))
@settings(max_examples=60, deadline=None)
def test_every_side_gets_a_patient_whatever_the_fractions(records, fractions):
    patients, groups, labels = records
    sides = split_units(tie_together(patients, groups), labels, fractions, seed=0)
    assert_a_partition(sides, len(patients))
    assert_disjoint(sides, patients)


@given(visits(with_groups=False), st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_the_same_seed_gives_the_same_sides(records, seed):
    patients, groups, labels = records
    units = tie_together(patients, groups)
    first, second = (split_units(units, labels, FRACTIONS, seed) for _ in range(2))
    assert all(np.array_equal(one, other) for one, other in zip(first, second, strict=True))


@pytest.mark.parametrize("visits", [1, 3])
def test_other_seeds_give_other_sides(visits):
    units, labels = np.repeat(np.arange(20), visits), np.repeat(np.arange(20) % 2, visits)
    drawn = {tuple(split_units(units, labels, FRACTIONS, seed)[2]) for seed in range(10)}
    assert len(drawn) >= 5


@pytest.mark.parametrize("seed", range(3))
def test_the_shares_of_patients_and_records_are_the_fractions(seed):
    units, labels = np.repeat(np.arange(200), 3), np.tile([0, 1, 2], 200)
    for side, share in zip(split_units(units, labels, FRACTIONS, seed), FRACTIONS, strict=True):
        assert abs(len(set(units[side])) - share * 200) <= 1
        assert abs(len(side) - share * 600) <= 3


@pytest.mark.parametrize("seed", range(3))
def test_a_rare_class_is_shared_out_like_a_common_one(seed):
    labels = np.sort(np.repeat([0, 1, 2], [100, 40, 10]))
    sides = split_units(np.arange(150), labels, FRACTIONS, seed)
    for label, count in enumerate((100, 40, 10)):
        for side, share in zip(sides, FRACTIONS, strict=True):
            assert abs(np.sum(labels[side] == label) - share * count) <= 1


@pytest.mark.parametrize("seed", range(3))
def test_classes_stay_alike_with_visits_of_uneven_number(seed):
    rng = np.random.default_rng(seed)
    units = np.repeat(np.arange(120), rng.integers(1, 6, 120))
    labels = (units % 3 == 0).astype(int)
    whole = labels.mean()
    for side, share in zip(split_units(units, labels, FRACTIONS, seed), FRACTIONS, strict=True):
        assert abs(labels[side].mean() - whole) < 0.05
        assert abs(len(side) / len(units) - share) < 0.03


@pytest.mark.parametrize("seed", range(3))
def test_patients_with_many_visits_are_not_kept_for_training(seed):
    visits = np.random.default_rng(seed).integers(1, 6, 120)
    units = np.repeat(np.arange(120), visits)
    for side in split_units(units, np.zeros(len(units), int), FRACTIONS, seed):
        assert abs(len(side) / len(set(units[side])) / visits.mean() - 1) < 0.1


@pytest.mark.parametrize("count", [1, 2])
def test_fewer_patients_than_sides_are_refused(count):
    units = np.repeat(np.arange(count), 5)
    with pytest.raises(InputError, match="Received: " + str(count)):
        split_units(units, np.zeros(5 * count, int), FRACTIONS, seed=0)


# ---- split column

PATIENTS = column(["a", "a", "b", "c", "d"])
NO_GROUPS = column([""] * len(PATIENTS))


def test_a_split_column_is_taken_as_it_is():
    splits = column(["train", "train", "test", "validation", "train"])
    sides = split_by_column(PATIENTS, NO_GROUPS, splits)
    assert [list(side) for side in sides] == [[0, 1, 4], [3], [2]]


@pytest.mark.parametrize(
    ("splits", "said"),
    [
        (["train", "test", "test", "validation", "train"], "in train and test: a"),
        (["train", "train", "test", "validation", "val"], "'val'"),
        (["train", "train", "test", "validation", ""], "''"),
        (["train", "train", "test", "test", "train"], "no patient in validation"),
    ],
)
def test_a_split_column_that_cannot_be_is_refused(splits, said):
    with pytest.raises(InputError) as error:
        split_by_column(PATIENTS, NO_GROUPS, column(splits))
    assert said in str(error.value)
    assert "\n" not in str(error.value)


# ---- split file


def written(tmp_path, values):
    path = tmp_path / "split.json"
    path.write_text(values if isinstance(values, str) else json.dumps(values))
    return path


def split_by_file(path, patients, groups):
    return split_by_patients(read_split_file(path)[0], patients, groups)


def names_of(labels):
    return np.array([f"record-{number}" for number in range(len(labels))], dtype=object)


def test_a_split_file_names_the_patients_of_each_side(tmp_path):
    path = written(tmp_path, {"train": ["a"], "validation": ["d"], "test": ["b"]})
    assert [list(side) for side in split_by_file(path, PATIENTS, NO_GROUPS)] == [[0, 1], [4], [2]]


def test_a_split_file_with_many_patients_is_followed(tmp_path):
    names = column(f"p{number:03d}" for number in range(300))
    parts = {side: list(names[start::3]) for start, side in enumerate(SIDES)}
    sides = split_by_file(written(tmp_path, parts), np.repeat(names, 2), np.full(2 * len(names), ""))
    for start, side in enumerate(sides):
        assert list(np.repeat(names, 2)[side]) == list(np.repeat(names[start::3], 2))


def test_numbers_in_a_split_file_are_patient_ids(tmp_path):
    path = written(tmp_path, {"train": [1], "validation": [2], "test": [3]})
    sides = split_by_file(path, column("123"), column([""] * 3))
    assert [list(side) for side in sides] == [[0], [1], [2]]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"train": ["a"], "validation": ["d"], "test": ["zz"]}, "Received: zz"),
        ({"train": ["a", "b"], "validation": ["d"], "test": ["b"]}, "in train and test: b"),
        ({"train": ["a"], "validation": [], "test": ["b"]}, "no patient in validation"),
        ({"train": ["a"], "test": ["b"]}, "KeyError"),
        ({"train": None, "validation": ["d"], "test": ["b"]}, "TypeError"),
        ({"train": "ad", "validation": ["d"], "test": ["b"]}, "TypeError"),
        ({"train": ["a"], "validation": ["d"], "test": ["b"], "limit": 4}, "TypeError"),
        (["a", "b"], "TypeError"),
        ('{"train": ["a"', "JSONDecodeError"),
        ("", "JSONDecodeError"),
    ],
)
def test_a_split_file_that_cannot_be_is_refused_in_one_line(tmp_path, values, said):
    with pytest.raises(InputError) as error:
        split_by_file(written(tmp_path, values), PATIENTS, NO_GROUPS)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_a_split_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(InputError, match="FileNotFoundError"):
        split_by_file(tmp_path / "none.json", PATIENTS, NO_GROUPS)


# ---- limits


@given(
    st.lists(st.integers(0, 3), min_size=1, max_size=40),
    st.integers(1, 8),
    st.integers(0, 8),
    st.integers(0, 100),
)
@settings(max_examples=80, deadline=None)
def test_a_limited_draw_is_bounded_a_class_and_holds_every_smaller_draw(labels, few, more, seed):
    labels = np.array(labels)
    positions = np.flatnonzero(np.arange(len(labels)) % 3 != 1)
    small, large = (
        limit_per_class(positions, labels, names_of(labels), dict.fromkeys(set(labels), most), seed)
        for most in (few, few + more)
    )
    assert set(small) <= set(large) <= set(positions)
    assert len(set(small)) == len(small)
    for label in np.unique(labels):
        there = np.sum(labels[positions] == label)
        assert np.sum(labels[small] == label) == min(few, there)


def test_a_limited_draw_does_not_hang_on_the_order_of_the_positions():
    labels = np.arange(30) % 3
    four = dict.fromkeys(set(labels), 4)
    one = limit_per_class(np.arange(30), labels, names_of(labels), four, seed=1)
    again = limit_per_class(np.arange(30)[::-1], labels, names_of(labels), four, seed=1)
    assert np.array_equal(one, again)


def test_the_same_records_are_drawn_where_others_are_missing():
    labels, names = np.arange(30) % 3, names_of(np.arange(30))
    four = dict.fromkeys(range(3), 4)
    drawn = set(limit_per_class(np.arange(30), labels, names, four, seed=1))
    lost = sorted(set(range(30)) - drawn)[0]
    without = np.delete(np.arange(30), lost)
    again = limit_per_class(np.arange(29), labels[without], names[without], four, seed=1)
    assert set(without[again]) == drawn


def test_a_class_without_a_limit_is_kept_whole():
    labels = np.arange(30) % 3
    kept = limit_per_class(np.arange(30), labels, names_of(labels), {0: 2, 1: 0}, seed=0)
    assert list(np.bincount(labels[kept], minlength=3)) == [2, 0, 10]


def test_other_seeds_draw_other_records():
    labels = np.arange(30) % 3
    two = dict.fromkeys(set(labels), 2)
    names = names_of(labels)
    drawn = {tuple(limit_per_class(np.arange(30), labels, names, two, seed)) for seed in range(10)}
    assert len(drawn) >= 5


def test_a_group_on_two_sides_of_a_column_is_refused():
    groups = column(["", "twins", "", "", "twins"])
    with pytest.raises(InputError, match="puts a group on two sides"):
        split_by_column(PATIENTS, groups, column(["train", "train", "test", "validation", "test"]))


def test_seeds_hold_out_different_patients_also_when_some_have_many_more_records():
    units = np.repeat(np.arange(30), np.arange(10, 40))  # the largest has four times the smallest
    labels = np.arange(len(units)) % 3
    held_out = [set(units[split_units(units, labels, (0.7, 0.1, 0.2), seed)[2]]) for seed in range(30)]
    assert set.union(*held_out) == set(range(30))
