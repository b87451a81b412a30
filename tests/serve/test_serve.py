"""The serve command: tokens, its messages, and how it stops."""

import concurrent.futures
import importlib.util
import os
import re
import signal
import subprocess
import sys
import threading
import time

import grpc
import httpx
import numpy as np
import pytest
import tensorflow as tf
from refused import error_line
from rest import PREDICT
from serving_models import Client, running, serving
from tensorflow_serving.apis import predict_pb2
from waiting import until

from mri_tf.core.web import is_loopback
from mri_tf.serve.__main__ import main
from mri_tf.serve.access import read_token


def _fails(capsys, *arguments) -> str:
    return error_line(capsys, main, *arguments, alone=True)


def test_an_address_that_others_reach_needs_a_token(capsys):
    message = _fails(capsys, "--models", ".", "--host", "0.0.0.0")
    assert "--token-file" in message and "--insecure" in message
    assert read_token("0.0.0.0", None, insecure=True) == ""
    assert read_token("127.0.0.1", None, insecure=False) == ""


@pytest.mark.parametrize(
    "host, found",
    [("127.0.0.1", True), ("127.8.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False),
     ("::", False), ("10.0.0.1", False), ("server.example", False), ("", False)],
)  # fmt: skip
def test_loopback_is_told_from_the_rest(host, found):
    assert is_loopback(host) == found


@pytest.mark.parametrize("content", [None, "", "two words", "schlüssel"])
def test_a_token_file_holds_one_token(tmp_path, capsys, content):
    file = tmp_path / "token"
    if content is not None:
        file.write_text(content, encoding="utf-8")
    assert "must hold exactly one token" in _fails(capsys, "--models", ".", "--token-file", file)


def test_an_install_without_the_extra_gets_one_line(monkeypatch, capsys):
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "uvicorn" else real(name)
    )
    assert "pip install 'mri_tf[serve]'" in _fails(capsys, "--models", ".")


@pytest.mark.parametrize(
    "flags, says",
    [(["--models", "none"], "saved_model.pb"), (["--models", ".", "--rest-port", 70000], "70000"),
     (["--models", ".", "--rest-port", "abc"], "needs a port from 0 (any free one) to 65535, not abc")],
)
def test_a_folder_or_a_port_that_is_none_gets_one_line(tmp_path, monkeypatch, capsys, flags, says):
    monkeypatch.chdir(tmp_path)
    assert says in _fails(capsys, *flags)


def test_the_folder_of_one_model_is_not_taken_for_that_of_all(saved, capsys):
    assert f"Give {saved}." in _fails(capsys, "--models", saved / "many")


@pytest.mark.parametrize("flag", ["--rest-port", "--grpc-port"])
def test_a_port_that_is_taken_gets_one_line(saved, client, capsys, flag):
    taken = client.http.base_url.port if flag == "--rest-port" else client.address.split(":")[1]
    other = "--grpc-port" if flag == "--rest-port" else "--rest-port"
    assert str(taken) in _fails(capsys, "--models", saved, flag, taken, other, 0)


def test_every_request_needs_the_token(saved):
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "many"
    with serving(saved, token="right") as client:
        body = {"instances": [1.0]}
        for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": "Basic right"}):
            response = client.post(PREDICT, body, headers=headers)
            assert response.status_code == 401 and list(response.json()) == ["error"]
            assert response.headers["www-authenticate"] == "Bearer"
            with pytest.raises(grpc.RpcError) as caught:
                client.prediction.Predict(request, metadata=list(headers.items()))
            assert caught.value.code() == grpc.StatusCode.UNAUTHENTICATED
        for path in ("/v1/models/many", "/v1/models/many/metadata", "/monitoring/prometheus/metrics"):
            assert client.get(path).status_code == 401
        right = {"authorization": "Bearer right"}
        assert client.post(PREDICT, body, headers=right).json() == {"predictions": [2.5]}
        with pytest.raises(grpc.RpcError) as caught:  # let in, and told that an input is missing
            client.prediction.Predict(request, metadata=list(right.items()))
        assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT


class _Command:
    """The command in a process of its own."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "mri_tf.serve", "--rest-port", "0", "--grpc-port", "0", *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
        )  # fmt: skip
        line = self.process.stdout.readline()
        rest, rpc = re.search(
            r"REST http://127.0.0.1:(\d+)/v1/models  gRPC 127.0.0.1:(\d+)", line
        ).groups()
        self.rest_port, self.grpc_port = int(rest), int(rpc)

    def end(self, number) -> tuple[int, str, str]:
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, out, err


@pytest.mark.slow
def test_ctrl_c_stops_it_and_says_so(saved):
    command = _Command("--models", str(saved))
    assert Client(command).post(PREDICT, {"instances": [1.0]}).json() == {"predictions": [2.5]}
    code, out, err = command.end(signal.SIGINT)
    assert code == 130 and out.strip() == "stopped" and "Traceback" not in err


@pytest.mark.slow
def test_sigterm_under_load_loses_no_accepted_request(saved):
    command = _Command("--models", str(saved))
    outcomes = _under_load(command, lambda: command.process.send_signal(signal.SIGTERM))
    out, err = command.process.communicate(timeout=60)
    assert command.process.returncode == 0 and "Traceback" not in err
    assert outcomes["answered"] > 100 and not outcomes["lost"], outcomes


@pytest.mark.parametrize("turn", range(3))
def test_a_stop_under_load_loses_no_accepted_request(saved, monkeypatch, turn):
    # On a busy machine a client may take seconds to send the next request on its open connection.
    monkeypatch.setattr("mri_tf.serve.http_server.LAST_REQUESTS_S", 30.0)
    with running(saved) as server:
        outcomes = _under_load(server, server.stop)
    assert outcomes["answered"] > 20 and not outcomes["lost"], outcomes


RESET = ("reset by peer", "disconnected without sending a response")


def _under_load(server, stop) -> dict:
    """Asks from 16 clients of each interface and stops the server among them.

    A request is accepted once a connection took it; connections refused and calls that gRPC says
    were never begun are how a client learns that the server is gone. So is a reset of a new connection:
    the kernel had shaken hands for a listener that closed before it could take what it never saw. One
    that comes before the request is written looks to httpx like an end without an answer.
    """
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "many"
    request.inputs["x"].CopyFrom(tf.make_tensor_proto(np.float32([1.0])))
    outcomes = {"answered": 0, "refused": 0, "lost": []}
    lock, end = threading.Lock(), time.monotonic() + 60

    def tell(kind, error=None):
        with lock:
            if kind == "lost":
                outcomes["lost"].append(repr(error))
            else:
                outcomes[kind] += 1

    def over_rest():
        with httpx.Client(base_url=f"http://127.0.0.1:{server.rest_port}", timeout=30) as http:
            new = True
            while time.monotonic() < end:
                try:
                    answer = http.post(PREDICT, json={"instances": [1.0]})
                except httpx.ConnectError:
                    return tell("refused")
                except httpx.HTTPError as error:
                    never_taken = new and any(words in str(error) for words in RESET)
                    return tell("refused" if never_taken else "lost", error)
                new = answer.headers.get("connection") == "close"
                right = answer.status_code == 200 and answer.json() == {"predictions": [2.5]}
                tell("answered" if right else "lost", answer.text)

    def over_grpc():
        client = Client(server)
        while time.monotonic() < end:
            try:
                answer = client.prediction.Predict(request, timeout=30)
            except grpc.RpcError as error:
                if error.code() == grpc.StatusCode.UNAVAILABLE:
                    return tell("refused")
                return tell("lost", error)
            tell("answered" if list(answer.outputs["y"].float_val) == [2.5] else "lost", answer)

    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        calls = [pool.submit(call) for call in [over_rest] * 16 + [over_grpc] * 16]
        until(lambda: outcomes["answered"] > 100)
        stop()
        for call in calls:
            call.result(timeout=60)
    assert outcomes["refused"] + len(outcomes["lost"]) == 32
    return outcomes
