"""A client of TensorFlow Serving's REST interface with arrays in and out.

Arrays go as JSON, or as bytes where the server says that it takes them, as mri_tf.serve does
(`mri_tf.serve.raw_tensors`).
"""

import gzip
import http.client
import json
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from urllib.parse import quote

import numpy as np

from mri_tf.core.errors import InputError, RunFailed
from mri_tf.core.web import opener_of
from mri_tf.serve.raw_tensors import (
    MEDIA_TYPE,
    OFFER,
    SIGNATURE,
    TENSORS,
    arrays_of,
    tensors_body,
    tensors_header,
)
from mri_tf.serve.status import ServingError

EXACT_DIGITS = 9  # decimal digits from which every float32 can be read back exactly
COMPRESSED_BYTES = 2**20  # larger bodies of JSON are sent gzipped
COMPRESSED_RAW_BYTES = 2**25  # of arrays as bytes, which shrink little: those near the server's limit
READ_AT_ONCE = 2**16  # bytes of an answer
BYTE_TYPES = {"DT_FLOAT": np.float32, "DT_INT32": np.int32}  # of inputs that are sent as bytes
REPEAT = "The list of answers was not written: repeat the command when the server answers again."
MAX_NUMBERS = 2**20  # image values in one request of several records: ten megabytes of JSON


@dataclass
class RestModel:
    """A model of a server: the given version, or the newest one where `version` is None.

    `signatures` also asks whether the server takes arrays as bytes; before, `call` sends JSON.
    """

    server: str  # http://host:8501
    name: str
    version: int | None = None
    token: str = ""
    timeout_s: float = 120.0
    _types: dict[str, dict[str, type]] = field(default_factory=dict)  # of signatures called by bytes

    def signatures(self) -> dict[str, dict[str, tuple[int, ...]]]:
        """Signature name -> input name -> shape, where -1 is an axis of any size."""
        headers, answer = self._answer("/metadata", None, {})
        try:
            definitions = _document(answer)["metadata"]["signature_def"]["signature_def"]
            shapes, types = {}, {}
            for signature, values in definitions.items():
                inputs = values["inputs"]
                shapes[signature] = {
                    name: tuple(int(axis["size"]) for axis in value["tensor_shape"].get("dim", []))
                    for name, value in inputs.items()
                }
                types[signature] = {
                    name: BYTE_TYPES.get(value.get("dtype")) for name, value in inputs.items()
                }
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
            raise self._not_a_server() from None
        if OFFER.items() <= {key.lower(): value for key, value in headers.items()}.items():
            self._types = {name: of for name, of in types.items() if None not in of.values()}
        return shapes

    def call(self, signature: str, feed: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Outputs by name, each (batch, ...), of a signature for float32 inputs by name.

        Raises InputError where the server refuses the request, RunFailed where it fails or is late.
        """
        if signature in self._types:
            return self._call_by_bytes(signature, feed)
        inputs = ", ".join(f"{json.dumps(name)}: {_text(value)}" for name, value in feed.items())
        body = f'{{"signature_name": {json.dumps(signature)}, "inputs": {{{inputs}}}}}'
        headers = {"Content-Type": "application/json"}
        try:
            outputs = _document(self._answer(":predict", body.encode(), headers)[1]).get("outputs")
        except (ValueError, RecursionError):
            raise self._not_a_server() from None
        if not isinstance(outputs, dict):
            raise self._not_a_server()
        return {name: np.asarray(value) for name, value in outputs.items()}

    def _call_by_bytes(self, signature: str, feed: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        types = self._types[signature]
        arrays = {name: np.asarray(value, types.get(name)) for name, value in feed.items()}
        headers = {
            "Content-Type": MEDIA_TYPE, TENSORS: tensors_header(arrays), SIGNATURE: signature
        }  # fmt: skip
        received, body = self._answer(":predict", tensors_body(arrays), headers)
        try:
            return arrays_of(received.get(TENSORS, ""), body)
        except ServingError:
            raise self._not_a_server() from None

    @property
    def _path(self) -> str:
        version = "" if self.version is None else f"/versions/{self.version}"
        return f"/v1/models/{quote(self.name)}{version}"

    def _answer(self, verb: str, body: bytes | None, headers: dict[str, str]):
        """The headers and the body of an answer; raises as `call`."""
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        limit = COMPRESSED_RAW_BYTES if TENSORS in headers else COMPRESSED_BYTES
        if body is not None and len(body) > limit:
            headers["Content-Encoding"], body = "gzip", gzip.compress(body, compresslevel=1)
        request = urllib.request.Request(self.server + self._path + verb, body, headers)
        try:
            deadline = time.monotonic() + self.timeout_s
            with opener_of(self.server).open(request, timeout=self.timeout_s) as response:
                return response.headers, _read_whole(response, deadline)
        except urllib.error.HTTPError as error:
            raise self._refusal(error) from None
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", None) or type(error).__name__
            raise RunFailed(
                f"The server {self.server} does not answer ({reason}).", REPEAT
            ) from None

    def _refusal(self, error: urllib.error.HTTPError) -> Exception:
        try:
            message = json.loads(error.read(4096))["error"]
        except (OSError, ValueError, KeyError, TypeError):
            message = error.reason
        received = f"{self._path}: {error.code}, {str(message)[:200]}"
        if error.code < 500 and error.code != 429:  # 429: the server is busy, whatever the input
            hints = {
                401: "Give the server's token in a file with --token-file.",
                404: f"Serve this model and version; /v1/models/{self.name} lists the versions served.",
                413: "Start the server with a larger --max-body-mb, or use --model without --server.",
            }
            hint = hints.get(error.code, "Give the folder of the served version with --model.")
            return InputError(f"The server {self.server} refused the request.", received, hint)
        return RunFailed(f"The server {self.server} failed: {received}.", REPEAT)

    def _not_a_server(self) -> InputError:
        return InputError(
            "The server does not answer as TensorFlow Serving's REST interface does.",
            f"{self.server}{self._path}",
            "Give the address and REST port of a model server, for example http://127.0.0.1:8501.",
        )  # fmt: skip


def _document(body: bytes) -> dict:
    """The JSON object of an answer; raises ValueError or RecursionError."""
    document = json.loads(body)
    if not isinstance(document, dict):
        raise ValueError
    return document


def _read_whole(response, deadline: float) -> bytes:
    """The body of a response; raises TimeoutError after `deadline` (time.monotonic)."""
    parts = []
    while part := response.read1(READ_AT_ONCE):
        if time.monotonic() > deadline:
            raise TimeoutError
        parts.append(part)
    if response.length:  # bytes that the header announced and that did not come
        raise http.client.IncompleteRead(b"".join(parts), response.length)
    return b"".join(parts)


def _text(array: np.ndarray) -> str:
    """A float array as nested JSON lists, with digits enough to read each float32 back exactly."""
    flat = np.asarray(array, np.float32).reshape(-1)
    tokens = (f"%.{EXACT_DIGITS}g " * len(flat) % tuple(flat.tolist())).split()
    for axis in range(np.ndim(array) - 1, -1, -1):
        size = array.shape[axis]
        tokens = [f"[{','.join(tokens[at : at + size])}]" for at in range(0, len(tokens), size)]
    return tokens[0]
