"""Differences on the same records, against a plain loop; intervals of the ranks cover the truth."""

import numpy as np
import pytest
from scipy.stats import norm
from scipy.stats import t as student
from simulated import simulated
from sklearn import metrics as sk
from statsmodels.stats.multitest import multipletests

from mri_tf.metrics import Predictions, classification_metrics, paired_differences
from mri_tf.metrics.paired import holm
from mri_tf.metrics.ranking import ranking
from mri_tf.metrics.resamples import multiplicities


def shifted(made: Predictions, seed: int, noise: float) -> Predictions:
    """Another variant's predictions of the same records."""
    rng = np.random.default_rng(seed)
    odds = made.probabilities * np.exp(rng.normal(0, noise, made.probabilities.shape))
    probabilities = odds / odds.sum(axis=1, keepdims=True)
    return made._replace(probabilities=probabilities, predicted=probabilities.argmax(axis=1))


def of_others(made: Predictions, cell: int) -> Predictions:
    """The same predictions of patients who are in no other cell."""
    return made._replace(patients=np.array([f"{cell}-{name}" for name in made.patients]))


def test_a_difference_is_that_of_a_plain_loop_over_the_same_draws(monkeypatch):
    monkeypatch.setattr("mri_tf.metrics.resamples.RESAMPLES", 60)
    first = [simulated(seed, patients=20 + seed, records=5, classes=2) for seed in range(3)]
    second = [shifted(cell, seed, 1.5) for seed, cell in enumerate(first)]
    found = paired_differences(first, second, seed=5)
    everybody = sorted({patient for cell in first for patient in cell.patients})
    drawn = []
    for weights in multiplicities(len(everybody), 5):
        times = dict(zip(everybody, weights, strict=True))
        cells = []
        for one, other in zip(first, second, strict=True):
            often = [times[patient] for patient in one.patients]
            truth = np.repeat(one.truth, often)
            if len(np.unique(truth)) == 2:
                mine, theirs = (
                    sk.roc_auc_score(truth, np.repeat(given.probabilities[:, 1], often))
                    for given in (one, other)
                )
                pairs = (one.truth == 1).sum() * (one.truth == 0).sum()
                cells.append((pairs, mine - theirs))
        weights, values = zip(*cells, strict=True)
        drawn.append(np.average(values, weights=weights))
    assert found["auc"]["difference"] == pytest.approx(drawn[0])
    limits = [found["auc"]["low"], found["auc"]["high"]]
    np.testing.assert_allclose(limits, np.quantile(drawn[1:], [0.025, 0.975]))
    assert found["auc"]["n"] == len(everybody) and found["auc"]["cells"] == 3


def test_the_limits_are_quantiles_of_the_differences_of_every_draw():
    first = [simulated(seed, patients=24) for seed in range(2)]
    second = [shifted(cell, 9, 1.0) for cell in first]
    found = paired_differences(first, second)["accuracy"]
    everybody = np.unique(np.concatenate([cell.patients for cell in first]))
    times = multiplicities(len(everybody), 0)
    differences = []
    for one, other in zip(first, second, strict=True):
        often = times[:, np.searchsorted(everybody, one.patients)]
        gain = (one.predicted == one.truth).astype(int) - (other.predicted == other.truth)
        differences.append((often * gain).sum(axis=1) / often.sum(axis=1))
    drawn = np.mean(differences, axis=0)
    assert found["difference"] == pytest.approx(drawn[0])
    np.testing.assert_allclose([found["low"], found["high"]], np.quantile(drawn[1:], [0.025, 0.975]))


def test_a_variant_does_not_differ_from_itself_and_wins_nowhere():
    cells = [simulated(seed, patients=24) for seed in range(3)]
    for name, entry in paired_differences(cells, cells, ordered=True).items():
        assert entry["difference"] == 0 and entry["wins"] == 0, name
        assert (entry["low"], entry["high"], entry["p"]) == (0, 0, 1)


def test_exchanged_variants_change_the_sign():
    first = [simulated(seed, patients=24, classes=2) for seed in range(4)]
    second = [shifted(cell, 3, 2.0) for cell in first]
    there, back = paired_differences(first, second), paired_differences(second, first)
    assert there["brier"]["better"] == "lower" and there["kappa"]["better"] == "higher"
    for name, entry in there.items():
        assert entry["difference"] == pytest.approx(-back[name]["difference"])
        assert entry["low"] == pytest.approx(-back[name]["high"])
        assert entry["wins"] + back[name]["wins"] <= entry["cells"] == 4


def test_a_win_is_a_lower_brier_and_a_higher_auc():
    first = [simulated(seed, patients=30, classes=2, decimals=6) for seed in range(5)]
    second = [shifted(cell, 7, 3.0) for cell in first]
    found = paired_differences(first, second)
    assert found["brier"]["wins"] == 5 and found["brier"]["high"] < 0
    assert found["auc"]["wins"] == 5 and found["auc"]["low"] > 0


def test_a_patient_in_several_cells_is_one_cluster():
    cell = simulated(0, patients=24, records=1)
    other = shifted(cell, 1, 1.0)
    elsewhere = [
        [one._replace(patients=np.char.add(one.patients, f"-{repeat}")) for one in (cell, other)]
        for repeat in range(4)
    ]
    first, second = zip(*elsewhere, strict=True)
    same = paired_differences([cell] * 4, [other] * 4)["accuracy"]
    apart = paired_differences(list(first), list(second))["accuracy"]
    assert same["difference"] == pytest.approx(apart["difference"])
    assert (same["n"], apart["n"]) == (24, 96)
    assert same["high"] - same["low"] > 1.6 * (apart["high"] - apart["low"])
    once = paired_differences([cell], [other])["accuracy"]
    assert (same["low"], same["high"]) == (pytest.approx(once["low"]), pytest.approx(once["high"]))


def test_a_paired_interval_is_narrower_than_the_two_apart():
    cell = simulated(2, patients=40)
    other = shifted(cell, 1, 0.3)
    found = paired_differences([cell], [other])["log_loss"]
    alone = classification_metrics(*cell, ("a", "b", "c"))["log_loss"]
    assert found["high"] - found["low"] < 0.5 * (alone["high"] - alone["low"])


def test_a_cell_with_one_class_is_left_out_and_said():
    sound = simulated(0, patients=24, classes=2)
    one_class = sound._replace(truth=np.zeros_like(sound.truth))
    first, second = [sound, one_class], [shifted(sound, 1, 1.0), shifted(one_class, 1, 1.0)]
    found = paired_differences(first, second)
    alone = paired_differences(first[:1], second[:1])
    assert found["auc"]["difference"] == alone["auc"]["difference"] and found["auc"]["cells"] == 1
    assert "undefined in 1 of 2 cells: left out" in found["auc"]["reason"]
    assert found["accuracy"]["cells"] == 2 and "reason" not in found["accuracy"]
    nowhere = paired_differences(first[1:], second[1:])["auc"]
    assert nowhere["difference"] is None and nowhere["reason"] == "undefined in every cell"
    assert (nowhere["cells"], nowhere["wins"]) == (0, 0)


def test_cells_that_are_not_the_same_are_refused():
    cell = simulated(0)
    turned = cell._replace(truth=(cell.truth + 1) % 3)
    renamed = cell._replace(patients=np.char.add(cell.patients, "x"))
    for second, message in (([turned], "true classes"), ([renamed], "patients"), ([], "cells")):
        with pytest.raises(ValueError, match=message):
            paired_differences([cell], second)
    with pytest.raises(ValueError, match="classes"):
        paired_differences([cell, simulated(0, classes=2)], [cell, simulated(0, classes=2)])


def test_an_interval_of_the_auc_covers_the_truth_about_as_often_as_it_says():
    # score = distance x class + patient's own shift + noise; over other patients' records
    # AUC = Phi(distance / sqrt(2 (own^2 + noise^2))).
    rng = np.random.default_rng(11)
    patients, records, distance, own, noise = 60, 4, 1.2, 0.8, 0.6
    expected = norm.cdf(distance / np.sqrt(2 * (own**2 + noise**2)))
    ids = np.repeat(np.arange(patients), records)
    positive = ids % 2 == 0  # a patient is of one class
    clusters = {"patients": ids, "records": np.arange(len(ids))}
    draws = {name: multiplicities(who.max() + 1, 0) for name, who in clusters.items()}
    covered = dict.fromkeys(clusters, 0)
    for _ in range(100):
        shifts = rng.normal(0, own, patients)[ids] + rng.normal(0, noise, len(ids))
        for name, who in clusters.items():
            auc = ranking(distance * positive + shifts, positive, who, draws[name]).auc
            low, high = np.nanquantile(auc[1:], [0.025, 0.975])
            covered[name] += low <= expected <= high
    assert covered["patients"] >= 88
    assert covered["records"] <= 80


def test_of_several_cells_the_wider_of_bootstrap_and_corrected_t_counts():
    first = [of_others(simulated(seed, patients=12, classes=2), seed) for seed in range(6)]
    second = [shifted(cell, seed, 1.5) for seed, cell in enumerate(first)]
    networks = paired_differences(first, second)["accuracy"]
    variants = paired_differences(first, second, test_share=0.25)["accuracy"]
    assert networks["method"] == "bootstrap" and "networks" in networks["question"]
    assert "variants" in variants["question"]
    gains = [(a.predicted == a.truth).mean() - (b.predicted == b.truth).mean()
             for a, b in zip(first, second, strict=True)]  # fmt: skip
    error = np.sqrt((1 / 6 + 0.25) * np.var(gains, ddof=1))
    half = student.ppf(0.975, 5) * error
    width = variants["high"] - variants["low"]
    assert width == pytest.approx(max(2 * half, networks["high"] - networks["low"]))
    assert variants["p"] >= 2 * student.sf(abs(np.mean(gains)) / error, 5) - 1e-9
    assert variants["p"] >= networks["p"]


def test_one_split_is_about_these_two_networks():
    cell = simulated(0, patients=24, classes=2)
    found = paired_differences([cell], [shifted(cell, 1, 1.0)], test_share=0.25)["auc"]
    assert "these trained networks" in found["question"] and found["method"] == "bootstrap"


def test_one_test_side_and_several_seeds_are_about_these_trained_networks():
    cell = simulated(0, patients=24, classes=2)
    others = [shifted(cell, seed, 1.0) for seed in range(3)]
    found = paired_differences([cell] * 3, others, test_share=0.25)["auc"]
    assert "these trained networks" in found["question"] and found["method"] == "bootstrap"
    assert found == paired_differences([cell] * 3, others)["auc"]


def test_resamples_without_a_class_are_counted_where_there_is_one_cell():
    truth = np.repeat([0, 1], [20, 2])
    chance = np.linspace(0.1, 0.9, 22)
    made = Predictions(truth, np.stack([1 - chance, chance], axis=1), (chance > 0.5).astype(int),
                       np.char.zfill(np.arange(22).astype(str), 2))  # fmt: skip
    times = multiplicities(22, 0)[1:]
    without = int((times[:, 20:].sum(axis=1) == 0).sum())
    found = paired_differences([made], [shifted(made, 0, 1.0)])["auc"]
    assert without > 0 and f"undefined in {without} of {len(times)} resamples" in found["reason"]


def halves(first: int, second: int, records: int = 1) -> list[Predictions]:
    """Two random answers for so many patients of two classes."""
    truth = np.repeat([0, 1], [first * records, second * records])
    ids = np.char.zfill(np.repeat(np.arange(first + second), records).astype(str), 3)
    chances = np.random.default_rng(first).uniform(size=(2, len(truth)))
    return [Predictions(truth, np.stack([1 - one, one], axis=1), (one > 0.5).astype(int), ids)
            for one in chances]  # fmt: skip


def test_a_difference_of_few_patients_has_no_interval_and_no_p():
    for count in (1, 9):
        for name, entry in paired_differences(*[[one] for one in halves(count, count, 3)]).items():
            limits = [entry[key] for key in ("low", "high", "p", "low_adjusted", "high_adjusted")]
            assert limits == [None] * 5 and entry["difference"] is not None, name
            assert f"too few to compare two answers: {2 * count}" in entry["reason"]
    enough = paired_differences(*[[one] for one in halves(10, 10)])
    assert all(entry["low"] is not None for entry in enough.values())


def test_numbers_that_weigh_classes_alike_need_seven_patients_of_each():
    found = paired_differences(*[[one] for one in halves(30, 6)])
    without = {name for name, entry in found.items() if entry["low"] is None}
    assert without == {"auc", "balanced_accuracy", "f1_macro"}
    assert "too few of a class to compare two answers: 6" in found["auc"]["reason"]
    assert paired_differences(*[[one] for one in halves(30, 7)])["auc"]["p"] is not None


def test_no_limit_of_a_difference_is_beyond_what_it_can_be():
    """Two folds, whose t has one degree of freedom."""
    cells = [halves(10, 10), halves(11, 11)]
    first, second = (
        [of_others(cell[one], fold) for fold, cell in enumerate(cells)] for one in (0, 1)
    )
    found = paired_differences(first, second, test_share=1.0, comparisons=6)
    for name, largest in (("auc", 1), ("f1_macro", 1), ("kappa", 2), ("brier", 2)):
        limits = [found[name][key] for key in ("low", "high", "low_adjusted", "high_adjusted")]
        assert np.abs(limits).max() <= largest, name
    assert found["auc"]["high_adjusted"] == 1


def test_several_comparisons_widen_the_adjusted_interval_only():
    cells = [of_others(simulated(seed, classes=2), seed) for seed in range(4)]
    others = [shifted(cell, 3, 1.0) for cell in cells]
    one, six = (
        paired_differences(cells, others, test_share=0.3, comparisons=n)["kappa"] for n in (1, 6)
    )
    assert (one["low"], one["high"]) == (one["low_adjusted"], one["high_adjusted"])
    assert (six["low"], six["high"]) == (one["low"], one["high"])
    assert six["low_adjusted"] < six["low"] and six["high_adjusted"] > six["high"]


def test_adjusted_p_values_are_those_of_statsmodels():
    for seed in range(5):
        p = np.random.default_rng(seed).random(6) ** 2
        np.testing.assert_allclose(holm(p.tolist()), multipletests(p, method="holm")[1])
