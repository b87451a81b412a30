"""Folds, repeats, training sizes and variants on identical splits: python -m mri_tf.study --task T."""

import sys
from concurrent.futures import Future, as_completed
from pathlib import Path

from mri_tf.core.command_line import (
    DONE,
    SOME_SKIPPED,
    Parser,
    folder_to_write,
    import_tensorflow,
    positive_int,
    run_command,
    seed_int,
)
from mri_tf.core.errors import InputError, RunFailed
from mri_tf.task.spec import BASE_VARIANT


def main(arguments: list[str]) -> int:
    """Runs every cell that has no row yet and writes tables and figures; returns the exit code."""
    flags = _parser().parse_args(arguments)
    plan = _plan(flags)
    from mri_tf.study.design import TUNED

    given = {name: _given(name, flags) for name in plan.variants if TUNED not in name}
    import_tensorflow()
    from mri_tf.core.executors import cell_executor
    from mri_tf.core.subprocesses import terminate_children, threads_each
    from mri_tf.study.cell import finished_row
    from mri_tf.study.design import check_plan, fold_patients
    from mri_tf.study.jobs import Place, cell_jobs
    from mri_tf.study.report import write_report

    variants = {name: _prepared_variant(name, own, flags) for name, own in given.items()}
    for item in dict.fromkeys(item for variant in variants.values() for item in variant.skipped):
        print(f"skipped {item.file}: {item.reason}", file=sys.stderr)
    variants |= {name: variants[name.removesuffix(TUNED)] for name in plan.variants if TUNED in name}
    first = variants[plan.variants[0]]
    check_plan(plan, [variants[name].given.task for name in plan.variants])
    common = _common_patients(variants)
    if plan.folds > 1 and any(first.prepared.splits):
        print("the split column of the set is not used: patients are dealt into folds")
    sides = fold_patients(first.prepared, first.given.task, plan, common)
    place = Place(
        flags.out.absolute(), tuple(flags.set), threads_each(flags.workers), flags.keep
    )
    features, cells = cell_jobs(variants, plan, sides, place)
    print(
        f"{first.given.task.name}: {len(cells)} cells, {len(features)} pre-trainings; "
        f"{len(first.prepared)} records of {len(common)} patients"
    )
    for job in [*features, *cells]:
        finished_row(job)  # refuses the folder of another study before anything is trained
    with cell_executor(flags.workers, flags.scheduler) as pool, terminate_children():
        done = run_all(pool, features, "pre-training") if features else {}
        failed = {name for name, row in done.items() if row["status"] != "done"}
        ready = [job for job in cells if job["needs"] not in failed]
        rows = run_all(pool, ready, "cells")
    for job in cells:
        if job["needs"] in failed:
            reason = f"pre-training: {done[job['needs']]['reason']}"
            rows[job["name"]] = {**job["row"], "status": "failed", "reason": reason}
    lines, files = write_report(flags.out, first.given.task, plan, cells, rows)
    print("\n".join(lines))
    print(f"wrote {', '.join(str(path) for path in files)}")
    lost = sum(row["status"] != "done" for row in rows.values())
    if lost == len(rows):
        raise RunFailed("Every cell failed.", f"The reasons are in {files[0]}.")
    return SOME_SKIPPED if lost or any(variant.skipped for variant in variants.values()) else DONE


def _plan(flags):
    from mri_tf.study.design import TUNED, WHOLE, Plan

    variants = tuple(name.strip() or BASE_VARIANT for name in flags.variants.split(";"))
    if len(set(variants)) < len(variants):
        raise InputError("--variants names each variant once.", flags.variants, "Correct it.")
    if any(name.endswith(TUNED) for name in variants):
        raise InputError(f"No variant ends in {TUNED}.", flags.variants, "Ask for it with --tuned.")
    if flags.tuned:
        variants += tuple(f"{name}{TUNED}" for name in variants)
    return Plan(
        variants=variants,
        folds=flags.folds,
        repeats=flags.repeats,
        train_sizes=flags.train_sizes or (WHOLE,),
        keep_all=tuple(name for name in flags.keep_all.split(",") if name),
        restarts=flags.restarts,
        seed=flags.seed,
        trials=flags.tuned,
    )


def _given(name: str, flags):
    """The task of a variant, with the values of --set, and its file."""
    from mri_tf.task.files import find_task_file, load_task, resolve_task
    from mri_tf.train.datasets import LoadedTask

    file = find_task_file(flags.task)
    base = load_task(file)
    names = [part for part in name.split(",") if part != BASE_VARIANT]
    return LoadedTask(resolve_task(base, names, flags.set), base, file)


def _prepared_variant(name: str, given, flags):
    """A variant with its prepared sets, made from --raw where they are missing."""
    from mri_tf.network.build import check_features, check_task
    from mri_tf.study.jobs import Variant
    from mri_tf.task.files import feature_task, load_task
    from mri_tf.train.datasets import DataOptions, LoadedTask, classifier_set, feature_set

    check_task(given.task)
    where = DataOptions(flags.raw, flags.data, flags.features_data)
    prepared, skipped = classifier_set(given, where)
    feature_given = feature_prepared = None
    if given.task.pretrained_on:
        task, feature_file = feature_task(given.task, given.file)
        check_task(task)
        check_features(given.task, task)
        feature_given = LoadedTask(task, load_task(feature_file), feature_file)
        feature_prepared, more = feature_set(feature_given, given, where)
        skipped = [*skipped, *more]
    return Variant(name, given, prepared, feature_given, feature_prepared, tuple(skipped))


def _common_patients(variants: dict) -> set[str]:
    """Patients that every variant's prepared set holds; who is lost is counted."""
    sets = [set(variant.prepared.patients) for variant in variants.values()]
    common = set.intersection(*sets)
    lost = len(set.union(*sets)) - len(common)
    if lost:
        print(f"{lost} patients are not in the prepared sets of all variants: left out of all")
    return common


def run_all(pool, jobs: list[dict], label: str) -> dict[str, dict]:
    """Rows by job name, in whatever order they end; a job that raises is a failed row."""
    from mri_tf.core.progress import progress
    from mri_tf.study.cell import FAILED, finished_row, run_cell

    rows = {job["name"]: row for job in jobs if (row := finished_row(job)) is not None}
    waiting: dict[Future, dict] = {}
    with progress(label, len(jobs)) as advance:
        if rows:
            advance(len(rows), "done before")
        for job in jobs:
            if job["name"] not in rows:
                waiting[pool.submit(run_cell, job)] = job
        try:
            for future in as_completed(waiting):
                job = waiting[future]
                try:
                    row = future.result()
                except (InputError, KeyboardInterrupt):
                    raise
                except Exception as error:  # the cluster lost it: the other cells go on
                    # Its text may name hosts and paths; on the terminal, not in a report.
                    print(f"{job['name']}: {error}", file=sys.stderr)
                    row = {**job["row"], "status": FAILED, "reason": type(error).__name__}
                rows[job["name"]] = row
                advance(len(rows), f"{job['name']} {row['status']} {row['reason']}".rstrip())
        finally:
            for future in waiting:
                future.cancel()
    return rows


def _sizes(text: str) -> tuple[int, ...]:
    sizes = tuple(positive_int(part) for part in text.split(","))
    return tuple(sorted(set(sizes)))


def _parser() -> Parser:
    from mri_tf.core.subprocesses import threads_each

    parser = Parser("python -m mri_tf.study", __doc__)
    parser.add_argument("--task", required=True, help="name of a task, or path of a task file")
    data = parser.add_mutually_exclusive_group(required=True)
    data.add_argument("--raw", type=Path, help="folder of raw data; prepared into data/")
    data.add_argument("--data", type=Path, help="prepared set")
    parser.add_argument("--features-data", type=Path, help="prepared set of the feature task")
    parser.add_argument(
        "--out", required=True, type=folder_to_write, help="study folder; continued if there"
    )
    parser.add_argument(
        "--folds", type=positive_int, default=5, help="(default 5; 1: a random split a repeat)"
    )
    parser.add_argument("--repeats", type=positive_int, default=1, help="(default 1)")
    parser.add_argument(
        "--train-sizes", type=_sizes, help="training records a class, e.g. 2,4,8 (default: all)"
    )
    parser.add_argument(
        "--keep-all", default="", metavar="CLASS,...", help="classes no training size limits"
    )
    parser.add_argument(
        "--variants", default=BASE_VARIANT, help='e.g. "manual;scratch;threshold,demo"'
    )
    parser.add_argument(
        "--restarts", type=positive_int, default=1,
        help="trainings a cell; the one best on its validation side counts (default 1)",
    )  # fmt: skip
    parser.add_argument(
        "--tuned", type=positive_int, default=0, metavar="TRIALS",
        help="every variant also with values searched inside each fold, in so many trials",
    )  # fmt: skip
    parser.add_argument(
        "--keep", choices=("runs", "metrics"), default="runs", help="what stays of a cell"
    )
    workers = threads_each(2)  # two threads a cell
    parser.add_argument(
        "--workers", type=positive_int, default=workers,
        help=f"cells at a time on a machine; its cores are divided (default here {workers})",
    )  # fmt: skip
    parser.add_argument("--scheduler", default="", help="address of a Dask scheduler")
    parser.add_argument("--seed", type=seed_int, default=0, help="of splits and weights (default 0)")
    parser.add_argument(
        "--set", action="extend", nargs="+", default=[], metavar="KEY=VALUE",
        help="values of the task, after its variants",
    )  # fmt: skip
    return parser


if __name__ == "__main__":
    sys.exit(run_command(main))
