"""REST predict by the protocol's rules: rows, columns, values; what TF Serving answers is the oracle."""

import base64
import json
import math

import numpy as np
import pytest
import tensorflow as tf
from rest import PREDICT, ask, error_of

# What is sent: (signature, body, the answer).
ANSWERED = {
    "plain instances for one input": (
        "", {"instances": [1.0, 2.0, 5.0]}, {"predictions": [2.5, 3.0, 4.5]}
    ),
    "instances that are lists": (
        "rows", {"instances": [[1, 2], [3, 4]]}, {"predictions": [[2, 4], [6, 8]]}
    ),
    "one input with its name": ("", {"instances": [{"x": 1.0}]}, {"predictions": [2.5]}),
    "several inputs with their names": (
        "sum", {"instances": [{"a": 1, "b": 2}, {"a": 3, "b": 5}]},
        {"predictions": [{"total": 3.0, "difference": -1.0}, {"total": 8.0, "difference": -2.0}]},
    ),
    "a plain column for one input": ("", {"inputs": [1.0, 2.0]}, {"outputs": [2.5, 3.0]}),
    "a column with its name": ("", {"inputs": {"x": [1.0]}}, {"outputs": [2.5]}),
    "several columns with their names": (
        "sum", {"inputs": {"a": [1, 3], "b": [2, 5]}},
        {"outputs": {"total": [3.0, 8.0], "difference": [-1.0, -2.0]}},
    ),
    "columns whose answer has no batch axis": ("scalar", {"inputs": [1.0, 2.0]}, {"outputs": 3.0}),
    "the largest exact whole number": (
        "sum", {"inputs": {"a": [2**24 - 1], "b": [0]}},
        {"outputs": {"total": [2**24 - 1], "difference": [2**24 - 1]}},
    ),
}  # fmt: skip
# What is sent: (signature, body, the whole message).
REFUSED = {
    "objects, then values": (
        "", {"instances": [{"x": 1.0}, 2.0]}, "Expecting object but got list at item 1 of input list"
    ),
    "values, then objects": (
        "", {"instances": [2.0, {"x": 1.0}]},
        "Expecting value/list but got object at item 1 of input list",
    ),
    "rows of outputs without a batch axis": (
        "scalar", {"instances": [1.0, 2.0]}, "Tensor name: sum has no shape information"
    ),
    "a missing column": ("sum", {"inputs": {"a": [1]}}, "Missing named input: b in 'inputs' object."),
    "neither instances nor inputs": ("", {"instance": [1]}, "Missing 'inputs' or 'instances' key"),
    "an unknown signature": (
        "other", {"instances": [1]}, 'Serving signature name: "other" not found in signature def'
    ),
    "a shape the signature does not have": (
        "rows", {"instances": [[1, 2, 3]]},
        "input tensor x has shape [1, 3]; expected shape: [-1, 2] (-1 is any size)",
    ),
}  # fmt: skip
# What is sent: (signature, body, parts of the message).
REFUSED_IN_PART = {
    "a plain list for several inputs": ("sum", {"instances": [1]}, "instances is a plain list"),
    "a row without one of the inputs": (
        "sum", {"instances": [{"a": 1, "b": 2}, {"a": 3}]},
        "Failed to process element: 1 of 'instances' list.", "must only have keys: a,b",
    ),
    "a row with an input too many": (
        "sum", {"instances": [{"a": 1, "b": 2, "c": 3}]},
        "Failed to process element: 0 key: c of 'instances' list.", "does not have named input: c",
    ),
    "rows of two sizes": (
        "rows", {"instances": [[1, 2], [3]]},
        "Failed to process element: 1 of 'instances' list.", "Expecting tensor size: 2 but got: 1",
    ),
    "rows of two ranks": (
        "rows", {"instances": [[1, 2], [[3], [4]]]}, "Expecting shape [2] but got: [2,1]"
    ),
    "lists of two lengths in a row": (
        "rows", {"instances": [[[1, 2], [3]]]},
        "Encountered list at unexpected size: 1 at level: 1 expected size: 2",
    ),
    "an empty list of instances": ("", {"instances": []}, "No values in 'instances' array"),
    "instances that are no list": ("", {"instances": 1.0}, "'instances' to be an list/array"),
    "rows of outputs of two batch sizes": (
        "uneven", {"instances": [1.0, 2.0]}, "has inconsistent batch size: 1 expecting: 2"
    ),
    "a plain column for several inputs": ("sum", {"inputs": [1]}, "inputs is a plain value/list"),
    "both instances and inputs": (
        "", {"instances": [1], "inputs": [1]}, "expecting only one of 'inputs' or 'instances' keys"
    ),
    "a signature name that is no string": (
        "", {"signature_name": 1}, "'signature_name' key must be a string value."
    ),
    "an output type without JSON": ("half_out", {"instances": [1.0]}, "Failed to write JSON value"),
    "broken base64": ("strings", {"instances": [{"b64": "?"}]}, "Unable to base64 decode"),
    "a single b64 as a column": ("strings", {"inputs": {"b64": "YQ=="}}, "has shape []"),
    "a list after a value": (
        "", {"inputs": [1.0, [2.0]]}, "Encountered list at unexpected level: 1 expected < 1"
    ),
    "a value after a list": (
        "", {"inputs": [[1.0], 2.0]},
        "found at incorrect level: 2 in the JSON DOM. Expected at level: 2",
    ),
}  # fmt: skip


@pytest.mark.parametrize("sent", ANSWERED)
def test_rows_and_columns_are_answered_as_they_were_asked(client, sent):
    signature, body, answer = ANSWERED[sent]
    assert ask(client, body, signature).json() == answer


@pytest.mark.parametrize("sent", REFUSED)
def test_what_does_not_fit_is_refused_in_the_words_of_tf_serving(client, sent):
    signature, body, message = REFUSED[sent]
    assert error_of(ask(client, body, signature)) == message


@pytest.mark.parametrize("sent", REFUSED_IN_PART)
def test_what_does_not_fit_is_refused_and_named(client, sent):
    signature, body, *parts = REFUSED_IN_PART[sent]
    message = error_of(ask(client, body, signature))
    assert all(part in message for part in parts), message


@pytest.mark.parametrize("value", ["1.0", True, None, {"y": 1}])
def test_what_is_not_a_number_is_no_float(client, value):
    assert "is not of expected type: float" in error_of(ask(client, {"inputs": [value]}))


@pytest.mark.parametrize("value", [2**24, -(2**24), 1e39])
def test_a_number_that_a_float_would_round_or_overflow_is_refused(client, value):
    assert "to float without loss of precision" in error_of(ask(client, {"instances": [value]}))


def test_nan_and_infinity_go_in_and_come_out_bare(client):
    response = client.post(PREDICT, '{"instances": [NaN, Infinity, -Infinity]}')
    assert "[NaN, Infinity, -Infinity]" in response.text
    nan, up, down = json.loads(response.text)["predictions"]
    assert math.isnan(nan) and (up, down) == (math.inf, -math.inf)


def test_every_type_comes_back_as_it_went_in(client):
    row = {"d": 0.1, "i8": -128, "u8": 255, "i32": -(2**31), "i64": 2**63 - 1, "flag": True}
    assert ask(client, {"instances": [row]}, "types").json() == {"predictions": [row]}


@pytest.mark.parametrize(
    "name, value",
    [("i32", 1.0), ("i32", 2**31), ("i64", 2**63), ("i8", 128), ("u8", -1), ("flag", 1), ("d", "1"),
     ("i32", True)],
)  # fmt: skip
def test_a_value_that_does_not_fit_its_type_is_refused(client, name, value):
    row = {"d": 0.1, "i8": 1, "u8": 1, "i32": 1, "i64": 1, "flag": True} | {name: value}
    message = error_of(ask(client, {"instances": [row]}, "types"))
    assert f"Failed to process element: 0 key: {name}" in message
    assert "is not of expected type" in message


def test_a_type_without_json_is_unimplemented(client):
    assert "to type: half" in error_of(ask(client, {"instances": [1.0]}, "half"), 501)


def test_floats_come_as_the_shortest_digits_that_give_them_back(client):
    values = [0.1, 1 / 3, 1e-30, 123456.789, 16777215.0, 3.0]
    text = ask(client, {"inputs": {"a": values, "b": [0] * 6}}, "sum").text
    assert "0.1," in text and "1e-30" in text and "3.0]" in text
    back = json.loads(text)["outputs"]["total"]
    np.testing.assert_array_equal(np.float32(back), np.float32(values))


def test_strings_are_text_or_base64_and_outputs_named_bytes_always_base64(client):
    data = bytes(range(256))
    rows = ["é", {"b64": base64.b64encode(data).decode()}, {"b64": "YQ"}]  # the last without padding
    found = ask(client, {"instances": rows}, "strings").json()["predictions"]
    assert [row["length"] for row in found] == [2, 256, 1]
    assert (found[0]["copy"], found[2]["copy"]) == ("é", "a")
    copies = [base64.b64decode(row["copy_bytes"]["b64"]) for row in found]
    assert copies == ["é".encode(), data, b"a"]


@pytest.mark.parametrize("value", [{"b64": "YQ==", "more": 1}, {"b64": 1}])
def test_a_b64_object_holds_one_string_and_nothing_else(client, value):
    error_of(ask(client, {"inputs": [value]}, "strings"))


def test_what_the_model_itself_refuses_is_told(client):
    message = error_of(client.post(PREDICT, '{"signature_name": "picky", "inputs": [NaN]}'))
    assert "not a number" in message and ".py" not in message  # no line of this machine's code


def test_an_exported_model_takes_arrays_and_png_bytes(client):
    image = np.array([[10, 20], [30, 44]], np.uint8)[..., None]
    png = base64.b64encode(tf.io.encode_png(image).numpy()).decode()
    path = "/v1/models/tiny:predict"
    rows = ask(client, {"instances": [image.tolist()]}, path=path).json()["predictions"]
    named = ask(client, {"instances": [{"b64": png}]}, "image_bytes", path).json()["predictions"]
    assert rows == named
    assert rows[0]["logits"] == [26.0, -26.0] and rows[0]["decision"] == 0
