"""A clock that only tests move."""


class Stopwatch:
    """In the place of time.monotonic: `now()` is what was added to `seconds`."""

    def __init__(self):
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds

    def wait(self, seconds: float) -> None:
        self.seconds += seconds
