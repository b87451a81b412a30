"""When a command ends by itself, at a point from which it continues: --max-minutes. Standard library."""

import math
import time
from collections.abc import Callable

from mri_tf.core.errors import OutOfTime
from mri_tf.core.progress import duration

SHORTEST_MINUTES = 0.001  # of a command that is started at the last moment


class Deadline:
    """The end of the minutes that a command may take; without a limit it never comes.

    Work is done in pieces: a case prepared, an epoch, a trial. The command ends before a piece for which
    no time is left. It never ends before its first piece, so that the same command, given again and
    again, comes to its end however short the time is.

    Args:
        minutes: from now on; None: no limit.
        clock: seconds, as those of time.monotonic.

    Attributes:
        got_on: whether a piece is done; set by who does it.
    """

    def __init__(self, minutes: float | None = None, clock: Callable[[], float] = time.monotonic):
        self.minutes, self.clock = minutes, clock
        self._begun = clock()
        self.got_on = False

    @classmethod
    def at(cls, moment: float | None, got_on: bool) -> "Deadline":
        """The one of another process, by its `moment` and whether that has got on."""
        deadline = cls(None if moment is None else (moment - time.time()) / 60)
        deadline.got_on = got_on
        return deadline

    @property
    def moment(self) -> float | None:
        """When it comes, in seconds of time.time, which processes and machines share; None: never."""
        return None if self.minutes is None else time.time() + self.seconds_left

    @property
    def seconds_left(self) -> float:
        """Until it comes: infinite without a limit, negative when it is over."""
        return math.inf if self.minutes is None else 60 * self.minutes - self.seconds_spent

    @property
    def seconds_spent(self) -> float:
        """Since the command began."""
        return self.clock() - self._begun

    @property
    def flags(self) -> list[str]:
        """What tells a command that starts now to end at the same time."""
        if self.minutes is None:
            return []
        return ["--max-minutes", f"{max(self.seconds_left / 60, SHORTEST_MINUTES):.6g}"]

    def ends_before(self, seconds: float) -> bool:
        """Whether the command has got on and a next piece of so many seconds does not fit."""
        return self.got_on and self.seconds_left < max(seconds, 0.0)

    def check(self, done: str, seconds: float = 0.0) -> None:
        """Raises OutOfTime where a next piece of so many seconds does not fit; `done` says how far."""
        if self.ends_before(seconds):
            raise self.out_of_time(done, seconds)

    def out_of_time(self, done: str, seconds: float = 0.0) -> OutOfTime:
        """The error that ends the command.

        Args:
            done: how far the work is, a sentence without its full stop.
            seconds: what the next piece would take.
        """
        if 0 < self.seconds_left < seconds:
            done += f", and the next would take {duration(seconds)}"
        return OutOfTime(
            f"{OutOfTime.FIRST_WORDS} {duration(self.seconds_spent)}, as --max-minutes "
            f"{self.minutes:.4g} asks: {done}. The same command continues."
        )


NO_LIMIT = Deadline()
