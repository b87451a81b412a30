"""Trains a task from raw data to an exported model: python -m mri_tf.train --task T."""

import sys
from pathlib import Path

from mri_tf.command import (
    DONE,
    SOME_SKIPPED,
    Parser,
    import_tensorflow,
    positive_int,
    run_command,
    seed_int,
)
from mri_tf.errors import InputError
from mri_tf.task import BASE_VARIANT

DEMO = "demo"  # the variant that runs on the phantom, when no data is named
MODES = ("patient", "group", "random", "column")


def main(arguments: list[str]) -> int:
    """Prepares, pre-trains, trains, evaluates and exports; returns the exit code."""
    flags = _parser().parse_args(arguments)
    import_tensorflow()
    from mri_tf.assemble import check_task
    from mri_tf.evaluate import evaluate_run, summary
    from mri_tf.export import export_run
    from mri_tf.fitting import check_no_overlap, fit_run, new_run, positions_of
    from mri_tf.inputs import WhereData, classifier_set
    from mri_tf.runs import open_finished

    given, variants = _task(flags)
    task = given.task
    check_task(task)
    folder = flags.out or Path("runs", task.name, f"{'+'.join(variants)}-s{flags.seed}")
    where = WhereData(flags.raw, flags.data, flags.features_data)
    prepared, skipped = classifier_set(given, where)
    sides, split = choose_sides(prepared, task, flags)
    features = None
    if task.features_from and flags.features:
        features = open_finished(flags.features)
        check_no_overlap(features, prepared, sides)
    elif task.features_from:
        features, more_skipped = pretrain(given, where, prepared, sides, flags, folder)
        skipped = [*skipped, *more_skipped]
    run = new_run(folder, task, prepared, sides, flags.seed, split, features)
    print(
        f"{task.name} ({', '.join(variants)}): {len(sides[0])} records to train on, "
        f"{len(sides[1])} to choose the weights, {len(sides[2])} held out; split by {split}"
    )
    if split == "random":
        print("LEAKY: a random split puts slices of one patient on both sides")
    run = fit_run(run, prepared, features, flags.devices)
    for item in skipped:
        print(f"skipped {item.source}: {item.reason}", file=sys.stderr)
    if run.values.get("exported"):
        print(f"{folder}: already finished, exported as {run.values['exported']}")
        return SOME_SKIPPED if skipped else DONE
    result = evaluate_run(run, prepared, positions_of(run, prepared)[2], folder)
    print("\n".join(summary(result.metrics)))
    exported = export_run(run, prepared, Path("saved_models"))
    run.save(exported=str(exported))
    print(f"wrote {folder}, {', '.join(str(path) for path in result.files)} and {exported}")
    return SOME_SKIPPED if skipped else DONE


def choose_sides(prepared, task, flags) -> tuple[list, str]:
    """Record positions of train, validation and test, and the name of the way they were split."""
    import numpy as np

    from mri_tf import splits

    labels = prepared.labels
    if flags.split_file:
        sides, split = splits.split_by_file(
            flags.split_file, prepared.patients, prepared.groups
        ), "file"
    else:
        split = flags.split
        if not split and any(prepared.splits):
            split = "column"
        split = split or ("group" if any(prepared.groups) else "patient")
        if split == "column":
            sides = splits.split_by_column(prepared.patients, prepared.groups, prepared.splits)
        else:
            groups = prepared.groups if split == "group" else np.full(len(labels), "")
            units = splits.tie_together(prepared.patients, groups)
            units = np.arange(len(labels)) if split == "random" else units
            sides = splits.split_units(units, labels, task.split_fractions, flags.seed)
    if flags.train_size:
        for side in (0, 1):  # the validation side is never larger than the training side
            sides[side] = splits.limit_per_class(
                sides[side], labels, flags.train_size, flags.seed
            )
    return sides, split


def pretrain(given, where, prepared, sides, flags, folder: Path) -> tuple:
    """The finished feature run in `folder/features`, trained if need be; and what was skipped.

    Nobody of the classifier's validation or test side is in its training or validation side.
    A finished feature run of the same identity beside this run is used instead.
    """
    from mri_tf.assemble import check_task
    from mri_tf.evaluate import evaluate_run, summary
    from mri_tf.fitting import check_no_overlap, fit_run, new_run, positions_of
    from mri_tf.inputs import TaskAndFile, feature_set
    from mri_tf.runs import FEATURES, open_finished
    from mri_tf.tasks import feature_task, load_task

    task, file = feature_task(given.task, given.file)
    check_task(task)
    feature_given = TaskAndFile(task, load_task(file), file)
    feature_data, skipped = feature_set(feature_given, given, where)
    feature_sides = sides_for_features(feature_data, task, prepared, sides, flags.seed)
    run = new_run(folder / FEATURES, task, feature_data, feature_sides, flags.seed, "patient")
    twin = _finished_twin(run, folder.parent)
    if twin:
        print(f"features: {twin.folder}, of the same task and patients")
        run = open_finished(twin.folder)
    else:
        print(
            f"features: {task.name} on {len(feature_sides[0])} images of "
            f"{len(run.values['patients']['train'])} patients"
        )
        run = fit_run(run, feature_data, None, flags.devices)
        test = positions_of(run, feature_data)[2]
        if not (run.folder / "metrics.json").is_file():
            print("\n".join(summary(evaluate_run(run, feature_data, test, run.folder).metrics)))
    check_no_overlap(run, prepared, sides)
    return run, skipped


def sides_for_features(features, task, prepared, sides, seed: int) -> list:
    """Sides of the feature set: who is held out from the classifier's training is test here too."""
    import numpy as np

    from mri_tf import splits

    held_out = np.concatenate(sides[1:])
    blocked = np.isin(features.patients, list(set(prepared.patients[held_out]))) | np.isin(
        features.contents, list(set(prepared.contents[held_out]))
    )
    blocked = np.isin(features.patients, list(set(features.patients[blocked])))
    units = splits.tie_together(features.patients, features.groups)
    blocked = np.isin(units, units[blocked])
    if not blocked.any():
        return splits.split_units(units, features.labels, task.split_fractions, seed)
    free = np.flatnonzero(~blocked)
    if not len(free):
        raise InputError(
            "The feature network trains on patients that the classifier does not hold out.",
            "none are left",
            "Name other data with --features-data.",
        )
    train, validation = task.split_fractions[:2]
    inner = splits.split_units(
        units[free], features.labels[free],
        (train / (train + validation), validation / (train + validation)), seed,
    )  # fmt: skip
    return [free[inner[0]], free[inner[1]], np.flatnonzero(blocked)]


def _finished_twin(run, runs: Path):
    """A finished feature run of the same task, seed, data and patients among the runs beside."""
    from mri_tf.runs import FEATURES, open_run

    for place in sorted(runs.glob(f"*/{FEATURES}/run.json")):
        found = open_run(place.parent)
        if found.finished and found.identity() == run.identity():
            return found
    return None


def _task(flags):
    from mri_tf.inputs import TaskAndFile
    from mri_tf.tasks import find_task_file, load_task, resolve_task

    file = find_task_file(flags.task)
    base = load_task(file)
    variants = [name for name in flags.variant.split(",") if name not in ("", BASE_VARIANT)]
    if not flags.raw and not flags.data and DEMO not in variants:
        if DEMO not in base.variants:
            raise InputError(
                f"Task {base.name} has no demo variant.", "neither --raw nor --data",
                "Name your data with --raw DIR or --data DIR.",
            )  # fmt: skip
        variants.append(DEMO)
    task = resolve_task(base, variants, flags.set)
    return TaskAndFile(task, base, file), variants or [BASE_VARIANT]


def _parser() -> Parser:
    parser = Parser("python -m mri_tf.train", __doc__)
    parser.add_argument("--task", required=True, help="name of a task, or path of a task file")
    parser.add_argument("--variant", default="", help="variants of the task, e.g. scratch,demo")
    data = parser.add_mutually_exclusive_group()
    data.add_argument("--raw", type=Path, help="folder of raw data; prepared into data/")
    data.add_argument("--data", type=Path, help="prepared set")
    features = parser.add_mutually_exclusive_group()
    features.add_argument("--features", type=Path, help="finished run of the feature task")
    features.add_argument("--features-data", type=Path, help="prepared set of the feature task")
    parser.add_argument(
        "--out", type=Path, help="run folder (default runs/TASK/VARIANT-sSEED); continued if there"
    )
    split = parser.add_mutually_exclusive_group()
    split.add_argument("--split", choices=MODES, help="(default: the split column, else patient)")
    split.add_argument("--split-file", type=Path, help="JSON: patient ids a side")
    parser.add_argument("--train-size", type=positive_int, help="training records a class")
    parser.add_argument(
        "--devices", type=positive_int, default=0, help="GPUs, or logical CPUs (default: all GPUs)"
    )
    parser.add_argument("--seed", type=seed_int, default=0, help="of split and weights (default 0)")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE",
        help="a value of the task, e.g. epochs=3, features.epochs=2; last word",
    )  # fmt: skip
    return parser


if __name__ == "__main__":
    sys.exit(run_command(main))
