"""Trains one network for each fold and makes them one model of several members.

Every patient of the folds is tested by networks that never saw it.
"""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from mri_tf.core.errors import InputError, RunFailed, first_few
from mri_tf.core.executors import cell_executor
from mri_tf.core.subprocesses import terminate_children, threads_each
from mri_tf.evaluate.ensemble import ensemble_run
from mri_tf.evaluate.left_out import FoldRun, left_out, model_answers
from mri_tf.evaluate.out_of_fold import out_of_fold_values, write_out_of_fold
from mri_tf.folds.all_cells import run_cells
from mri_tf.folds.cell import FAILED, finished_row, run_of
from mri_tf.folds.design import WHOLE, Plan, fold_patients, keep_precision, study_precision
from mri_tf.folds.held_back import held_back
from mri_tf.folds.jobs import JobOptions, Variant, cell_jobs
from mri_tf.network.build import check_network
from mri_tf.store.prepared import Prepared
from mri_tf.store.run import RUN_FILE, Run, locked, open_finished, open_run
from mri_tf.task.loaded import LoadedTask
from mri_tf.task.overrides import with_precision
from mri_tf.task.rules import AUTO, BASE_VARIANT
from mri_tf.train.datasets import DataOptions, classifier_set, feature_set
from mri_tf.train.devices import precision_here
from mri_tf.train.feed import BANKS
from mri_tf.train.leak_check import LEFT_OUT, leaks_of_folds


@dataclass(frozen=True)
class FoldOptions:
    """--folds, --fold-repeats, --workers, --scheduler, --seed, and what each training is given."""

    folds: int
    repeats: int
    workers: int
    scheduler: str  # address of a Dask scheduler; "" for this machine
    seed: int
    variants: tuple[str, ...]
    assignments: tuple[str, ...]  # KEY=VALUE of --set
    no_audit: bool = False


@dataclass(frozen=True)
class TrainedFolds:
    """What a cross-validation left behind.

    Attributes:
        values: of metrics.json.
        files: the files written.
        run: the model of all members; None where they cannot be one.
        first: the run folder of the first member.
        members: all of them with their folds.
        prepared: the set of the training.
        skipped: what could not be read while preparing.
    """

    values: dict
    files: list[Path]
    run: Run | None
    first: Path
    members: list[FoldRun]
    prepared: Prepared
    skipped: list


def train_folds(
    loaded: LoadedTask, feature_loaded: LoadedTask | None, sets: DataOptions, folder: Path,
    options: FoldOptions,
) -> TrainedFolds:  # fmt: skip
    """Trains the members of a cross-validation, those that are not finished, counts them together, and
    writes the run of the model that they make.

    Members are ordinary runs, `fold-<k>` in the folder, or `repeat-<r>/fold-<k>`. A test side that a
    split column names is in no fold.

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
    # "auto" is settled here, for all networks on all machines.
    precision = study_precision(folder, precision_here(AUTO))
    loaded = replace(loaded, task=with_precision(task, precision))
    if feature_loaded:
        feature_loaded = replace(feature_loaded, task=with_precision(feature_loaded.task, precision))
    prepared, skipped = classifier_set(loaded, sets)
    feature_prepared = None
    if feature_loaded:
        feature_prepared, more = feature_set(feature_loaded, loaded, sets)
        skipped = [*skipped, *more]
    name = ",".join(options.variants) or BASE_VARIANT
    plan = Plan((name,), options.folds, options.repeats, (WHOLE,), (), 1, options.seed,
                validate_on_next=True)  # fmt: skip
    apart = held_back(prepared, task, options.seed)
    sides = fold_patients(prepared, task, plan, apart.in_folds)
    variant = Variant(name, loaded, prepared, feature_loaded, feature_prepared)
    threads = threads_each(options.workers)
    banks = folder.absolute() / BANKS
    settings = JobOptions(
        folder.absolute(), options.assignments, threads, "runs", True, apart.patients, str(banks),
        options.no_audit,
    )  # fmt: skip
    features, cells = cell_jobs({name: variant}, plan, sides, settings)
    for job in [*features, *cells]:
        finished_row(job)  # refuses the folder of another cross-validation before anything is trained
    print(
        f"{task.name} ({name}): {len(cells)} networks, {options.folds} folds of "
        f"{len(apart.in_folds)} patients; numbers are in {folder} at the end", flush=True,
    )  # fmt: skip
    if apart.patients:
        print(f"{len(apart.patients)} patients of the split column's test side are in no fold")
    print(LEFT_OUT if options.no_audit else leaks_of_folds(task, prepared, sides), flush=True)
    with cell_executor(options.workers, options.scheduler) as pool, terminate_children():
        keep_precision(folder, precision)
        at_a_time = 0 if options.scheduler else options.workers
        rows = run_cells(pool, features, cells, "folds", sets.deadline, at_a_time)
    shutil.rmtree(banks, ignore_errors=True)
    failed = [f"{name}: {row['reason']}" for name, row in rows.items() if row["status"] == FAILED]
    if failed:
        raise RunFailed(
            f"{len(failed)} of {len(cells)} trainings failed: {first_few(failed)}.",
            "The others are kept; the same command trains those that are missing.",
        )
    members = [
        FoldRun(open_finished(run_of(job)), job["row"]["repeat"], job["row"]["fold"]) for job in cells
    ]
    found = left_out(members, task)
    model = model_answers(found, task, len(members))
    values, table = out_of_fold_values(members, found, model, task, prepared)
    run = None
    # Boxes lie around the masks of a segmentation network, of which every member has its own.
    if not task.boxes_from:
        with locked(folder):
            run = _kept_run(ensemble_run(folder, members, model, prepared, options.seed))
    files = write_out_of_fold(values, table, task, folder)
    return TrainedFolds(values, files, run, members[0].run.folder, members, prepared, skipped)


def _kept_run(run: Run) -> Run:
    """The run in the folder if it is the same model, with its looks and exports; else the new one."""
    if (run.folder / RUN_FILE).is_file():
        existing = open_run(run.folder)
        if existing.values["weights_sha256"] == run.values["weights_sha256"]:
            return existing
    return run.save()
