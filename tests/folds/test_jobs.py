"""Jobs of a study: pre-training follows the folds, and cells differ in what they compare only."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from planned import (
    OPTIONS,
    PLAN,
    assert_disjoint,
    folds_of,
    people,
    plans,
    prepared_of,
    sets,
    units,
    variant_of,
)

from mri_tf.core.errors import InputError
from mri_tf.folds.jobs import cell_jobs


def jobs_of(variants, plan, prepared):
    plan = replace(plan, variants=tuple(variants))
    return cell_jobs(variants, plan, folds_of(prepared, plan), OPTIONS)


@given(sets(fewest=5), sets(fewest=5), plans(), st.booleans())
@settings(max_examples=60, deadline=None)
def test_a_pre_training_uses_no_patient_of_a_folds_validation_or_test_side(
    prepared, features, plan, same_pixels
):
    assume(plan.folds != 2 and units(prepared) >= max(plan.folds, 3))
    if same_pixels:  # the same patients under other ids: found by their pixels
        features = prepared_of(
            [f"q{name}" for name in prepared.patients], prepared.labels, contents=prepared.contents
        )
    try:
        variants = {"manual": variant_of("manual", prepared, features)}
        pre_trainings, cells = jobs_of(variants, plan, prepared)
    except InputError:
        return  # too few patients are left to pre-train on
    by_name = {job["name"]: job for job in pre_trainings}
    for job in cells:
        held_out = set(job["split"]["validation"]) | set(job["split"]["test"])
        held = np.isin(prepared.patients, sorted(held_out))
        split = by_name[job["needs"]]["split"]
        seen = sorted(set(split["train"]) | set(split["validation"]))
        known = np.isin(features.patients, seen)
        assert not held_out & set(seen)
        assert not set(features.contents[known]) & set(prepared.contents[held])
        assert not (set(features.groups[known]) - {""}) & set(prepared.groups[held])
        assert_disjoint(split, features)


def test_cells_with_the_same_feature_task_and_patients_share_a_pre_training():
    prepared, features = people(), people()
    variants = {
        "manual": variant_of("manual", prepared, features),
        "longer": variant_of("longer", prepared, features, epochs=9),
        "other": variant_of("other", prepared, features, feature_epochs=9),
        "scratch": variant_of("scratch", prepared),
    }
    plan = replace(PLAN, folds=3, repeats=2, train_sizes=(1, 2))
    pre_trainings, cells = jobs_of(variants, plan, prepared)
    assert len(pre_trainings) == 2 * 3 * 2  # two feature tasks for each fold
    needed = {(job["row"]["variant"], job["row"]["repeat"], job["row"]["fold"]): job["needs"]
              for job in cells}  # fmt: skip
    for place in [(repeat, fold) for repeat in range(2) for fold in range(3)]:
        assert needed["manual", *place] == needed["longer", *place] != needed["other", *place]
        assert needed["scratch", *place] == ""
    assert len({needed["manual", 0, fold] for fold in range(3)}) == 3


def test_features_of_other_patients_are_trained_once_for_the_whole_study():
    prepared, features = people(), people(first=50)
    plan = replace(PLAN, folds=4, repeats=2)
    pre_trainings, cells = jobs_of({"manual": variant_of("manual", prepared, features)}, plan, prepared)
    assert len(pre_trainings) == 1 and {job["needs"] for job in cells} == {pre_trainings[0]["name"]}


def test_folds_share_the_features_of_frozen_layers_where_one_network_gives_them_all():
    prepared = people()
    banked = replace(OPTIONS, feature_banks="/study/.banks")
    plan = replace(PLAN, folds=4, variants=("manual",))
    for features, copies, shared in ((people(first=50), 2, True), (None, 2, True),
                                     (people(), 2, False), (people(first=50), 0, False)):  # fmt: skip
        variant = variant_of("manual", prepared, features)
        task = replace(variant.loaded.task, feature_bank=copies)
        variant = replace(variant, loaded=replace(variant.loaded, task=task))
        pre_trainings, cells = cell_jobs({"manual": variant}, plan, folds_of(prepared, plan), banked)
        told = [job["arguments"][-2:] == ["--feature-banks", "/study/.banks"] for job in cells]
        assert told == [shared] * len(cells)
        assert not any("--feature-banks" in job["arguments"] for job in pre_trainings)


def test_cells_of_one_split_differ_in_their_variant_only():
    prepared = people()
    variants = {name: variant_of(name, prepared) for name in ("manual", "scratch")}
    _, cells = jobs_of(variants, replace(PLAN, folds=3, restarts=2), prepared)
    for first, second in zip(cells[::2], cells[1::2], strict=True):
        assert first["split"] == second["split"] and first["seeds"] == second["seeds"]
        assert "--variant=scratch" in second["arguments"]
        assert not any("--variant" in word for word in first["arguments"])
        assert first["folder"] != second["folder"]


def test_every_cell_and_pre_training_is_told_its_precision():
    prepared, features = people(), people()
    pre_trainings, cells = jobs_of({"manual": variant_of("manual", prepared, features)}, PLAN, prepared)
    for job in [*pre_trainings, *cells]:
        settings = job["arguments"][job["arguments"].index("--set") + 1 :]
        assert settings[-1] == "precision=float32"


def test_a_job_is_plain_values_and_names_no_relative_path():
    _, cells = jobs_of({"manual": variant_of("manual", people())}, PLAN, people())
    for job in cells:
        assert json.dumps(job)
        places = [job["folder"], *(word for word in job["arguments"] if "/" in word)]
        assert places and all(Path(place).is_absolute() for place in places)


@pytest.mark.parametrize("change", ["task", "data", "seed", "restarts", "size"])
def test_another_task_data_seed_or_split_is_another_identity(change):
    prepared, plan = people(), replace(PLAN, folds=3, train_sizes=(2,))
    _, before = jobs_of({"manual": variant_of("manual", prepared)}, plan, prepared)
    epochs = 7 if change == "task" else 1
    if change == "data":
        prepared = people(first=30)
    plan = {
        "seed": replace(plan, seed=1), "restarts": replace(plan, restarts=2),
        "size": replace(plan, train_sizes=(3,)),
    }.get(change, plan)  # fmt: skip
    _, after = jobs_of({"manual": variant_of("manual", prepared, epochs=epochs)}, plan, prepared)
    assert not {job["identity"] for job in before} & {job["identity"] for job in after}


def test_no_audit_is_passed_to_every_training_of_a_cell():
    prepared = prepared_of([f"p{number}" for number in range(12)], [number % 3 for number in range(12)])
    plan = replace(PLAN, variants=("manual",))
    sides = folds_of(prepared, plan)
    for options, there in ((OPTIONS, False), (replace(OPTIONS, no_audit=True), True)):
        _, cells = cell_jobs({"manual": variant_of("manual", prepared)}, plan, sides, options)
        assert cells and all(("--no-audit" in job["arguments"]) == there for job in cells)
        assert all("--no-baselines" in job["arguments"] for job in cells)  # the study has them once
