"""Trains one network for each fold: every patient is tested by a network that never saw it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mri_tf.core.errors import InputError, RunFailed, first_few
from mri_tf.core.executors import cell_executor
from mri_tf.core.subprocesses import terminate_children, threads_each
from mri_tf.evaluate.out_of_fold import Member, evaluate_out_of_fold
from mri_tf.folds.cell import FAILED, finished_row, run_cells, run_of
from mri_tf.folds.design import WHOLE, Plan, fold_patients
from mri_tf.folds.jobs import JobOptions, Variant, cell_jobs
from mri_tf.network.build import check_network
from mri_tf.store.prepared import Prepared
from mri_tf.store.run import open_finished
from mri_tf.task.loaded import LoadedTask
from mri_tf.task.spec import BASE_VARIANT, SIDES
from mri_tf.train.datasets import DataOptions, classifier_set, feature_set


@dataclass(frozen=True)
class FoldOptions:
    """--folds, --fold-repeats, --workers, --seed, and what each training is given."""

    folds: int
    repeats: int
    workers: int
    seed: int
    variants: tuple[str, ...]
    assignments: tuple[str, ...]  # KEY=VALUE of --set


def train_folds(
    loaded: LoadedTask, feature_loaded: LoadedTask | None, sets: DataOptions, folder: Path,
    options: FoldOptions,
) -> tuple[dict, list[Path], list]:  # fmt: skip
    """Trains the members of a cross-validation, those that are not finished, and counts them together.

    Members are ordinary runs, `fold-<k>` in the folder, or `repeat-<r>/fold-<k>`. A test side that a
    split column names is in no fold.

    Returns:
        The values of metrics.json, the files written, and what was skipped while preparing.

    Raises:
        InputError: the flags do not fit the data, or the folder belongs to another cross-validation.
        RunFailed: a member failed.
        OutOfTime: the deadline of `sets` has come before all members were trained.
    """
    task = loaded.task
    if task.kind == "segmentation":
        raise InputError(
            "train --folds is for classifiers.", f"the segmentation task {task.name}",
            "Cross-validate it with python -m mri_tf.study --folds K.",
        )  # fmt: skip
    check_network(task, feature_loaded.task if feature_loaded else None)
    prepared, skipped = classifier_set(loaded, sets)
    feature_prepared = None
    if feature_loaded:
        feature_prepared, more = feature_set(feature_loaded, loaded, sets)
        skipped = [*skipped, *more]
    name = ",".join(options.variants) or BASE_VARIANT
    plan = Plan((name,), options.folds, options.repeats, (WHOLE,), (), 1, options.seed,
                validate_on_next=True)  # fmt: skip
    sides = fold_patients(prepared, task, plan, _in_folds(prepared))
    variant = Variant(name, loaded, prepared, feature_loaded, feature_prepared)
    threads = threads_each(options.workers)
    settings = JobOptions(folder.absolute(), options.assignments, threads, "runs", members=True)
    features, cells = cell_jobs({name: variant}, plan, sides, settings)
    for job in [*features, *cells]:
        finished_row(job)  # refuses the folder of another cross-validation before anything is trained
    print(
        f"{task.name} ({name}): {len(cells)} networks, {options.folds} folds of "
        f"{len(_in_folds(prepared))} patients; numbers are in {folder} at the end", flush=True,
    )  # fmt: skip
    with cell_executor(options.workers, "") as pool, terminate_children():
        rows = run_cells(pool, features, cells, "folds", sets.deadline, options.workers)
    failed = [f"{name}: {row['reason']}" for name, row in rows.items() if row["status"] == FAILED]
    if failed:
        raise RunFailed(
            f"{len(failed)} of {len(cells)} trainings failed: {first_few(failed)}.",
            "The others are kept; the same command trains those that are missing.",
        )
    members = [
        Member(open_finished(run_of(job)), job["row"]["repeat"], job["row"]["fold"]) for job in cells
    ]
    values, files = evaluate_out_of_fold(members, task, folder, prepared.patients_known)
    return values, files, skipped


def _in_folds(prepared: Prepared) -> set[str]:
    """The patients that are not on the test side of a split column."""
    return set(prepared.patients[np.array(prepared.splits) != SIDES[2]])
