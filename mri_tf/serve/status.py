"""What goes wrong while answering, as both interfaces say it: a canonical code and a message."""


# gRPC's numbers, and what TF Serving's REST interface answers for each.
CODES = {
    "OK": (0, 200), "CANCELLED": (1, 499), "UNKNOWN": (2, 500), "INVALID_ARGUMENT": (3, 400),
    "DEADLINE_EXCEEDED": (4, 504), "NOT_FOUND": (5, 404), "ALREADY_EXISTS": (6, 409),
    "PERMISSION_DENIED": (7, 403), "RESOURCE_EXHAUSTED": (8, 429), "FAILED_PRECONDITION": (9, 400),
    "ABORTED": (10, 409), "OUT_OF_RANGE": (11, 400), "UNIMPLEMENTED": (12, 501),
    "INTERNAL": (13, 500), "UNAVAILABLE": (14, 503), "DATA_LOSS": (15, 500),
    "UNAUTHENTICATED": (16, 401),
}  # fmt: skip
MESSAGE_LIMIT = 1000


class ServingError(Exception):
    """A request that is not answered: `code` is a key of CODES, `message` is for the client.

    `http` replaces the HTTP status of the code, where HTTP has a more exact one.
    """

    def __init__(self, code: str, message: str, http: int | None = None):
        self.code, self.message = code, message[:MESSAGE_LIMIT]
        self.http = CODES[code][1] if http is None else http
        super().__init__(f"{code}: {self.message}")


def invalid(message: str) -> ServingError:
    return ServingError("INVALID_ARGUMENT", message)


def from_tensorflow(error) -> ServingError:
    """A tf.errors.OpError as it is told to a client."""
    names = {number: name for name, (number, _) in CODES.items()}
    return ServingError(names.get(error.error_code, "UNKNOWN"), str(error.message))
