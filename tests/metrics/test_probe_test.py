"""The test of probes: false alarms without a signal, planted marks, who cannot tell, what is claimed."""

import numpy as np
import pytest

from mri_tf.metrics.label_association import Exchanges
from mri_tf.metrics.label_exchanges import exchange_units
from mri_tf.metrics.probe_test import Family, Probe, too_few

SETS = 200
MOST = 20  # of 10 expected in 200 sets: three standard errors


def probe(values, categories=False):
    return Probe(tuple(f"f{number}" for number in range(values.shape[1])), values, categories)


def tables(patients, records, rng, widest=12):
    """Five probes that know nothing; a patient's records are alike."""
    drawn = {}
    for name, columns in (("one", 1), ("few", 4), ("many", widest)):
        values = np.repeat(rng.normal(size=(patients, columns)), records, axis=0)
        drawn[name] = probe(values + 0.2 * rng.normal(size=values.shape) * (records > 1))
    drawn["yes or no"] = probe(np.repeat(rng.integers(0, 2, (patients, 1)) + 0.0, records, axis=0))
    sites = np.eye(3)[rng.integers(0, 3, patients)]
    drawn["site"] = probe(np.repeat(sites, records, axis=0), categories=True)
    return drawn


def smallest_p(probes, labels, patients, seed, draws=199):
    family = Family(probes, Exchanges.of(exchange_units(labels, patients), draws, seed))
    return min(told.p for told in map(family.told, probes) if told.p is not None)


@pytest.mark.parametrize(
    "patients, records, shares, widest",
    [(16, 1, (8, 8), 12), (16, 10, (8, 8), 12), (24, 3, (18, 6), 12), (24, 1, (12, 7, 5), 12),
     (20, 1, (10, 10), 150)],
    ids=["one record", "ten records", "75/25", "three classes", "more features than patients"],
)  # fmt: skip
def test_without_a_signal_alarms_are_as_rare_as_promised(patients, records, shares, widest):
    alarms = 0
    for seed in range(SETS):
        rng = np.random.default_rng([seed, patients, records])
        labels = np.repeat(rng.permutation(np.repeat(np.arange(len(shares)), shares)), records)
        probes = tables(patients, records, rng, widest)
        owners = np.repeat(np.arange(patients), records)
        alarms += smallest_p(probes, labels, owners, seed) <= 0.05
    assert alarms <= MOST


def test_p_values_of_two_families_that_share_the_error_rate_are_doubled_and_less_would_be_found():
    labels, rng = np.arange(30) % 2, np.random.default_rng(3)
    half = labels[:, None] + rng.normal(size=(30, 1))
    probes = {"noise": probe(rng.normal(size=(30, 3))), "half": probe(half)}
    exchanges = Exchanges.of(exchange_units(labels, np.arange(30)), seed=0)
    alone, shared = Family(probes, exchanges), Family(probes, exchanges, families=2)
    for name in probes:
        assert shared.told(name).p == min(1, 2 * alone.told(name).p)
        assert shared.smallest_agreement(name) >= alone.smallest_agreement(name)


def test_exchanging_records_in_the_place_of_patients_alarms_in_most_clean_sets():
    """The guard: the same test on the same data fails where ten records of a patient count as ten."""
    alarms = 0
    for seed in range(60):
        rng = np.random.default_rng([seed, 16, 10])
        labels = np.repeat(rng.permutation(np.arange(16) % 2), 10)
        alarms += smallest_p(tables(16, 10, rng), labels, np.arange(160), seed) <= 0.05
    assert alarms > 30


@pytest.mark.parametrize("patients, wrong, columns", [(12, 0, 1), (12, 0, 30), (30, 3, 1), (30, 3, 30)])
def test_a_planted_mark_is_found_and_named_alone_or_among_many_features(patients, wrong, columns):
    found = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        labels = rng.permutation(np.arange(patients) % 2)
        values = rng.normal(size=(patients, columns))
        values[:, 0] = labels
        values[:wrong, 0] = 1 - values[:wrong, 0]
        probes = {**tables(patients, 1, rng), "marked": probe(values)}
        family = Family(probes, Exchanges.of(exchange_units(labels, np.arange(patients)), seed=seed))
        told = family.told("marked")
        found += told.p <= 0.05 and (columns == 1 or told.column == "f0")
    assert found >= 19


def test_what_many_features_tell_together_is_found():
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 2
    values = rng.normal(size=(60, 40)) + 0.6 * (labels[:, None] - 0.5)
    family = Family(
        {**tables(60, 1, rng), "spread": probe(values)},
        Exchanges.of(exchange_units(labels, np.arange(60))),
    )
    told = family.told("spread")
    assert told.p < 0.01 and told.column == "" and told.statistic > 0.5 > told.chance[0]


def test_the_p_value_of_one_probe_is_counted_over_every_exchange():
    labels = np.array([0, 0, 0, 0, 0, 1, 1, 1, 1, 1])
    mark = labels.astype(float)[:, None]
    family = Family({"mark": probe(mark)}, Exchanges.of(exchange_units(labels, np.arange(10))))
    assert family.told("mark").p == pytest.approx(2 / 252)  # the labels, and their contrary


def test_a_probe_that_is_constant_within_patients_of_several_labels_is_not_applicable():
    patients, labels = np.repeat(np.arange(12), 4), np.tile([0, 1, 1, 0], 12)
    scanner = np.repeat(np.eye(2)[np.arange(12) % 2], 4, axis=0)
    order = np.tile(np.arange(4.0), 12)[:, None]
    mark = labels[:, None] + 0.0
    probes = {"scanner": probe(scanner, True), "order": probe(order), "mark": probe(mark)}
    family = Family(probes, Exchanges.of(exchange_units(labels, patients)))
    assert family.told("scanner") == (None, None, None, "")
    assert family.told("mark").p < 0.01 and family.told("order").p > 0.05


def test_a_mark_with_the_agreement_that_is_claimed_is_found_in_four_of_five_sets():
    patients, labels = np.arange(24), np.arange(24) % 2
    rng = np.random.default_rng(3)
    clean = tables(24, 1, rng)
    exchanges = Exchanges.of(exchange_units(labels, patients), draws=499)
    agreement = Family(clean, exchanges).smallest_agreement("many")
    assert 0.6 < agreement < 1
    shares = []
    for share in (agreement, agreement - 0.13):
        found = 0
        for _ in range(60):
            mark = labels.astype(float)
            wrong = rng.permutation(24)[: round((1 - share) * 24)]
            mark[wrong] = 1 - mark[wrong]
            marked = probe(np.column_stack([clean["many"].values, mark]))
            found += Family({**clean, "many": marked}, exchanges).told("many").p <= 0.05
        shares.append(found / 60)
    assert shares[0] >= 0.65 and shares[1] < 0.65


def test_a_family_of_so_few_patients_that_nothing_would_be_found_says_so():
    labels, patients = np.array([0, 1, 0, 1, 1, 0]), np.arange(6)
    rng = np.random.default_rng(0)
    family = Family(tables(6, 1, rng), Exchanges.of(exchange_units(labels, patients)))
    assert family.smallest_agreement("one") is None


@pytest.mark.parametrize(
    "labels, words",
    [([0, 1] * 4, "8 patients, fewer than 10"), ([0] * 20 + [1] * 3, "fewer than 4 patients"),
     ([0] * 6 + [1] * 4, ""), ([0] * 6 + [1] * 6 + [2], "")],
)  # fmt: skip
def test_too_few_patients_are_said(labels, words):
    found = too_few(Exchanges.of(exchange_units(np.array(labels), np.arange(len(labels))), draws=9))
    assert words in found and bool(found) == bool(words)
    many_records = np.repeat(labels, 30)
    owners = np.repeat(np.arange(len(labels)), 30)
    assert found == too_few(Exchanges.of(exchange_units(many_records, owners), draws=9))
