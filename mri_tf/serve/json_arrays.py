"""A JSON value as an array: nested lists, numbers without loss of precision, {"b64": ...} for bytes."""

import base64
import binascii
import json
from itertools import chain

import numpy as np

from mri_tf.serve.signatures import Slot
from mri_tf.serve.status import ServingError, invalid

EXCERPT = 200  # characters of a request in a message
MAX_AXES = 32  # of an array
# The largest whole number up to which the type holds all whole numbers exactly.
LARGEST_WHOLE = {"float": 2**24 - 1, "double": 2**53 - 1}
JSON_TYPES = {
    dict: "Object", list: "Array", str: "String", int: "Number", float: "Number", type(None): "Null"
}  # fmt: skip


def dense(value, slot: Slot) -> np.ndarray:
    """A JSON value (a scalar, or nested lists) as an array of the slot's type; raises ServingError."""
    shape = shape_of(value)
    leaves = leaves_of([value], (1, *shape))
    array = None if leaves is None else converted(leaves, slot)
    if array is None:
        _raise_at(value, shape, 0, slot)
    return array.reshape(shape)


def shape_of(value) -> tuple[int, ...]:
    """The shape of nested lists, by the first element of each; raises ServingError for too many axes."""
    sizes = []
    while isinstance(value, list):
        sizes.append(len(value))
        if len(sizes) == MAX_AXES:
            raise invalid(f"Encountered list at unexpected level: {MAX_AXES} expected < {MAX_AXES}")
        if not value:
            break
        value = value[0]
    return tuple(sizes)


def leaves_of(values: list, shape: tuple[int, ...]) -> list | None:
    """The values of nested lists in order, or None where their lengths differ from the shape."""
    for size in shape[1:]:
        if set(map(type, values)) != {list} or set(map(len, values)) != {size}:
            return None
        values = list(chain.from_iterable(values))
    return values


def converted(values: list, slot: Slot) -> np.ndarray | None:
    """A flat list as an array of the slot's type, or None where a value cannot be held exactly."""
    kinds = set(map(type, values))
    if slot.type_name in LARGEST_WHOLE:
        if not kinds <= {int, float}:
            return None
        limit = LARGEST_WHOLE[slot.type_name]
        if int in kinds and any(type(value) is int and abs(value) > limit for value in values):
            return None
        wide = np.array(values, np.float64)
        with np.errstate(over="ignore"):
            array = wide.astype(slot.numpy)
        return None if np.any(np.isinf(array) & np.isfinite(wide)) else array
    if slot.type_name == "string":
        if not kinds <= {str, dict}:
            return None
        return np.array([bytes_of(value) for value in values], object)
    if slot.type_name == "bool":
        return np.array(values, bool) if kinds <= {bool} else None
    if slot.numpy is None or slot.numpy.kind not in "iu":
        message = f"Conversion of JSON Value: {excerpt(values[:1])} to type: {slot.type_name}"
        raise ServingError("UNIMPLEMENTED", message)
    info = np.iinfo(slot.numpy)
    if not kinds <= {int} or (values and not info.min <= min(values) <= max(values) <= info.max):
        return None
    return np.array(values, slot.numpy)


def _raise_at(value, shape: tuple[int, ...], level: int, slot: Slot) -> None:
    """Raises the ServingError for the first element that cannot be part of an array."""
    rank = len(shape)
    if not isinstance(value, list):
        if level != rank:
            raise invalid(
                f"JSON Value: {excerpt(value)} found at incorrect level: {level + 1} "
                f"in the JSON DOM. Expected at level: {rank}"
            )
        if converted([value], slot) is None:
            whole = type(value) is int and slot.type_name in LARGEST_WHOLE
            if whole or (type(value) is float and slot.type_name == "float"):
                raise invalid(
                    f"Cannot convert JSON value: {excerpt(value)} to {slot.type_name} "
                    "without loss of precision."
                )
            kind = str(value) if isinstance(value, bool) else JSON_TYPES[type(value)]
            raise invalid(
                f"JSON Value: {excerpt(value)} Type: {kind} is not of expected type: {slot.type_name}"
            )
        return
    if level >= rank:
        raise invalid(f"Encountered list at unexpected level: {level} expected < {rank}")
    if len(value) != shape[level]:
        raise invalid(
            f"Encountered list at unexpected size: {len(value)} at level: {level} "
            f"expected size: {shape[level]}"
        )
    for element in value:
        _raise_at(element, shape, level + 1, slot)


def is_base64(value) -> bool:
    """Whether a JSON value is {"b64": text}."""
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get("b64"), str)


def bytes_of(value) -> bytes:
    """The bytes of a JSON string or of {"b64": text}; raises ServingError."""
    if isinstance(value, str):
        try:
            return value.encode("utf-8")
        except UnicodeEncodeError:
            raise invalid("JSON Parse error: a string with an unpaired surrogate") from None
    if not is_base64(value):
        raise invalid(f"JSON Value: {excerpt(value)} not formatted correctly for base64 data")
    text = "".join(value["b64"].split()).rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise invalid("Unable to base64 decode") from None


def excerpt(value) -> str:
    """The start of a value as JSON, for a message."""
    text = ""
    try:
        for piece in json.JSONEncoder().iterencode(value):
            text += piece
            if len(text) > EXCERPT:
                return text[:EXCERPT] + "..."
    except (RecursionError, ValueError):
        return text[:EXCERPT] + "..."
    return text
