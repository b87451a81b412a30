"""The flags of a cross-validation with train: --folds, --fold-repeats, --workers and --scheduler."""

import argparse

from mri_tf.core.command_flags import positive_int
from mri_tf.core.errors import InputError


def add_folds(parser: argparse.ArgumentParser) -> None:
    """Adds the flags to the parser of train."""
    parser.add_argument(
        "--folds", type=positive_int, default=0, metavar="K",
        help="cross-validation: K networks, each tested on patients that it never saw",
    )  # fmt: skip
    parser.add_argument(
        "--fold-repeats", type=positive_int, default=1, metavar="R",
        help="how often patients are assigned to folds anew (default 1)",
    )  # fmt: skip
    parser.add_argument(
        "--workers", type=positive_int, default=0,
        help="networks of --folds that train at a time (default: one for each two cores)",
    )  # fmt: skip
    parser.add_argument(
        "--scheduler", default="", metavar="ADDR",
        help="address of a Dask scheduler for the networks of --folds (default: this machine)",
    )  # fmt: skip


def check_folds(flags: argparse.Namespace) -> None:
    """Raises InputError for flags that do not go with --folds, or with its absence."""
    if not flags.folds:
        if flags.fold_repeats > 1 or flags.workers or flags.scheduler:
            raise InputError(
                "--fold-repeats, --workers and --scheduler are for cross-validation.", "no --folds",
                "Add --folds 5.",
            )  # fmt: skip
        return
    if flags.folds < 2:
        raise InputError("--folds needs at least 2 folds.", flags.folds, "Leave it out, or try 5.")
    if flags.lock_test:
        raise InputError(
            "--folds tests every patient in turn, so that no test side is left to lock.",
            "--folds with --lock-test",
            "Leave out --lock-test. Patients on the test side of a split column are in no fold.",
        )
    others = {
        "--split": flags.split, "--split-file": flags.split_file, "--train-size": flags.train_size,
        "--known-copies": flags.known_copies, "--features": flags.features,
        "--devices": flags.devices, "--feature-banks": flags.feature_banks,
    }
    if given := [name for name, value in others.items() if value]:
        raise InputError(
            "--folds decides itself who is on which side, and trains several networks at a time.",
            f"--folds with {', '.join(given)}", f"Leave out {' and '.join(given)}.",
        )  # fmt: skip
