"""Prepares raw scans for training: python -m data_prep.write --task T --raw DIR --out DIR."""

import sys
from pathlib import Path

from mri_tf.core.command_flags import add_listing, folder_to_write, positive_int
from mri_tf.core.command_line import (
    DONE,
    INTERRUPTED,
    SOME_SKIPPED,
    Parser,
    import_tensorflow,
    run_command,
)
from mri_tf.core.errors import InputError


def main(arguments: list[str]) -> int:
    """Turns a raw folder into a prepared set; returns the exit code."""
    flags = _parser().parse_args(arguments)
    import_tensorflow()
    from data_prep.layout import find_layout
    from data_prep.layout_calls import listing_of
    from data_prep.prepare.prepare import prepare
    from data_prep.prepare.pseudonyms import pseudonyms_for
    from data_prep.prepare.shards import begun
    from data_prep.prepare.source import PrepareOptions
    from mri_tf.task.files import find_task_file, load_task

    task_file = find_task_file(flags.task)
    if flags.salt_file and flags.keep_ids:
        raise InputError(
            "--salt-file has no effect with --keep-ids.", flags.salt_file, "Leave out one of them."
        )
    task = load_task(task_file)
    layout = find_layout(task, task_file)
    wanted = True if flags.pseudonyms else False if flags.keep_ids else None
    pseudonyms = pseudonyms_for(layout, flags.out, wanted, flags.salt_file)
    if flags.salt_file and not pseudonyms.fingerprint:
        raise InputError(
            "--salt-file has no effect without --pseudonyms.", flags.salt_file, "Add --pseudonyms."
        )
    options = PrepareOptions(
        flags.workers, flags.scheduler, flags.strict, pseudonyms, listing_of(flags)
    )
    try:
        prepared, skipped = prepare(task, task_file, flags.raw, flags.out, options)
    except KeyboardInterrupt:
        if begun(flags.out):
            raise  # what is kept is said as for every command
        print("error: Interrupted. Nothing was written.", file=sys.stderr, flush=True)
        return INTERRUPTED
    for item in skipped:
        print(f"skipped {item.file}: {item.reason}", file=sys.stderr)
    counts = prepared.manifest["counts"]
    people = "patients" if prepared.patients_known else "groups of images (patients unknown)"
    print(
        f"{flags.out}: {counts['records']} records of {counts['patients']} {people}, "
        f"{len(skipped)} skipped"
    )
    return SOME_SKIPPED if skipped else DONE


def _parser() -> Parser:
    parser = Parser(
        "python -m data_prep.write", __doc__,
        examples=(
            "--task lgg_grade --raw lgg --out data/lgg_grade",
            "--task grade.toml --raw scans --labels grades.csv --out data/grade --pseudonyms",
        ),
    )  # fmt: skip
    parser.add_argument("--task", required=True, help="name of a task, or path of a task file")
    parser.add_argument("--raw", required=True, type=Path, help="folder of the raw data")
    parser.add_argument("--out", required=True, type=folder_to_write, help="folder of the prepared set")
    parser.add_argument("--workers", type=positive_int, default=1, help="processes (default: 1)")
    parser.add_argument(
        "--scheduler", default="", help="address of a Dask scheduler (default: this machine only)"
    )
    parser.add_argument(
        "--strict", action="store_true", help="write nothing if any input cannot be read"
    )
    add_listing(parser)
    ids = parser.add_mutually_exclusive_group()
    ids.add_argument(
        "--keep-ids", action="store_true",
        help="keep patient ids as given (default, unless they come from DICOM headers)",
    )  # fmt: skip
    ids.add_argument(
        "--pseudonyms", action="store_true", help="replace patient ids by salted pseudonyms"
    )
    parser.add_argument(
        "--salt-file", type=Path, help="salt of the pseudonyms (default: OUT.salt, made if missing)"
    )
    return parser


if __name__ == "__main__":
    sys.exit(run_command(main))
