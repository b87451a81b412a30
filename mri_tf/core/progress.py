"""What stderr shows beside errors: progress as a bar or lines, what is expected, what was noticed."""

import functools
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


@functools.cache  # what is said of files is found anew each time that they are listed or read
def say_once(text: str) -> None:
    """Prints a line, the first time that it is said in this process."""
    print(text, file=sys.stderr)


def say_expected(seconds: float, of_what: str) -> None:
    """Prints, once at the beginning of long work, how long it will take and by what that is known."""
    print(f"expected: {duration(seconds)} {of_what}", file=sys.stderr, flush=True)


def say_time_left(label: str, seconds: list[float], left: int, at_a_time: int) -> bool:
    """Says how long pieces of work that are left will take; False if nothing tells it or none is left.

    Args:
        label: what they are called, in the plural.
        seconds: of those that are done.
        left: how many are not.
        at_a_time: how many run at a time; 0 if that is not known.
    """
    if not seconds or not left:
        return False
    each = sum(seconds) / len(seconds)
    rounds = -(-left // at_a_time) if at_a_time else left
    how = f"{at_a_time} at a time" if at_a_time else "one after the other"
    say_expected(rounds * each, f"for the {label} left: {left} of {duration(each)}, {how}")
    return True


def duration(seconds: float) -> str:
    """Seconds as one reads them.

    >>> duration(0.061), duration(42), duration(400), duration(9000)
    ('0.061 s', '42 s', '7 min', '2.5 h')
    """
    if seconds < 9.5:
        return f"{round(seconds, 4):.2g} s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


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
