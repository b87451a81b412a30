"""Arrays as bytes in the body of a REST call: our own addition to TensorFlow Serving's protocol.

The body holds the values of one array after the other, in C order and little-endian; the header
X-Tensors says which: `image=float32[1,128,128,1]; class_index=int32[1]`. It is the same for requests
and answers.
"""

import math
import re
from urllib.parse import quote, unquote

import numpy as np

from mri_tf.serve.json_arrays import EXCERPT, MAX_AXES
from mri_tf.serve.status import ServingError, invalid

MEDIA_TYPE = "application/octet-stream"
TENSORS, SIGNATURE = "x-tensors", "x-signature-name"  # headers
OFFER = {"accept-post": f"application/json, {MEDIA_TYPE}"}  # with metadata: a client may send bytes
TYPES = {
    np.dtype(name).name: np.dtype(name).newbyteorder("<")
    for name in ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?")
}
ONE = re.compile(r"\s*([^=;\[\]\s]+)=(\w+)\[((?:\d{1,18}(?:,\d{1,18})*)?)\]\s*")


def arrays_of(header: str, body: bytes) -> dict[str, np.ndarray]:
    """The arrays by name that a header describes, on the memory of the body; raises ServingError."""
    arrays, start = {}, 0
    for text in header.split(";"):
        found = ONE.fullmatch(text)
        if found is None:
            raise invalid(
                f"Cannot read the header X-Tensors at: {text[:EXCERPT]!r}. Expected for example "
                "image=float32[1,128,128,1]; class_index=int32[1]"
            )
        name, dtype = unquote(found[1]), TYPES.get(found[2])
        if dtype is None:
            known = ", ".join(TYPES)
            raise invalid(f"X-Tensors: {name} has type {found[2][:EXCERPT]}; known are {known}")
        if name in arrays:
            raise invalid(f"X-Tensors names {name} twice")
        shape = tuple(map(int, found[3].split(","))) if found[3] else ()
        if len(shape) > MAX_AXES:
            raise invalid(f"X-Tensors: {name} has {len(shape)} axes; at most {MAX_AXES} are read")
        count = math.prod(shape)
        if count == 0:
            raise invalid(f"X-Tensors: {name} has no values")
        if count * dtype.itemsize > len(body) - start:
            raise invalid(f"The body ends before the values of {name} that X-Tensors announces")
        values = np.frombuffer(body, dtype if dtype.kind != "b" else np.uint8, count, start)
        values = values != 0 if dtype.kind == "b" else np.require(values, dtype, "A")
        arrays[name] = values.reshape(shape)
        start += count * dtype.itemsize
    if start != len(body):
        raise invalid(f"X-Tensors describes {start} bytes, but the body has {len(body)}")
    return arrays


def tensors_header(arrays: dict[str, np.ndarray]) -> str:
    """The header for arrays by name, in the order of `tensors_body`; raises ServingError."""
    for name, array in arrays.items():
        if array.dtype.name not in TYPES:
            kind = "string" if array.dtype == object else array.dtype.name
            message = f"{name} of type {kind} cannot be sent as bytes; use JSON"
            raise ServingError("UNIMPLEMENTED", message)
    return "; ".join(
        f"{quote(name, safe='')}={array.dtype.name}[{','.join(map(str, array.shape))}]"
        for name, array in arrays.items()
    )


def tensors_body(arrays: dict[str, np.ndarray]) -> bytes:
    """The values of arrays by name, one after the other."""
    return b"".join(
        np.ascontiguousarray(array, TYPES[array.dtype.name]).tobytes() for array in arrays.values()
    )
