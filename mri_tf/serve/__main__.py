"""Serves exported models by TF Serving's REST and gRPC protocol: python -m mri_tf.serve --models DIR."""

import argparse
import gc
import importlib.util
import ipaddress
import os
import signal
import sys
from pathlib import Path

from mri_tf.core.command_line import (
    DONE,
    INTERRUPTED,
    Parser,
    import_tensorflow,
    positive_int,
    run_command,
)
from mri_tf.core.errors import InputError

NEEDED = ("starlette", "uvicorn", "grpc", "tensorflow_serving")


def main(arguments: list[str]) -> int:
    """Serves until SIGTERM (exit 0) or Ctrl-C (130), both after answering what was accepted."""
    flags = _parser().parse_args(arguments)
    token = read_token(flags.host, flags.token_file, flags.insecure)
    check_extra()
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # what it would say of a port is said below
    import_tensorflow()
    from mri_tf.serve.limits import Settings
    from mri_tf.serve.server import Server

    settings = Settings(
        body_bytes=flags.max_body_mb << 20,
        decompressed_bytes=flags.max_body_mb << 21,
        held_bytes=max(1 << 30, flags.max_body_mb << 22),
        timeout_s=float(flags.timeout_s),
        max_batch=flags.max_batch,
        token=token,
    )
    _check_config(flags.models)
    server = Server(flags.models, settings, flags.host, flags.rest_port, flags.grpc_port)
    interrupted = []

    def stop(number, _) -> None:
        if number == signal.SIGINT:
            interrupted.append(number)
        if not server.ready.is_set():
            raise KeyboardInterrupt  # still loading: nobody is waiting for an answer
        server.stop()

    def say_ready() -> None:
        # A JSON request makes thousands of lists, which sets off the collector: over all that
        # TensorFlow holds it takes 0.2 s. What is there now stays, and is not looked at again.
        gc.collect()
        gc.freeze()
        sys.setswitchinterval(0.001)  # a thread that parses lets the one that listens have its turn
        if not server.models.names:
            print(f"no model in {flags.models} yet; it is watched", file=sys.stderr, flush=True)
        host = f"[{flags.host}]" if ":" in flags.host else flags.host
        print(
            f"REST http://{host}:{server.rest_port}/v1/models  gRPC {host}:{server.grpc_port}  "
            "(Ctrl-C stops)",
            flush=True,
        )

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    server.run(say_ready)
    print("stopped", flush=True)
    return INTERRUPTED if interrupted else DONE


def _check_config(models: Path) -> None:
    """Raises InputError for a models.config that is none: without it other versions are served."""
    from mri_tf.serve.config_files import MODELS_CONFIG, read_models_config

    path = models / MODELS_CONFIG
    if not os.path.lexists(path):
        return
    try:
        read_models_config(path)
    except ValueError as error:
        raise InputError(
            f"{MODELS_CONFIG} names models and versions in TF Serving's form.",
            f"{path}: {' '.join(str(error).split())}", "Mend it, or remove it to serve the newest.",
        ) from None  # fmt: skip


def read_token(host: str, file: Path | None, insecure: bool) -> str:
    """The bearer token of the file, or none; raises InputError where one is needed."""
    if file is not None:
        try:
            token = file.read_text(encoding="utf-8").strip()
        except (OSError, ValueError):
            token = ""
        if not token or not token.isascii() or len(token.split()) > 1:
            raise InputError(
                "--token-file holds one token: ASCII, no spaces inside.",
                file,
                "Make one: python -c 'import secrets; print(secrets.token_urlsafe(32))' > FILE",
            )
        return token
    if not is_loopback(host) and not insecure:
        raise InputError(
            "Bound to an address others can reach, the server needs a token.",
            f"--host {host}",
            "Give --token-file FILE, or --insecure if something else keeps strangers out.",
        )
    return ""


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches the address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def check_extra() -> None:
    """Raises InputError where mri_tf was installed without the extra `serve`."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise InputError(
            "Serving needs the extra `serve`.",
            f"an install without {', '.join(missing)}",
            "pip install 'mri_tf[serve]'",
        )


def _port(text: str) -> int:
    value = int(text)
    if not 0 <= value < 65536:
        raise argparse.ArgumentTypeError(f"needs a port from 0 (any free one) to 65535, not {text}")
    return value


def _parser() -> Parser:
    parser = Parser("python -m mri_tf.serve", __doc__)
    parser.add_argument("--models", required=True, type=Path, help="folder of <model>/<version>/")
    parser.add_argument("--rest-port", type=_port, default=8501, help="(default 8501)")
    parser.add_argument("--grpc-port", type=_port, default=8500, help="(default 8500)")
    parser.add_argument("--host", default="127.0.0.1", help="address to bind to (default loopback)")
    access = parser.add_mutually_exclusive_group()
    access.add_argument("--token-file", type=Path, help="requests need this file's bearer token")
    access.add_argument("--insecure", action="store_true", help="no token on a reachable address")
    parser.add_argument(
        "--max-batch", type=positive_int, default=32, help="rows a run at most; 1: off (default 32)"
    )
    parser.add_argument(
        "--max-body-mb", type=positive_int, default=64,
        help="largest body; twice that unpacked (default 64)",
    )  # fmt: skip
    parser.add_argument(
        "--timeout-s", type=positive_int, default=60, help="patience with a request (default 60)"
    )
    return parser


if __name__ == "__main__":
    sys.exit(run_command(main))
