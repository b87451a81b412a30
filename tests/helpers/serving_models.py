"""Small SavedModels that the serving tests share, and a server around a folder of them."""

import contextlib
from pathlib import Path

import grpc
import httpx
import keras
import numpy as np
import tensorflow as tf
from in_thread import running_in_thread
from keras.export import ExportArchive
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

from mri_tf.serve.limits import Settings
from mri_tf.serve.server import Server

MODELS_CONFIG = """
model_config_list {
  config {
    name: "many" base_path: "/models/many" model_platform: "tensorflow"
    model_version_policy { specific { versions: 1 versions: 2 } }
    version_labels { key: "stable" value: 1 }
    version_labels { key: "canary" value: 2 }
  }
  config { name: "tiny" base_path: "/models/tiny" model_platform: "tensorflow" }
}
"""


def write_tiny(folder: Path, scale: float = 1.0) -> None:
    """As export writes it: `serving_default` (image 2x2x1 -> probabilities, logits, decision) and
    `image_bytes` (PNG bytes -> the same); logits are scale * [mean, -mean]."""
    image = keras.Input((2, 2, 1))
    mean = keras.layers.GlobalAveragePooling2D()(image)
    model = keras.Model(image, keras.layers.Dense(2, use_bias=False)(mean))
    model.layers[-1].set_weights([np.array([[scale, -scale]])])

    def outputs(image):
        logits = model(image)
        return {
            "probabilities": tf.nn.softmax(logits),
            "logits": logits,
            "decision": tf.argmax(logits, axis=-1),
        }

    def image_bytes(image_bytes):
        def decode(data):
            return tf.ensure_shape(tf.cast(tf.io.decode_png(data, 1), tf.float32), (2, 2, 1))

        return outputs(tf.map_fn(decode, image_bytes, fn_output_signature=tf.TensorSpec((2, 2, 1))))

    archive = ExportArchive()
    archive.track(model)
    for name, call, spec in (
        ("serving_default", outputs, tf.TensorSpec((None, 2, 2, 1), tf.float32, name="image")),
        ("image_bytes", image_bytes, tf.TensorSpec((None,), tf.string, name="image_bytes")),
    ):
        archive.add_endpoint(name, tf.function(call, input_signature=[spec], autograph=False))
    archive.write_out(str(folder), verbose=False)


def write_many(folder: Path, version: int = 1) -> None:
    """Signatures for each rule of the protocol; `serving_default` is x (any) -> x / 2 + version."""
    def spec(name, dtype=tf.float32, shape=(None,)):
        return tf.TensorSpec(shape, dtype, name=name)

    def examples(inputs):
        parsed = tf.io.parse_example(
            inputs, {"x": tf.io.FixedLenFeature((), tf.float32, default_value=-1.0)}
        )
        return parsed["x"]

    def classify(inputs):
        x = examples(inputs)
        labels = tf.tile([["low", "high"]], [tf.shape(x)[0], 1])
        return {"classes": labels, "scores": tf.stack([1 - x, x], axis=1)}

    calls = {
        "serving_default": (lambda x: {"y": x / 2 + float(version)}, [spec("x")]),
        "rows": (lambda x: {"y": x * 2}, [spec("x", shape=(None, 2))]),
        "sum": (
            lambda a, b: {"total": a + b, "difference": a - b},
            [spec("a"), spec("b")],
        ),
        "strings": (
            lambda text: {"length": tf.strings.length(text), "copy_bytes": text, "copy": text},
            [spec("text", tf.string)],
        ),
        "types": (
            lambda d, i8, u8, i32, i64, flag: {
                "d": d, "i8": i8, "u8": u8, "i32": i32, "i64": i64, "flag": flag
            },
            [
                spec("d", tf.float64), spec("i8", tf.int8), spec("u8", tf.uint8),
                spec("i32", tf.int32), spec("i64", tf.int64), spec("flag", tf.bool),
            ],
        ),
        "half": (lambda h: {"h": h}, [spec("h", tf.float16)]),
        "half_out": (lambda x: {"h": tf.cast(x, tf.float16)}, [spec("x")]),
        "scalar": (lambda x: {"sum": tf.reduce_sum(x)}, [spec("x")]),
        "uneven": (lambda x: {"all": x, "first": x[:1]}, [spec("x")]),
        "slow": (_slow, [spec("x")]),
        "picky": (
            lambda x: {"y": tf.debugging.check_numerics(x, "not a number")},
            [spec("x")],
        ),
        "classify": (classify, [spec("inputs", tf.string)]),
        "regress": (lambda inputs: {"outputs": examples(inputs) * 10}, [spec("inputs", tf.string)]),
    }  # fmt: skip
    module = tf.Module()
    signatures = {
        name: tf.function(call, input_signature=specs, autograph=False)
        for name, (call, specs) in calls.items()
    }
    tf.saved_model.save(module, str(folder), signatures=signatures)
    _set_method(folder, "classify")
    _set_method(folder, "regress")


def _slow(x):
    """About half a second of work, in ops that TF Serving would have to wait for too."""
    def step(number, value):
        return number + 1, tf.tanh(tf.linalg.matmul(value, value))

    matrix = tf.fill((400, 400), tf.reduce_sum(x) * 1e-3)
    _, done = tf.while_loop(lambda number, _: number < 150, step, (0, matrix))
    return {"y": x + 0 * done[0, 0]}


def _set_method(folder: Path, name: str) -> None:
    path = folder / "saved_model.pb"
    proto = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    proto.meta_graphs[0].signature_def[name].method_name = f"tensorflow/serving/{name}"
    path.write_bytes(proto.SerializeToString())


def running(root: Path, **settings):
    """A server around a folder, in a thread of this process; yields it when it is ready."""
    settings.setdefault("poll_s", 0.05)
    return running_in_thread(Server(root, Settings(**settings), "127.0.0.1", 0, 0))


class Client:
    """Calls of both interfaces: `get`, `post` (httpx) and the gRPC stubs."""

    def __init__(self, server):
        self.server = server
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{server.rest_port}", timeout=30)
        self.address = f"127.0.0.1:{server.grpc_port}"
        self.channel = grpc.insecure_channel(
            self.address,
            options=[("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)],
        )
        self.prediction = prediction_service_pb2_grpc.PredictionServiceStub(self.channel)
        self.status = model_service_pb2_grpc.ModelServiceStub(self.channel)

    def get(self, path: str):
        return self.http.get(path)

    def post(self, path: str, body, **kwargs):
        """A POST of a JSON document, or of bytes as they are."""
        if isinstance(body, (bytes, str)):
            return self.http.post(path, content=body, **kwargs)
        return self.http.post(path, json=body, **kwargs)

    def close(self) -> None:
        self.http.close()
        self.channel.close()


@contextlib.contextmanager
def serving(root: Path, **settings):
    """A client of a server around a folder; `server` is that of the client."""
    with running(root, **settings) as server:
        client = Client(server)
        try:
            yield client
        finally:
            client.close()
