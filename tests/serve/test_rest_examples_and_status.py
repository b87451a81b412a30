"""REST beside predict: classify, regress, status, metadata, metrics, as TF Serving answers them."""

import numpy as np
import pytest
from rest import ask, error_of

CLASSIFY, REGRESS = "/v1/models/many:classify", "/v1/models/many:regress"


def test_classify_answers_labels_with_scores(client):
    found = ask(client, {"examples": [{"x": 0.25}, {"x": 1.0}]}, "classify", CLASSIFY)
    assert found.json() == {"results": [[["low", 0.75], ["high", 0.25]], [["low", 0.0], ["high", 1.0]]]}


@pytest.mark.parametrize(
    "body",
    [{"examples": [{"x": 0.25}, {"x": [0.5]}]}, {"context": {"x": 0.25}, "examples": [{}, {"x": 0.5}]}],
)
def test_regress_answers_a_number_an_example_where_a_value_of_its_own_wins(client, body):
    assert ask(client, body, "regress", REGRESS).json() == {"results": [2.5, 5.0]}


@pytest.mark.parametrize("verb, kind", [("classify", "classification"), ("regress", "regression")])
def test_a_signature_of_another_method_is_refused(client, verb, kind):
    message = error_of(ask(client, {"examples": [{"x": 1.0}]}, path=f"/v1/models/many:{verb}"))
    assert message == (
        f"Expected {kind} signature method_name to be tensorflow/serving/{verb}. "
        "Was: tensorflow/serving/predict"
    )


@pytest.mark.parametrize("path", [CLASSIFY, REGRESS])
def test_a_signature_that_is_not_there_is_named(client, path):
    message = error_of(ask(client, {"examples": [{"x": 1.0}]}, "other", path))
    assert message == "No signature was found with the name: other"


@pytest.mark.parametrize(
    "body, message",
    [
        ({}, "When method is classify or regress, key 'examples' is expected"),
        ({"examples": {}}, "Expecting 'examples' value to be an list/array"),
        ({"examples": []}, "'examples' value is an empty array"),
        ({"examples": [1]}, "Example must be JSON object but got JSON Number"),
        ({"examples": [{"x": [1.0, "a"]}]}, "Unexpected element type in feature: x"),
        ({"examples": [{"x": None}]}, "Feature: x has element with unexpected JSON type: Null"),
        ({"examples": [{"x": 2**63}]}, "Only int64 is supported"),
    ],
)
def test_examples_that_are_none_are_refused(client, body, message):
    assert message in error_of(ask(client, body, "classify", CLASSIFY))


def test_an_example_of_the_wrong_feature_type_is_the_models_error(client):
    message = error_of(ask(client, {"examples": [{"x": 1}]}, "regress", REGRESS))
    assert "expected type: float" in message


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


@pytest.mark.parametrize(
    "place, status, message",
    [("/other", 404, "Could not find any versions of model other"),
     ("/many/versions/9", 404, "Could not find version 9 of model many"),
     ("", 400, "Missing model name in request.")],
)  # fmt: skip
def test_status_of_what_is_not_there_or_of_all_models_is_refused(client, place, status, message):
    assert error_of(client.get(f"/v1/models{place}"), status) == message


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
