"""Folds of a study: no patient is on two sides, and each is tested once; training sizes and cells."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from planned import PLAN, POOLS, TASK, assert_disjoint, folds_of, people, plans, prepared_of, sets, units
from refused import refusal

from mri_tf.core.errors import InputError
from mri_tf.folds.design import (
    WHOLE,
    Cell,
    cells_of,
    check_plan,
    keep_precision,
    split_file,
    study_precision,
)
from mri_tf.splits.sides import SplitOptions, choose_sides
from mri_tf.task.overrides import with_precision
from mri_tf.task.spec import SIDES


@given(sets(), plans())
@settings(max_examples=80, deadline=None)
def test_no_patient_is_on_two_sides_and_each_is_tested_once_per_repeat(prepared, plan):
    assume(units(prepared) >= max(plan.folds, 3))
    try:
        found = folds_of(prepared, plan)
    except InputError as error:
        # Two folds of uneven patients may leave one patient for both training and validation.
        assert plan.folds == 2 and "Use more --folds" in str(error)
        return
    assert set(found) == {(r, f) for r in range(plan.repeats) for f in range(plan.folds)}
    for sides in found.values():
        assert_disjoint(sides, prepared)
        assert set().union(*sides.values()) == set(prepared.patients)
    for repeat in range(plan.repeats) if plan.folds > 1 else ():
        tested = [name for (r, _), sides in found.items() if r == repeat for name in sides["test"]]
        assert Counter(tested) == Counter(set(prepared.patients))


def chosen_by_train(path, prepared, plan, sides, cell):
    """The sides that train takes from the split file of a cell, written to `path`."""
    path.write_text(json.dumps(split_file(plan, TASK.class_names, sides, cell)))
    return choose_sides(prepared, TASK, SplitOptions(None, path, None, 0))


@given(sets(), plans())
@settings(max_examples=40, deadline=None)
def test_a_cells_split_file_gives_train_those_sides(tmp_path_factory, prepared, plan):
    assume(plan.folds != 2 and units(prepared) >= max(plan.folds, 3))
    path = tmp_path_factory.mktemp("splits") / "split.json"
    found = folds_of(prepared, plan)
    for cell in cells_of(plan):
        sides = found[cell.repeat, cell.fold]
        chosen = chosen_by_train(path, prepared, plan, sides, cell)
        assert chosen.mode == "file"
        for side, records in zip(SIDES, chosen.records, strict=True):
            assert set(prepared.patients[records]) == set(sides[side])
        assert sorted(np.concatenate(chosen.records)) == list(range(len(prepared)))


@given(sets(fewest=4), plans(), st.data())
@settings(max_examples=60, deadline=None)
def test_patients_that_another_variant_lacks_are_on_no_side(prepared, plan, data):
    names = sorted(set(prepared.patients))
    common = set(data.draw(st.lists(st.sampled_from(names), min_size=1, unique=True)))
    try:
        found = folds_of(prepared, plan, common=common)
    except InputError as error:
        assert "\n" not in str(error)
        return
    for sides in found.values():
        assert_disjoint(sides, prepared)
        assert set().union(*sides.values()) == common


@given(sets(fewest=6), plans())
@settings(max_examples=30, deadline=None)
def test_the_same_plan_gives_the_same_folds(prepared, plan):
    assume(plan.folds != 2 and units(prepared) >= max(plan.folds, 3))
    assert folds_of(prepared, plan) == folds_of(prepared, plan)


@pytest.mark.parametrize("folds", [1, 2, 4])
def test_variants_sizes_and_restarts_do_not_move_the_folds(folds):
    prepared = prepared_of([f"p{n // 2:02d}" for n in range(40)], np.arange(40) % 4)
    plan = replace(PLAN, folds=folds, seed=3)
    other = replace(plan, variants=("x", "y"), train_sizes=(2, 5), restarts=3)
    assert folds_of(prepared, plan) == folds_of(prepared, other)


@pytest.mark.parametrize("folds", [1, 5])
def test_seeds_and_repeats_give_different_folds(folds):
    prepared, drawn = people(40), set()
    for seed in range(3):
        found = folds_of(prepared, replace(PLAN, folds=folds, repeats=3, seed=seed))
        drawn |= {tuple(found[repeat, 0]["test"]) for repeat in range(3)}
    assert len(drawn) >= 8  # of 9


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("folds", [2, 3, 5])
def test_classes_are_shared_out_over_the_folds(folds, seed):
    labels = np.repeat([0, 1, 2, 3], [60, 30, 15, 10])  # sorted, one record per patient
    prepared = prepared_of([f"p{n:03d}" for n in range(len(labels))], labels)
    for sides in folds_of(prepared, replace(PLAN, folds=folds, seed=seed)).values():
        tested = labels[np.isin(prepared.patients, sides["test"])]
        train = labels[np.isin(prepared.patients, sides["train"])]
        for label, count in Counter(labels.tolist()).items():
            assert abs(np.sum(tested == label) - count / folds) < 1
            train_share, validation_share, _ = TASK.split_fractions
            expected = count * (1 - 1 / folds) * train_share / (train_share + validation_share)
            assert abs(np.sum(train == label) - expected) < 2


@given(st.lists(st.integers(2, 6), min_size=2, max_size=4), st.integers(2, 5), st.integers(0, 200))
@settings(max_examples=40, deadline=None)
def test_a_class_of_two_patients_is_never_missing_from_training(counts, folds, seed):
    """One class per patient; only where each class has one patient left must validation take one."""
    labels = np.repeat(np.arange(len(counts)), counts)
    assume(len(labels) >= max(folds, 3))
    prepared = prepared_of([f"p{n:02d}" for n in range(len(labels))], labels)
    for sides in folds_of(prepared, replace(PLAN, folds=folds, seed=seed)).values():
        trained = set(labels[np.isin(prepared.patients, sides["train"])])
        left = len(labels) - len(sides["test"])
        assert trained == set(labels) or left == len(counts)


@pytest.mark.parametrize("seed", range(8))
def test_a_class_of_two_patients_is_trained_on_also_where_visits_differ_in_class(seed):
    rng = np.random.default_rng(seed)
    patient_of = np.repeat(np.arange(12), rng.integers(1, 5, 12))
    labels = rng.choice(4, len(patient_of), p=(0.55, 0.25, 0.12, 0.08))
    prepared = prepared_of([f"p{n:02d}" for n in patient_of], labels)
    for sides in folds_of(prepared, replace(PLAN, folds=4, seed=seed)).values():
        trained = labels[np.isin(prepared.patients, sides["train"])]
        for label in set(labels.tolist()):
            assert label in trained or len(set(patient_of[labels == label])) == 1


@given(sets(with_groups=False), st.integers(0, 30))
@settings(max_examples=40, deadline=None)
def test_fewer_patients_than_folds_are_refused_in_one_line(prepared, seed):
    folds = len(set(prepared.patients)) + 1
    line = refusal(folds_of, prepared, replace(PLAN, folds=folds, seed=seed))
    assert f"Received: {folds - 1}" in line


GROUPED = prepared_of([f"p{n}" for n in range(6)], [0, 1] * 3, groups=["g"] * 4 + ["", ""])


def test_groups_count_as_one_patient_where_folds_are_counted():
    assert len(folds_of(GROUPED, replace(PLAN, folds=3))) == 3


@pytest.mark.parametrize(
    ("prepared", "folds", "message"),
    [
        (GROUPED, 4, "3 for 4 folds"),
        (prepared_of(["p0", "p1"], [0, 1]), 2, "at least 3 are needed, and one for each fold"),
        (prepared_of(["giant"] * 90 + ["p1", "p2", "p3"], [0] * 93), 2, "Use more --folds"),
    ],
    ids=["groups", "two patients", "a giant and small ones"],
)
def test_too_few_patients_for_the_folds_are_refused_in_one_line(prepared, folds, message):
    assert message in refusal(folds_of, prepared, replace(PLAN, folds=folds))


def test_with_one_fold_the_split_column_says_the_sides_of_every_repeat():
    names = [f"p{n}" for n in range(6)]
    column = ["train", "train", "train", "validation", "test", "test"]
    prepared = prepared_of(names, [0, 1] * 3, splits=column)
    found = folds_of(prepared, replace(PLAN, folds=1, repeats=2))
    assert found[0, 0] == found[1, 0] == {
        "train": names[:3], "validation": names[3:4], "test": names[4:]
    }  # fmt: skip


def test_with_folds_the_split_column_is_not_used():
    column = ["train"] * 8 + ["validation", "test"]
    prepared = prepared_of([f"p{n}" for n in range(10)], [0, 1] * 5, splits=column)
    tested = [name for sides in folds_of(prepared, PLAN).values() for name in sides["test"]]
    assert sorted(tested) == sorted(prepared.patients)


@given(sets(fewest=6), st.integers(1, 3), st.integers(1, 3), st.integers(0, 100))
@settings(max_examples=60, deadline=None)
def test_larger_training_sizes_hold_smaller_ones(tmp_path_factory, prepared, few, more, seed):
    assume(units(prepared) >= 3)
    plan = replace(PLAN, folds=3, seed=seed, train_sizes=(few, few + more), keep_all=("b",))
    path = tmp_path_factory.mktemp("sizes") / "split.json"
    for fold, sides in folds_of(prepared, plan).items():
        drawn = []
        for size in plan.train_sizes:
            cell = Cell("manual", *fold, size)
            drawn.append(chosen_by_train(path, prepared, plan, sides, cell).records)
        small, large = drawn
        whole = prepared.labels[np.isin(prepared.patients, sides["train"])]
        assert set(small[0]) <= set(large[0]) and set(small[1]) <= set(large[1])
        assert np.array_equal(small[2], large[2])
        for label, name in enumerate(TASK.class_names):
            in_training = int(np.sum(whole == label))
            most = in_training if name in plan.keep_all else min(few, in_training)
            assert np.sum(prepared.labels[small[0]] == label) == most
        assert len(small[1]) <= len(small[0])


def test_a_whole_cell_has_no_limit_and_repeats_draw_other_records():
    cell, sides = Cell("manual", 0, 0, WHOLE), {side: ["p"] for side in SIDES}
    assert split_file(PLAN, TASK.class_names, sides, cell) == sides
    seeds = {
        split_file(PLAN, TASK.class_names, sides, Cell("manual", repeat, fold, 4))["limit"]["seed"]
        for repeat in range(3) for fold in range(2)
    }  # fmt: skip
    assert len(seeds) == 3


@pytest.mark.parametrize(
    ("changes", "tasks", "message"),
    [
        (dict(keep_all=("a", "zz"), train_sizes=(2,)), [TASK], "Received: zz"),
        (dict(keep_all=("a",)), [TASK], "Add --train-sizes"),
        (dict(train_sizes=(2,)), [POOLS], "--train-sizes is for classification tasks only"),
        (dict(variants=("manual", "two")), [TASK, replace(TASK, class_names=("a", "b"))],
         "Received: two: classification of a, b"),
    ],
)  # fmt: skip
def test_flags_and_variants_that_do_not_fit_the_task_are_refused(changes, tasks, message):
    assert message in refusal(check_plan, replace(PLAN, **changes), tasks)


def test_every_cell_has_a_name_of_its_own_that_is_one_folder():
    variants = ("manual", "a,b", "a+b", "a/b", "a b", "../up", "naïve λ", "A", "x" * 300, "x" * 299)
    plan = replace(PLAN, variants=variants, train_sizes=(2, 22), repeats=2)
    names = [cell.name for cell in cells_of(plan)]
    assert len(set(names)) == len(names) == 10 * 2 * 2 * 2
    for name in names:
        assert Path(name).name == name and len(name.encode()) < 200, name
    assert Cell("a,b", 1, 0, WHOLE).name == "a+b-r1-f0"


def test_variants_of_one_split_come_one_after_another():
    plan = replace(PLAN, variants=("manual", "scratch"), train_sizes=(2, 4))
    assert [cell.variant for cell in cells_of(plan)] == ["manual", "scratch"] * 4


def test_restarts_have_seeds_of_their_own_and_repeats_too():
    plan = replace(PLAN, restarts=3, seed=5)
    assert plan.seeds(0) == [5, 6, 7] and plan.seeds(1) == [8, 9, 10]


def test_the_precision_of_a_study_is_that_of_its_first_start(tmp_path):
    folder = tmp_path / "study"
    assert study_precision(folder, "mixed_bfloat16") == "mixed_bfloat16" and not folder.exists()
    keep_precision(folder, "mixed_bfloat16")
    assert study_precision(folder, "float32") == "mixed_bfloat16"  # continued on another machine
    task = replace(TASK, precision="auto")
    assert with_precision(task, "mixed_bfloat16").precision == "mixed_bfloat16"
    explicit = replace(task, precision="float32")
    assert with_precision(explicit, "mixed_bfloat16") == explicit
    (folder / "plan.json").write_text('{"precision": 3}')
    with pytest.raises(InputError, match="plan.json of the study is damaged"):
        study_precision(folder, "float32")
