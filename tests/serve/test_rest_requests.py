"""Which paths, methods and bodies are requests over REST, as TF Serving has them."""

import gzip
import json

import pytest
from rest import PREDICT, ask, error_of


@pytest.mark.parametrize(
    "place, value",
    [("many", 2.5), ("many/versions/1", 1.5), ("many/labels/stable", 1.5), ("many/labels/canary", 2.5)],
)
def test_the_newest_version_answers_or_the_one_that_number_or_label_name(client, place, value):
    response = ask(client, {"instances": [1.0]}, path=f"/v1/models/{place}:predict")
    assert response.json() == {"predictions": [value]}


@pytest.mark.parametrize(
    "place, status, message",
    [
        ("many/labels/other", 400, "Unrecognized servable version label: other"),
        ("other", 404, "Servable not found for request: Latest(other)"),
        ("many/versions/7", 404, "Servable not found for request: Specific(many, 7)"),
    ],
)
def test_a_model_a_version_or_a_label_that_is_not_there_is_refused(client, place, status, message):
    response = ask(client, {"instances": [1.0]}, path=f"/v1/models/{place}:predict")
    assert error_of(response, status) == message


def test_a_version_beyond_int64_is_an_invalid_argument(client):
    path = "/v1/models/many/versions/99999999999999999999:predict"
    assert "Failed to convert version" in error_of(ask(client, {"instances": [1]}, path=path))


def test_a_path_does_not_mind_its_case_but_a_name_does(client):
    path = "/V1/Models/many/Versions/1:predict"
    assert ask(client, {"instances": [1.0]}, path=path).json() == {"predictions": [1.5]}
    error_of(ask(client, {"instances": [1.0]}, path="/v1/models/MANY:predict"), 404)


@pytest.mark.parametrize(
    "path",
    ["/v1/models/many", "/v1/models/many:guess", "/v1/models/many:PREDICT", "/v1/other",
     "/v1/models/many/versions/x:predict", "/v1/models/many/1:predict"],
)  # fmt: skip
def test_a_post_elsewhere_is_a_malformed_request(client, path):
    assert error_of(client.post(path, {"instances": [1]})) == f"Malformed request: POST {path}"


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_predict_takes_only_post(client, method):
    response = client.http.request(method, PREDICT)
    assert error_of(response) == f"Malformed request: {method} {PREDICT}"


@pytest.mark.parametrize("path", ["/", "/v2/models/many"])
def test_outside_v1_there_is_nothing(client, path):
    error_of(client.get(path), 404)


@pytest.mark.parametrize(
    "body, message",
    [(b"", "JSON Parse error: The document is empty"), ("[1]", "JSON Value: [1] Is not object")],
)
def test_the_body_is_an_object(client, body, message):
    assert error_of(client.post(PREDICT, body)) == message


def test_a_parse_error_tells_where(client):
    message = error_of(client.post(PREDICT, '{"instances": [1.0,}'))
    assert message.startswith("JSON Parse error: ") and message.endswith(" at offset: 19")


def in_gzip(client, body: bytes):
    return client.post(PREDICT, body, headers={"content-encoding": "gzip"})


# Named: gzip's bytes hold the second in which they were made, and workers must collect the same tests.
WHOLE = gzip.compress(json.dumps({"instances": [1.0]}).encode())
MEMBERS = gzip.compress(b'{"instances":') + gzip.compress(b" [1.0]}")


@pytest.mark.parametrize("body", [WHOLE, MEMBERS], ids=["one member", "several members"])
def test_a_body_may_be_gzipped_in_one_member_or_several(client, body):
    assert in_gzip(client, body).json() == {"predictions": [2.5]}


@pytest.mark.parametrize("body", [b"no gzip", WHOLE[:-9]], ids=["none", "torn"])
def test_what_is_not_whole_gzip_is_refused(client, body):
    assert "gzip" in error_of(in_gzip(client, body))


def test_another_content_encoding_is_unsupported(client):
    error_of(client.post(PREDICT, b"x", headers={"content-encoding": "br"}), 415)


def test_the_content_type_does_not_matter(client):
    response = client.post(PREDICT, '{"instances": [1.0]}', headers={"content-type": "text/plain"})
    assert response.json() == {"predictions": [2.5]}
