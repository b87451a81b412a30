"""Plans of studies, and prepared sets of patients with repeated visits that share images and classes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from hypothesis import strategies as st
from visits import visits

from mri_tf.folds.design import WHOLE, Plan, fold_patients
from mri_tf.folds.jobs import JobOptions, Variant
from mri_tf.splits.sides import units_of
from mri_tf.store.prepared import Prepared
from mri_tf.store.record import Record
from mri_tf.task import Task
from mri_tf.task.loaded import LoadedTask
from mri_tf.task.spec import SIDES

PLAN = Plan(("manual",), folds=2, repeats=1, train_sizes=(WHOLE,), keep_all=(), restarts=1, seed=0)
TASK = Task(
    name="levels", channels=("ct",), image_shape=(8, 8), class_names=("a", "b", "c", "d"), model="vgg"
)
OPTIONS = JobOptions(out=Path("/study"), assignments=(), threads=1, keep="runs")
POOLS = Task(
    name="pools", kind="segmentation", channels=("ct",), image_shape=(8, 8),
    class_names=("background", "pool"), model="mnet",
)  # fmt: skip


class IndexOnly(Prepared):
    """A set whose records are blank images: the index is all that folds look at."""

    def record(self, position: int) -> Record:
        """A blank record."""
        return Record(self.record_ids[position], self.patients[position], np.zeros((8, 8, 1), np.uint8))


def prepared_of(
    patients, labels, groups=None, splits=None, contents=None, sites=None
) -> Prepared:
    """A prepared set without records on disk."""
    size = len(patients)
    index = {
        "record_id": [f"{number:06d}-0000" for number in range(size)],
        "patient": list(patients),
        "group": list(groups) if groups is not None else [""] * size,
        "split": list(splits) if splits is not None else [""] * size,
        "site": list(sites) if sites is not None else [""] * size,
        "label": [int(label) for label in labels],
        "content": list(contents) if contents is not None else [f"c{n}" for n in range(size)],
        **{key: [0] * size for key in ("shard", "offset", "length", "crc32")},
    }
    return IndexOnly(Path("data"), {"index": index, "prep": "p", "class_names": list(TASK.class_names)})


@st.composite
def sets(draw, with_groups=True, fewest=3):
    """Prepared sets of patients with repeated visits; see `visits`."""
    patients, groups, labels = draw(visits(with_groups, fewest))
    return prepared_of(patients.tolist(), labels, groups.tolist())


def plans():
    return st.builds(
        lambda folds, repeats, seed: replace(PLAN, folds=folds, repeats=repeats, seed=seed),
        st.integers(1, 5), st.integers(1, 2), st.integers(0, 1000),
    )  # fmt: skip


def folds_of(prepared, plan, task=TASK, common=None):
    return fold_patients(prepared, task, plan, common or set(prepared.patients))


def units(prepared) -> int:
    return len(set(units_of(prepared, "group")))


def assert_disjoint(sides, prepared):
    """No patient and no group is on two sides."""
    assert all(sides[side] for side in SIDES)
    for names in (prepared.patients, prepared.groups):
        held = [set(names[np.isin(prepared.patients, sides[side])]) - {""} for side in SIDES]
        assert not (held[0] & held[1] or held[0] & held[2] or held[1] & held[2])


def people(count: int = 20, first: int = 0) -> Prepared:
    """As many patients of one record each, with ids and pixels counted from `first`."""
    names = [f"p{first + n:02d}" for n in range(count)]
    contents = [f"c{name}" for name in names]
    return prepared_of(names, np.arange(count) % 4, contents=contents)


def variant_of(name, prepared, feature_prepared=None, epochs=1, feature_epochs=1):
    task = replace(TASK, epochs=epochs)
    given_task = LoadedTask(task, task, Path("/tasks/levels.py"))
    if feature_prepared is None:
        return Variant(name, given_task, prepared, None, None)
    pools = replace(POOLS, epochs=feature_epochs)
    return Variant(
        name, given_task, prepared, LoadedTask(pools, pools, Path("/tasks/pools.py")), feature_prepared
    )
