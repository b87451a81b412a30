"""Who may reach a server: addresses, ports, tokens, and the packages it needs. Standard library only."""

import argparse
import hmac
import importlib.util
import os
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
        return _token_in_file(file, "--token-file", f"Make one: {command}")
    if not is_loopback(host) and not insecure:
        raise InputError(
            "A server that other machines can reach needs a token.", f"--host {host} without one",
            "Give --token-file FILE, or --insecure if a proxy or firewall controls access.",
        )
    return ""


def token_of(file: Path | None, variable: str, flag: str) -> str:
    """The token that a client sends: of a file, else of an environment variable; "" without both.

    Args:
        file: that the flag names; None where it was not given.
        variable: name of the environment variable.
        flag: that names the file, for the message.

    Returns:
        The token without blanks and line ends around it.

    Raises:
        InputError: the file or the variable holds no token; the message does not show what it holds.
    """
    if file is not None:
        return _token_in_file(file, flag, "Write the server's token into it.")
    text = os.environ.get(variable, "")
    if not text:
        return ""
    return _checked(text, variable, f"{len(text)} characters", "Correct the environment variable.")


def _token_in_file(file: Path, flag: str, hint: str) -> str:
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, ValueError):
        text = ""
    return _checked(text, flag, file, hint)


def _checked(text: str, source: str, received: object, hint: str) -> str:
    """The token of a text; raises InputError where it is none that a header of HTTP may hold."""
    token = text.strip()
    if not token or " " in token or not token.isascii() or not token.isprintable():
        rule = f"{source} must hold exactly one token: ASCII characters without spaces."
        raise InputError(rule, received, hint)
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
    try:
        value = int(text)
    except ValueError:
        value = -1
    if not 0 <= value < 65536:
        raise argparse.ArgumentTypeError(f"needs a port from 0 (any free one) to 65535, not {text[:20]}")
    return value
