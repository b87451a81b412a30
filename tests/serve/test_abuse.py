"""Harmful and broken requests: each is answered, and the server goes on serving."""

import asyncio
import concurrent.futures
import contextlib
import gzip
import json
import socket
import time
import tracemalloc

import grpc
import httpx
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rest import PREDICT
from serving_models import Client, running, serving
from tensorflow_serving.apis import predict_pb2
from waiting import until

from mri_tf.serve.limits import Budget, Held, Settings, decompressed
from mri_tf.serve.status import ServingError

KNOWN = {200, 400, 404, 501}


@pytest.fixture(scope="module")
def small_server(saved):
    """A server with small limits: bodies of 1 MB, 2 MB unpacked, 1 s for a request."""
    limits = dict(body_bytes=1 << 20, decompressed_bytes=2 << 20, timeout_s=1.0, head_s=0.5)
    with running(saved, **limits) as server:
        yield server


@pytest.fixture
def small(small_server):
    """A client of its own for each test: the server closes connections that these tests leave."""
    with contextlib.closing(Client(small_server)) as client:
        yield client


def _serves(caller) -> bool:
    return caller.post(PREDICT, {"instances": [1.0]}).json() == {"predictions": [2.5]}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
    | st.fixed_dictionaries({"b64": st.text(max_size=8)}),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=12,
)  # fmt: skip
signatures = st.sampled_from(["", "rows", "sum", "strings", "types", "classify", "half", "scalar"])
almost_requests = st.fixed_dictionaries(
    {},
    optional={
        "instances": json_values, "inputs": json_values, "examples": json_values,
        "context": json_values, "signature_name": signatures | json_values,
    },
)  # fmt: skip
# Hundreds in the suite, thousands in the slow tier.
few = settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck), database=None)
many = settings(few, max_examples=4000)


def _answered(client, path: str, body: bytes) -> None:
    response = client.post(path, body)
    assert response.status_code in KNOWN, (body, response.text)
    if response.status_code != 200:
        assert list(response.json()) == ["error"]


@few
@given(document=almost_requests, verb=st.sampled_from(["predict", "classify", "regress"]))
def test_bodies_that_are_almost_requests_are_answered(client, document, verb):
    _answered(client, f"/v1/models/many:{verb}", json.dumps(document).encode())


@few
@given(body=st.binary(max_size=200))
def test_bodies_of_random_bytes_are_answered(client, body):
    _answered(client, PREDICT, body)


@pytest.mark.slow
@many
@given(document=almost_requests, verb=st.sampled_from(["predict", "classify", "regress"]))
def test_thousands_of_bodies_that_are_almost_requests_are_answered(client, document, verb):
    _answered(client, f"/v1/models/many:{verb}", json.dumps(document).encode())


@pytest.mark.slow
@many
@given(body=st.binary(max_size=2000))
def test_thousands_of_bodies_of_random_bytes_are_answered(client, body):
    _answered(client, PREDICT, body)
    assert _serves(client)


@pytest.mark.parametrize(
    "body",
    [b"[" * 100_000, b'{"instances": ' + b"[" * 100_000, b'{"instances": [' + b"9" * 100_000 + b"]}",
     b'{"instances": ["\\ud800"], "signature_name": "strings"}', b"\xff\xfe{", b'{"instances": [1e999]}',
     b'{"a":' * 20_000, b'{"instances": [' + b'{"x":' * 20_000],
)  # fmt: skip
def test_json_that_is_deep_long_or_no_text_is_answered(client, body):
    _answered(client, PREDICT, body)
    assert _serves(client)


def test_half_a_surrogate_pair_as_a_feature_s_name_is_a_bad_request(client):
    body = b'{"examples": [{"\\ud800": 1.0}]}'
    response = client.post("/v1/models/many:classify", body)
    assert response.status_code == 400 and _serves(client)


@pytest.mark.parametrize(
    "name",
    ["..", "../many", "..%2f..%2fetc%2fpasswd", "%2e%2e%2fmany", "many%00", "many%2f1", "%ff%fe",
     "/etc/passwd", "many\\..\\many"],
)  # fmt: skip
@pytest.mark.parametrize("rest", [":predict", "", "/metadata"])
def test_a_name_that_is_a_path_finds_nothing(client, name, rest):
    # Over a socket: a client library would tidy the path.
    line = f"{'POST' if rest == ':predict' else 'GET'} /v1/models/{name}{rest} HTTP/1.1"
    body = '{"instances": [1]}'
    head = f"{line}\r\nhost: x\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
    status, _ = _raw(client, head + body)
    assert status in (400, 404)
    assert _serves(client)


def _raw(client, text: str) -> tuple[int, bytes]:
    with socket.create_connection(("127.0.0.1", client.http.base_url.port), 10) as connection:
        connection.sendall(text.encode("latin-1"))
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    return int(answer.split()[1]) if answer else 0, answer


def test_what_is_no_http_is_answered_and_closed(client):
    assert _raw(client, "\x16\x03\x01 this is no HTTP\r\n\r\n")[0] == 400
    assert _serves(client)


def test_a_body_over_the_limit_is_refused(small):
    response = small.post(PREDICT, b" " * (2 << 20))
    assert response.status_code == 413 and "larger than" in response.json()["error"]
    assert _serves(small)


def test_a_body_without_a_length_is_counted(small):
    response = small.http.post(PREDICT, content=(b" " * 65536 for _ in range(40)))
    assert response.status_code == 413
    assert _serves(small)


def test_a_gzip_bomb_is_refused(small):
    bomb = gzip.compress(b" " * (300 << 20), 9)
    assert len(bomb) < 1 << 20
    started = time.perf_counter()
    response = small.post(PREDICT, bomb, headers={"content-encoding": "gzip"})
    assert response.status_code == 413
    assert time.perf_counter() - started < 1  # unpacked to the limit, not to the end
    assert _serves(small)


def test_a_gzip_bomb_is_unpacked_to_the_limit_and_no_further():
    bomb = gzip.compress(b" " * (100 << 20), 1)
    tracemalloc.start()
    with pytest.raises(ServingError), Held(Budget(1 << 30)) as held:
        decompressed(bomb, "gzip", Settings(decompressed_bytes=2 << 20), held)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16 << 20


@pytest.mark.slow
def test_two_hundred_megabytes_are_refused(client):
    response = client.http.post(PREDICT, content=(b" " * (1 << 20) for _ in range(200)))
    assert response.status_code == 413
    assert _serves(client)


def test_bodies_share_a_budget(saved):
    with serving(saved, held_bytes=1 << 20) as client:
        assert client.post(PREDICT, b" " * (2 << 20)).status_code == 429
        for _ in range(3):  # what was held is given back
            assert client.post(PREDICT, b'{"instances": [1.0]}' + b" " * 600_000).status_code == 200


def test_a_request_that_was_given_up_takes_no_more_of_the_budget():
    budget = Budget(100)
    with Held(budget) as held:
        held.take(60)
        with pytest.raises(ServingError):
            held.take(60)
    with pytest.raises(ServingError):
        held.take(1)  # as a thread still at work would do
    with Held(budget) as held:
        held.take(100)


def _refused(caller, inputs: dict, signature: str = "", **options):
    """The code with which the request is refused; the server goes on serving."""
    request = predict_pb2.PredictRequest(inputs=inputs)
    request.model_spec.name, request.model_spec.signature_name = "many", signature
    with pytest.raises(grpc.RpcError) as caught:
        caller.prediction.Predict(request, **options)
    assert _serves(caller)
    return caught.value.code()


def _exhausts(caller, x, **options) -> None:
    """The request is refused as too large, and the server goes on serving."""
    assert _refused(caller, {"x": x}, **options) == grpc.StatusCode.RESOURCE_EXHAUSTED


def _filled(count: int):
    """A TensorProto of a few bytes that stands for so many float32."""
    x = tf.make_tensor_proto(1.0, shape=[4])
    x.tensor_shape.dim[0].size = count
    return x


def test_one_value_for_a_shape_beyond_memory_is_refused(client):
    _exhausts(client, _filled(1 << 40))


def test_inputs_that_are_too_large_only_together_are_refused(small):
    each = _filled(300_000)  # 1.2 of the 2 MB
    code = _refused(small, {"a": each, "b": each}, signature="sum")
    assert code == grpc.StatusCode.RESOURCE_EXHAUSTED


def test_an_input_that_the_signature_has_not_is_refused_by_its_name_before_it_is_unpacked(small):
    code = _refused(small, {"x": _filled(2), "other": _filled(1 << 40)})
    assert code == grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
def test_a_message_over_the_limit_is_refused_packed_or_not(small, compression):
    _exhausts(small, tf.make_tensor_proto(np.zeros(1 << 20, np.float32)), compression=compression)


def test_bytes_that_are_no_message_are_refused(client):
    call = client.channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
    with pytest.raises(grpc.RpcError):
        call(b"\xff" * 50)
    call = client.channel.unary_unary("/tensorflow.serving.PredictionService/Other")
    with pytest.raises(grpc.RpcError) as caught:
        call(b"")
    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED
    assert _serves(client)


@pytest.mark.parametrize("sent", ["", "POST /v1/mo", "GET /v1/models/many HTTP/1.1\r\nx: y\r\n"])
def test_a_request_that_does_not_begin_is_closed(small, sent):
    with socket.create_connection(("127.0.0.1", small.server.rest_port), 10) as connection:
        connection.sendall(sent.encode())
        started = time.perf_counter()
        assert connection.recv(100) == b""
        assert time.perf_counter() - started < 5
    assert _serves(small)


def test_a_head_that_comes_byte_by_byte_is_closed(small):
    with (
        socket.create_connection(("127.0.0.1", small.server.rest_port), 10) as connection,
        pytest.raises(ConnectionError),
    ):
        for _ in range(100):
            connection.sendall(b"G")
            time.sleep(0.05)
    assert _serves(small)


def test_a_body_that_does_not_come_is_a_timeout(small):
    head = f"POST {PREDICT} HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n" + '{"inst'
    with socket.create_connection(("127.0.0.1", small.server.rest_port), 10) as connection:
        connection.sendall(head.encode())
        assert connection.recv(1000).startswith(b"HTTP/1.1 408")
    assert _serves(small)


def test_a_client_that_goes_away_is_forgotten(small):
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", small.server.rest_port), 10) as connection:
            body = '{"signature_name": "slow", "instances": [1.0]}'
            head = f"POST {PREDICT} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n"
            connection.sendall((head + body).encode())
    assert small.get("/v1/models/many").status_code == 200


@pytest.mark.parametrize("count", [100, pytest.param(500, marks=pytest.mark.slow)])
def test_many_connections_are_all_answered(client, count):
    async def ask():
        base = str(client.http.base_url)
        limits = httpx.Limits(max_connections=count, max_keepalive_connections=count)
        async with httpx.AsyncClient(base_url=base, limits=limits, timeout=60) as many_clients:
            calls = [many_clients.post(PREDICT, json={"instances": [float(k)]}) for k in range(count)]
            return await asyncio.gather(*calls)

    answers = asyncio.run(ask())
    values = [answer.json()["predictions"][0] for answer in answers]
    assert values == [k / 2 + 2 for k in range(count)]


def test_more_connections_than_allowed_are_told_so(saved):
    with running(saved, max_connections=5) as server:
        held = [socket.create_connection(("127.0.0.1", server.rest_port)) for _ in range(10)]
        assert Client(server).get("/v1/models/many").status_code == 503
        for connection in held:
            connection.close()
        time.sleep(0.2)
        assert _serves(Client(server))


def test_a_model_slower_than_the_time_limit_is_a_timeout(saved):
    with serving(saved, timeout_s=0.1) as client:
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            body = {"signature_name": "slow", "instances": [1.0]}
            answers = list(pool.map(lambda _: client.post(PREDICT, body), range(8)))
        assert 504 in {answer.status_code for answer in answers}
        # On a busy machine even a short request takes more than 0.1 s.
        until(lambda: _serves(Client(client.server)))
