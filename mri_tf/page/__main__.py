"""A page to look at models and to ask them: python -m mri_tf.page --models DIR."""

import argparse
import os
import signal
import sys
import threading
from dataclasses import replace
from pathlib import Path

from mri_tf.core.command_flags import positive_int
from mri_tf.core.command_line import DONE, INTERRUPTED, Parser, run_command
from mri_tf.core.errors import InputError
from mri_tf.core.web import is_loopback
from mri_tf.page.limits import MB, Limits
from mri_tf.serve.access import check_extra, port_number, read_token


def main(arguments: list[str]) -> int:
    """Serves the page until SIGTERM (exit 0) or Ctrl-C (130); all uploads are deleted then."""
    flags = _parser().parse_args(arguments)
    token = read_token(flags.host, flags.token_file, flags.insecure)
    check_extra("starlette", "uvicorn")
    check_folders(flags)
    from mri_tf.page.jobs import Asked
    from mri_tf.page.server import PageOptions, PageServer

    asked = Asked(flags.server, str(flags.token_file or ""), flags.show_header)
    options = PageOptions(flags.models, asked, token, flags.keep)
    server = PageServer(options, _limits(flags), flags.host, flags.page_port, is_loopback(flags.host))
    interrupted = []

    def stop(number, _) -> None:
        if number == signal.SIGINT:
            interrupted.append(number)
        server.stop()

    def report_ready() -> None:
        host = f"[{flags.host}]" if ":" in flags.host else flags.host
        print(f"page http://{host}:{server.port}/  (Ctrl-C stops)", flush=True)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    if flags.until_input_ends:
        threading.Thread(target=_stop_with_input, args=(server,), daemon=True).start()
    server.run(report_ready)
    print("stopped; everything that browsers sent is deleted", flush=True)
    return INTERRUPTED if interrupted else DONE


def check_folders(flags) -> None:
    """Raises InputError for a folder of models that is none, and for a --keep that cannot be written."""
    if not flags.models.is_dir():
        raise InputError(
            "The path given with --models is not a folder.", flags.models,
            "Give the folder of the exported models, as mri_tf.export writes it.",
        )  # fmt: skip
    if flags.keep is not None:
        flags.keep.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not os.access(flags.keep, os.W_OK):
            raise InputError("Cannot write to the folder of --keep.", flags.keep, "Choose another.")


def _limits(flags) -> Limits:
    return replace(
        Limits(), file_bytes=flags.max_file_mb * MB, study_bytes=flags.max_study_mb * MB,
        total_bytes=4 * flags.max_study_mb * MB, files=flags.max_files, case_s=float(flags.timeout_s),
        worker_bytes=flags.max_memory_mb * MB, worker_studies=flags.process_studies,
        silence_s=float(flags.silence_s), heartbeat_s=min(20.0, flags.silence_s / 3),
    )  # fmt: skip


def _stop_with_input(server) -> None:
    sys.stdin.buffer.read()
    server.stop()


def _parser() -> Parser:
    parser = Parser(
        "python -m mri_tf.page", __doc__,
        examples=(
            "--models saved_models",
            "--models saved_models --server http://127.0.0.1:8501 --keep kept",
        ),
    )  # fmt: skip
    limits = Limits()
    parser.add_argument("--models", required=True, type=Path, help="folder with <model>/<version>/")
    parser.add_argument(
        "--server", default="", metavar="URL",
        help="ask the models of this server (default: load them from --models)",
    )  # fmt: skip
    parser.add_argument("--page-port", type=port_number, default=8502, help="port (default 8502)")
    parser.add_argument("--host", default="127.0.0.1", help="address to bind to (default 127.0.0.1)")
    access = parser.add_mutually_exclusive_group()
    access.add_argument("--token-file", type=Path, help="file with the token that the page asks for")
    access.add_argument("--insecure", action="store_true", help="serve other machines without a token")
    parser.add_argument(
        "--keep", type=Path, metavar="DIR",
        help="let users keep answers and readings in this folder (default: nothing stays)",
    )  # fmt: skip
    parser.add_argument(
        "--show-header", action="store_true",
        help="show the names, ids and dates of DICOM headers (default: none)",
    )  # fmt: skip
    for name, default, text in (
        ("--max-file-mb", limits.file_bytes // MB, "largest file"),
        ("--max-study-mb", limits.study_bytes // MB, "largest study, archives unpacked"),
        ("--max-files", limits.files, "most files of a study"),
        ("--max-memory-mb", limits.worker_bytes // MB, "memory of the process that reads files"),
        ("--timeout-s", int(limits.case_s), "seconds for one case"),
        ("--process-studies", limits.worker_studies, "studies until that process is replaced"),
        ("--silence-s", int(limits.silence_s), "seconds until a silent tab's studies are deleted"),
    ):
        parser.add_argument(name, type=positive_int, default=default, help=f"{text} (default {default})")
    parser.add_argument("--until-input-ends", action="store_true", help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    sys.exit(run_command(main))
