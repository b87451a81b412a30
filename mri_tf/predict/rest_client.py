"""A served model's signatures over TF Serving's REST interface, arrays in and out; standard library
and NumPy."""

import gzip
import http.client
import json
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

import numpy as np

from mri_tf.core.errors import InputError, RunFailed

EXACT_DIGITS = 9  # decimals that always give a float32 back
COMPRESSED_BYTES = 2**20  # bodies above are sent gzipped
READ_AT_ONCE = 2**16  # bytes of an answer
MAX_NUMBERS = 2**20  # in one request, where it can be split: ten megabytes of JSON


@dataclass(frozen=True)
class RestModel:
    """One model of a server: `version` is asked for where it is given, else the server's newest."""

    server: str  # http://host:8501
    name: str
    version: int | None = None
    token: str = ""
    timeout_s: float = 120.0

    def signatures(self) -> dict[str, dict[str, tuple[int, ...]]]:
        """Signature -> input -> its shape, -1 where it is open."""
        found = self._answer("/metadata", None)
        try:
            return {
                signature: {
                    name: tuple(int(axis["size"]) for axis in value["tensor_shape"].get("dim", []))
                    for name, value in values["inputs"].items()
                }
                for signature, values in found["metadata"]["signature_def"]["signature_def"].items()
            }
        except (KeyError, TypeError, ValueError, AttributeError):
            raise self._not_a_server() from None

    def call(self, signature: str, feed: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Outputs by name; raises InputError for what the server refuses, RunFailed where it fails."""
        inputs = ", ".join(f"{json.dumps(name)}: {_text(value)}" for name, value in feed.items())
        body = f'{{"signature_name": {json.dumps(signature)}, "inputs": {{{inputs}}}}}'
        found = self._answer(":predict", body.encode()).get("outputs")
        if not isinstance(found, dict):
            raise self._not_a_server()
        return {name: np.asarray(value) for name, value in found.items()}

    @property
    def _path(self) -> str:
        version = "" if self.version is None else f"/versions/{self.version}"
        return f"/v1/models/{quote(self.name)}{version}"

    def _answer(self, verb: str, body: bytes | None) -> dict:
        headers = {"Content-Type": "application/json"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        if body is not None and len(body) > COMPRESSED_BYTES:
            headers["Content-Encoding"], body = "gzip", gzip.compress(body, compresslevel=1)
        request = urllib.request.Request(self.server + self._path + verb, body, headers)
        try:
            end = time.monotonic() + self.timeout_s
            with _opener(self.server).open(request, timeout=self.timeout_s) as response:
                found = json.loads(_whole(response, end))
        except urllib.error.HTTPError as error:
            raise self._refusal(error) from None
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", None) or type(error).__name__
            raise RunFailed(
                f"The server {self.server} does not answer ({reason}).", "Nothing was written."
            ) from None
        except (ValueError, RecursionError):
            raise self._not_a_server() from None
        if not isinstance(found, dict):
            raise self._not_a_server()
        return found

    def _refusal(self, error: urllib.error.HTTPError) -> Exception:
        try:
            said = json.loads(error.read(4096))["error"]
        except (OSError, ValueError, KeyError, TypeError):
            said = error.reason
        what = f"{self._path}: {error.code}, {str(said)[:200]}"
        if error.code < 500 and error.code != 429:  # 429: too busy, which no other input mends
            ways = {
                401: "Give the server's token in a file with --token-file.",
                404: "See what it serves at /v1/models/NAME; --model and the server need one version.",
                413: "Let the server take larger bodies (--max-body-mb), or use --model.",
            }
            way = ways.get(error.code, "Give the served version's folder with --model.")
            return InputError(f"The server {self.server} takes what its model needs.", what, way)
        return RunFailed(f"The server {self.server} failed: {what}.", "Nothing was written.")

    def _not_a_server(self) -> InputError:
        return InputError(
            "--server speaks TF Serving's REST interface.", f"{self.server}{self._path}, something else",
            "For example --server http://127.0.0.1:8501.",
        )  # fmt: skip


def _whole(response, end: float) -> bytes:
    """A body, by `end` on the clock of time.monotonic; raises TimeoutError, also where it trickles."""
    parts = []
    while part := response.read1(READ_AT_ONCE):
        if time.monotonic() > end:
            raise TimeoutError
        parts.append(part)
    if response.length:  # what is still to come of the length that was announced
        raise http.client.IncompleteRead(b"".join(parts), response.length)
    return b"".join(parts)


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A token, and images, go where the user said and nowhere else."""

    def redirect_request(self, *_):
        return None


def _opener(server: str) -> urllib.request.OpenerDirector:
    host = urlsplit(server).hostname or ""
    own = host == "localhost" or host.startswith("127.") or host == "::1"
    # A proxy of the environment would look for this machine's loopback address on its own.
    return urllib.request.build_opener(_NoRedirects, *([urllib.request.ProxyHandler({})] if own else []))


def _text(array: np.ndarray) -> str:
    """A float array as nested JSON lists, each number with as many digits as give it back."""
    flat = np.asarray(array, np.float32).reshape(-1)
    tokens = (f"%.{EXACT_DIGITS}g " * len(flat) % tuple(flat.tolist())).split()
    for axis in range(np.ndim(array) - 1, -1, -1):
        size = array.shape[axis]
        tokens = [f"[{','.join(tokens[at : at + size])}]" for at in range(0, len(tokens), size)]
    return tokens[0]
