"""A request that is refused: the HTTP status, and a sentence for the person in front of the page."""

from mri_tf.core.errors import InputError


class Refused(Exception):
    """What is wrong, what was received and what to do, with an HTTP status.

    `headers` go with the answer.
    """

    def __init__(self, status: int, rule: str, received: object, hint: str):
        self.status = status
        self.sentence = str(InputError(rule, received, hint))
        self.headers: dict[str, str] = {}
        super().__init__(f"{status}: {self.sentence}")


def unknown(what: str) -> Refused:
    """404 for what does not exist in this session, which is also said of what belongs to another."""
    return Refused(404, f"There is no such {what}.", f"a {what} that this tab does not have",
                   "Download your labels, then reload the page: reloading deletes what the tab "
                   "holds.")  # fmt: skip
