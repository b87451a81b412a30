"""The two ways a command ends early: the input was wrong, or the run failed. Standard library only."""


class InputError(ValueError):
    """Bad arguments or data (exit 2), said in one line: the rule, what was received, the way out."""

    def __init__(self, rule: str, received: object, hint: str):
        self.rule, self.received, self.hint = rule, received, hint
        super().__init__(" ".join(f"{rule} Received: {received}. {hint}".split()))

    def __reduce__(self):
        # Exceptions cross process borders by their arguments; the default would pass the message.
        return (InputError, (self.rule, self.received, self.hint))


class RunFailed(RuntimeError):
    """Failed while running (exit 3): what happened and what is kept, in one line."""

    def __init__(self, what: str, kept: str):
        self.what, self.kept = what, kept
        super().__init__(" ".join(f"{what} {kept}".split()))

    def __reduce__(self):
        return (RunFailed, (self.what, self.kept))


def first_few(names, limit: int = 5) -> str:
    """The first few of many names, for a message of one line: `a, b, c and 9 more`."""
    names = [str(name) for name in names]
    shown = ", ".join(names[:limit])
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit} more"
