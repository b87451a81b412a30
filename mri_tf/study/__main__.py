"""Train and compare variants of a task over folds, repeats and training sizes, on the same splits."""

import sys
from dataclasses import replace
from pathlib import Path

from mri_tf.core.command_flags import (
    add_label,
    add_listing,
    add_max_minutes,
    add_set,
    add_task,
    folder_to_write,
    positive_int,
    seed_int,
)
from mri_tf.core.command_line import DONE, SOME_SKIPPED, Parser, import_tensorflow, run_command
from mri_tf.core.deadline import Deadline
from mri_tf.core.errors import InputError, RunFailed, first_few
from mri_tf.task.rules import AUTO, BASE_VARIANT
from mri_tf.track.destination import add_track, check_track, track_finished

FOLDS = 5


def main(arguments: list[str]) -> int:
    """Runs every cell that has no row yet and writes tables and figures; returns the exit code."""
    flags = _parser().parse_args(arguments)
    _check_folder(flags.out)
    check_track(flags.track)
    deadline = Deadline(flags.max_minutes)
    plan = _plan(flags)
    from data_prep.layout_calls import listing_of
    from mri_tf.plan.planned import label_setting, task_file_for
    from mri_tf.store.cells import TUNED
    from mri_tf.task.loaded import LoadedTask
    from mri_tf.task.overrides import check_searchable

    listing = listing_of(flags)
    # Before TensorFlow starts, so that a wrong task or variant is refused at once.
    file = task_file_for(flags.task, flags.raw, listing, flags.label, flags.set)
    settings = [*label_setting(flags.task, flags.label), *flags.set]
    loaded = {
        name: LoadedTask.of(file, name.split(","), settings)
        for name in plan.variants if TUNED not in name
    }  # fmt: skip
    for variant in loaded.values() if flags.tuned else ():
        check_searchable(variant.task)
    import_tensorflow()
    from mri_tf.core.executors import cell_executor
    from mri_tf.core.subprocesses import terminate_children, threads_each
    from mri_tf.folds.all_cells import run_cells
    from mri_tf.folds.cell import FAILED, finished_row
    from mri_tf.folds.design import check_plan, fold_patients, keep_precision, study_precision
    from mri_tf.folds.jobs import JobOptions, cell_jobs
    from mri_tf.folds.site_folds import site_folds
    from mri_tf.report.card import card_of_study
    from mri_tf.study.report import write_report
    from mri_tf.study.sites import StudyData
    from mri_tf.train.datasets import DataOptions
    from mri_tf.train.devices import precision_here
    from mri_tf.train.finished_card import write_card
    from mri_tf.train.leak_check import leaks_of_folds

    precision = study_precision(flags.out, precision_here(AUTO))
    data = DataOptions(flags.raw, flags.data, flags.features_data, listing, deadline)
    variants = {name: _prepared_variant(name, task, data, precision) for name, task in loaded.items()}
    variants |= {name: variants[name.removesuffix(TUNED)] for name in plan.variants if TUNED in name}
    first = variants[plan.variants[0]]
    check_plan(plan, [variants[name].loaded.task for name in plan.variants])
    common = _common_patients(variants)
    if (plan.folds > 1 or flags.leave_one_site_out) and any(first.prepared.splits):
        print("the split column of the prepared set is ignored: the folds assign the patients")
    sets = {variant.prepared.folder: variant.prepared for variant in variants.values()}
    sets.pop(first.prepared.folder)
    given = (first.prepared, first.loaded.task, plan, common, list(sets.values()))
    notes: tuple[str, ...] = ()
    if flags.leave_one_site_out:
        by_site = site_folds(*given)
        plan, sides, notes = by_site.plan, by_site.patients, by_site.notes
        print("\n".join([f"sites held out: {', '.join(plan.sites)}", *notes]))
    else:
        sides = fold_patients(*given)
    options = JobOptions(flags.out.absolute(), tuple(settings), threads_each(flags.workers), flags.keep)
    features, cells = cell_jobs(variants, plan, sides, options)
    print(
        f"{first.loaded.task.name}: {len(cells)} cells, {len(features)} pre-trainings; "
        f"{len(first.prepared)} records of {len(common)} patients"
    )
    print(leaks_of_folds(first.loaded.task, first.prepared, sides), flush=True)
    for job in [*features, *cells]:
        finished_row(job)  # refuses the folder of another study before anything is trained
    with cell_executor(flags.workers, flags.scheduler) as pool, terminate_children():
        keep_precision(flags.out, precision)
        at_a_time = 0 if flags.scheduler else flags.workers
        rows = run_cells(pool, features, cells, "cells", deadline, at_a_time)
    data = StudyData(first.prepared, notes)
    lines, files = write_report(flags.out, first.loaded.task, plan, cells, rows, data)
    print("\n".join(lines))
    print(f"wrote {', '.join(str(path) for path in files)}")
    if any(row["status"] != FAILED for row in rows.values()):
        write_card(card_of_study, flags.out, f"python -m mri_tf.report --study {flags.out}")
        track_finished(flags.track, "study", flags.out)
    failures = sum(row["status"] == FAILED for row in rows.values())
    if failures == len(rows):
        raise RunFailed("Every cell failed.", f"The reasons are in {files[0]}.")
    return SOME_SKIPPED if failures or any(item.skipped for item in variants.values()) else DONE


def _check_folder(out: Path) -> None:
    """Raises InputError for results that are of no study: they would be overwritten."""
    from mri_tf.store.cells import CELLS, DIFFERENCES, RESULTS
    from mri_tf.store.run import REPORT

    others = [name for name in (RESULTS, DIFFERENCES, REPORT) if (out / name).exists()]
    if others and not (out / CELLS).is_dir():
        raise InputError(
            "The --out folder holds files that are of no study.", f"{out}: {first_few(others)}",
            "Choose another --out folder, or move them away.",
        )  # fmt: skip


def _plan(flags):
    from mri_tf.folds.design import WHOLE, Plan
    from mri_tf.store.cells import TUNED

    variants = tuple(name.strip() or BASE_VARIANT for name in flags.variants.split(";"))
    if len(set(variants)) < len(variants):
        raise InputError("--variants names a variant twice.", flags.variants, "Name each variant once.")
    if any(name.endswith(TUNED) for name in variants):
        raise InputError(
            f"--variants names a variant that ends in {TUNED}.", flags.variants,
            f"Leave out {TUNED} and add --tuned TRIALS.",
        )
    if flags.tuned:
        variants += tuple(f"{name}{TUNED}" for name in variants)
    keep_all = tuple(name for name in flags.keep_all.split(",") if name)
    return Plan(
        variants, flags.folds or FOLDS, flags.repeats, flags.train_sizes or (WHOLE,), keep_all,
        flags.restarts, flags.seed, trials=flags.tuned,
    )  # fmt: skip


def _prepared_variant(name: str, loaded, data, precision: str):
    """A variant with its prepared sets, made from --raw where they are missing, and its precision."""
    from mri_tf.folds.jobs import Variant
    from mri_tf.network.build import check_task
    from mri_tf.task.overrides import with_precision
    from mri_tf.train.datasets import classifier_set, feature_set
    from mri_tf.train.pretrain import PretrainOptions, feature_task_of

    loaded = replace(loaded, task=with_precision(loaded.task, precision))
    check_task(loaded.task)
    prepared, skipped = classifier_set(loaded, data)
    feature_prepared = None
    feature_loaded = feature_task_of(loaded, PretrainOptions(None, data, seed=0, devices=0))
    if feature_loaded:
        feature_loaded = replace(feature_loaded, task=with_precision(feature_loaded.task, precision))
        feature_prepared, more = feature_set(feature_loaded, loaded, data)
        skipped = [*skipped, *more]
    return Variant(name, loaded, prepared, feature_loaded, feature_prepared, tuple(skipped))


def _common_patients(variants: dict) -> set[str]:
    """The patients in every variant's prepared set; prints how many others are left out."""
    sets = [set(variant.prepared.patients) for variant in variants.values()]
    common = set.intersection(*sets)
    left_out = len(set.union(*sets)) - len(common)
    if left_out:
        print(f"patients left out because some variant's prepared set lacks them: {left_out}")
    return common


def _sizes(text: str) -> tuple[int, ...]:
    return tuple(sorted({positive_int(part) for part in text.split(",")}))


def _parser() -> Parser:
    from mri_tf.core.subprocesses import threads_each

    workers = threads_each(2)  # two threads for each cell
    parser = Parser(
        "python -m mri_tf.study", __doc__,
        examples=(
            "--task lgg_grade --raw lgg --out studies/lgg --folds 5",
            '--task grade.toml --raw scans --out studies/grade --variants "manual;scratch" --repeats 3',
        ),
    )  # fmt: skip
    add = parser.add_argument
    add_task(parser)
    data = parser.add_mutually_exclusive_group(required=True)
    data.add_argument("--raw", type=Path, help="folder of raw data; prepared into data/")
    data.add_argument("--data", type=Path, help="folder of a prepared set")
    add_listing(parser)
    add_label(parser)
    add("--features-data", type=Path,
        help="prepared set of the feature task (default: made from --raw, or found beside --data)")
    add("--out", required=True, type=folder_to_write,
        help="folder of the study; an interrupted study in it is continued")
    folds = parser.add_mutually_exclusive_group()
    # Without a default of its own: argparse would not notice --folds 5 beside the other flag.
    folds.add_argument("--folds", type=positive_int,
        help=f"number of folds (default {FOLDS}); with 1, the split column or a random split per repeat")
    folds.add_argument("--leave-one-site-out", action="store_true",
        help="instead of --folds: hold out every site once as a whole")
    add("--repeats", type=positive_int, default=1,
        help="how often the patients are assigned to folds anew (default 1)")
    add("--train-sizes", type=_sizes,
        help="training records per class, e.g. 2,4,8 (default: all)")
    add("--keep-all", default="", metavar="CLASS,...",
        help="classes that --train-sizes does not limit (default: none)")
    add("--variants", default=BASE_VARIANT,
        help=f'variants to compare, e.g. "manual;scratch;threshold,demo" (default {BASE_VARIANT}: '
             "the task without a variant)")
    add("--restarts", type=positive_int, default=1,
        help="trainings per cell; the lowest validation loss is reported (default 1)")
    add("--tuned", type=positive_int, default=0, metavar="TRIALS",
        help="add a tuned copy of every variant: values searched inside each fold, in that many "
             "trials (default: no search)")
    add("--keep", choices=("runs", "metrics"), default="runs",
        help="what to keep of each cell: the run with its weights, or its numbers (default runs)")
    add("--workers", type=positive_int, default=workers,
        help=f"cells at a time on a machine, which share its cores (default here {workers})")
    add_track(parser)
    add("--scheduler", default="", help="address of a Dask scheduler (default: this machine)")
    add_max_minutes(parser)
    add("--seed", type=seed_int, default=0, help="seed of splits and initial weights (default 0)")
    add_set(parser)
    return parser


if __name__ == "__main__":
    sys.exit(run_command(main))
