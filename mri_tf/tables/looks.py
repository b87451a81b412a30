"""How often a test side was looked at, in a sentence."""

LOCK_LETTERS = 12  # of the name of a lock; metrics.json has all of it


def looks_sentence(metrics: dict) -> str:
    """Which look at the test side the numbers of a metrics.json are; empty where they are none.

    >>> looks_sentence({"test_looks": {"locked": False, "look": 1, "lock": None, "counted": True}})
    'This is look 1 of this run at its test side, which was not locked; other runs are not counted.'
    """
    found = metrics.get("test_looks")
    if not found:
        return ""
    look, name = found["look"], (found["lock"] or "")[:LOCK_LETTERS]
    if found["locked"] and look == 1:
        return (
            "The test side was locked before training ended and opened once: this is look 1 "
            f"(lock {name})."
        )
    which = f"was locked before training ended (lock {name})" if found["locked"] else "was not locked"
    sentence = f"This is look {look} of this run at its test side, which {which}"
    if look > 1:
        sentence += "; what was chosen after look 1 was chosen with knowledge of these patients"
    sentence += "; other runs are not counted."
    if not found["counted"]:
        sentence += " The run folder cannot be written, so that this look is not counted there."
    return sentence
