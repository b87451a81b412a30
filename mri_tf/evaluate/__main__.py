"""Evaluates a run on its held-out patients or on other data: python -m mri_tf.evaluate --run RUN."""

import sys
from pathlib import Path

from mri_tf.core.command_flags import add_listing, folder_to_write
from mri_tf.core.command_line import DONE, SOME_SKIPPED, Parser, import_tensorflow, run_command
from mri_tf.core.errors import InputError, first_few

WITH_KNOWN = "with_known_patients"  # folder of the numbers that count them too


def main(arguments: list[str]) -> int:
    """Evaluates a finished run; returns the exit code."""
    flags = _parser().parse_args(arguments)
    from data_prep.layout_calls import listing_of
    from mri_tf.store.prepared import Prepared
    from mri_tf.store.run import open_finished

    run, listing = open_finished(flags.run), listing_of(flags)
    import_tensorflow()
    if flags.raw:
        flags.data = _prepared(run.task, flags, listing)
    folder = flags.data or run.data_folder
    prepared = Prepared.open(folder)
    prepared.check_fits(run.task)
    import numpy as np

    from mri_tf.evaluate.evaluation import OTHER_DATA, evaluate_run
    from mri_tf.pipeline.field_of_view import check_masks
    from mri_tf.pipeline.subset import subset_of
    from mri_tf.splits.leakage import check_derived_unseen, known_records, shared_ids
    from mri_tf.store.looks import check_open, is_closed, shows_test_side
    from mri_tf.store.run import CARD, TEST, positions_of
    from mri_tf.tables import summary

    check_masks(run.task, prepared)
    # The numbers of a model of several members are those of its folds.
    home = flags.run / TEST if run.has_members else flags.run
    known = np.zeros(len(prepared), bool)
    if flags.data is None or prepared.content_fingerprint() == run.values["data"]:
        records, split = positions_of(run, prepared)[2], run.values["split"]
        check_test_side(run)
    else:
        records, split = np.arange(len(prepared)), OTHER_DATA
        known = known_records(run, prepared)
        check_derived_unseen(prepared, [records[:0], records])
        if shared := shared_ids(run, prepared, known):
            print(
                f"warning: these patient ids are in the training data too: {first_few(shared)}. "
                "Check that they are other people."
            )
        if shows_test_side(run, prepared, records):
            check_open(run, "The data hold images of its patients.")
        home = flags.run / "evaluations" / evaluation_name(prepared)
    records = _with_labels(run, prepared, records)
    if flags.prior:
        home = flags.run / "evaluations" / f"{home.absolute().name}-prior-{flags.prior}"
    out, files, opens = flags.out or home, [], is_closed(run)
    for part, folder, note in _parts(records, known, out):
        subset = subset_of(run, prepared, part)
        result = evaluate_run(run, subset, split, folder, flags.prior, note)
        print("\n".join(summary(result.metrics)))
        files += result.files
    print(f"wrote {', '.join(str(path) for path in files)}")
    if (flags.run / CARD).is_file() and home == flags.run and not flags.out:
        print(f"card.html is of the numbers before; anew: python -m mri_tf.report --run {flags.run}")
    if opens and run.values.get("exported"):
        print(
            "the exported model still says that the test side is locked; a version with these numbers: "
            f"python -m mri_tf.export --run {flags.run}"
        )
    return SOME_SKIPPED if known.any() else DONE


def evaluation_name(prepared) -> str:
    """The folder of the numbers on another set: its folder's name, and what tells it from others of that
    name."""
    return f"{prepared.folder.absolute().name}-{prepared.content_fingerprint()[:8]}"


def check_test_side(run) -> None:
    """Raises InputError for a model of several members that holds out no patient."""
    if run.has_members and not run.sides["test"]:
        raise InputError(
            "The members of this model have seen every patient; its numbers are those of the folds.",
            run.folder, f"See {run.folder / 'report.md'}, or give other patients with --data or --raw.",
        )  # fmt: skip


def _prepared(task, flags, listing) -> Path:
    """Prepares --raw as the run's data were; returns the folder of the set."""
    from data_prep.layout import find_layout, is_user_layout
    from data_prep.prepare.prepare import prepare
    from data_prep.prepare.pseudonyms import pseudonyms_for
    from data_prep.prepare.source import PrepareOptions
    from mri_tf.task.files import FOLDER, find_task_file

    if is_user_layout(task) and not flags.task:
        raise InputError(
            f"Task {task.name} reads its data with your own layout, {task.layout}.", "no --task",
            "Add --task with the task file beside the layout.",
        )  # fmt: skip
    file = find_task_file(flags.task) if flags.task else FOLDER
    out = Path("data", f"{task.name}-{flags.raw.resolve().name}")
    settings = PrepareOptions(
        pseudonyms=pseudonyms_for(find_layout(task, file), out), listing=listing
    )
    _, skipped = prepare(task, file, flags.raw, out, settings)
    print(f"prepared set: {out}", flush=True)
    for item in skipped:
        print(f"skipped {item.file}: {item.reason}", file=sys.stderr, flush=True)
    return out


def _parts(records, known, out: Path) -> list[tuple]:
    """(records, folder, note) of each evaluation: without patients that the run knows, and with them."""
    if not known[records].any():
        return [(records, out, "")]
    unknown = records[~known[records]]
    if not len(unknown):
        raise InputError(
            "The run was trained on images of every patient with a label in the data.",
            f"{len(records)} records", "Leave out --data to evaluate on the run's held-out patients.",
        )  # fmt: skip
    count = f"{len(records) - len(unknown)} of {len(records)} records"
    print(f"{count} are of patients whose images the run was trained on: counted without them, and with")
    whose = "of patients whose images the run was trained on"
    return [
        (unknown, out, f"left out: {count}, {whose}"),
        (records, out / WITH_KNOWN, f"LEAKY: {count} are {whose}"),
    ]


def _with_labels(run, prepared, records):
    """The records that can be counted; raises InputError where there is none."""
    from mri_tf.store.record import NO_LABEL

    counted = records
    if run.task.kind == "classification":
        counted = records[prepared.labels[records] != NO_LABEL]
    if not len(counted):
        raise InputError(
            "No record of the prepared set has a label to evaluate against.",
            f"{prepared.folder}, {len(records)} records without a label",
            "Use python -m mri_tf.predict to get predictions without labels.",
        )  # fmt: skip
    if len(counted) < len(records):
        print(f"{len(records) - len(counted)} records without a label are left out")
    return counted


def _parser() -> Parser:
    parser = Parser(
        "python -m mri_tf.evaluate", __doc__,
        examples=(
            "--run runs/grade/manual-s0",
            "--run runs/grade/manual-s0 --raw other_hospital --labels grades.csv",
        ),
    )  # fmt: skip
    parser.add_argument("--run", required=True, type=Path, help="folder of a finished run")
    other = parser.add_mutually_exclusive_group()
    other.add_argument(
        "--data", type=Path, help="another prepared set; every record of it counts as test"
    )
    other.add_argument(
        "--raw", type=Path, help="another raw folder, prepared into data/ as the run's data were"
    )
    parser.add_argument("--task", help="the task file, where its layout is a file of your own")
    add_listing(parser)
    parser.add_argument("--prior", default="", help="shares of the classes to correct for, e.g. 0.7,0.3")
    parser.add_argument(
        "--out",
        type=folder_to_write,
        help="folder of the numbers (default: the run, or with --data or --prior one of its own in "
        "RUN/evaluations)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(run_command(main))
