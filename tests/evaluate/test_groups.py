"""Groups of records by what preparation kept: scanner, sex, age, spacing; and their page."""

import numpy as np
import pytest
from made_up_set import MadeUpSet
from sited import of_sites

from data_prep.case import Case
from mri_tf.evaluate.groups import (
    age_band,
    group_values,
    groups_of,
    sex_of,
    spacing_band,
)
from mri_tf.metrics.classification import classification_metrics
from mri_tf.splits.leakage import counted_as_images
from mri_tf.store.record import NOMINAL, Record, source_spacing_mm
from mri_tf.store.scanners import NOT_KNOWN, scanner_of
from mri_tf.tables import run_page


def test_a_scanner_is_named_by_the_table_or_by_the_headers_of_all_sequences():
    of_sequences = {"t1_manufacturer": "GE", "t2_manufacturer": "GE", "t1_model": "Signa",
                    "t2_model": "Signa", "t1_field_strength_t": 1.494, "t1_te_ms": 9.0}  # fmt: skip
    assert scanner_of(of_sequences) == "GE Signa 1.5 T"
    assert scanner_of({"scanner": "Verio", "field_strength_t": "3"}) == "Verio 3 T"
    assert scanner_of({"field_strength_t": "strong"}) == scanner_of({}) == NOT_KNOWN


@pytest.mark.parametrize(
    ("word", "group"),
    [("F", "female"), ("male", "male"), ("w", "female"), ("divers", "other"), ("", NOT_KNOWN)],
)
def test_a_sex_is_female_or_male_or_other_and_a_free_word_is_not_printed(word, group):
    assert sex_of({"sex": word}) == group


def test_ages_fall_into_bands_of_twenty_years():
    bands = [age_band({"age": age}) for age in (19.9, "20", "39", 40, "79", "080Y", "018M", "old")]
    assert bands == ["under 20", "20 to 39", "20 to 39", "40 to 59", "60 to 79", "80 and above",
                     "under 20", NOT_KNOWN]  # fmt: skip


def test_a_spacing_is_that_of_the_original_voxels_and_of_the_grid_without_it():
    grid = np.diag([1.0, 1.0, 3.0, 1.0])
    facts = {"source_affine": np.diag([0.5, 0.5, 6.0, 1.0]).tolist()}
    def of(facts, affine=grid):
        return Record("0", "p", np.zeros((2, 2, 2, 1)), facts=facts, affine=affine)

    assert spacing_band(of(facts)) == "4 to 6 mm" and spacing_band(of({})) == "2 to 4 mm"
    assert spacing_band(of({}, None)) == NOT_KNOWN
    assert spacing_band(of({**facts, "spacing": NOMINAL})) == NOT_KNOWN
    assert source_spacing_mm(facts) == pytest.approx((0.5, 0.5, 6.0))


def test_an_age_above_89_is_kept_as_90_and_other_facts_are_kept_as_they_are():
    row = {"patient_id": "p", "age": "97", "sex": "F", "site": "A"}
    assert Case.from_row(row, {}, facts=("age", "sex")).facts == {"age": "90", "sex": "F"}


def test_facts_are_found_under_the_other_names_that_tables_give_them():
    row = {"patient_id": "p", "age": "", "alter": "97,5", "geschlecht": "weiblich"}
    row |= {"centre": "A", "hospital": "B"}
    facts = Case.from_row(row, {}, facts=("site", "age", "sex")).facts
    assert facts == {"site": "A", "age": "90", "sex": "weiblich"} and sex_of(facts) == "female"
    own = Case.from_row(row | {"sex": "M", "site": "C"}, {}, facts=("site", "sex")).facts
    assert own == {"site": "C", "sex": "M"}
    assert Case.from_row({**row, "age": "71.5"}, {}, facts=("age",)).facts == {"age": "71.5"}


@pytest.fixture
def scored(tmp_path):
    """(set, predictions): two sites of known sexes and ages, one patient of unknown ones."""
    made, sites = of_sites([(6, 7), (8, 5)])
    facts = [{"sex": "MF"[number % 2], "age": 30 + number} for number in range(26)]
    facts[0] = {}
    prepared = MadeUpSet(
        tmp_path, [np.zeros((4, 4, 1))] * 26, made.patients.tolist(), facts,
        site=sites.tolist(), label=made.truth.tolist(),
    )  # fmt: skip
    return prepared, made


def test_a_record_that_is_counted_twice_has_its_groups_twice(scored):
    prepared, _ = scored
    found = groups_of(prepared, np.array([3, 0, 3]))
    assert found["sex"].tolist() == ["female", NOT_KNOWN, "female"]
    assert found["site"].tolist() == ["S0"] * 3


def test_the_page_shows_sites_and_every_group_and_says_what_it_cannot(scored):
    prepared, made = scored
    names = ("low_grade", "high")
    values = group_values(prepared, np.arange(26), made, names)
    assert {row["by"] for row in values["subgroups"]} == {"site", "sex", "age"}
    metrics = classification_metrics(*made, names) | values | {"split": "patient"}
    page = run_page("grades", metrics, names)
    assert "## Within sites" in page and "patients of low grade" in page
    assert "mean, weighted by pairs" in page
    assert "No statement about sites: 2 of 2 sites have 4 patients" in page
    # Of unknown sex and age is one patient.
    assert "| none" in page
    assert "- sex not known; age not known: 1 patient is too few for a number." in page
    assert "by chance alone" in page


def test_where_patients_are_not_known_groups_count_images(scored):
    prepared, made = scored
    found = counted_as_images(group_values(prepared, np.arange(26), made, ("a", "b")))
    units = {row["auc"]["unit"] for row in found["within_sites"]["sites"]}
    assert units == {"groups of images"} == {found["subgroups"][0]["numbers"]["auc"]["unit"]}


def test_a_set_without_sites_and_facts_has_neither(tmp_path):
    made, _ = of_sites([(6, 7)])
    prepared = MadeUpSet(tmp_path, [np.zeros((4, 4, 1))] * 13, made.patients.tolist())
    assert group_values(prepared, np.arange(13), made, ("a", "b")) == {}
