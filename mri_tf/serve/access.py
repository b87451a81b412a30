"""Who may reach a server: addresses, ports, tokens, and the packages it needs. Standard library only."""

import argparse
import hmac
import importlib.util
from pathlib import Path

from mri_tf.core.errors import InputError, install_hint
from mri_tf.core.web import is_loopback


def read_token(host: str, file: Path | None, insecure: bool) -> str:
    """The bearer token that requests must bring, "" without --token-file.

    Raises InputError where the file holds no token, or where other machines can reach the host and there
    is neither a file nor --insecure.
    """
    if file is not None:
        command = "python -c 'import secrets; print(secrets.token_urlsafe(32))' > FILE"
        return read_token_file(file, f"Make one: {command}")
    if not is_loopback(host) and not insecure:
        raise InputError(
            "A server that other machines can reach needs a token.", f"--host {host} without one",
            "Give --token-file FILE, or --insecure if a proxy or firewall controls access.",
        )
    return ""


def read_token_file(file: Path, hint: str) -> str:
    """The token in a file; raises InputError with the hint where there is none."""
    try:
        token = file.read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        token = ""
    if len(token.split()) != 1 or not token.isascii():
        rule = "--token-file must hold exactly one token: ASCII characters without spaces."
        raise InputError(rule, file, hint)
    return token


def brings_token(authorization: str, token: str) -> bool:
    """Whether the header Authorization brings the token, if one is needed; compared in constant time."""
    if not token:
        return True
    scheme, _, given = authorization.partition(" ")
    equal = hmac.compare_digest(given.strip().encode(), token.encode())
    return scheme.lower() == "bearer" and equal


def check_extra(*needed: str) -> None:
    """Raises InputError where packages are missing, which come with the extra `serve`."""
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    if missing:
        raise InputError(
            "Packages for serving are not installed.", f"missing {', '.join(missing)}",
            install_hint("serve"),
        )  # fmt: skip


def port_number(text: str) -> int:
    """argparse type: a port."""
    value = int(text)
    if not 0 <= value < 65536:
        raise argparse.ArgumentTypeError(f"needs a port from 0 (any free one) to 65535, not {text}")
    return value
