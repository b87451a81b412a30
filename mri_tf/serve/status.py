"""Errors of requests, for both interfaces: a canonical status code and a message."""

# Code -> gRPC's number, HTTP status of TensorFlow Serving's REST interface.
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
    """A request that cannot be answered: a key of CODES and a message for the client.

    `http` is an HTTP status that is more exact than that of the code.
    """

    def __init__(self, code: str, message: str, http: int | None = None):
        self.code, self.message = code, message[:MESSAGE_LIMIT]
        self.http = CODES[code][1] if http is None else http
        super().__init__(f"{code}: {self.message}")


def invalid(message: str) -> ServingError:
    """The error of a request that is itself wrong."""
    return ServingError("INVALID_ARGUMENT", message)


def from_tensorflow(error) -> ServingError:
    """The error for a tf.errors.OpError."""
    names = {number: name for name, (number, _) in CODES.items()}
    return ServingError(names.get(error.error_code, "UNKNOWN"), str(error.message))
