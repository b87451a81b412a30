"""Gaps, looks at the test side, and what exchanged labels say: findings of known numbers."""

import math

import numpy as np
import pytest

from mri_tf.audit.exchanged_pipeline import Exchanged, above_chance, exchanged_finding, not_tried, p_of
from mri_tf.audit.finding import CANNOT_TELL, FOUND, NOT_APPLICABLE, NOT_FOUND, leaks
from mri_tf.audit.gaps import Losses, choice_gap, training_gap
from mri_tf.audit.looks import looks_finding
from mri_tf.metrics.gap import Gap

RNG = np.random.default_rng(0)
AROUND_CHANCE = RNG.normal(0.5, 0.1, 19).tolist()


def test_a_network_that_knows_its_training_patients_by_heart_is_found():
    finding = training_gap([Losses(0.05, 0.9, math.log(2))])
    assert finding.status == FOUND and "0.05 in training and 0.90" in finding.evidence
    assert training_gap([Losses(0.3, 0.5, math.log(2))]).status == NOT_FOUND
    assert training_gap([Losses(0.6, 0.8, math.log(2))]).status == NOT_FOUND  # it learned nothing
    half = training_gap([Losses(0.05, 0.9, math.log(2)), Losses(0.3, 0.5, math.log(2))])
    assert half.status == NOT_FOUND and "mean of 2 networks" in half.evidence


def test_a_history_without_losses_cannot_tell_and_masks_are_not_asked():
    assert training_gap([Losses(0.1, math.nan, 1.0)]).status == CANNOT_TELL
    assert training_gap([], classes=False).status == NOT_APPLICABLE


def test_a_gap_counts_where_its_interval_excludes_none():
    found = choice_gap("auc", [Gap(0.2, 0.05, 0.35)], "", 0.25, 30)
    assert found.status == FOUND and "0.20 (0.05 to 0.35) in AUC" in found.evidence
    assert choice_gap("auc", [Gap(0.1, -0.05, 0.25)], "", 0.25, 30).status == NOT_FOUND
    wide = choice_gap("auc", [Gap(0.2, -0.05, 0.45)], "", 0.25, 30)
    assert wide.status == CANNOT_TELL and "exclude a gap of 0.3" in wide.evidence
    assert choice_gap("auc", [Gap(0.2, math.nan, math.nan)], "", 0.25, 30).status == CANNOT_TELL
    assert choice_gap("auc", [None], "", 0.25, 30).status == CANNOT_TELL
    folds = [Gap(value, -1, 1) for value in (0.2, 0.21, 0.19, 0.2, 0.2)]
    assert choice_gap("kappa", folds, "", 0.25, 30).status == FOUND


@pytest.mark.parametrize(
    "looks, networks, status", [(0, 0, NOT_FOUND), (1, 1, NOT_FOUND), (3, 2, FOUND)]
)
def test_more_than_one_look_is_found_and_never_a_certain_leak(looks, networks, status):
    finding = looks_finding(looks, networks, 12)
    assert finding.status == status and not leaks([finding])
    assert ("by 2 networks" in finding.evidence) == (looks == 3)


def test_a_number_above_all_exchanges_is_fine():
    finding = exchanged_finding(Exchanged("auc", 0.95, AROUND_CHANCE, AROUND_CHANCE))
    assert finding.status == NOT_FOUND and "p = 0.05" in finding.evidence and finding.p is None


def test_a_number_among_the_exchanges_is_not_shown_to_be_better():
    finding = exchanged_finding(Exchanged("auc", 0.55, AROUND_CHANCE, AROUND_CHANCE))
    assert finding.status == FOUND and "not shown" in finding.meaning and not leaks([finding])


def test_two_equal_numbers_of_small_test_sides_are_no_leak_and_three_equal_ones_of_1_are():
    assert not above_chance(np.array([0.56, 0.56]))
    assert above_chance(np.array([1.0, 1.0, 1.0]))
    finding = exchanged_finding(Exchanged("auc", 0.7, [0.56, 0.56], [0.56, 0.56]))
    assert finding.status == CANNOT_TELL
    assert "the mean of 2 trainings on exchanged labels is 0.56 (0.56 to 0.56)" in finding.evidence
    undefined = exchanged_finding(Exchanged("auc", 0.7, [None], [None]))
    assert "none of 1 trainings on exchanged labels has one" in undefined.evidence


def test_exchanges_above_chance_mean_that_the_pipeline_leaks():
    aucs = RNG.normal(0.8, 0.05, 19).tolist()
    finding = exchanged_finding(Exchanged("balanced_accuracy", 0.95, aucs, aucs))
    assert finding.evidence.startswith("the pipeline leaks")
    assert finding.status == FOUND and "leaks" in finding.meaning and "0.95" in finding.evidence


def test_p_counts_ties_losses_and_what_is_undefined_against_the_run():
    assert p_of(Exchanged("auc", 0.7, [0.7, 0.5, None, 0.6], [])) == pytest.approx(3 / 5)
    assert p_of(Exchanged("log_loss", 0.3, [0.2, 0.5, 0.6, 0.7], [])) == pytest.approx(2 / 5)


def test_few_exchanges_and_no_number_cannot_tell():
    few = exchanged_finding(Exchanged("auc", 0.9, AROUND_CHANCE[:4], AROUND_CHANCE[:4]))
    assert few.status == CANNOT_TELL and "4 of 19" in few.evidence
    assert exchanged_finding(Exchanged("auc", None, AROUND_CHANCE, AROUND_CHANCE)).status == CANNOT_TELL
    assert "--deep" in not_tried().what_to_do


def test_chance_itself_is_rarely_above_chance():
    alarms = [above_chance(RNG.normal(0.5, 0.12, 19)) for _ in range(500)]
    assert np.mean(alarms) < 0.03
    assert not above_chance(np.full(19, 0.5)) and not above_chance(np.array([0.9]))
