"""Logs a finished run, study or search to MLflow: python -m mri_tf.track --run RUN --to mlflow:URI."""

import sys
from pathlib import Path

from mri_tf.core.command_line import DONE, Parser, run_command
from mri_tf.core.errors import InputError
from mri_tf.track.destination import destination, shown


def main(arguments: list[str]) -> int:
    """Logs it, unless the same was logged to this place before; returns the exit code."""
    flags = _parser().parse_args(arguments)
    given = [name for name in ("run", "study", "search") if getattr(flags, name)]
    if len(given) != 1:
        raise InputError(
            "Give one of --run, --study and --search.", " and ".join(given) or "none",
            "For example --run runs/grade/manual-s0.",
        )  # fmt: skip
    from mri_tf.track.mlflow_store import log_to_mlflow
    from mri_tf.track.noted import fingerprint_of, note_tracked, tracked_before
    from mri_tf.track.tracked import tracked_run, tracked_search, tracked_study

    folder = flags.run or flags.study or flags.search
    read = {"run": tracked_run, "study": tracked_study, "search": tracked_search}[given[0]]
    found, place = read(folder), shown(flags.to)
    logged = fingerprint_of(found)
    if before := tracked_before(folder, place, logged):
        print(f"{folder}: already tracked as run {before}")
        return DONE
    identity = log_to_mlflow(found, flags.to)
    note_tracked(folder, place, identity, logged)
    print(f"tracked {folder} as run {identity} of experiment {found.experiment} ({place})")
    return DONE


def _parser() -> Parser:
    parser = Parser(
        "python -m mri_tf.track", __doc__,
        examples=(
            "--run runs/grade/manual-s0 --to mlflow:http://127.0.0.1:5000",
            "--study studies/grade --to mlflow:file:mlruns",
        ),
    )  # fmt: skip
    parser.add_argument("--run", type=Path, help="folder of a finished run")
    parser.add_argument("--study", type=Path, help="folder of a study")
    parser.add_argument("--search", type=Path, help="folder of a search, with its trials.csv")
    parser.add_argument(
        "--to", required=True, type=destination, metavar="mlflow:URI",
        help="tracking server or store, as MLflow writes it (a token comes from MLFLOW_TRACKING_TOKEN)",
    )  # fmt: skip
    return parser


if __name__ == "__main__":
    sys.exit(run_command(main))
