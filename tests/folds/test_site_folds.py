"""Leave one site out: a site is on the test side as a whole, and nobody who is tied to it trains."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planned import OPTIONS, PLAN, TASK, assert_disjoint, prepared_of, sets, variant_of
from refused import refusal

from mri_tf.core.errors import InputError
from mri_tf.folds.jobs import cell_jobs
from mri_tf.folds.site_folds import site_folds
from mri_tf.splits.sides import units_of
from mri_tf.task.spec import SIDES


def with_sites(prepared, sites):
    prepared.sites = np.array(sites, dtype=object)
    return prepared


def folds_by_site(prepared, plan=PLAN, common=None):
    return site_folds(prepared, TASK, plan, common or set(prepared.patients))


def three_sites(**changed):
    """Sites A, B and C of eight patients with every class."""
    names = [f"p{number:02d}" for number in range(24)]
    return prepared_of(names, np.arange(24) % 4, sites=np.repeat(["A", "B", "C"], 8), **changed)


def test_every_site_is_tested_once_as_a_whole():
    found = folds_by_site(three_sites(), replace(PLAN, repeats=2))
    assert found.plan.sites == ("A", "B", "C") and found.plan.folds == 3 and not found.notes
    for (_, fold), sides in found.patients.items():
        assert sides["test"] == [f"p{number:02d}" for number in range(8 * fold, 8 * fold + 8)]
        assert len(sides["train"]) > len(sides["validation"]) > 0
        assert sum(map(len, sides.values())) == 24
    assert found.patients[0, 1]["validation"] != found.patients[1, 1]["validation"]


@given(sets(fewest=6), st.data())
@settings(max_examples=80, deadline=None)
def test_nobody_who_is_tied_to_a_tested_site_trains_or_validates(prepared, data):
    size = len(prepared)
    names = st.sampled_from(["A", "B", "C", ""])
    with_sites(prepared, data.draw(st.lists(names, min_size=size, max_size=size)))
    try:
        found = folds_by_site(prepared)
    except InputError as error:
        assert "two sites" in str(error) and "\n" not in str(error)
        return
    units, tested = units_of(prepared, "group"), []
    for (_, fold), sides in found.patients.items():
        assert_disjoint(sides, prepared)
        here = np.isin(units, units[prepared.sites == found.plan.sites[fold]])
        learned = np.isin(prepared.patients, sides["train"] + sides["validation"])
        assert not (here & learned).any()
        of_test = np.isin(prepared.patients, sides["test"])
        assert set(prepared.sites[of_test]) <= {found.plan.sites[fold], ""}
        nowhere = ~np.isin(units, units[prepared.sites != ""])
        assert not nowhere[np.isin(prepared.patients, sum(sides.values(), []))].any()
        assert set(prepared.labels[learned]) == set(prepared.labels[~nowhere])
        tested += sides["test"]
    assert len(tested) == len(set(tested))


def test_a_patient_at_two_sites_and_a_group_across_them_are_left_out_and_counted():
    names = [*(f"p{number:02d}" for number in range(24)), "p00"]
    labels, sites = [*np.arange(24) % 4, 0], [*np.repeat(["A", "B", "C"], 8), "B"]
    groups = [""] * 25
    groups[16] = groups[9] = "family"  # p16 of C and p09 of B
    found = folds_by_site(prepared_of(names, labels, groups, sites=sites))
    tested = sum((sides["test"] for sides in found.patients.values()), [])
    assert not {"p00", "p16", "p09"} & set(tested)
    assert "p00" in found.patients[0, 2]["train"] + found.patients[0, 2]["validation"]
    assert found.notes[0].startswith("1 patient of site A who were at other sites too")
    assert found.notes[1].startswith("3 patients of site B")
    for fold, gone in ((0, {"p00"}), (1, {"p00", "p09", "p16"}), (2, {"p09", "p16"})):
        assert not gone & set(sum(found.patients[0, fold].values(), []))


def test_copies_across_sites_are_left_out_like_patients_of_both():
    contents = [f"c{number}" for number in range(24)]
    contents[8] = contents[0]

    class Shown(type(three_sites())):
        def record(self, position):
            image = np.random.default_rng(int(self.contents[position][1:])).integers(0, 255, (8, 8, 1))
            return replace(super().record(position), image=image.astype(np.uint8))

    prepared = three_sites(contents=contents)
    prepared.__class__ = Shown
    prepared.folder = Path("copies-of-nothing")
    prepared.manifest["record_shape"] = [8, 8, 1]
    found = folds_by_site(prepared)
    assert "p00" not in sum(found.patients[0, 0].values(), [])
    assert "p08" not in sum(found.patients[0, 0].values(), [])


def test_patients_without_a_site_are_in_no_fold():
    prepared = three_sites()
    prepared.sites[3] = ""
    found = folds_by_site(prepared)
    assert found.notes == ("1 patient without a site in no fold: they might be of any site",)
    assert all("p03" not in sum(sides.values(), []) for sides in found.patients.values())


def test_a_site_without_which_a_class_is_gone_is_not_held_out():
    prepared = three_sites()
    prepared.labels = np.where(prepared.labels == 3, 2, prepared.labels)
    prepared.labels[:8] = [0, 1, 2, 3, 0, 1, 2, 3]
    found = folds_by_site(prepared)
    assert found.plan.sites == ("B", "C")
    assert found.notes == ("site A is not held out: nobody of d is at other sites",)


@pytest.mark.parametrize("sites", [["A"] * 24, [""] * 24, ["A"] * 20 + [""] * 4])
def test_fewer_than_two_sites_are_refused(sites):
    said = refusal(folds_by_site, with_sites(three_sites(), sites))
    assert said.startswith("--leave-one-site-out needs patients of two sites or more.")


def test_a_cell_says_which_site_it_tests_and_its_features_saw_nobody_of_it():
    prepared = three_sites()
    # The features may use further patients, some of them of the same sites, one without a site.
    names = [*prepared.patients, *(f"q{number:02d}" for number in range(9))]
    features = prepared_of(
        names, [0] * 33, contents=[f"x{number}" for number in range(33)],
        sites=[*prepared.sites, "A", "A", "B", "B", "C", "C", "", "D", "D"],
    )  # fmt: skip
    found = folds_by_site(prepared)
    trainings, cells = cell_jobs(
        {"manual": variant_of("manual", prepared, features)}, found.plan, found.patients, OPTIONS
    )
    assert [job["row"]["site"] for job in cells] == ["A", "B", "C"]
    splits = {job["name"]: job["split"] for job in trainings}
    for job in cells:
        split = splits[job["needs"]]
        learned = np.isin(names, split["train"] + split["validation"])
        assert job["row"]["site"] not in set(features.sites[learned])
        assert "" not in set(features.sites[learned]) and "D" in set(features.sites[learned])
        assert not set(split["test"]) & set(split["train"] + split["validation"])
        assert set(split) == set(SIDES)
