"""What exchanges labels with what: patients as a whole, groups, patients of several labels."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from visits import visits

from mri_tf.metrics.label_association import Exchanges
from mri_tf.metrics.label_exchanges import drawn_exchanges, every_exchange, exchange_units
from mri_tf.splits.split import tie_together


def test_patients_of_one_label_are_one_unit_and_exchange_with_all_others():
    units = exchange_units(np.array([0, 0, 1, 1, 1, 0]), np.array(["a", "a", "b", "b", "b", "c"]))
    assert units.unit_of.tolist() == [0, 0, 1, 1, 1, 2]
    assert units.labels.tolist() == [0, 1, 0] and len(set(units.blocks)) == 1


def test_records_of_a_patient_of_several_labels_exchange_among_themselves():
    units = exchange_units(np.array([0, 1, 1, 0, 0]), np.array(["a", "a", "a", "b", "c"]))
    assert len(units.labels) == 5
    blocks, owners = units.blocks[units.unit_of], units.owners[units.unit_of]
    assert len(set(blocks[:3])) == 1 and blocks[3] == blocks[4] != blocks[0]
    assert len(set(owners[:3])) == 1 and len(set(owners)) == 3


def test_a_family_of_patients_of_different_labels_exchanges_within_itself_and_no_record_alone():
    patients = np.array(["a"] * 3 + ["b"] * 4 + ["c"] * 2 + ["d"] * 2)
    truth = np.array([0] * 3 + [1] * 4 + [1] * 2 + [0] * 2)
    owners = np.array([0] * 7 + [1] * 2 + [2] * 2)  # a and b are siblings
    units = exchange_units(truth, patients, owners)
    assert [units.unit_of[patients == name].min() == units.unit_of[patients == name].max()
            for name in "abcd"] == [True] * 4  # fmt: skip
    of = {name: units.blocks[units.unit_of[patients == name][0]] for name in "abcd"}
    assert of["a"] == of["b"] != of["c"] and of["c"] == of["d"]


@settings(max_examples=60, deadline=None)
@given(drawn=visits(), seed=st.integers(0, 5))
def test_an_exchange_keeps_the_labels_of_every_block_and_tears_no_patient_of_one_label(drawn, seed):
    patients, groups, truth = drawn
    units = exchange_units(truth, patients, tie_together(patients, groups))
    (labels,) = drawn_exchanges(units.labels, units.blocks, 20, np.random.default_rng(seed))
    for block in np.unique(units.blocks):
        inside = units.blocks == block
        assert (np.sort(labels[:, inside]) == np.sort(units.labels[inside])).all()
    of_record = labels[:, units.unit_of]
    for name in set(patients):
        if len(set(truth[patients == name])) == 1:
            assert all(len(set(row)) == 1 for row in of_record[:, patients == name])


def test_every_exchange_holds_the_labels_seen_once_and_first():
    units = exchange_units(np.arange(10) % 2, np.arange(10))
    exchanges = Exchanges.of(units)
    assert exchanges.exact and exchanges.labels.shape == (252, 10)
    assert (exchanges.labels[0] == units.labels).all()
    assert len({tuple(row) for row in exchanges.labels}) == 252
    assert every_exchange(units.labels, units.blocks, 251) is None
    assert not Exchanges.of(units, draws=100).exact
    assert Exchanges.of(units, draws=100).labels.shape == (101, 10)
