"""Folds of a study and its jobs: no patient is on two sides, pre-training follows the folds."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mri_tf.core.errors import InputError
from mri_tf.splits.sides import SplitOptions, choose_sides, units_of
from mri_tf.store.prepared import Prepared
from mri_tf.study.design import WHOLE, Cell, Plan, cells_of, check_plan, fold_patients, split_file
from mri_tf.study.jobs import JobOptions, Variant, cell_jobs
from mri_tf.task import Task
from mri_tf.task.spec import SIDES
from mri_tf.train.datasets import LoadedTask

PLAN = Plan(("manual",), folds=2, repeats=1, train_sizes=(WHOLE,), keep_all=(), restarts=1, seed=0)
TASK = Task(
    name="levels", channels=("ct",), image_shape=(8, 8), class_names=("a", "b", "c", "d"), model="vgg"
)
POOLS = Task(
    name="pools", kind="segmentation", channels=("ct",), image_shape=(8, 8),
    class_names=("background", "pool"), model="mnet",
)  # fmt: skip


def prepared_of(patients, labels, groups=None, splits=None, contents=None) -> Prepared:
    """A prepared set without records on disk: the index is all that folds look at."""
    size = len(patients)
    index = {
        "record_id": [f"{number:06d}-0000" for number in range(size)],
        "patient": list(patients),
        "group": list(groups) if groups is not None else [""] * size,
        "split": list(splits) if splits is not None else [""] * size,
        "site": [""] * size,
        "label": [int(label) for label in labels],
        "content": list(contents) if contents is not None else [f"c{n}" for n in range(size)],
        **{key: [0] * size for key in ("shard", "offset", "length", "crc32")},
    }
    return Prepared(Path("data"), {"index": index, "prep": "p", "class_names": list(TASK.class_names)})


@st.composite
def sets(draw, with_groups=True, fewest=3):
    """Patients with repeated visits, groups that chain some of them, classes maybe sorted."""
    visits = draw(st.lists(st.integers(1, 4), min_size=fewest, max_size=16))
    patients = [f"p{number:02d}" for number, count in enumerate(visits) for _ in range(count)]
    size = len(patients)
    names = st.sampled_from(["", "", "", "", "g1", "g2", "p00"])
    groups = draw(st.lists(names, min_size=size, max_size=size)) if with_groups else [""] * size
    labels = draw(st.lists(st.integers(0, 3), min_size=size, max_size=size))
    if draw(st.booleans()):
        labels = sorted(labels)
    order = np.arange(size)
    if draw(st.booleans()):
        order = np.random.default_rng(draw(st.integers(0, 99))).permutation(size)
    return prepared_of(
        np.array(patients)[order].tolist(), np.array(labels)[order], np.array(groups)[order].tolist()
    )


def plans():
    return st.builds(
        lambda folds, repeats, seed: replace(PLAN, folds=folds, repeats=repeats, seed=seed),
        st.integers(1, 5), st.integers(1, 2), st.integers(0, 1000),
    )  # fmt: skip


def folds_of(prepared, plan, task=TASK, common=None):
    return fold_patients(prepared, task, plan, common or set(prepared.patients))


def units_in(prepared) -> int:
    return len(set(units_of(prepared, "group")))


def assert_disjoint(sides, prepared):
    """No patient and no group is on two sides."""
    assert all(sides[side] for side in SIDES)
    for names in (prepared.patients, prepared.groups):
        held = [set(names[np.isin(prepared.patients, sides[side])]) - {""} for side in SIDES]
        assert not (held[0] & held[1] or held[0] & held[2] or held[1] & held[2])


@given(sets(), plans())
@settings(max_examples=80, deadline=None)
def test_no_patient_is_on_two_sides_and_each_is_tested_once_per_repeat(prepared, plan):
    assume(units_in(prepared) >= max(plan.folds, 3))
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


@given(sets(), plans())
@settings(max_examples=40, deadline=None)
def test_a_cells_split_file_gives_train_those_sides(tmp_path_factory, prepared, plan):
    assume(plan.folds != 2 and units_in(prepared) >= max(plan.folds, 3))
    path = tmp_path_factory.mktemp("splits") / "split.json"
    found = folds_of(prepared, plan)
    for cell in cells_of(plan):
        sides = found[cell.repeat, cell.fold]
        path.write_text(json.dumps(split_file(plan, TASK.class_names, sides, cell)))
        chosen = choose_sides(prepared, TASK, SplitOptions(None, path, None, 0))
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
    assume(plan.folds != 2 and units_in(prepared) >= max(plan.folds, 3))
    assert folds_of(prepared, plan) == folds_of(prepared, plan)


@pytest.mark.parametrize("folds", [1, 2, 4])
def test_variants_sizes_and_restarts_do_not_move_the_folds(folds):
    prepared = prepared_of([f"p{n // 2:02d}" for n in range(40)], np.arange(40) % 4)
    plan = replace(PLAN, folds=folds, seed=3)
    other = replace(plan, variants=("x", "y"), train_sizes=(2, 5), restarts=3)
    assert folds_of(prepared, plan) == folds_of(prepared, other)


@pytest.mark.parametrize("folds", [1, 5])
def test_seeds_and_repeats_give_different_folds(folds):
    prepared = prepared_of([f"p{n:02d}" for n in range(40)], np.arange(40) % 4)
    drawn = set()
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
    with pytest.raises(InputError) as error:
        folds_of(prepared, replace(PLAN, folds=folds, seed=seed))
    assert f"Received: {folds - 1}" in str(error.value) and "\n" not in str(error.value)


def test_groups_count_as_one_patient_where_folds_are_counted():
    prepared = prepared_of([f"p{n}" for n in range(6)], [0, 1] * 3, groups=["g"] * 4 + ["", ""])
    assert len(folds_of(prepared, replace(PLAN, folds=3))) == 3
    with pytest.raises(InputError, match="3 for 4 folds"):
        folds_of(prepared, replace(PLAN, folds=4))


def test_two_patients_for_two_folds_are_refused():
    with pytest.raises(InputError, match="at least 3, and one for each fold"):
        folds_of(prepared_of(["p0", "p1"], [0, 1]), replace(PLAN, folds=2))


def test_two_folds_of_one_giant_and_small_patients_are_refused_in_one_line():
    prepared = prepared_of(["giant"] * 90 + ["p1", "p2", "p3"], [0] * 93)
    with pytest.raises(InputError, match="Use more --folds"):
        folds_of(prepared, replace(PLAN, folds=2))


# ---- a split column


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


# ---- training sizes


@given(sets(fewest=6), st.integers(1, 3), st.integers(1, 3), st.integers(0, 100))
@settings(max_examples=60, deadline=None)
def test_larger_training_sizes_hold_smaller_ones(tmp_path_factory, prepared, few, more, seed):
    assume(units_in(prepared) >= 3)
    plan = replace(PLAN, folds=3, seed=seed, train_sizes=(few, few + more), keep_all=("b",))
    folder = tmp_path_factory.mktemp("sizes")
    for fold, sides in folds_of(prepared, plan).items():
        drawn = []
        for size in plan.train_sizes:
            values = split_file(plan, TASK.class_names, sides, Cell("manual", *fold, size))
            (folder / "split.json").write_text(json.dumps(values))
            options = SplitOptions(None, folder / "split.json", None, 0)
            drawn.append(choose_sides(prepared, TASK, options).records)
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
    ("plan", "task", "message"),
    [
        (replace(PLAN, keep_all=("a", "zz"), train_sizes=(2,)), TASK, "Received: zz"),
        (replace(PLAN, keep_all=("a",)), TASK, "Add --train-sizes"),
        (replace(PLAN, train_sizes=(2,)), POOLS, "--train-sizes is for classification tasks only"),
    ],
)
def test_flags_that_do_not_fit_the_task_are_refused(plan, task, message):
    with pytest.raises(InputError, match=message):
        check_plan(plan, [task])


def test_variants_of_other_classes_are_refused():
    other = replace(TASK, class_names=("a", "b"))
    with pytest.raises(InputError, match="Received: two: classification of a, b"):
        check_plan(replace(PLAN, variants=("manual", "two")), [TASK, other])


# ---- cells


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


# ---- jobs


def variant_of(name, prepared, feature_prepared=None, epochs=1, feature_epochs=1):
    task = replace(TASK, epochs=epochs)
    given_task = LoadedTask(task, task, Path("/tasks/levels.py"))
    if feature_prepared is None:
        return Variant(name, given_task, prepared, None, None)
    pools = replace(POOLS, epochs=feature_epochs)
    return Variant(
        name, given_task, prepared, LoadedTask(pools, pools, Path("/tasks/pools.py")), feature_prepared
    )


OPTIONS = JobOptions(out=Path("/study"), assignments=(), threads=1, keep="runs")


def jobs_of(variants, plan, prepared):
    plan = replace(plan, variants=tuple(variants))
    return cell_jobs(variants, plan, folds_of(prepared, plan), OPTIONS)


@given(sets(fewest=5), sets(fewest=5), plans(), st.booleans())
@settings(max_examples=60, deadline=None)
def test_a_pre_training_uses_no_patient_of_a_folds_validation_or_test_side(
    prepared, features, plan, same_pixels
):
    assume(plan.folds != 2 and units_in(prepared) >= max(plan.folds, 3))
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


def people(count=20, first=0):
    names = [f"p{first + n:02d}" for n in range(count)]
    contents = [f"c{name}" for name in names]
    return prepared_of(names, np.arange(count) % 4, contents=contents)


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


def test_cells_of_one_split_differ_in_their_variant_only():
    prepared = people()
    variants = {name: variant_of(name, prepared) for name in ("manual", "scratch")}
    _, cells = jobs_of(variants, replace(PLAN, folds=3, restarts=2), prepared)
    for first, second in zip(cells[::2], cells[1::2], strict=True):
        assert first["split"] == second["split"] and first["seeds"] == second["seeds"]
        assert "--variant=scratch" in second["arguments"]
        assert not any("--variant" in word for word in first["arguments"])
        assert first["folder"] != second["folder"]


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
