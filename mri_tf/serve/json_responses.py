"""Arrays to JSON as TensorFlow Serving writes it: exact decimals, bare NaN and Infinity, b64.

A float is written by the fewest digits from which it is read back exactly (0.33333334); TensorFlow
Serving writes nine where six are not enough (0.333333343).
"""

import base64
import json
import math

import numpy as np
import orjson

from mri_tf.serve.json_requests import ROW
from mri_tf.serve.status import invalid


def predictions_json(outputs: dict[str, np.ndarray], request_format: str) -> str:
    """The answer of predict in the request's format: `predictions` (ROW) or `outputs` (COLUMNAR).

    A single output is written without its name. Raises ServingError for rows where the outputs have
    unequal batch sizes.
    """
    names = sorted(outputs)
    if request_format != ROW:
        texts = {name: _tokens(outputs[name], name, 0)[0] for name in names}
        if len(texts) == 1:
            return f'{{\n    "outputs": {texts[names[0]]}\n}}'
        inside = ",\n".join(f"        {json.dumps(name)}: {texts[name]}" for name in names)
        return f'{{\n    "outputs": {{\n{inside}\n    }}\n}}'
    sizes = set()
    for name in names:
        if outputs[name].ndim == 0:
            raise invalid(f"Tensor name: {name} has no shape information")
        size = len(outputs[name])
        if size < 1:
            raise invalid(f"Tensor name: {name} has invalid batch size: {size}")
        sizes.add(size)
        if len(sizes) > 1:
            other = min(sizes - {size})
            raise invalid(f"Tensor name: {name} has inconsistent batch size: {size} expecting: {other}")
    columns = [_tokens(outputs[name], name, 1) for name in names]
    if len(names) == 1:
        rows = columns[0]
    else:
        keys = [json.dumps(name) for name in names]
        rows = [
            "{" + ", ".join(f"{key}: {text}" for key, text in zip(keys, row, strict=True)) + "}"
            for row in zip(*columns, strict=True)
        ]
    return '{\n    "predictions": [' + ", ".join(rows) + "]\n}"


def results_json(result, method: str) -> str:
    """The answer of classify or regress, `results`; raises ServingError where it is empty."""
    if method == "regress":
        if not result.regressions:
            raise invalid("Cannot convert empty RegressionResults to JSON")
        values = np.array([regression.value for regression in result.regressions], np.float32)
        return f'{{\n    "results": [{", ".join(_decimals(values))}]\n}}'
    if not result.classifications:
        raise invalid("Cannot convert empty ClassificationResults to JSON")
    rows = []
    for row in result.classifications:
        scores = _decimals(np.array([entry.score for entry in row.classes], np.float32))
        pairs = zip(row.classes, scores, strict=True)
        rows.append("[" + ", ".join(f"[{json.dumps(c.label)}, {s}]" for c, s in pairs) + "]")
    return '{\n    "results": [' + ", ".join(rows) + "]\n}"


def _tokens(array: np.ndarray, name: str, level: int) -> list[str]:
    """An array as JSON texts: one text of the whole for level 0, one for each row for level 1."""
    numbers = array.dtype.kind in "iub" or array.dtype in (np.float32, np.float64)
    if numbers and array.size and array.ndim >= level and np.isfinite(array).all():
        return [_dumped(part) for part in ([array] if level == 0 else array)]
    tokens = _values(array, name)
    shape = array.shape
    for axis in range(array.ndim - 1, level - 1, -1):
        size = shape[axis]
        starts = [group * size for group in range(math.prod(shape[:axis]))]
        tokens = ["[" + ", ".join(tokens[start : start + size]) + "]" for start in starts]
    return tokens


def _dumped(values) -> str:
    """Numbers as JSON, of any shape; of a float the fewest digits that give it back."""
    values = np.asarray(values, order="C")
    # orjson takes a scalar and no array without axes, and of NumPy's two names for int64 the one.
    values = values.view(values.dtype.str)[()]
    return orjson.dumps(values, option=orjson.OPT_SERIALIZE_NUMPY).decode().replace(",", ", ")


def _values(array: np.ndarray, name: str) -> list[str]:
    """The values of an array as JSON texts; raises ServingError for types without JSON."""
    flat = array.reshape(-1)
    if flat.dtype == object:
        return [_text(value, name.endswith("_bytes")) for value in flat]
    if flat.dtype in (np.float32, np.float64):
        return _decimals(flat)
    raise invalid(f"Failed to write JSON value for tensor type: {flat.dtype.name}")


def _text(value: bytes, as_bytes: bool) -> str:
    if not as_bytes:
        try:
            return json.dumps(value.decode("utf-8"))
        except UnicodeDecodeError:
            pass  # bytes that are not UTF-8 are sent as b64, whatever the output's name
    return json.dumps({"b64": base64.b64encode(value).decode()})


def _decimals(values: np.ndarray) -> list[str]:
    """Floats as JSON numbers, each by the fewest digits that give it back; NaN and Infinity bare."""
    tokens = orjson.dumps(values, option=orjson.OPT_SERIALIZE_NUMPY).decode()[1:-1].split(",")
    for index in np.flatnonzero(~np.isfinite(values)).tolist():  # null, as orjson writes them
        value = values[index]
        tokens[index] = "NaN" if np.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return tokens if len(values) else []
