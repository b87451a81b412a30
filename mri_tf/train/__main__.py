"""Trains a task from raw data to an exported model: python -m mri_tf.train --task T."""

import sys
from pathlib import Path

from mri_tf.core.command_flags import (
    add_label,
    add_listing,
    add_max_minutes,
    add_set,
    add_split,
    add_task,
    add_variant,
    folder_to_write,
    positive_int,
    seed_int,
)
from mri_tf.core.command_line import DONE, SOME_SKIPPED, Parser, import_tensorflow, run_command
from mri_tf.core.deadline import Deadline
from mri_tf.core.errors import InputError
from mri_tf.core.log import logged
from mri_tf.task.rules import BASE_VARIANT, BUDGET
from mri_tf.track.destination import add_track, check_track, track_finished
from mri_tf.train.fold_flags import add_folds, check_folds

DEMO = "demo"  # the variant that runs on the phantom, when no data is named


def main(arguments: list[str]) -> int:
    """Prepares, pre-trains, trains, evaluates (unless locked) and exports; returns the exit code."""
    flags = _parser().parse_args(arguments)
    check_folds(flags)
    check_track(flags.track)
    deadline = Deadline(flags.max_minutes)
    import_tensorflow()
    import numpy as np

    from data_prep.layout_calls import listing_of
    from mri_tf.derive.predicted_masks import derive_set
    from mri_tf.export.assets import find_segmenter
    from mri_tf.export.publish import FOLDERS, SAVEDMODEL
    from mri_tf.network.build import check_network, check_task
    from mri_tf.splits.known_copies import known_copies_note
    from mri_tf.splits.leakage import check_derived_unseen, shared_by_random_split
    from mri_tf.splits.reserved import reserved_sentence
    from mri_tf.splits.sides import SplitOptions, choose_sides
    from mri_tf.store.continued import check_same_task, existing_run
    from mri_tf.store.looks import (
        check_lock_asked,
        closed_lines,
        is_closed,
        looks_of,
        times,
        with_lock,
    )
    from mri_tf.store.run import DERIVED, LOG, METRICS
    from mri_tf.train.datasets import DataOptions, classifier_set, look_before_preparing
    from mri_tf.train.devices import configure_devices
    from mri_tf.train.finished_folds import train_and_finish
    from mri_tf.train.finished_run import evaluate_and_export, is_done
    from mri_tf.train.fit import fit_run
    from mri_tf.train.leak_check import leak_check
    from mri_tf.train.loop import Checkpoints
    from mri_tf.train.new_run import new_run, with_origin
    from mri_tf.train.pretrain import PretrainOptions, feature_task_of, features_for

    configure_devices(flags.devices)
    listing = listing_of(flags)
    loaded, variants = _task(flags, listing)
    task = loaded.task
    check_task(task)
    sets = DataOptions(flags.raw, flags.data, flags.features_data, listing, deadline)
    options = PretrainOptions(flags.features, sets, flags.seed, flags.devices, flags.lock_test)
    feature_loaded = feature_task_of(loaded, options)
    if flags.folds:
        return train_and_finish(loaded, variants, feature_loaded, sets, flags)
    folder = flags.out or Path("runs", task.name, f"{'+'.join(variants)}-s{flags.seed}")
    split = SplitOptions(
        flags.split, flags.split_file, flags.train_size, flags.seed, flags.known_copies
    )
    if flags.raw:  # what takes hours to prepare
        check_network(task, feature_loaded.task if feature_loaded else None)
    look_before_preparing(loaded, sets, split)
    prepared, skipped = classifier_set(loaded, sets)
    chosen = choose_sides(prepared, task, split)
    sides = chosen.records
    features = None
    check_same_task(folder, task, flags.seed)
    if feature_loaded:
        withheld = chosen.withheld
        features, more_skipped = features_for(
            feature_loaded, loaded, prepared, withheld, folder, options
        )
        skipped = [*skipped, *more_skipped]
    if task.boxes_from:
        if features:
            deadline.check(f"the masks of {features.task.name} come next")
            prepared = derive_set(features, prepared, folder / DERIVED)
        check_derived_unseen(prepared, chosen.withheld)
    run = with_origin(new_run(folder, task, prepared, chosen, flags.seed, features), loaded.file)
    if flags.lock_test:
        run = with_lock(run, prepared)
    if not (flags.no_export or features or (folder / METRICS).is_file()):
        # What is missing is said now, not after the training.
        find_segmenter(run, prepared, FOLDERS[SAVEDMODEL])
    # Refuses the folder of another run, or of one that is locked, before the log is written into it.
    existing = existing_run(run)
    check_lock_asked(existing, flags.lock_test)
    with logged(folder / LOG, f"train {task.name} ({', '.join(variants)}), seed {flags.seed}"):
        kept = (existing or run).values.get("reserved")  # a run of an earlier version reserves nobody
        is_reserved = np.isin(prepared.record_ids, kept["records"] if kept else [])
        print(
            f"{task.name} ({', '.join(variants)}): {len(sides[0])} records to train on, "
            f"{len(sides[1]) - is_reserved.sum()} to {_use_of_validation(task)}, {len(sides[2])} held "
            f"out; split by {chosen.mode}"
        )
        if sentence := reserved_sentence(kept, prepared.patients[is_reserved].tolist()):
            print(sentence)
        if chosen.mode == "random":
            print(f"LEAKY: the random split puts {shared_by_random_split(prepared)} on both sides")
        if note := known_copies_note(chosen.known_copies, len(sides[2])):
            print(note)
        if existing is None or not existing.finished:
            run, line = leak_check(run, prepared, sides, features, flags.no_audit)
            print(line)
        run = fit_run(
            run, prepared, features if task.features_from else None, flags.devices,
            Checkpoints(deadline=deadline), flags.feature_banks,
        )  # fmt: skip
        if is_done(run, flags, trained_before=existing is not None and existing.finished):
            exported = run.values.get("exported", "")
            print(f"{folder}: already finished" + (f", exported as {exported}" if exported else ""))
        else:
            evaluate_and_export(run, prepared, features, flags)
        track_finished(flags.track, "run", run.folder)
        if is_closed(run):
            print("\n".join(closed_lines(run)))
        elif flags.lock_test:
            print(f"the test side was locked and has been looked at {times(looks_of(run))}")
    return SOME_SKIPPED if skipped else DONE


def _use_of_validation(task) -> str:
    """What the validation side is for, in the line that counts the records."""
    return "calibrate on" if task.choose_epoch == BUDGET else "choose the weights"


def _task(flags, listing):
    from mri_tf.plan.planned import label_setting, task_file_for
    from mri_tf.task.files import load_task, resolve_task, variant_names
    from mri_tf.task.loaded import LoadedTask

    file = task_file_for(flags.task, flags.raw, listing, flags.label, flags.set)
    base = load_task(file)
    variants = variant_names(flags.variant)
    if not flags.raw and not flags.data and DEMO not in variants:
        if DEMO not in base.variants:
            raise InputError(
                f"Task {base.name} has no demo variant, so it needs data.", "neither --raw nor --data",
                "Give your data with --raw DIR or --data DIR.",
            )  # fmt: skip
        variants.append(DEMO)
    task = resolve_task(base, variants, [*label_setting(flags.task, flags.label), *flags.set])
    return LoadedTask(task, base, file), variants or [BASE_VARIANT]


def _parser() -> Parser:
    parser = Parser(
        "python -m mri_tf.train", __doc__,
        examples=(
            "--raw scans --labels grades.xlsx --label grade",
            "--task cardiac_levels --seed 1 --set steps=100",
        ),
    )  # fmt: skip
    add_task(parser)
    add_variant(parser)
    data = parser.add_mutually_exclusive_group()
    data.add_argument("--raw", type=Path, help="folder of raw data; prepared into data/")
    data.add_argument("--data", type=Path, help="prepared set")
    add_listing(parser)
    add_label(parser)
    features = parser.add_mutually_exclusive_group()
    features.add_argument(
        "--features",
        type=Path,
        help="finished run of the segmentation task that features_from or boxes_from names",
    )
    features.add_argument(
        "--features-data", type=Path, help="prepared set to train that segmentation task on"
    )
    parser.add_argument(
        "--out", type=folder_to_write,
        help="run folder (default runs/TASK/VARIANT-sSEED); continued if there",
    )  # fmt: skip
    add_split(
        parser,
        "what stays on one side; column: the table's column split (default: the split column, else "
        "group, else patient)",
    )
    parser.add_argument(
        "--known-copies", choices=("drop", "keep"), default="",
        help="copies of an image on two sides of a supplied split: drop their patients from training, "
        "or keep them and say so beside every number (default: refuse)",
    )  # fmt: skip
    add_folds(parser)
    parser.add_argument("--train-size", type=positive_int, help="training records of each class")
    parser.add_argument(
        "--devices",
        type=positive_int,
        default=0,
        help="how many GPUs train together (default: all); on a machine without a GPU, how many logical "
        "CPUs (default: 1)",
    )
    parser.add_argument(
        "--lock-test", action="store_true",
        help="do not look at the test side: freeze task, data, sides and result, for mri_tf.evaluate to "
        "open it once",
    )  # fmt: skip
    parser.add_argument(
        "--feature-banks", type=Path, metavar="DIR",
        help="folder for the features of frozen layers, which later trainings find there (default: the "
        "run's own, removed at its end)",
    )  # fmt: skip
    add_max_minutes(parser)
    parser.add_argument(
        "--no-audit", action="store_true",
        help="do not look for patients and copies on two sides before the first epoch",
    )  # fmt: skip
    parser.add_argument(
        "--no-baselines", action="store_true",
        help="do not compare with baselines, as study and --folds do it once for all networks",
    )  # fmt: skip
    parser.add_argument("--no-card", action="store_true", help="do not write card.html at the end")
    parser.add_argument("--no-export", action="store_true", help="stop at the numbers")
    add_track(parser)
    parser.add_argument("--seed", type=seed_int, default=0, help="of split and weights (default 0)")
    add_set(parser)
    return parser


if __name__ == "__main__":
    sys.exit(run_command(main))
