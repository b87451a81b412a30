"""JSON requests to arrays by TensorFlow Serving's rules: `instances` (rows) or `inputs` (columns)."""

import json

import numpy as np

from mri_tf.serve.json_arrays import EXCERPT, converted, dense, excerpt, is_base64, leaves_of, shape_of
from mri_tf.serve.signatures import Slot
from mri_tf.serve.status import ServingError, invalid

ROW, COLUMNAR = "row", "columnar"


def parse_json(body: bytes) -> dict:
    """The JSON object of a body, in which NaN and Infinity are numbers; raises ServingError."""
    if not body:
        raise invalid("JSON Parse error: The document is empty")
    try:
        document = json.loads(body.decode("utf-8-sig"))
    except json.JSONDecodeError as error:
        raise invalid(f"JSON Parse error: {error.msg} at offset: {error.pos}") from None
    except (ValueError, RecursionError) as error:
        # Text that is not UTF-8, numbers of thousands of digits, lists nested thousands deep.
        raise invalid(f"JSON Parse error: Invalid value. ({type(error).__name__})") from None
    if b"\\ud" in body.lower():  # protocol buffers cannot hold unpaired surrogates
        try:
            json.dumps(document, ensure_ascii=False).encode()
        except (UnicodeEncodeError, RecursionError):
            raise invalid("JSON Parse error: Invalid value. (UnicodeEncodeError)") from None
    if not isinstance(document, dict):
        raise invalid(f"JSON Value: {excerpt(document)} Is not object")
    return document


def signature_of(document: dict) -> str:
    """The request's `signature_name`, "" for the default one; raises ServingError."""
    name = document.get("signature_name", "")
    if not isinstance(name, str):
        raise invalid(
            f"JSON Value: {excerpt(document)} not formatted correctly. "
            "'signature_name' key must be a string value."
        )
    return name


def request_tensors(document: dict, slots: dict[str, Slot]) -> tuple[dict[str, np.ndarray], str]:
    """A predict request's arrays by input name, and the format of request and answer: ROW or COLUMNAR.

    `slots` are the signature's inputs. Raises ServingError.
    """
    if not slots:
        raise invalid("Failed to get input map for signature")
    if "instances" in document and "inputs" in document:
        raise invalid(
            f"JSON Value: {excerpt(document)} Not formatted correctly expecting only one of "
            "'inputs' or 'instances' keys to exist"
        )
    if "instances" in document:
        instances = document["instances"]
        if not isinstance(instances, list):
            raise invalid(f"JSON Value: {excerpt(document)} Excepting 'instances' to be an list/array")
        if not instances:
            raise invalid(f"JSON Value: {excerpt(document)} No values in 'instances' array")
        return _rows(instances, slots), ROW
    if "inputs" in document:
        return _columns(document["inputs"], slots), COLUMNAR
    raise invalid("Missing 'inputs' or 'instances' key")


def _rows(instances: list, slots: dict[str, Slot]) -> dict[str, np.ndarray]:
    """Arrays of `instances`: a value for each row, or an object with a value for each input."""
    first = instances[0]
    if not isinstance(first, dict) and len(slots) > 1:
        raise invalid(
            "instances is a plain list, but expecting list of objects as multiple "
            "input tensors required as per tensorinfo_map"
        )
    named = is_named(first)
    for number, element in enumerate(instances):
        if is_named(element) != named:
            got, expected = ("list", "object") if named else ("object", "value/list")
            raise invalid(f"Expecting {expected} but got {got} at item {number} of input list")
        if named and element.keys() != slots.keys():
            raise invalid(_wrong_keys(number, element, slots))
    if not named:
        name, slot = next(iter(slots.items()))
        return {name: stacked(instances, slot, "")}
    return {
        name: stacked([element[name] for element in instances], slot, f" key: {name}")
        for name, slot in slots.items()
    }


def is_named(element) -> bool:
    return isinstance(element, dict) and not is_base64(element)


def _wrong_keys(number: int, element: dict, slots: dict[str, Slot]) -> str:
    for key in element:
        if key not in slots:
            return (
                f"Failed to process element: {number} key: {key[:EXCERPT]} of 'instances' list. "
                f"Error: INVALID_ARGUMENT: JSON object: does not have named input: {key[:EXCERPT]}"
            )
    return (
        f"Failed to process element: {number} of 'instances' list. JSON object: "
        f"{excerpt(element)} must only have keys: {','.join(sorted(slots))}"
    )


def stacked(values: list, slot: Slot, key: str) -> np.ndarray:
    """Values of one shape as one array (values, *shape); raises ServingError."""
    shape = (len(values), *shape_of(values[0]))
    leaves = leaves_of(values, shape)
    array = None if leaves is None else converted(leaves, slot)
    if array is not None:
        return array.reshape(shape)
    for number, value in enumerate(values):  # finds the value that is wrong, for the message
        try:
            array = dense(value, slot)
            if array.shape != shape[1:]:
                size = int(np.prod(shape[1:]))
                raise invalid(
                    f"Expecting shape {_brackets(shape[1:])} but got: {_brackets(array.shape)}"
                    if array.size == size
                    else f"Expecting tensor size: {size} but got: {array.size}"
                )
        except ServingError as error:
            message = f"Failed to process element: {number}{key} of 'instances' list. Error: {error}"
            raise ServingError(error.code, message) from None
    raise invalid("Failed to process 'instances' list.")


def _columns(value, slots: dict[str, Slot]) -> dict[str, np.ndarray]:
    """Arrays of `inputs`: the whole array of the only input, or an object with one for each."""
    if not is_named(value):
        if len(slots) > 1:
            raise invalid(
                "inputs is a plain value/list, but expecting an object as multiple "
                "input tensors required as per tensorinfo_map"
            )
        name, slot = next(iter(slots.items()))
        return {name: dense(value, slot)}
    for name in slots:
        if name not in value:
            raise invalid(f"Missing named input: {name} in 'inputs' object.")
    return {name: dense(value[name], slot) for name, slot in slots.items()}


def _brackets(shape: tuple[int, ...]) -> str:
    return f"[{','.join(map(str, shape))}]"
