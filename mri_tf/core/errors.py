"""What ends a command early: wrong input, a failure, or the end of its time. Standard library only."""


class InputError(ValueError):
    """Bad arguments or data (exit 2), in one line: what is wrong, what was received, what to do."""

    def __init__(self, rule: str, received: object, hint: str):
        self.rule, self.received, self.hint = rule, received, hint
        super().__init__(" ".join(f"{rule} Received: {received}. {hint}".split()))

    def __reduce__(self):
        # For pickling between processes, which would pass the message in place of the arguments.
        return (InputError, (self.rule, self.received, self.hint))


class RunFailed(RuntimeError):
    """Failed while running (exit 3), in one line: what happened, and what is kept or to be done."""

    def __init__(self, what: str, kept: str):
        self.what, self.kept = what, kept
        super().__init__(" ".join(f"{what} {kept}".split()))

    def __reduce__(self):
        return (RunFailed, (self.what, self.kept))


class OutOfTime(Exception):
    """The minutes of --max-minutes are over (exit 1), in one line: how far the work is.

    What is done is kept, and the same command continues.
    """

    FIRST_WORDS = "Stopped after"  # by which the line is found in the output of a process


def install_hint(extra: str) -> str:
    """What to run where packages of an extra are missing: from a package index, and from a clone.

    >>> install_hint("serve")
    "Run pip install 'mri_tf[serve]', or in a clone pip install -e '.[serve]'."
    """
    return f"Run pip install 'mri_tf[{extra}]', or in a clone pip install -e '.[{extra}]'."


def first_few(names, limit: int = 5) -> str:
    """The first few of many names, for one line of a message.

    >>> first_few("abcde", 3)
    'a, b, c and 2 more'
    """
    names = [str(name) for name in names]
    shown = ", ".join(names[:limit])
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit} more"
