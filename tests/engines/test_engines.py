"""Other runtimes answer as TensorFlow does, or are refused with a sentence."""

import shutil

import numpy as np
import pytest
import tensorflow as tf
from refused import error_line
from serving_models import serving, write_tiny

from mri_tf.core.errors import InputError
from mri_tf.engines import choose, runtimes
from mri_tf.engines.choose import ONNXRUNTIME, OPENVINO, difference, missing_packages, open_engine
from mri_tf.engines.requests import requests_of
from mri_tf.serve.__main__ import main as serve

IMAGES = np.arange(12, dtype=np.float32).reshape(3, 2, 2, 1)


def _needs(engine: str):
    absent = missing_packages(engine)
    return pytest.param(engine, marks=pytest.mark.skipif(bool(absent), reason=f"without {absent}"))


BOTH = pytest.mark.parametrize("engine", [_needs(ONNXRUNTIME), _needs(OPENVINO)])


@pytest.fixture
def folder(tmp_path):
    write_tiny(tmp_path / "tiny" / "1")
    return tmp_path / "tiny" / "1"


def _tensorflow(folder):
    loaded = tf.saved_model.load(str(folder))

    def call(name, arrays):
        outputs = loaded.signatures[name](**{key: tf.constant(one) for key, one in arrays.items()})
        return {key: value.numpy() for key, value in outputs.items()}

    return call


@BOTH
def test_an_engine_gives_tensorflow_s_answers_for_batches_of_any_size(folder, engine):
    call = _tensorflow(folder)
    runs = open_engine(engine, folder, call, print)
    assert list(runs) == ["serving_default"]  # image_bytes stays with TensorFlow
    for count in (1, 3, 2):
        found = runs["serving_default"]({"image": IMAGES[:count]})
        wanted = call("serving_default", {"image": IMAGES[:count]})
        assert difference(wanted, found) == ""
        assert found["decision"].dtype == wanted["decision"].dtype


@BOTH
def test_slices_of_a_patient_go_to_the_engine_too(tmp_path, engine):
    module = tf.Module()
    module.weights = tf.Variable(np.float32([[1.0, -1.0], [0.5, 2.0]]))
    specs = [tf.TensorSpec((None, None, 2), name="slices"), tf.TensorSpec((None, None), name="mask")]

    def slices(slices, mask):
        of_slices = tf.einsum("psc,cd->psd", slices, module.weights) * mask[..., None]
        return {"probabilities": tf.nn.softmax(tf.reduce_sum(of_slices, axis=1))}

    call = tf.function(slices, input_signature=specs, autograph=False)
    tf.saved_model.save(module, str(tmp_path), signatures={"slices": call})
    runs = open_engine(engine, tmp_path, _tensorflow(tmp_path), print)
    feed = {"slices": np.ones((2, 5, 2), np.float32), "mask": np.float32([[1] * 5, [1, 0, 0, 0, 0]])}
    assert difference(_tensorflow(tmp_path)("slices", feed), runs["slices"](feed)) == ""


@BOTH
def test_an_engine_with_other_answers_is_refused_and_auto_says_so(folder, engine, monkeypatch):
    def other(name, arrays):
        answer = _tensorflow(folder)(name, arrays)
        return answer | {"logits": answer["logits"] + 1e-2}

    with pytest.raises(InputError, match="logits differs from TensorFlow's by"):
        open_engine(engine, folder, other, print)
    said = []
    assert open_engine("auto", folder, other, said.append) == {}
    assert said[0].startswith("TensorFlow answers: openvino") and "logits differs" in said[0]


@BOTH
def test_what_an_engine_cannot_convert_is_one_sentence(folder, engine, monkeypatch):
    def broken(folder, functions):
        raise RuntimeError("no such\noperation " + "x" * 1000)

    monkeypatch.setattr(runtimes, f"open_{engine}", broken)
    with pytest.raises(InputError) as caught:
        open_engine(engine, folder, _tensorflow(folder), print)
    line = str(caught.value)
    assert "RuntimeError: no such operation" in line and len(line) < 600 and "--engine auto" in line


def test_tensorflow_needs_nothing_and_auto_without_packages_says_why(folder, monkeypatch):
    monkeypatch.setattr(choose, "missing_packages", lambda engine: ["x"])
    said = []
    assert open_engine("auto", folder, None, said.append) == {}
    assert said == ["TensorFlow answers: openvino is not installed; onnxruntime is not installed"]
    assert open_engine("tensorflow", folder, None, said.append) == {} and len(said) == 1


def test_an_engine_that_is_not_installed_names_its_extra(capsys, monkeypatch):
    monkeypatch.setattr(choose, "PACKAGES", {OPENVINO: ("no_such_package",)})
    line = error_line(capsys, serve, "--models", ".", "--engine", OPENVINO, alone=True)
    assert "no_such_package" in line and "pip install 'mri_tf[openvino]'" in line


@pytest.mark.skipif(bool(missing_packages(ONNXRUNTIME)), reason="without ONNX Runtime")
def test_the_converted_file_is_kept_for_the_same_model_only(folder, monkeypatch):
    open_engine(ONNXRUNTIME, folder, _tensorflow(folder), print)
    kept = folder / "assets.extra" / "serving_default.onnx"
    first = kept.read_bytes()
    assert [path.name for path in kept.parent.iterdir()] == [kept.name]  # nothing half-written
    made = []
    convert = runtimes._converted
    monkeypatch.setattr(runtimes, "_converted", lambda function: made.append(1) or convert(function))
    open_engine(ONNXRUNTIME, folder, _tensorflow(folder), print)
    assert not made and kept.read_bytes() == first
    kept.write_bytes(first[:-100])  # damaged
    open_engine(ONNXRUNTIME, folder, _tensorflow(folder), print)
    assert made == [1] and kept.read_bytes()[:9] == first[:9]
    shutil.rmtree(folder)
    write_tiny(folder, scale=2.0)
    kept.parent.mkdir(exist_ok=True)
    kept.write_bytes(first)  # of another model
    runs = open_engine(ONNXRUNTIME, folder, _tensorflow(folder), print)
    assert made == [1, 1]
    wanted = _tensorflow(folder)("serving_default", {"image": IMAGES})
    assert difference(wanted, runs["serving_default"]({"image": IMAGES})) == ""


@pytest.mark.parametrize(
    "found, says",
    [({"y": np.float32([1.0, 2.0])}, ""), ({"y": np.float32([1.00005, 2.0])}, ""),
     ({"y": np.float32([1.001, 2.0])}, "y differs from TensorFlow's by 0.001; allowed is 0.0001"),
     ({"y": np.float32([np.nan, 2.0])}, "y differs"),
     ({"y": np.float32([1.0])}, "shape (1,) and not (2,)"),
     ({"z": np.float32([1.0, 2.0])}, "it gives z and not y")],
)  # fmt: skip
def test_a_difference_is_told(found, says):
    told = difference({"y": np.float32([1.0, 2.0])}, found)
    assert told == says if not says else says in told


def test_differences_of_large_numbers_are_shares_of_them_and_nan_equals_nan():
    wanted = {"y": np.float64([1e6, np.nan, np.inf])}
    assert difference(wanted, {"y": np.float64([1e6 + 50, np.nan, np.inf])}) == ""
    assert difference(wanted, {"y": np.float64([1e6 + 500, np.nan, np.inf])})


def test_without_warm_up_requests_noise_is_compared(folder):
    function = tf.saved_model.load(str(folder)).signatures["serving_default"]
    (request,) = requests_of(folder, "serving_default", function)
    assert request["image"].shape == (1, 2, 2, 1) and np.std(request["image"]) > 0


@BOTH
def test_a_server_answers_by_the_engine_and_batches(folder, engine, capsys):
    body = {"instances": IMAGES.tolist()}
    with serving(folder.parent.parent) as client:
        wanted = client.post("/v1/models/tiny:predict", body).json()["predictions"]
    with serving(folder.parent.parent, engine=engine) as client:
        answer = client.post("/v1/models/tiny:predict", body)
        assert answer.status_code == 200, answer.text
        found = answer.json()["predictions"]
        page = client.get("/monitoring/prometheus/metrics").text
        png = tf.io.encode_png(np.uint8([[[10], [20]], [[30], [44]]])).numpy()
        arrays = {"signature_name": "image_bytes", "instances": [{"b64": _base64(png)}]}
        assert client.post("/v1/models/tiny:predict", arrays).status_code == 200
    assert f'runtime="{engine}"' in page
    for one, other in zip(wanted, found, strict=True):
        assert one.keys() == other.keys() and one["decision"] == other["decision"]
        assert other["probabilities"] == pytest.approx(one["probabilities"], abs=1e-6)


def _base64(data: bytes) -> str:
    import base64

    return base64.b64encode(data).decode()


@pytest.mark.skipif(bool(missing_packages(ONNXRUNTIME)), reason="without ONNX Runtime")
def test_a_version_that_the_engine_refuses_is_not_served_and_says_why(folder, monkeypatch):
    monkeypatch.setattr(choose, "EQUAL", -1.0)
    with serving(folder.parent.parent, engine=ONNXRUNTIME) as client:
        state = client.get("/v1/models/tiny").json()["model_version_status"][0]
    assert not (folder / "assets.extra").exists()  # nothing is kept of what was refused
    assert state["state"] == "END"
    assert "cannot answer for this model" in state["status"]["error_message"]
