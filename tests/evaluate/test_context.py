"""What the ends of stacks say, counted by hand."""

from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from mri_tf.evaluate.context import (
    COUNTS,
    OF_PATIENTS,
    context_of_subset,
    context_values,
    is_counted,
    neighbour_counts,
    shares_by_neighbours,
)
from mri_tf.metrics.classifier import checked
from mri_tf.tables.context import context_line, context_section
from mri_tf.task import Task

NAMES = ("basal", "mid", "apical")


def _task(k=1, **values) -> Task:
    return Task(
        name="t", channels=("g",), image_shape=(8, 8), class_names=NAMES, model="vgg", context_slices=k,
        **values,
    )  # fmt: skip


def _set(neighbours, labels) -> SimpleNamespace:
    """The attributes of a prepared set that are read."""
    records = [SimpleNamespace(facts={"neighbouring_slices": one}) for one in neighbours]
    return SimpleNamespace(record=records.__getitem__, labels=np.array(labels))


# Two stacks of four slices and one of a single slice.
STACK = [[False, True], [True, True], [True, True], [True, False]]
NEIGHBOURS = np.array([*STACK, *STACK, [False, False]])
TRUTH = np.array([0, 1, 1, 2, 0, 0, 1, 2, 1])
PATIENTS = np.array(list("aaaabbbbc"))


def _run(counts) -> SimpleNamespace:
    return SimpleNamespace(values={COUNTS: counts})


def test_the_training_side_is_counted_by_which_neighbours_there_are():
    prepared = _set(NEIGHBOURS.tolist(), TRUTH)
    training = SimpleNamespace(task=_task(), prepared=prepared, records=np.arange(9))
    assert neighbour_counts(training) == {
        "00": [0, 1, 0], "01": [2, 0, 0], "10": [0, 0, 2], "11": [1, 3, 0],
    }  # fmt: skip


def test_the_shares_are_those_of_slices_with_the_same_neighbours_or_of_all_if_there_are_none():
    found = shares_by_neighbours(
        np.array([[0, 1], [1, 1], [0, 0]], bool), [_run({"01": [3, 0, 1], "11": [0, 2, 2]})]
    )
    np.testing.assert_allclose(found, [[0.75, 0, 0.25], [0, 0.5, 0.5], [3 / 8, 2 / 8, 3 / 8]])


def test_training_sides_of_several_networks_count_together():
    runs = [_run({"01": [1, 0, 0], "11": [0, 1, 0]}), _run({"01": [0, 3, 0]})]
    found = shares_by_neighbours(np.array([[0, 1], [1, 1]], bool), runs)
    np.testing.assert_allclose(found, [[0.25, 0.75, 0], [0, 1, 0]])


def test_numbers_without_ends_leave_out_slices_that_lack_a_direct_neighbour():
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(3), len(TRUTH))
    decisions = rng.integers(0, 3, len(TRUTH))
    shares = np.eye(3)[[0, 1, 1, 2, 0, 1, 1, 2, 0]]
    made = checked(TRUTH, probabilities, decisions, PATIENTS)
    found = context_values(made, NEIGHBOURS, shares, _task())["context"]
    assert (found["slices"], found["records"]) == (1, 9)
    inner = np.array([1, 2, 5, 6])
    without = found["without_ends"]
    assert without["n"] == 4
    assert without["accuracy"]["value"] == np.mean(decisions[inner] == TRUTH[inner])
    assert without["accuracy"]["n"] == 2  # patients: that of one slice has no inner one
    alone = found["neighbours_alone"]
    assert alone["n"] == 9 and alone["accuracy"]["value"] == pytest.approx(7 / 9)
    kappa = cohen_kappa_score(TRUTH, shares.argmax(axis=1))
    assert alone["kappa"]["value"] == pytest.approx(kappa)


def test_of_two_neighbours_on_each_side_the_nearest_tell_whether_a_slice_is_at_an_end():
    neighbours = np.array([[0, 0, 1, 1], [0, 1, 1, 1], [1, 1, 1, 0], [1, 1, 0, 0]], bool)
    made = checked([0, 1, 1, 2], np.full((4, 3), 1 / 3), [0, 1, 1, 2], list("abcd"))
    found = context_values(made, neighbours, np.full((4, 3), 1 / 3), _task(2))["context"]
    assert found["without_ends"]["n"] == 2


def test_where_every_slice_is_an_end_the_numbers_say_so():
    made = checked([0, 1], np.full((2, 3), 1 / 3), [0, 1], ["a", "b"])
    found = context_values(made, np.array([[0, 1], [1, 0]], bool), np.full((2, 3), 1 / 3), _task())
    kappa = found["context"]["without_ends"]["kappa"]
    assert kappa["value"] is None and "first or last" in kappa["reason"]
    line = context_line(found)
    assert "without the first and last slice of each stack: undefined" in line


def test_answers_for_patients_are_not_told_apart_by_ends_and_single_slices_have_none():
    bag = _task(bag=dict(pooling="mean"))
    assert not is_counted(bag) and not is_counted(_task(0)) and is_counted(_task())
    found = context_of_subset(SimpleNamespace(task=bag), None, None)
    assert found == {"context": {"reason": OF_PATIENTS}}
    assert context_of_subset(SimpleNamespace(task=_task(0)), None, None) == {}
    assert context_section(found).endswith(f"{OF_PATIENTS}.") and context_line(found) == ""
    assert context_section({}) == context_line({}) == ""
