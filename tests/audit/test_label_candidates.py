"""Which labels are doubted: planted ones first, copies before them, and when nobody can tell."""

import csv
from dataclasses import replace

import numpy as np
import pytest
from made_up_set import MadeUpSet
from PIL import Image

from mri_tf.audit.candidate_files import COLUMNS, SHEET, TABLE, middle_slice, write_candidates
from mri_tf.audit.finding import CANNOT_TELL, FOUND, NOT_APPLICABLE, NOT_FOUND, leaks
from mri_tf.audit.held_out import HeldOut, units_of_labels
from mri_tf.audit.label_candidates import label_candidates

PLANTED = (5, 18)


def drawn_set(folder, patients=24, records=1, wrong=PLANTED, **columns):
    """Pictures of noise; labels alternate from patient to patient, but for the wrong ones."""
    rng = np.random.default_rng(0)
    labels = [(number % 2) ^ (number in wrong) for number in range(patients)]
    images = [rng.normal(size=(16, 16, 1)).astype(np.float32) for _ in range(patients * records)]
    owners = [f"p{number:03d}" for number in range(patients) for _ in range(records)]
    of_record = [label for label in labels for _ in range(records)]
    return MadeUpSet(folder, images, owners, **{"label": of_record, **columns})


def answers_for(prepared, records=1, times=3, skill=0.8, seed=1):
    """Probabilities of four folds that know who is of which class, whatever the label says."""
    rng = np.random.default_rng(seed)
    right = np.arange(len(prepared)) // records % 2
    of_one = np.where(right == 1, skill, 1 - skill) + rng.uniform(-0.15, 0.15, len(prepared))
    found = np.stack([1 - of_one, of_one], axis=1)
    patient = np.arange(len(prepared)) // records
    return HeldOut(np.arange(len(prepared)), found, np.full(len(prepared), times), patient // 2 % 4)


def test_planted_labels_are_found_and_named_by_their_records(tmp_path):
    prepared = drawn_set(tmp_path)
    finding, ranked = label_candidates(answers_for(prepared), prepared)
    assert finding.status == FOUND and finding.records == PLANTED and finding.n == 24
    assert "2 labels of 24 patients are contradicted" in finding.evidence
    assert "no test" in finding.meaning and "repeats" not in finding.what_to_do
    assert {one.record for one in ranked[:2]} == set(PLANTED) and len(ranked) == 24
    assert ranked[0].given != ranked[0].probable and ranked[0].contradicted
    assert not leaks([finding])


def test_with_fewer_repeats_than_three_it_says_so(tmp_path):
    prepared = drawn_set(tmp_path)
    finding, _ = label_candidates(answers_for(prepared, times=1), prepared)
    assert "fewer than 3 repeats" in finding.what_to_do and "--fold-repeats 3" in finding.what_to_do


def test_where_no_label_is_contradicted_nothing_is_found(tmp_path):
    prepared = drawn_set(tmp_path, wrong=())
    finding, ranked = label_candidates(answers_for(prepared), prepared)
    assert finding.status == NOT_FOUND and len(ranked) == 24 and not finding.records


def test_records_of_a_patient_count_once_and_the_most_doubted_stands_for_them(tmp_path):
    prepared = drawn_set(tmp_path, records=4)
    found = answers_for(prepared, records=4)
    units = units_of_labels(found, prepared)
    assert len(units.labels) == 24 and units.noun == "patients"
    finding, ranked = label_candidates(found, prepared)
    assert finding.n == 24 and {one.record // 4 for one in ranked[:2]} == set(PLANTED)
    own = slice(ranked[0].record // 4 * 4, ranked[0].record // 4 * 4 + 4)
    of_given = found.probabilities[own, ranked[0].given]
    assert ranked[0].records == 4 and ranked[0].confidence == pytest.approx(of_given.mean())
    assert found.probabilities[ranked[0].record, ranked[0].given] == of_given.min()


def test_records_of_patients_of_several_classes_count_each(tmp_path):
    prepared = drawn_set(tmp_path, records=4, label=[0, 1, 0, 1] * 24)
    units = units_of_labels(answers_for(prepared, records=1), prepared)
    assert len(units.labels) == 96 and units.noun == "records"


def test_copies_under_two_labels_come_first(tmp_path):
    prepared = drawn_set(tmp_path)
    prepared.contents[[2, 7]] = "same"  # of class 0 and class 1, both as the networks say
    finding, ranked = label_candidates(answers_for(prepared), prepared)
    assert {one.record for one in ranked[:2]} == {2, 7} and ranked[0].copies
    assert {one.record for one in ranked[2:4]} == set(PLANTED)
    assert "2 copies under two labels come first" in finding.evidence


@pytest.mark.parametrize("what, words", [("few", "fewer than 10"), ("chance", "not better than chance")])
def test_where_probabilities_say_nothing_no_label_is_doubted(tmp_path, what, words):
    prepared = drawn_set(tmp_path, patients=18 if what == "few" else 40)
    found = answers_for(prepared, skill=0.5 if what == "chance" else 0.8)
    finding, ranked = label_candidates(found, prepared)
    assert finding.status == CANNOT_TELL and words in finding.evidence and not ranked


@pytest.mark.parametrize("times", [1, 3])
def test_networks_of_folds_must_be_better_than_chance_by_the_factor_of_folds(tmp_path, times):
    """The same answers would do if one held-out side had them."""
    prepared = drawn_set(tmp_path, patients=40, wrong=(2, 5, 8, 11, 14, 17, 20, 23, 26, 29, 32))
    found = answers_for(prepared, times=times)
    alone = replace(found, folds=np.zeros(40, int))
    assert "better than chance" in label_candidates(found, prepared)[0].evidence
    assert label_candidates(alone, prepared)[0].status == FOUND


def test_one_split_cannot_tell_and_says_what_would(tmp_path):
    finding, ranked = label_candidates(None, drawn_set(tmp_path))
    assert finding.status == CANNOT_TELL and "--folds 5" in finding.what_to_do and not ranked
    masks = drawn_set(tmp_path, label=[-1] * 24)
    assert label_candidates(None, masks)[0].status == NOT_APPLICABLE


def test_the_table_names_records_and_no_patient_and_a_later_audit_removes_it(tmp_path):
    prepared = drawn_set(tmp_path)
    prepared.contents[[2, 7]] = "same"
    _, ranked = label_candidates(answers_for(prepared), prepared)
    files = write_candidates(ranked, prepared, tmp_path)
    assert [path.name for path in files] == [TABLE, SHEET]
    rows = list(csv.DictReader((tmp_path / TABLE).open()))
    assert tuple(rows[0]) == COLUMNS and len(rows) == 24
    assert {rows[0]["record_id"], rows[0]["copy_of"]} == {"000002-0000", "000007-0000"}
    assert rows[2]["contradicted"] == "yes" and rows[2]["given"] != rows[2]["most_probable"]
    assert "p0" not in (tmp_path / TABLE).read_text()
    assert Image.open(tmp_path / SHEET).size[0] > 500
    write_candidates([], prepared, tmp_path)
    assert not (tmp_path / TABLE).exists() and not (tmp_path / SHEET).exists()


def test_of_a_volume_the_middle_slice_is_shown():
    volume = np.zeros((5, 4, 3, 2))
    volume[2, ..., 0] = 7
    assert middle_slice(volume).shape == (4, 3) and (middle_slice(volume) == 7).all()
    assert middle_slice(np.ones((4, 3, 3))).shape == (4, 3)
