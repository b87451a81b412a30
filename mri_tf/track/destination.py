"""Where training, studies, searches and mri_tf.track log to: the flag, and the end of a command."""

import argparse
import subprocess
import sys
from pathlib import Path

from mri_tf.core.redacted import without_secrets

PREFIX = "mlflow:"
NEEDS_PACKAGE = "Logging to MLflow needs the package mlflow-skinny."
MOST_SECONDS = 600.0  # of logging, after which the training goes on without


def destination(text: str) -> str:
    """argparse type: "mlflow:" and a tracking URI, of which the URI is returned."""
    if not text.startswith(PREFIX) or len(text) == len(PREFIX):
        raise argparse.ArgumentTypeError("must be mlflow:URI, for example mlflow:http://127.0.0.1:5000")
    return text.removeprefix(PREFIX)


def shown(uri: str) -> str:
    """A tracking URI for messages: without user name, password and query.

    >>> shown("https://me:secret@host/path?token=1"), shown("file:mlruns")
    ('mlflow:https://host/path', 'mlflow:file:mlruns')
    """
    return PREFIX + without_secrets(uri)


def add_track(parser, what: str = "parameters, numbers, card and model") -> None:
    """Adds the flag that names the tracker; `what` is logged there."""
    parser.add_argument(
        "--track", type=destination, metavar="mlflow:URI",
        help=f"at the end, log {what} to this MLflow server or store",
    )  # fmt: skip


def check_track(uri: str | None) -> None:
    """Raises InputError for --track without the package that it needs, before anything is trained."""
    from importlib.util import find_spec

    from mri_tf.core.errors import InputError, install_hint

    if uri and find_spec("mlflow") is None:
        raise InputError(NEEDS_PACKAGE, "no such package", install_hint("track"))


def track_finished(uri: str | None, kind: str, folder: Path, most_seconds: float = MOST_SECONDS) -> None:
    """Logs a finished run, study or search; where that fails, one line says so, and the command goes on.

    It runs in a process of its own, so that nothing of the tracker (an import, a server that does not
    answer, a crash) reaches the training.

    Args:
        uri: of the tracker; nothing is done without one.
        kind: "run", "study" or "search".
        folder: of it.
        most_seconds: after which it is given up.
    """
    if not uri:
        return
    command = [f"--{kind}", str(folder), "--to", PREFIX + uri]
    try:
        done = subprocess.run(
            [sys.executable, "-m", "mri_tf.track", *command], stdin=subprocess.DEVNULL,
            capture_output=True, text=True, errors="replace", timeout=most_seconds,
        )  # fmt: skip
        lines = done.stdout.splitlines() if done.returncode == 0 else done.stderr.splitlines()
        line, failed = lines[-1] if lines else f"exit code {done.returncode}", done.returncode != 0
    except (OSError, subprocess.SubprocessError) as error:
        line, failed = type(error).__name__, True
    if not failed:
        print(line, flush=True)
        return
    again = f"python -m mri_tf.track --{kind} {folder} --to {shown(uri)}"
    reason = line.removeprefix("error: ").replace(uri, shown(uri))
    print(f"warning: not tracked: {reason} Try again with {again}", file=sys.stderr, flush=True)
