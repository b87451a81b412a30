"""Serves exported models by TensorFlow Serving's protocol: python -m mri_tf.serve --models DIR."""

import gc
import os
import signal
import sys
from pathlib import Path

from mri_tf.core.command_flags import add_engine, positive_int
from mri_tf.core.command_line import DONE, INTERRUPTED, Parser, import_tensorflow, run_command
from mri_tf.core.errors import InputError
from mri_tf.serve.access import check_extra, port_number, read_token
from mri_tf.serve.page_process import PageProcess, check_page_flags, page_arguments

NEEDED = ("starlette", "uvicorn", "grpc", "tensorflow_serving", "orjson", "simdjson")


def main(arguments: list[str]) -> int:
    """Serves until SIGTERM (exit 0) or Ctrl-C (130); accepted requests are answered first."""
    flags = _parser().parse_args(arguments)
    from mri_tf.engines.choose import check_engine

    token = read_token(flags.host, flags.token_file, flags.insecure)
    check_page_flags(flags)
    check_extra(*NEEDED)
    check_engine(flags.engine)
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # a port in use is reported below
    import_tensorflow()
    from mri_tf.serve.limits import Settings
    from mri_tf.serve.server import Server

    settings = Settings(
        body_bytes=flags.max_body_mb << 20, decompressed_bytes=flags.max_body_mb << 21,
        held_bytes=max(1 << 30, flags.max_body_mb << 22), timeout_s=float(flags.timeout_s),
        max_batch=flags.max_batch, token=token, engine=flags.engine,
    )  # fmt: skip
    _check_folder(flags.models)
    _check_config(flags.models)
    server = Server(flags.models, settings, flags.host, flags.rest_port, flags.grpc_port)
    page = PageProcess(page_arguments(flags), server.stop) if flags.page else None
    interrupted = []

    def stop(number, _) -> None:
        if number == signal.SIGINT:
            interrupted.append(number)
        if not server.ready.is_set():
            raise KeyboardInterrupt  # models are still loading: no request was accepted yet
        server.stop()

    def report_ready() -> None:
        # A JSON request makes thousands of lists, which starts the garbage collector; over all of
        # TensorFlow's objects it takes 0.2 s. Objects that exist at this point are excluded from it.
        gc.collect()
        gc.freeze()
        sys.setswitchinterval(0.001)  # s; so that a thread that parses does not hold up the listener
        if not server.models.names:
            line = f"no models in {flags.models} yet: they are served as soon as they are exported"
            print(line, file=sys.stderr, flush=True)
        host = f"[{flags.host}]" if ":" in flags.host else flags.host
        rest, grpc = f"http://{host}:{server.rest_port}/v1/models", f"{host}:{server.grpc_port}"
        print(f"REST {rest}  gRPC {grpc}  (Ctrl-C stops)", flush=True)
        if page and page.ended:  # while the models were loaded
            server.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    try:
        server.run(report_ready)
        if page:
            page.check()
    finally:
        if page:
            page.stop()
    print("stopped", flush=True)
    return INTERRUPTED if interrupted else DONE


def _check_folder(models: Path) -> None:
    """Raises InputError for the folder of one model, whose versions would wait for ever as models."""
    from mri_tf.serve.version_folders import version_folders

    if models.is_dir() and version_folders(models):
        raise InputError(
            "--models must be the folder that holds all models, not that of one model.", models,
            f"Give {models.parent}.",
        )  # fmt: skip


def _check_config(models: Path) -> None:
    """Raises InputError for a models.config that cannot be read: it chooses the versions."""
    from mri_tf.serve.config_files import MODELS_CONFIG, read_models_config

    path = models / MODELS_CONFIG
    if not os.path.lexists(path):
        return
    try:
        read_models_config(path)
    except ValueError as error:
        raise InputError(
            f"Cannot read {MODELS_CONFIG}.", f"{path}: {' '.join(str(error).split())}",
            "Correct it, or remove it to serve the newest version of every model.",
        ) from None  # fmt: skip


def _parser() -> Parser:
    parser = Parser(
        "python -m mri_tf.serve", __doc__,
        examples=(
            "--models saved_models --page",
            "--models saved_models --host 0.0.0.0 --token-file token.txt",
        ),
    )  # fmt: skip
    parser.add_argument("--models", required=True, type=Path, help="folder with <model>/<version>/")
    parser.add_argument("--rest-port", type=port_number, default=8501, help="port (default 8501)")
    parser.add_argument("--grpc-port", type=port_number, default=8500, help="port (default 8500)")
    parser.add_argument("--host", default="127.0.0.1", help="address to bind to (default 127.0.0.1)")
    access = parser.add_mutually_exclusive_group()
    access.add_argument("--token-file", type=Path, help="file with the bearer token of requests")
    access.add_argument("--insecure", action="store_true", help="serve other machines without a token")
    add_engine(parser)
    parser.add_argument(
        "--max-batch", type=positive_int, default=32, help="rows in a batch; 1: no batches (default 32)"
    )
    parser.add_argument(
        "--max-body-mb", type=positive_int, default=64,
        help="largest request in MB; twice that once unpacked (default 64)",
    )  # fmt: skip
    parser.add_argument(
        "--timeout-s", type=positive_int, default=60, help="seconds for one request (default 60)"
    )
    parser.add_argument("--page", action="store_true", help="also serve the page to ask models with")
    parser.add_argument("--page-port", type=port_number, help="port of the page (default 8502)")
    parser.add_argument(
        "--keep", type=Path, metavar="DIR", help="let users of the page keep answers in this folder"
    )
    parser.add_argument(
        "--show-header", action="store_true", help="show names and dates of DICOM headers on the page"
    )
    return parser


if __name__ == "__main__":
    sys.exit(run_command(main))
