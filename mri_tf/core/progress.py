"""Progress on stderr: a bar of rich on a terminal, else a plain line every few seconds."""

import sys
import time
from collections.abc import Callable
from contextlib import contextmanager

SECONDS_BETWEEN_LINES = 10.0


@contextmanager
def progress(label: str, total: int):
    """Yields `advance(done, note, total)`, which shows done of total, the note and the time left.

    The optional `total` of a call replaces the one here, for work whose length is known only later.
    """
    if sys.stderr.isatty():
        yield from _bar(label, total)
    else:
        yield _lines(label, total)


def _bar(label: str, total: int):
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
        TimeRemainingColumn(), TextColumn("{task.fields[note]}"),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True)) as bar:
        row = bar.add_task(label, total=total, note="")
        yield lambda done, note="", total=total: bar.update(
            row, completed=done, note=note, total=total
        )


def _lines(label: str, total: int) -> Callable[..., None]:
    start = time.monotonic()
    first = [None]
    last = [start - SECONDS_BETWEEN_LINES + 2.0]  # work of under two seconds prints one line

    def advance(done: int, note: str = "", total: int = total) -> None:
        now = time.monotonic()
        if first[0] is None:
            first[0] = done - 1  # work of an earlier, interrupted run says nothing about the speed
        if done < total and now - last[0] < SECONDS_BETWEEN_LINES:
            return
        last[0] = now
        left = (now - start) / max(done - first[0], 1) * (total - done)
        print(f"{label}: {done}/{total}  {note}  {left:.0f} s left", file=sys.stderr, flush=True)

    return advance
