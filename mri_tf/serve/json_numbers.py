"""Long lists of numbers in a JSON request, read straight into arrays.

Python's own reader makes a list for each pixel and an object for each number, which takes ten times
as long as a small model. Here the brackets of a list are compared with those of a regular array first,
all at once; then its numbers are read as one flat list by orjson. Whatever is not plainly a regular
array of numbers (NaN, true, null, "1.5", lists of unequal lengths, an escape in a string, broken JSON)
gives None: the exact reader of `json_requests` then takes the request from its beginning, and phrases
the error if there is one.
"""

import json
import re

import numpy as np
import orjson

from mri_tf.serve.json_arrays import MAX_AXES

MIN_BYTES = 256  # shorter lists are as fast by Python's reader
BEFORE_LIST = re.compile(rb"[ \t\r\n]*:[ \t\r\n]*(?=\[[ \t\r\n]*[-0-9\[])")
STRUCTURE = bytes.maketrans(b"+-./123456789eE", b"0" * 15)  # a number becomes the one character 0


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
    shape = _shape_of(_structure(text)) if text else ()
    if not shape or 0 in shape:
        return None
    try:
        numbers = orjson.loads(b"[" + text.replace(b"[", b" ").replace(b"]", b" ") + b"]")
    except ValueError:
        return None
    return np.fromiter(numbers, np.float64, len(numbers)).reshape(shape)


def _structure(text: bytes) -> bytes:
    """The text without spaces, and with 0 in place of each number: [[0,0],[0,0]]."""
    characters = np.frombuffer(text, np.uint8)
    # Of + , - . / and the digits all but the comma; the slash is refused by who reads the number.
    in_number = (characters - np.uint8(ord("+")) <= ord("9") - ord("+")) & (characters != ord(","))
    in_number |= (characters | np.uint8(32)) == ord("e")
    kept = characters > ord(" ")
    kept[1:] &= ~(in_number[1:] & in_number[:-1])
    return characters[np.flatnonzero(kept)].tobytes().translate(STRUCTURE)


def _shape_of(structure: bytes) -> tuple[int, ...]:
    """The shape of an array from its structure; () where that is no regular array."""
    axes = len(structure) - len(structure.lstrip(b"["))
    if axes >= MAX_AXES:
        return ()
    shape, part = [], b"0"
    for level in range(1, axes + 1):  # from the innermost list, which ends first, to the whole
        size = structure.find(b"]" * level) - axes + 2 * level  # of the first list of this level
        count = (size - 1) // (len(part) + 1)
        shape.append(count)
        part = b"[" + b",".join([part] * count) + b"]"
    return tuple(reversed(shape)) if part == structure else ()
