"""REST by the protocol's rules, one test a rule; what TF Serving answers is the oracle."""

import base64
import gzip
import json
import math

import numpy as np
import pytest


def _predict(client, body, signature="", path="/v1/models/many:predict"):
    document = body | ({"signature_name": signature} if signature else {})
    return client.post(path, document)


def _error(response, status: int) -> str:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    document = response.json()
    assert list(document) == ["error"]
    return document["error"]


# Where a request goes.


def test_without_a_version_the_newest_one_answers(client):
    assert _predict(client, {"instances": [1.0]}).json() == {"predictions": [2.5]}


def test_a_version_is_named_by_its_number(client):
    path = "/v1/models/many/versions/1:predict"
    assert _predict(client, {"instances": [1.0]}, path=path).json() == {"predictions": [1.5]}


@pytest.mark.parametrize("label, value", [("stable", 1.5), ("canary", 2.5)])
def test_a_version_is_named_by_its_label(client, label, value):
    path = f"/v1/models/many/labels/{label}:predict"
    assert _predict(client, {"instances": [1.0]}, path=path).json() == {"predictions": [value]}


def test_an_unknown_label_is_an_invalid_argument(client):
    path = "/v1/models/many/labels/other:predict"
    message = _error(_predict(client, {"instances": [1.0]}, path=path), 400)
    assert message == "Unrecognized servable version label: other"


def test_an_unknown_model_is_not_found(client):
    message = _error(_predict(client, {"instances": [1]}, path="/v1/models/other:predict"), 404)
    assert message == "Servable not found for request: Latest(other)"


def test_an_unknown_version_is_not_found(client):
    path = "/v1/models/many/versions/7:predict"
    message = _error(_predict(client, {"instances": [1]}, path=path), 404)
    assert message == "Servable not found for request: Specific(many, 7)"


def test_a_version_beyond_int64_is_an_invalid_argument(client):
    path = "/v1/models/many/versions/99999999999999999999:predict"
    assert "Failed to convert version" in _error(_predict(client, {"instances": [1]}, path=path), 400)


def test_a_path_does_not_mind_its_case_but_a_name_does(client):
    path = "/V1/Models/many/Versions/1:predict"
    assert _predict(client, {"instances": [1.0]}, path=path).json() == {"predictions": [1.5]}
    _error(_predict(client, {"instances": [1.0]}, path="/v1/models/MANY:predict"), 404)


@pytest.mark.parametrize(
    "path",
    ["/v1/models/many", "/v1/models/many:guess", "/v1/models/many:PREDICT", "/v1/other",
     "/v1/models/many/versions/x:predict", "/v1/models/many/1:predict"],
)  # fmt: skip
def test_a_post_elsewhere_is_a_malformed_request(client, path):
    message = _error(client.post(path, {"instances": [1]}), 400)
    assert message == f"Malformed request: POST {path}"


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_predict_takes_only_post(client, method):
    response = client.http.request(method, "/v1/models/many:predict")
    assert _error(response, 400) == f"Malformed request: {method} /v1/models/many:predict"


def test_outside_v1_there_is_nothing(client):
    _error(client.get("/"), 404)
    _error(client.get("/v2/models/many"), 404)


# Rows.


def test_one_input_takes_plain_instances(client):
    assert _predict(client, {"instances": [1.0, 2.0, 5.0]}).json() == {"predictions": [2.5, 3.0, 4.5]}


def test_instances_may_be_lists(client):
    found = _predict(client, {"instances": [[1, 2], [3, 4]]}, "rows")
    assert found.json() == {"predictions": [[2, 4], [6, 8]]}


def test_one_input_may_be_named_all_the_same(client):
    assert _predict(client, {"instances": [{"x": 1.0}]}).json() == {"predictions": [2.5]}


def test_several_inputs_and_outputs_are_named_in_each_row(client):
    found = _predict(client, {"instances": [{"a": 1, "b": 2}, {"a": 3, "b": 5}]}, "sum")
    assert found.json() == {
        "predictions": [{"total": 3.0, "difference": -1.0}, {"total": 8.0, "difference": -2.0}]
    }


def test_several_inputs_refuse_a_plain_list(client):
    assert "instances is a plain list" in _error(_predict(client, {"instances": [1]}, "sum"), 400)


def test_a_row_without_one_of_the_inputs_is_refused(client):
    body = {"instances": [{"a": 1, "b": 2}, {"a": 3}]}
    message = _error(_predict(client, body, "sum"), 400)
    assert "Failed to process element: 1 of 'instances' list." in message
    assert "must only have keys: a,b" in message


def test_a_row_with_an_input_too_many_is_refused(client):
    message = _error(_predict(client, {"instances": [{"a": 1, "b": 2, "c": 3}]}, "sum"), 400)
    assert "Failed to process element: 0 key: c of 'instances' list." in message
    assert "does not have named input: c" in message


def test_rows_are_objects_or_not_but_not_mixed(client):
    message = _error(_predict(client, {"instances": [{"x": 1.0}, 2.0]}), 400)
    assert message == "Expecting object but got list at item 1 of input list"
    message = _error(_predict(client, {"instances": [2.0, {"x": 1.0}]}), 400)
    assert message == "Expecting value/list but got object at item 1 of input list"


def test_rows_have_one_shape(client):
    message = _error(_predict(client, {"instances": [[1, 2], [3]]}, "rows"), 400)
    assert "Failed to process element: 1 of 'instances' list." in message
    assert "Expecting tensor size: 2 but got: 1" in message
    message = _error(_predict(client, {"instances": [[1, 2], [[3], [4]]]}, "rows"), 400)
    assert "Expecting shape [2] but got: [2,1]" in message


def test_lists_inside_a_row_have_one_length(client):
    message = _error(_predict(client, {"instances": [[[1, 2], [3]]]}, "rows"), 400)
    assert "Encountered list at unexpected size: 1 at level: 1 expected size: 2" in message


def test_an_empty_list_of_instances_is_refused(client):
    assert "No values in 'instances' array" in _error(_predict(client, {"instances": []}), 400)


def test_instances_are_a_list(client):
    assert "'instances' to be an list/array" in _error(_predict(client, {"instances": 1.0}), 400)


def test_outputs_without_a_batch_axis_cannot_be_rows(client):
    message = _error(_predict(client, {"instances": [1.0, 2.0]}, "scalar"), 400)
    assert message == "Tensor name: sum has no shape information"


def test_outputs_of_two_batch_sizes_cannot_be_rows(client):
    message = _error(_predict(client, {"instances": [1.0, 2.0]}, "uneven"), 400)
    assert "has inconsistent batch size: 1 expecting: 2" in message


# Columns.


def test_one_input_takes_a_plain_column(client):
    assert _predict(client, {"inputs": [1.0, 2.0]}).json() == {"outputs": [2.5, 3.0]}


def test_one_input_may_be_a_named_column(client):
    assert _predict(client, {"inputs": {"x": [1.0]}}).json() == {"outputs": [2.5]}


def test_several_columns_are_named_and_so_are_the_outputs(client):
    found = _predict(client, {"inputs": {"a": [1, 3], "b": [2, 5]}}, "sum")
    assert found.json() == {"outputs": {"total": [3.0, 8.0], "difference": [-1.0, -2.0]}}


def test_several_inputs_refuse_a_plain_column(client):
    assert "inputs is a plain value/list" in _error(_predict(client, {"inputs": [1]}, "sum"), 400)


def test_a_missing_column_is_named(client):
    message = _error(_predict(client, {"inputs": {"a": [1]}}, "sum"), 400)
    assert message == "Missing named input: b in 'inputs' object."


def test_columns_may_answer_without_a_batch_axis(client):
    assert _predict(client, {"inputs": [1.0, 2.0]}, "scalar").json() == {"outputs": 3.0}


def test_a_request_has_instances_or_inputs_not_both_not_neither(client):
    both = _error(_predict(client, {"instances": [1], "inputs": [1]}), 400)
    assert "expecting only one of 'inputs' or 'instances' keys" in both
    neither = _error(_predict(client, {"instance": [1]}), 400)
    assert neither == "Missing 'inputs' or 'instances' key"


# Signatures.


def test_an_unknown_signature_is_an_invalid_argument(client):
    message = _error(_predict(client, {"instances": [1]}, "other"), 400)
    assert message == 'Serving signature name: "other" not found in signature def'


def test_a_signature_name_is_a_string(client):
    message = _error(client.post("/v1/models/many:predict", {"signature_name": 1}), 400)
    assert "'signature_name' key must be a string value." in message


# Values.


@pytest.mark.parametrize("value", ["1.0", True, None, {"y": 1}])
def test_what_is_not_a_number_is_no_float(client, value):
    message = _error(_predict(client, {"inputs": [value]}), 400)
    assert "is not of expected type: float" in message


@pytest.mark.parametrize("value", [2**24, -(2**24), 1e39])
def test_a_number_that_a_float_would_round_or_overflow_is_refused(client, value):
    message = _error(_predict(client, {"instances": [value]}), 400)
    assert "to float without loss of precision" in message


def test_the_largest_exact_whole_number_is_a_float(client):
    largest = 2**24 - 1
    body = {"inputs": {"a": [largest], "b": [0]}}
    assert _predict(client, body, "sum").json()["outputs"]["total"] == [largest]


def test_nan_and_infinity_go_in_and_come_out_bare(client):
    body = '{"instances": [NaN, Infinity, -Infinity]}'
    response = client.post("/v1/models/many:predict", body)
    assert "[NaN, Infinity, -Infinity]" in response.text
    nan, up, down = json.loads(response.text)["predictions"]
    assert math.isnan(nan) and (up, down) == (math.inf, -math.inf)


def test_every_type_comes_back_as_it_went_in(client):
    row = {"d": 0.1, "i8": -128, "u8": 255, "i32": -(2**31), "i64": 2**63 - 1, "flag": True}
    assert _predict(client, {"instances": [row]}, "types").json() == {"predictions": [row]}


@pytest.mark.parametrize(
    "name, value",
    [("i32", 1.0), ("i32", 2**31), ("i64", 2**63), ("i8", 128), ("u8", -1), ("flag", 1), ("d", "1"),
     ("i32", True)],
)  # fmt: skip
def test_a_value_that_does_not_fit_its_type_is_refused(client, name, value):
    row = {"d": 0.1, "i8": 1, "u8": 1, "i32": 1, "i64": 1, "flag": True} | {name: value}
    message = _error(_predict(client, {"instances": [row]}, "types"), 400)
    assert f"Failed to process element: 0 key: {name}" in message
    assert "is not of expected type" in message


def test_a_type_without_json_is_unimplemented(client):
    assert "to type: half" in _error(_predict(client, {"instances": [1.0]}, "half"), 501)


def test_an_output_type_without_json_is_refused(client):
    message = _error(_predict(client, {"instances": [1.0]}, "half_out"), 400)
    assert "Failed to write JSON value" in message


def test_floats_come_as_the_shortest_digits_that_give_them_back(client):
    values = [0.1, 1 / 3, 1e-30, 123456.789, 16777215.0, 3.0]
    text = _predict(client, {"inputs": {"a": values, "b": [0] * 6}}, "sum").text
    assert "0.1," in text and "1e-30" in text and "3.0]" in text
    back = json.loads(text)["outputs"]["total"]
    np.testing.assert_array_equal(np.float32(back), np.float32(values))


def test_strings_are_text_or_base64(client):
    data = bytes(range(256))
    rows = ["é", {"b64": base64.b64encode(data).decode()}]
    found = _predict(client, {"instances": rows}, "strings").json()["predictions"]
    assert [row["length"] for row in found] == [2, 256]
    assert found[0]["copy"] == "é"
    assert base64.b64decode(found[1]["copy_bytes"]["b64"]) == data


def test_an_output_named_bytes_is_base64_even_where_it_is_text(client):
    found = _predict(client, {"instances": ["é"]}, "strings").json()["predictions"][0]
    assert base64.b64decode(found["copy_bytes"]["b64"]).decode() == "é"


def test_base64_may_come_without_its_padding(client):
    found = _predict(client, {"instances": [{"b64": "YQ"}]}, "strings").json()["predictions"][0]
    assert found["copy"] == "a"


def test_broken_base64_is_refused(client):
    message = _error(_predict(client, {"instances": [{"b64": "?"}]}, "strings"), 400)
    assert "Unable to base64 decode" in message


def test_a_b64_object_has_nothing_else_in_it(client):
    _error(_predict(client, {"inputs": [{"b64": "YQ==", "more": 1}]}, "strings"), 400)
    _error(_predict(client, {"inputs": [{"b64": 1}]}, "strings"), 400)


def test_a_single_b64_is_a_column_of_rank_zero(client):
    message = _error(_predict(client, {"inputs": {"b64": "YQ=="}}, "strings"), 400)
    assert "has shape []" in message


def test_values_at_different_depths_are_refused(client):
    message = _error(_predict(client, {"inputs": [1.0, [2.0]]}), 400)
    assert "Encountered list at unexpected level: 1 expected < 1" in message
    message = _error(_predict(client, {"inputs": [[1.0], 2.0]}), 400)
    assert "found at incorrect level: 2 in the JSON DOM. Expected at level: 2" in message


def test_a_shape_the_signature_does_not_have_is_refused(client):
    message = _error(_predict(client, {"instances": [[1, 2, 3]]}, "rows"), 400)
    assert message == "input tensor x has shape [1, 3]; expected shape: [-1, 2] (-1 is any size)"


def test_what_the_model_itself_refuses_is_told(client):
    response = client.post("/v1/models/many:predict", '{"signature_name": "picky", "inputs": [NaN]}')
    message = _error(response, 400)
    assert "not a number" in message and ".py" not in message  # no line of this machine's code


# Bodies.


def test_an_empty_body_is_a_parse_error(client):
    message = _error(client.post("/v1/models/many:predict", b""), 400)
    assert message == "JSON Parse error: The document is empty"


def test_a_parse_error_tells_where(client):
    message = _error(client.post("/v1/models/many:predict", '{"instances": [1.0,}'), 400)
    assert message.startswith("JSON Parse error: ") and message.endswith(" at offset: 19")


def test_the_document_is_an_object(client):
    message = _error(client.post("/v1/models/many:predict", "[1]"), 400)
    assert message == "JSON Value: [1] Is not object"


def test_a_body_may_be_gzipped(client):
    body = gzip.compress(json.dumps({"instances": [1.0]}).encode())
    response = client.post("/v1/models/many:predict", body, headers={"content-encoding": "gzip"})
    assert response.json() == {"predictions": [2.5]}


def test_gzip_of_several_members_is_one_body(client):
    body = gzip.compress(b'{"instances":') + gzip.compress(b" [1.0]}")
    response = client.post("/v1/models/many:predict", body, headers={"content-encoding": "gzip"})
    assert response.json() == {"predictions": [2.5]}


TORN = gzip.compress(b'{"instances": [1.0]}')[:-9]


# Named: the bytes hold the second in which they were made, and workers must collect the same tests.
@pytest.mark.parametrize("body", [b"no gzip", TORN], ids=["none", "torn"])
def test_what_is_not_whole_gzip_is_refused(client, body):
    response = client.post("/v1/models/many:predict", body, headers={"content-encoding": "gzip"})
    assert "gzip" in _error(response, 400)


def test_another_content_encoding_is_unsupported(client):
    response = client.post("/v1/models/many:predict", b"x", headers={"content-encoding": "br"})
    _error(response, 415)


def test_the_content_type_does_not_matter(client):
    body = '{"instances": [1.0]}'
    response = client.post("/v1/models/many:predict", body, headers={"content-type": "text/plain"})
    assert response.json() == {"predictions": [2.5]}


# Classify and regress.


def _examples(client, verb, body, signature=""):
    document = body | ({"signature_name": signature} if signature else {})
    return client.post(f"/v1/models/many:{verb}", document)


def test_classify_answers_labels_with_scores(client):
    found = _examples(client, "classify", {"examples": [{"x": 0.25}, {"x": 1.0}]}, "classify")
    assert found.json() == {"results": [[["low", 0.75], ["high", 0.25]], [["low", 0.0], ["high", 1.0]]]}


def test_regress_answers_a_number_an_example(client):
    found = _examples(client, "regress", {"examples": [{"x": 0.25}, {"x": [0.5]}]}, "regress")
    assert found.json() == {"results": [2.5, 5.0]}


def test_a_context_is_in_every_example_and_the_example_wins(client):
    body = {"context": {"x": 0.25}, "examples": [{}, {"x": 0.5}]}
    assert _examples(client, "regress", body, "regress").json() == {"results": [2.5, 5.0]}


@pytest.mark.parametrize("verb, kind", [("classify", "classification"), ("regress", "regression")])
def test_a_signature_of_another_method_is_refused(client, verb, kind):
    message = _error(_examples(client, verb, {"examples": [{"x": 1.0}]}), 400)
    assert message == (
        f"Expected {kind} signature method_name to be tensorflow/serving/{verb}. "
        "Was: tensorflow/serving/predict"
    )


@pytest.mark.parametrize("verb", ["classify", "regress"])
def test_a_signature_that_is_not_there_is_named(client, verb):
    message = _error(_examples(client, verb, {"examples": [{"x": 1.0}]}, "other"), 400)
    assert message == "No signature was found with the name: other"


@pytest.mark.parametrize(
    "body, message",
    [
        ({}, "key 'examples' is expected"),
        ({"examples": {}}, "Expecting 'examples' value to be an list/array"),
        ({"examples": []}, "'examples' value is an empty array"),
        ({"examples": [1]}, "Example must be JSON object but got JSON Number"),
        ({"examples": [{"x": [1.0, "a"]}]}, "Unexpected element type in feature: x"),
        ({"examples": [{"x": None}]}, "Feature: x has element with unexpected JSON type: Null"),
        ({"examples": [{"x": 2**63}]}, "Only int64 is supported"),
    ],
)
def test_examples_that_are_none_are_refused(client, body, message):
    assert message in _error(_examples(client, "classify", body, "classify"), 400)


def test_an_example_of_the_wrong_feature_type_is_the_models_error(client):
    message = _error(_examples(client, "regress", {"examples": [{"x": 1}]}, "regress"), 400)
    assert "expected type: float" in message


# Status, metadata, metrics.


def test_status_lists_the_versions_newest_first(client):
    fine = {"error_code": "OK", "error_message": ""}
    assert client.get("/v1/models/many").json() == {
        "model_version_status": [
            {"version": "2", "state": "AVAILABLE", "status": fine},
            {"version": "1", "state": "AVAILABLE", "status": fine},
        ]
    }


@pytest.mark.parametrize("where", ["versions/1", "labels/stable"])
def test_status_of_one_version(client, where):
    found = client.get(f"/v1/models/many/{where}").json()["model_version_status"]
    assert [one["version"] for one in found] == ["1"]


def test_status_of_what_is_not_there_is_not_found(client):
    message = _error(client.get("/v1/models/other"), 404)
    assert message == "Could not find any versions of model other"
    message = _error(client.get("/v1/models/many/versions/9"), 404)
    assert message == "Could not find version 9 of model many"


def test_status_of_all_models_is_refused(client):
    assert _error(client.get("/v1/models"), 400) == "Missing model name in request."


@pytest.mark.parametrize("where, version", [("", "2"), ("/versions/1", "1"), ("/labels/stable", "1")])
def test_metadata_tells_the_signatures(client, where, version):
    found = client.get(f"/v1/models/many{where}/metadata").json()
    assert found["model_spec"] == {"name": "many", "signature_name": "", "version": version}
    x = found["metadata"]["signature_def"]["signature_def"]["rows"]["inputs"]["x"]
    assert x["dtype"] == "DT_FLOAT"
    assert [size["size"] for size in x["tensor_shape"]["dim"]] == ["-1", "2"]


def test_metrics_count_requests_by_model_and_status(client):
    def count(status):
        lines = client.get("/monitoring/prometheus/metrics").text.splitlines()
        start = f':tensorflow:serving:request_count{{model_name="tiny",status="{status}"}} '
        return sum(int(line.removeprefix(start)) for line in lines if line.startswith(start))

    fine, wrong = count("OK"), count("INVALID_ARGUMENT")
    image = np.zeros((2, 2, 1)).tolist()
    for body in ({"instances": [image]}, {"instances": [1]}):
        client.post("/v1/models/tiny:predict", body)
    assert (count("OK"), count("INVALID_ARGUMENT")) == (fine + 1, wrong + 1)


def test_metrics_have_no_line_for_a_model_that_a_request_made_up(client):
    client.post("/v1/models/made-up:predict", {"instances": [1]})
    assert "made-up" not in client.get("/monitoring/prometheus/metrics").text


def test_an_exported_model_takes_arrays_and_png_bytes(client):
    import tensorflow as tf

    image = np.array([[10, 20], [30, 44]], np.uint8)[..., None]
    png = base64.b64encode(tf.io.encode_png(image).numpy()).decode()
    path = "/v1/models/tiny:predict"
    rows = _predict(client, {"instances": [image.tolist()]}, path=path).json()["predictions"]
    named = _predict(client, {"instances": [{"b64": png}]}, "image_bytes", path).json()["predictions"]
    assert rows == named
    assert rows[0]["logits"] == [26.0, -26.0] and rows[0]["decision"] == 0
