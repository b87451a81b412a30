"""The input of classify and regress: tf.Examples, from JSON or gRPC, serialized for the graph."""

import numpy as np

from mri_tf.serve.json_arrays import JSON_TYPES, bytes_of, excerpt, is_base64
from mri_tf.serve.status import invalid

INT64_MAX = 2**63 - 1


def input_from_json(document: dict):
    """The Input proto of a classify or regress request in JSON; raises ServingError."""
    from tensorflow_serving.apis import input_pb2

    request = input_pb2.Input()
    target = request.example_list.examples
    if "context" in document:
        with_context = request.example_list_with_context
        _fill(with_context.context, document["context"])
        target = with_context.examples
    if "examples" not in document:
        raise invalid(
            f"JSON Value: {excerpt(document)} When method is classify or regress, key 'examples' is "
            "expected and was not found"
        )
    examples = document["examples"]
    if not isinstance(examples, list):
        raise invalid(f"JSON Value: {excerpt(document)} Expecting 'examples' value to be an list/array")
    if not examples:
        raise invalid(f"JSON Value: {excerpt(document)} 'examples' value is an empty array")
    for example in examples:
        _fill(target.add(), example)
    return request


def serialized(request) -> np.ndarray:
    """The examples of an Input proto: (examples,) object array of bytes; raises ServingError.

    The features of a context are added to each example, which keeps its own where both have one:
    concatenated protocol buffers are read as one message in which the later value counts.
    """
    kind = request.WhichOneof("kind")
    content = getattr(request, kind) if kind else None
    if content is None or not content.examples:
        raise invalid("Input is empty.")
    context = b""
    if kind == "example_list_with_context":
        context = content.context.SerializeToString()
    array = np.empty(len(content.examples), object)
    for number, example in enumerate(content.examples):
        array[number] = context + example.SerializeToString()
    return array


def _fill(example, value) -> None:
    """Writes a JSON object into a tf.Example; raises ServingError."""
    if not isinstance(value, dict):
        kind = str(value) if isinstance(value, bool) else JSON_TYPES[type(value)]
        raise invalid(f"Example must be JSON object but got JSON {kind}")
    for name, content in value.items():
        feature = example.features.feature[name]
        for element in content if isinstance(content, list) else [content]:
            _add(feature, name, element)


def _add(feature, name: str, value) -> None:
    if isinstance(value, str) or is_base64(value):
        kind, stored = "bytes_list", bytes_of(value)
    elif isinstance(value, (bool, int)):
        if not -INT64_MAX - 1 <= value <= INT64_MAX:
            raise invalid(f"Feature: {name} has uint64 element. Only int64 is supported.")
        kind, stored = "int64_list", int(value)
    elif isinstance(value, float):
        kind, stored = "float_list", value
        if np.isfinite(value) and abs(value) > float(np.finfo(np.float32).max):
            raise invalid(
                f"Cannot convert JSON value: {excerpt(value)} to float without loss of precision."
            )
    else:
        raise invalid(
            f"Feature: {name} has element with unexpected JSON type: {JSON_TYPES[type(value)]}"
        )
    before = feature.WhichOneof("kind")
    if before not in (None, kind):
        raise invalid(
            f"Unexpected element type in feature: {name} expecting type: {before.partition('_')[0]}"
        )
    getattr(feature, kind).value.append(stored)
