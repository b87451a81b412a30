"""Certain findings as pure functions: patients, ids, copies and pre-training on two sides."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from visits import visits

from mri_tf.audit.copies import (
    copies_between_patients,
    copies_on_two_sides,
    copies_under_two_labels,
)
from mri_tf.audit.finding import (
    CANNOT_TELL,
    FOUND,
    NOT_APPLICABLE,
    NOT_FOUND,
    Finding,
    as_json,
    leaks,
    summary_line,
)
from mri_tf.audit.pretraining import no_pretraining, pretraining_overlap
from mri_tf.audit.sides import ids_alike, patients_on_two_sides, plain_id, shared_identities
from mri_tf.splits.known_copies import CopiesAcross
from mri_tf.splits.split import split_units, tie_together
from mri_tf.store.copies import CopyPairs

NO_GROUPS = np.full(6, "", dtype=object)
SIDES = [np.array([0, 1]), np.array([2, 3]), np.array([4, 5])]
NONE = np.zeros((0, 2), int)


def ids(*names):
    return np.array(names, dtype=object)


def test_a_patient_on_two_sides_is_a_certain_leak_and_named():
    found = patients_on_two_sides(ids("a", "b", "c", "d", "a", "e"), NO_GROUPS, SIDES)
    assert found.status == FOUND and found.certain and found.records == (0, 4)
    assert "1 in train and test" in found.evidence
    clean = patients_on_two_sides(ids("a", "a", "b", "b", "c", "c"), NO_GROUPS, SIDES)
    assert clean.status == NOT_FOUND and not leaks([clean])


def test_a_group_on_two_sides_is_a_leak_though_its_patients_are_not():
    groups = ids("", "g", "g", "", "", "")
    found = patients_on_two_sides(ids(*"abcdef"), groups, SIDES)
    assert found.certain and found.records == (1, 2) and "1 groups" in found.evidence


def test_without_sides_nothing_is_on_two_and_of_unknown_patients_nobody_can_tell():
    assert patients_on_two_sides(ids(*"abcdef"), NO_GROUPS, None).status == NOT_APPLICABLE
    unknown = patients_on_two_sides(ids(*"abcdef"), NO_GROUPS, SIDES, known=False)
    assert unknown.status == CANNOT_TELL and unknown.what_to_do
    torn = patients_on_two_sides(ids(*"aacdea"), NO_GROUPS, SIDES, known=False)
    assert torn.certain and "groups of images" in torn.evidence


@settings(max_examples=40, deadline=None)
@given(drawn=visits(), seed=st.integers(0, 3))
def test_splits_by_patient_and_group_are_always_clean(drawn, seed):
    patients, groups, labels = drawn
    units = tie_together(patients, groups)
    if len(set(units)) < 3:
        return
    sides = split_units(units, labels, (0.5, 0.25, 0.25), seed)
    assert patients_on_two_sides(patients, groups, sides).status == NOT_FOUND


@pytest.mark.parametrize(
    ("names", "alike"),
    [(("P02", "p02"), 1), (("1", "1.0", "01"), 1), (("00", "0"), 1), (("P1", "P10", "P100"), 0),
     (("sub-01", "sub-1"), 1), (("1.5", "15"), 0), (("M\u00fcller", "Mu\u0308ller"), 1),
     (("P\u201301", "P-01"), 1), (("P01", "\u200bP01"), 1), (("sub-01", "01", "Patient 01"), 1),
     (("P7", "7"), 1), (("sub-OAS1", "OAS1"), 1), (("patient", "pat"), 0), (("con1", "pat1"), 0)],
)  # fmt: skip
def test_ids_that_are_spelled_alike_are_named(names, alike):
    found = ids_alike(np.array(names))
    assert found.status == (FOUND if alike else NOT_FOUND) and not found.certain
    assert found.records == (tuple(range(len(names))) if alike else ())


def test_spellings_of_one_id_on_two_sides_are_a_certain_leak_on_one_side_they_are_not():
    apart = ids_alike(ids("P1", "x", "y", "z", "p01", "w"), SIDES)
    assert apart.certain and apart.records == (0, 4)
    together = ids_alike(ids("P1", "p01", "y", "z", "v", "w"), SIDES)
    assert together.status == FOUND and not together.certain


def test_a_word_before_a_number_makes_two_ids_a_question_and_no_certain_leak():
    found = ids_alike(ids("sub-01", "x", "y", "z", "patient 1", "w"), SIDES)
    assert found.status == FOUND and not found.certain and found.records == (0, 4)
    assert found.evidence.endswith("?") and "column group" in found.what_to_do


def test_pseudonyms_have_no_spelling():
    assert ids_alike(ids("p-1", "P-01"), pseudonyms=True).status == NOT_APPLICABLE


def test_identities_that_preparation_joined_are_told():
    assert shared_identities(None).status == NOT_APPLICABLE
    assert shared_identities({"patients": 0, "remaining": 0}).status == NOT_FOUND
    found = shared_identities({"patients": 5, "remaining": 2})
    assert found.status == FOUND and "5 patients" in found.evidence and not found.certain


def test_copies_on_two_sides_are_certain_and_copies_on_one_side_are_not():
    pairs = CopyPairs(np.array([[0, 4]]), NONE)
    across = CopiesAcross(np.array([[0, 4]]), exact=1)
    found = copies_on_two_sides(across, SIDES, pairs)
    assert found.certain and found.records == (0, 4) and "1 of 2 test records" in found.evidence
    kept = copies_on_two_sides(CopiesAcross(NONE, 0), SIDES, CopyPairs(np.array([[0, 1]]), NONE))
    assert kept.status == NOT_FOUND and "1 exact and 0 near copies" in kept.evidence
    assert copies_on_two_sides(None, None, pairs).status == NOT_APPLICABLE


def test_copies_between_patients_are_certain_only_where_no_sides_keep_them_together():
    pairs = CopyPairs(NONE, np.array([[0, 4], [1, 4]]))
    without = copies_between_patients(pairs, 6, 4, sides=False)
    assert without.certain and without.records == (0, 1, 4) and "0 exact and 2 near" in without.evidence
    assert not copies_between_patients(pairs, 6, 4, sides=True).certain
    assert copies_between_patients(CopyPairs(NONE, NONE), 6, 6, False).status == NOT_FOUND


def test_a_copied_sequence_is_told_and_says_nothing_against_the_labels():
    alone = CopyPairs(NONE, NONE, np.array([[0, 4]]))
    found = copies_between_patients(alone, 6, 5, False)
    assert found.certain and found.records == (0, 4)
    assert "0 near copies and 1 pair with one sequence alike and others not" in found.evidence
    labels, contents = np.array([0, 0, 0, 0, 1, 1]), ids(*"abcdef")
    assert copies_under_two_labels(labels, contents, alone).status == NOT_FOUND


def test_one_image_under_two_labels_is_found_exact_or_near_and_unlabelled_copies_are_not():
    contents = ids(*"aabcde")
    none = CopyPairs(NONE, NONE)
    exact = copies_under_two_labels(np.array([0, 1, 0, 1, 0, 1]), contents, none)
    assert exact.status == FOUND and exact.records == (0, 1)
    near = CopyPairs(NONE, np.array([[2, 3], [4, 2]]))
    found = copies_under_two_labels(np.array([0, 0, 0, 1, 0, 1]), contents, near)
    assert found.records == (2, 3) and "1 near copies" in found.evidence
    unlabelled = copies_under_two_labels(np.array([0, -1, 0, -1, 0, 1]), contents, near)
    assert unlabelled.status == NOT_FOUND


@pytest.mark.parametrize(
    ("seen", "near", "records", "word"),
    [(dict(patients=["F"], contents=[]), [], (5,), "by patient id"),
     (dict(patients=["f"], contents=[]), [], (5,), "by patient id"),
     (dict(patients=["X"], contents=["c4"]), [], (4,), "by their pixels"),
     (dict(patients=["X"], contents=[]), [4], (4,), "as near copies"),
     (dict(patients=["A", "B"], contents=["c0", "c1"]), [], (), "none of")],
)  # fmt: skip
def test_who_was_seen_before_is_found_by_id_pixels_or_copies_in_the_held_out_records(
    seen, near, records, word
):
    contents = ids(*(f"c{number}" for number in range(6)))
    found = pretraining_overlap(ids(*"ABCDEF"), contents, np.array([4, 5]), seen, np.array(near, int))
    assert found.records == records and word in found.evidence and found.certain == bool(records)


def test_weights_from_elsewhere_cannot_be_judged_and_no_weights_need_not_be():
    assert no_pretraining("").status == no_pretraining("none").status == NOT_APPLICABLE
    assert no_pretraining("imagenet").status == NOT_APPLICABLE
    assert no_pretraining("weights.h5").status == CANNOT_TELL


def test_a_finding_is_written_with_record_ids_and_nothing_of_the_terminal():
    finding = Finding("x", FOUND, "e", records=(1,), on_terminal="patient Zebedee")
    values = as_json(finding, ids("000000-0000", "000001-0000"))
    assert values["records"] == ["000001-0000"] and "Zebedee" not in str(values)
    assert {"name", "status", "statistic", "p", "n", "evidence", "meaning", "what_to_do"} <= set(values)


def test_the_summary_is_one_line_that_names_leaks_or_what_was_compared():
    leak = Finding("copies", FOUND, "3 copies", certain=True, what_to_do="Remove them.")
    clean, unknown = Finding("ids", NOT_FOUND, "fine"), Finding("weights", CANNOT_TELL, "?")
    assert summary_line([clean, leak]) == "audit: copies: 3 copies. What to do: Remove them."
    assert summary_line([clean, unknown]) == (
        "audit: no certain leak (not found: ids); cannot tell: weights"
    )
    doubted = Finding("patient ids", FOUND, "1 id may be spelled in several ways")
    assert summary_line([clean, doubted]) == (
        "audit: no certain leak (not found: ids); but patient ids: 1 id may be spelled in several ways"
    )


def test_an_id_is_plain_without_capitals_leading_zeros_and_separators_before_numbers():
    assert plain_id(" Sub-0007 ") == "sub7" and plain_id("3.00") == "3"
    assert len({plain_id(one) for one in ("P012", "p12", "P-012", "P 12", "p_0012")}) == 1
    assert plain_id("1-23") != plain_id("12-3") and plain_id("1.5") != plain_id("1-5")
    assert plain_id("SC-HF-I-01") != plain_id("SC-HFI-1")
