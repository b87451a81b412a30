"""Long lists of numbers in a JSON request, read straight into arrays.

Python's own reader makes a list for each pixel and an object for each number, which takes ten times
as long as a small model. Here the brackets and commas of a list are compared with those of a regular
array first, all at once; then simdjson reads its numbers into one buffer. Whatever is not plainly a
regular array of numbers (NaN, true, null, "1.5", lists of unequal lengths, an escape in a string, broken
JSON) gives None: the exact reader of `json_requests` then takes the request from its beginning, and
phrases the error if there is one.
"""

import json
import math
import re

import numpy as np
import simdjson

from mri_tf.serve.json_arrays import MAX_AXES

MIN_BYTES = 256  # shorter lists are as fast by Python's reader
BEFORE_LIST = re.compile(rb"[ \t\r\n]*:[ \t\r\n]*(?=\[[ \t\r\n]*[-0-9\[])")
OF_NUMBERS = b"+-.0123456789eE \t\r\n"  # what is left of lists of numbers are brackets and commas


def read_with_arrays(body: bytes) -> dict | None:
    """The JSON object of a body, in which long lists of numbers are float64 arrays.

    None where there is no such list, and where anything is unusual.
    """
    if b"\\" in body:  # only without escapes does every quotation mark begin or end a string
        return None
    rest, arrays, taken = [], [], 0
    begin = body.find(b'"')
    while begin >= 0:
        end = body.find(b'"', begin + 1) + 1
        if not end:
            return None
        begin = body.find(b'"', end)
        stop = len(body) if begin < 0 else begin
        start = BEFORE_LIST.match(body, end, stop) if stop - end >= MIN_BYTES else None
        if start is not None:
            brace = body.find(b"}", start.end(), stop)
            last = body.rfind(b"]", start.end(), stop if brace < 0 else brace) + 1
            array = array_of(body[start.end() : last])
            if array is None:
                return None
            arrays.append(array)
            rest.append(body[taken : start.end()])
            taken = last
    return _with_arrays([*rest, body[taken:]], arrays) if arrays else None


def _with_arrays(rest: list[bytes], arrays: list[np.ndarray]) -> dict | None:
    """The JSON object of a text that was cut where the arrays belong."""
    if any(b"NaN" in part or b"Infinity" in part for part in rest):
        return None
    left = iter(arrays)
    try:  # each array stands in the text as NaN, which json hands over to be replaced
        text = b"NaN".join(rest).decode("utf-8-sig")
        document = json.loads(text, parse_constant=lambda _: next(left))
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def array_of(text: bytes) -> np.ndarray | None:
    """The text of nested lists of numbers as a float64 array; None where it is anything else."""
    shape = _shape_of(text.translate(None, delete=OF_NUMBERS)) if text else ()
    if not shape:
        return None
    try:
        numbers = simdjson.Parser().parse(text).as_buffer(of_type="d")
    except (ValueError, TypeError, RuntimeError):  # broken JSON, no numbers, more than 64 bits
        return None
    array = np.frombuffer(numbers, np.float64)
    # Without its numbers an empty list looks like a list of one number.
    return array.reshape(shape) if array.size == math.prod(shape) else None


def _shape_of(structure: bytes) -> tuple[int, ...]:
    """The shape of an array from its brackets and commas; () where that is no regular array."""
    axes = len(structure) - len(structure.lstrip(b"["))
    if axes >= MAX_AXES:
        return ()
    shape, part = [], b""
    for level in range(1, axes + 1):  # from the innermost list, which ends first, to the whole
        size = structure.find(b"]" * level) - axes + 2 * level  # of the first list of this level
        count = (size - 1) // (len(part) + 1)
        shape.append(count)
        part = b"[" + b",".join([part] * count) + b"]"
    return tuple(reversed(shape)) if part == structure else ()
