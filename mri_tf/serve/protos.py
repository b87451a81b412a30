"""TensorProto to NumPy and back; the size is checked before memory is allocated."""

import math
from collections.abc import Mapping

import numpy as np

from mri_tf.serve.status import ServingError, invalid

# Packed fields of TensorProto whose wire form is the array's bytes; the key is field number << 3 | 2.
PACKED = {np.dtype(np.float32): b"\x2a", np.dtype(np.float64): b"\x32"}
FIELDS = {np.dtype(object): "string_val", np.dtype(np.int64): "int64_val", np.dtype(bool): "bool_val"}
FIELDS |= {np.dtype(name): "int_val" for name in ("int8", "int16", "int32", "uint8", "uint16")}
FIELDS |= {np.dtype(np.uint32): "uint32_val", np.dtype(np.uint64): "uint64_val"}
STRING_BYTES = 64  # least memory of an element of a string array


def arrays_from_protos(protos: Mapping, limit_bytes: int) -> dict[str, np.ndarray]:
    """The arrays of a request's inputs by name; raises ServingError where all of them together need more
    than `limit_bytes`, before one is made.

    A TensorProto of a few bytes may stand for an array of any size: one value fills a whole shape.
    """
    needed = 0
    for name, proto in protos.items():
        own = _bytes_of(proto, name)
        needed += own
        if needed > limit_bytes:
            before = f", {needed} with those before it" if needed > own else ""
            raise ServingError(
                "RESOURCE_EXHAUSTED",
                f"input tensor {name} takes {own} bytes{before}; the limit is {limit_bytes}",
            )
    return {name: _array(proto, name) for name, proto in protos.items()}


def _bytes_of(proto, name: str) -> int:
    """The memory that an array takes; raises ServingError for an unknown type or shape."""
    import tensorflow as tf

    try:
        dtype = tf.as_dtype(proto.dtype)
        itemsize = STRING_BYTES if dtype == tf.string else dtype.size
        shape = [size.size for size in proto.tensor_shape.dim]
        if proto.tensor_shape.unknown_rank or min(shape, default=0) < 0:
            raise ValueError("shape")
        return math.prod(shape) * itemsize
    except (TypeError, ValueError, KeyError, OverflowError):
        raise _not_parsed(name) from None


def _array(proto, name: str) -> np.ndarray:
    import tensorflow as tf

    try:
        return tf.make_ndarray(proto)
    except (TypeError, ValueError, IndexError, KeyError, OverflowError):
        raise _not_parsed(name) from None


def _not_parsed(name: str) -> ServingError:
    return invalid(f"tensor parsing error: {name}")


def fill_proto(proto, array: np.ndarray) -> None:
    """Writes an array into an empty TensorProto, into its value fields as TensorFlow Serving does."""
    import tensorflow as tf

    if array.dtype in PACKED:
        data = array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
        proto.MergeFromString(PACKED[array.dtype] + _varint(len(data)) + data)
    elif array.dtype in FIELDS:
        getattr(proto, FIELDS[array.dtype]).extend(array.reshape(-1).tolist())
    else:
        proto.CopyFrom(tf.make_tensor_proto(array))
        return
    dtype = tf.string if array.dtype == object else tf.as_dtype(array.dtype)
    proto.dtype = dtype.as_datatype_enum
    proto.tensor_shape.CopyFrom(tf.TensorShape(array.shape).as_proto())


def _varint(number: int) -> bytes:
    """A number as protocol buffers write it: 7 bits in each byte, the lowest first."""
    pieces = bytearray()
    while number > 127:
        pieces.append(number & 127 | 128)
        number >>= 7
    return bytes([*pieces, number])
