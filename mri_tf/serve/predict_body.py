"""A predict request in JSON, read in the fast way or in the exact one; both give the same arrays."""

import numpy as np

from mri_tf.serve.json_arrays import LARGEST_WHOLE, dense
from mri_tf.serve.json_numbers import read_with_arrays
from mri_tf.serve.json_requests import (
    COLUMNAR,
    ROW,
    is_named,
    parse_json,
    request_tensors,
    signature_of,
    stacked,
)
from mri_tf.serve.signatures import Slot
from mri_tf.serve.status import ServingError


class PredictBody:
    """The body of a predict request.

    The fast way (`json_numbers`) gives arrays only where it is sure that the exact one (`json_requests`)
    would give the same; else the exact one reads the body from its beginning, and says what is wrong
    with it. Raises ServingError where the body is no request, here and in `tensors`.
    """

    def __init__(self, body: bytes):
        self._body, self._fast = body, read_with_arrays(body)
        if self._fast is not None and isinstance(self._fast.get("signature_name", ""), str):
            self._document = self._fast
        else:
            self._document, self._fast = parse_json(body), None
        self.signature = signature_of(self._document)  # "" for the default one

    def tensors(self, slots: dict[str, Slot]) -> tuple[dict[str, np.ndarray], str]:
        """The arrays by input name, and ROW or COLUMNAR, as `request_tensors` gives them."""
        if self._fast is not None:
            found = fast_tensors(self._fast, slots)
            if found is not None:
                return found
            self._document, self._fast = parse_json(self._body), None
        return request_tensors(self._document, slots)


def fast_tensors(document: dict, slots: dict[str, Slot]) -> tuple[dict[str, np.ndarray], str] | None:
    """The arrays of a document in which long lists of numbers are arrays; None where it is not sure."""
    asked = [(key, form) for key, form in (("instances", ROW), ("inputs", COLUMNAR)) if key in document]
    if len(asked) != 1 or not slots:
        return None
    (key, form) = asked[0]
    value = document[key]
    if isinstance(value, np.ndarray):
        named = {name: value for name in slots} if len(slots) == 1 else None
    elif form == ROW:
        named = _by_name(value, slots)
    else:
        named = value if is_named(value) and slots.keys() <= value.keys() else None
    if named is None:
        return None
    arrays = {}
    for name, slot in slots.items():
        arrays[name] = _in_type_of(slot, named[name], form)
        if arrays[name] is None:
            return None
    return arrays, form


def _by_name(rows, slots: dict[str, Slot]) -> dict[str, list] | None:
    """The values of each input, of rows that are objects with all inputs."""
    if not isinstance(rows, list) or not rows:
        return None
    if any(not is_named(row) or row.keys() != slots.keys() for row in rows):
        return None
    return {name: [row[name] for row in rows] for name in slots}


def _in_type_of(slot: Slot, value, form: str) -> np.ndarray | None:
    """A column, or the rows of one, as an array of the slot's type; None where it may not fit."""
    if isinstance(value, list) and any(isinstance(one, np.ndarray) for one in value):
        if len({getattr(one, "shape", None) for one in value}) > 1:
            return None
        value = value[0][None] if len(value) == 1 else np.stack(value)
    if not isinstance(value, np.ndarray):
        try:
            if not _is_plain(value):
                return None
            return stacked(value, slot, "") if form == ROW else dense(value, slot)
        except (ServingError, RecursionError):
            return None
    limit = LARGEST_WHOLE.get(slot.type_name)
    # Beyond the limit it matters whether a number was written as a whole one, which is not known here.
    if limit is None or max(value.max(), -value.min()) > limit:
        return None
    return value.astype(slot.numpy)


def _is_plain(value) -> bool:
    """Whether a JSON value has no array inside."""
    if isinstance(value, dict):
        return all(map(_is_plain, value.values()))
    if isinstance(value, list):
        return all(map(_is_plain, value))
    return not isinstance(value, np.ndarray)
