"""train --folds from the first fold to the exported model of all members."""

import argparse
import json
from pathlib import Path

from mri_tf.core.command_line import DONE, SOME_SKIPPED
from mri_tf.core.errors import InputError
from mri_tf.core.log import logged
from mri_tf.core.subprocesses import threads_each
from mri_tf.evaluate.evaluation import BASELINES, evaluate_run
from mri_tf.export.publish import FOLDERS, SAVEDMODEL, export_run
from mri_tf.pipeline.subset import run_sides
from mri_tf.plan.planned import label_setting
from mri_tf.report.card import card_of_run
from mri_tf.store.looks import SECONDS_TO_WAIT
from mri_tf.store.run import LOG, METRICS, RUN_FILE, TEST, locked, open_run
from mri_tf.tables import summary
from mri_tf.task.loaded import LoadedTask
from mri_tf.task.rules import BASE_VARIANT
from mri_tf.track.destination import track_finished
from mri_tf.train.baselines import baselines_of_folds, baselines_of_run
from mri_tf.train.cross_validation import FoldOptions, TrainedFolds, train_folds
from mri_tf.train.datasets import DataOptions
from mri_tf.train.finished_card import write_card


def train_and_finish(
    loaded: LoadedTask, variants: list[str], feature_loaded: LoadedTask | None, sets: DataOptions,
    flags: argparse.Namespace,
) -> int:  # fmt: skip
    """Trains a network for each fold, writes their numbers and exports them as one model.

    Args:
        loaded: the task with its variants.
        variants: their names.
        feature_loaded: the segmentation task that is trained first, if there is one.
        sets: where the data are.
        flags: of the command.

    Returns:
        The exit code.
    """
    times = f"x{flags.fold_repeats}" if flags.fold_repeats > 1 else ""
    name = f"{'+'.join(variants)}-{flags.folds}folds{times}-s{flags.seed}"
    folder = flags.out or Path("runs", loaded.task.name, name)
    check_folder(folder)
    applied = tuple(variant for variant in variants if variant != BASE_VARIANT)
    assignments = (*label_setting(flags.task, flags.label), *flags.set)
    workers = flags.workers or threads_each(2)  # two threads for each network
    options = FoldOptions(
        flags.folds, flags.fold_repeats, workers, flags.scheduler, flags.seed, applied, assignments,
        flags.no_audit,
    )  # fmt: skip
    title = f"train {loaded.task.name} ({', '.join(variants)}), {flags.folds} folds, seed {flags.seed}"
    with logged(folder / LOG, title):
        trained = train_folds(loaded, feature_loaded, sets, folder, options)
        print("\n".join(summary(trained.values)))
        if not flags.no_baselines:
            members = [(member.repeat, member.fold, member.run) for member in trained.members]
            print(baselines_of_folds(members, trained.prepared, folder))
        print(f"wrote {', '.join(str(path) for path in trained.files)}")
        if trained.run is None:
            print(
                "the folds are not made one model: each finds its boxes with a segmentation network of "
                f"its own. Export one of them: python -m mri_tf.export --run {trained.first}"
            )
            if flags.track:
                print("nothing is tracked: there is no model of all folds")
        else:
            _test(trained, flags.no_baselines)
            if not flags.no_card:  # before the export, which holds the card
                write_card(card_of_run, folder, f"python -m mri_tf.report --run {folder}")
            _export(trained, flags.no_export)
            track_finished(flags.track, "run", folder)
    return SOME_SKIPPED if trained.skipped else DONE


def check_folder(folder: Path) -> None:
    """Raises InputError for the folder of a run with one network, before anything is written into it."""
    if (folder / RUN_FILE).is_file() and not open_run(folder).has_members:
        raise InputError(
            "The run folder holds another run.", f"{folder}, of one network",
            "Choose another --out folder, or remove this one.",
        )  # fmt: skip


def _test(trained: TrainedFolds, no_baselines: bool) -> None:
    """Evaluates the model of all members on the test side of a split column, unless that was done."""
    run = trained.run
    test, home = run_sides(run, trained.prepared)[2], run.folder / TEST
    known = _numbers_of(home / METRICS, run.values["weights_sha256"])
    if not len(test) or known and (no_baselines or BASELINES in known):
        return
    if not known:
        print(f"the model of all members, on the {len(set(test.patients))} patients of the test side:")
        result = evaluate_run(run, test, "column", home)
        print("\n".join(summary(result.metrics)))
        print(f"wrote {', '.join(str(path) for path in result.files)}")
    if not no_baselines:
        print(baselines_of_run(run, trained.prepared, home))


def _numbers_of(metrics: Path, weights: str) -> dict:
    """The numbers in a metrics.json; none where it is missing or of other weights, by their hash."""
    if not metrics.is_file():
        return {}
    found = json.loads(metrics.read_text(encoding="utf-8"))
    return found if found.get("weights_sha256") == weights else {}


def _export(trained: TrainedFolds, no_export: bool) -> None:
    """Exports the model of all members, unless it is or is not to be."""
    run = trained.run
    exported = run.values.get("exported")
    if exported or no_export:
        print(f"{run.folder}: " + (f"already exported as {exported}" if exported else "not exported"))
        return
    exported = export_run(run, trained.prepared, FOLDERS[SAVEDMODEL])
    with locked(run.folder, SECONDS_TO_WAIT):
        open_run(run.folder).save(exported=str(exported))
    print(f"wrote {exported}: one model of {len(run.members)} members")
