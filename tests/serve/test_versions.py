"""Versions in a folder that changes while it is served: loaded, unloaded, refused, labelled."""

import shutil
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from rest import PREDICT
from serving_models import Client, running, serving
from tensorflow_serving.apis import model_management_pb2, predict_pb2, prediction_log_pb2
from waiting import until

from mri_tf.core.command_line import run_command
from mri_tf.core.errors import InputError
from mri_tf.serve.__main__ import main as serve
from mri_tf.serve.config_files import (
    BATCHING,
    MODELS_CONFIG,
    MONITORING,
    ModelRule,
    check_config_files,
    read_models_config,
    write_config_files,
)
from mri_tf.serve.models import Spec
from mri_tf.serve.version_folders import version_number


@pytest.fixture
def home(saved, tmp_path):
    """A folder with version 1 of `many`, to be changed by the test."""
    root = tmp_path / "models"
    _put(saved, root, 1)
    return root


def _put(saved, root, number, as_number=None):
    """A version put into the folder as export does: whole, by one rename."""
    target = root / "many" / str(as_number or number)
    scratch = root / "many" / f".partial-{number}"
    shutil.copytree(saved / "many" / str(number), scratch)
    scratch.rename(target)


def _value(client, path=PREDICT):
    return client.post(path, {"instances": [1.0]}).json().get("predictions")


def _states(client):
    found = client.get("/v1/models/many").json().get("model_version_status", [])
    return {one["version"]: one["state"] for one in found}


def test_a_new_version_is_loaded_and_the_old_one_unloaded(saved, home):
    with serving(home) as client:
        assert _value(client) == [1.5] and _states(client) == {"1": "AVAILABLE"}
        _put(saved, home, 2)
        until(lambda: _states(client) == {"2": "AVAILABLE"})
        assert _value(client) == [2.5]
        assert client.post("/v1/models/many/versions/1:predict", {"instances": [1]}).status_code == 404


def test_no_request_fails_while_versions_change(saved, home):
    with running(home) as server:
        stop, found, threads = threading.Event(), [], []

        def ask():
            client = Client(server)
            while not stop.is_set():
                response = client.post(PREDICT, {"instances": [1.0]})
                found.append((response.status_code, response.json().get("predictions")))

        for _ in range(4):
            threads.append(threading.Thread(target=ask))
            threads[-1].start()
        watcher = Client(server)
        for number in (3, 4, 5):
            _put(saved, home, 1 + number % 2, as_number=number)
            until(lambda number=number: list(_states(watcher)) == [str(number)])
        stop.set()
        for thread in threads:
            thread.join()
    assert {code for code, _ in found} == {200}
    assert {tuple(value) for _, value in found} == {(1.5,), (2.5,)}


def test_the_old_version_answers_what_it_was_asked_before_it_goes(saved, home):
    with serving(home) as client:
        with client.server.models.use(Spec("many")) as version:  # a request at work
            _put(saved, home, 2)
            until(lambda: version.state == "UNLOADING")
            assert _value(client) == [2.5]  # the new one answers already
            assert _states(client) == {"2": "AVAILABLE", "1": "UNLOADING"}
            signature = version.signatures["serving_default"]
            arrays = {"x": np.float32([1])}
            found = version.run(signature, arrays, ("y",), time.monotonic() + 10)
            assert found["y"] == [1.5]
        until(lambda: _states(client) == {"2": "AVAILABLE"})


def test_a_broken_version_leaves_the_old_one_and_says_why_without_a_path(saved, home):
    with serving(home) as client:
        broken = home / "many" / "2"
        broken.mkdir()
        (broken / "saved_model.pb").write_bytes(b"no model")
        until(lambda: _states(client) == {"2": "END", "1": "AVAILABLE"})
        assert _value(client) == [1.5]
        status = client.get("/v1/models/many/versions/2").json()["model_version_status"][0]["status"]
        assert status["error_code"] != "OK" and status["error_message"]
        assert str(home) not in status["error_message"]
        shutil.copytree(saved / "many" / "2", broken, dirs_exist_ok=True)  # repaired in place
        until(lambda: _states(client) == {"2": "AVAILABLE"})
        assert _value(client) == [2.5]


def test_a_version_that_is_taken_away_is_no_longer_served(saved, home):
    _put(saved, home, 2)
    with serving(home) as client:
        assert _states(client) == {"2": "AVAILABLE"}
        (home / "many" / "2").rename(home / ".gone")
        until(lambda: _states(client) == {"1": "AVAILABLE"})
        assert _value(client) == [1.5]


def test_a_model_that_comes_later_is_served(saved, tmp_path):
    with serving(tmp_path) as client:
        assert client.get("/v1/models/many").status_code == 404
        _put(saved, tmp_path, 1)
        until(lambda: _states(client) == {"1": "AVAILABLE"})


def test_what_is_no_version_is_left_alone(saved, home):
    (home / "many" / "notes").mkdir()
    (home / "many" / "7").mkdir()  # without a model in it
    (home / "README.md").write_text("x")
    (home / ".hidden" / "1").mkdir(parents=True)
    with serving(home) as client:
        assert client.server.models.names == ["many"] and _states(client) == {"1": "AVAILABLE"}


def test_warm_up_requests_are_run_before_a_version_serves(saved, home):
    request = predict_pb2.PredictRequest()
    request.inputs["x"].CopyFrom(tf.make_tensor_proto(np.float32([1, 2])))
    log = prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))
    folder = home / "many" / "1" / "assets.extra"
    folder.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(folder / "tf_serving_warmup_requests")) as writer:
        writer.write(log.SerializeToString())
    with serving(home) as client:
        page = client.get("/monitoring/prometheus/metrics").text
        assert 'runtime_latency_count{model_name="many",API="serving_default",runtime="TF1"} 1' in page


def _replace(path, old, new):
    path.write_text(path.read_text().replace(old, new))


def test_export_keeps_stable_where_it_is_and_calls_the_newest_canary(saved, home):
    assert {path.name for path in write_config_files(home)} == {MODELS_CONFIG, BATCHING, MONITORING}
    assert read_models_config(home / MODELS_CONFIG) == {"many": ModelRule(1, (1,), {"stable": 1})}
    _put(saved, home, 2)
    write_config_files(home)
    wanted = ModelRule(1, (1, 2), {"stable": 1, "canary": 2})
    assert read_models_config(home / MODELS_CONFIG) == {"many": wanted}
    _replace(home / MODELS_CONFIG, '"stable" value: 1', '"stable" value: 2')  # released by hand
    write_config_files(home)
    assert read_models_config(home / MODELS_CONFIG) == {"many": ModelRule(1, (2,), {"stable": 2})}


def test_batching_and_monitoring_are_the_users_once_they_are_written(home):
    write_config_files(home)
    (home / BATCHING).write_text("max_batch_size { value: 8 }\n")
    assert [path.name for path in write_config_files(home)] == [MODELS_CONFIG]
    assert "value: 8" in (home / BATCHING).read_text()


def test_an_export_is_served_as_canary_and_released_by_a_label(saved, home):
    write_config_files(home)
    with serving(home) as client:
        stable, canary = (f"/v1/models/many/labels/{label}:predict" for label in ("stable", "canary"))
        assert _value(client, stable) == [1.5] and _value(client, canary) is None
        _put(saved, home, 2)
        write_config_files(home)
        until(lambda: _value(client, canary) == [2.5])
        assert _value(client, stable) == [1.5] and _value(client) == [2.5]
        _replace(home / MODELS_CONFIG, '"stable" value: 1', '"stable" value: 2')
        until(lambda: _value(client, stable) == [2.5])


def test_a_file_of_that_name_that_is_none_of_tensorflow_serving_stops_an_export(home):
    (home / MODELS_CONFIG).write_text("my notes {")
    with pytest.raises(InputError, match="none of TensorFlow Serving"):
        check_config_files(home)


def test_a_models_config_that_cannot_be_read_changes_nothing(saved, home, capsys):
    write_config_files(home)
    with serving(home) as client:
        (home / MODELS_CONFIG).write_text("model_config_list { nonsense")
        said = []  # a message may be read in two parts

        def is_said() -> bool:
            said.append(capsys.readouterr().err)
            return "its last valid content is used" in "".join(said)

        until(is_said)
        assert _value(client, "/v1/models/many/labels/stable:predict") == [1.5]


@pytest.mark.parametrize(
    "damage",
    [lambda path: path.write_bytes(b"model_config_list { \xff"), Path.mkdir,
     lambda path: path.symlink_to(path)],
    ids=["text", "folder", "loop"],
)  # fmt: skip
def test_a_server_does_not_start_on_a_models_config_that_cannot_be_read(home, capsys, damage):
    damage(home / MODELS_CONFIG)
    assert run_command(serve, ["--models", str(home), "--rest-port", "0", "--grpc-port", "0"]) == 2
    assert "remove it to serve the newest version" in capsys.readouterr().err


def test_a_version_of_models_config_that_is_not_there_is_named(saved, home, capsys):
    write_config_files(home)
    with running(home):
        _replace(home / MODELS_CONFIG, "versions: 1", "versions: 7")
        until(lambda: "names versions of many that do not exist: 7" in capsys.readouterr().err)


@pytest.mark.parametrize("name", ["abc", "²", "-1", "1.0", "9" * 20, ""])
def test_what_is_no_number_of_tf_serving_is_no_version(name):
    assert version_number(name) is None and version_number("0012") == 12


def test_a_reload_moves_a_label_to_a_version_that_is_served(saved, home):
    _put(saved, home, 2)
    with serving(home) as client:
        request = model_management_pb2.ReloadConfigRequest()
        one = request.config.model_config_list.config.add(name="many", base_path="/not/read")
        one.model_version_policy.specific.versions.append(2)
        one.version_labels["stable"] = 2
        client.status.HandleReloadConfigRequest(request)
        assert _value(client, "/v1/models/many/labels/stable:predict") == [2.5]


@pytest.mark.parametrize(
    "rule, wanted",
    [(ModelRule(), [3]), (ModelRule(latest=2), [3, 2]), (ModelRule(latest=0), [3, 2, 1]),
     (ModelRule(specific=(1, 3, 9)), [3, 1])],
)  # fmt: skip
def test_a_rule_chooses_versions(rule, wanted):
    assert rule.choose([1, 2, 3]) == wanted
