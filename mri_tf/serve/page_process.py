"""The page beside the server: `mri_tf.page` in a process of its own, ended with the server's."""

import contextlib
import subprocess
import sys
import threading
from collections.abc import Callable

from mri_tf.core.errors import InputError, RunFailed

STOP_S = 30.0  # until a page that does not end is killed
ONLY_WITH_PAGE = ("page_port", "keep", "show_header")


def check_page_flags(flags) -> None:
    """Raises InputError for flags of the page without --page."""
    given = [name for name in ONLY_WITH_PAGE if getattr(flags, name)]
    if given and not flags.page:
        named = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise InputError("This is a flag of the page.", f"{named} without --page", "Add --page.")


def page_arguments(flags) -> list[str]:
    """What the page is started with: the same models, address and token as the server."""
    arguments = ["--models", str(flags.models), "--host", flags.host]
    for name, value in (("page-port", flags.page_port), ("keep", flags.keep),
                        ("token-file", flags.token_file)):  # fmt: skip
        arguments += [] if value is None else [f"--{name}", str(value)]
    arguments += ["--insecure"] if flags.insecure else []
    return arguments + (["--show-header"] if flags.show_header else [])


class PageProcess:
    """The running page, which says its address itself.

    Args:
        arguments: of `python -m mri_tf.page`.
        when_ended: is called, from a thread, where it ends before `stop`.
    """

    def __init__(self, arguments: list[str], when_ended: Callable[[], None]):
        self._stopping, self._when_ended = threading.Event(), when_ended
        # It ends with its standard input, so also with a server that was killed; Ctrl-C is the server's.
        self._process = subprocess.Popen(
            [sys.executable, "-m", "mri_tf.page", *arguments, "--until-input-ends"],
            stdin=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        threading.Thread(target=self._wait, daemon=True).start()

    @property
    def ended(self) -> bool:
        """Whether it has ended by itself; its own line says why."""
        return self._process.poll() is not None and not self._stopping.is_set()

    def check(self) -> None:
        """Raises RunFailed where it has ended by itself."""
        if self.ended:
            code = self._process.returncode
            raise RunFailed(f"The page has ended (exit code {code}).", "The server was stopped too.")

    def stop(self) -> None:
        """Ends it and waits until all that browsers sent is deleted."""
        self._stopping.set()
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _wait(self) -> None:
        self._process.wait()
        if not self._stopping.is_set():
            self._when_ended()
