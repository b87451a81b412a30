"""Compares the embedded server with calling the signature in process: latency and throughput.

    python benchmarks/serving.py [--seconds 5] [--clients 1,8,32] [--models DIR --model NAME]

Uses two models of 128 x 128 images, a small and a large one; or an exported model whose
`serving_default` takes only `image`. The server is a separate process; clients are threads here with
one connection each. Each request is one image: float32 bytes over gRPC, JSON over REST. Prints a row
for each model, way to call and number of clients, with and without batching: p50, p99, requests a
second.
"""

import argparse
import http.client
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import grpc
import keras
import numpy as np
import tensorflow as tf
from keras.export import ExportArchive
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

SIZE = 128


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=5.0, help="a measurement")
    parser.add_argument("--clients", default="1,8,32")
    parser.add_argument("--models", type=Path, help="folder of exported models")
    parser.add_argument("--model", help="a model in it")
    flags = parser.parse_args()
    counts = [int(one) for one in flags.clients.split(",")]
    print(f"{len(os.sched_getaffinity(0))} cores, {flags.seconds:g} s a row")
    print("| model | call | clients | batching | p50, ms | p99, ms | requests/s |")
    print("|---" * 7 + "|")
    with tempfile.TemporaryDirectory() as scratch:
        root, names = flags.models, [flags.model]
        if root is None:
            root, names = Path(scratch), ["small", "large"]
            write_model(root / "small" / "1", filters=4, layers=1)
            write_model(root / "large" / "1", filters=32, layers=6)
        for name in names:
            measure(root, name, counts, flags.seconds)


def write_model(folder: Path, filters: int, layers: int) -> None:
    """Convolutions over the whole image, pooled into 9 classes."""
    image = keras.Input((SIZE, SIZE, 1))
    x = image
    for _ in range(layers):
        x = keras.layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(image, keras.layers.Dense(9, activation="softmax")(x))
    archive = ExportArchive()
    archive.track(model)
    spec = tf.TensorSpec((None, SIZE, SIZE, 1), tf.float32, name="image")
    call = tf.function(
        lambda image: {"probabilities": model(image)}, input_signature=[spec], autograph=False
    )
    archive.add_endpoint("serving_default", call)
    archive.write_out(str(folder), verbose=False)


def measure(root: Path, name: str, counts: list[int], seconds: float) -> None:
    """Prints the rows of one model."""
    version = max((root / name).iterdir(), key=lambda path: int(path.name) if path.name.isdigit() else 0)
    loaded = tf.saved_model.load(str(version))
    signature = loaded.signatures["serving_default"]
    shape = signature.structured_input_signature[1]["image"].shape[1:]
    image = np.random.default_rng(0).normal(size=(1, *shape)).astype(np.float32)

    def in_process():
        return lambda: signature(image=tf.constant(image))["probabilities"].numpy()

    for count in counts:
        row(name, "in process", count, "", load(in_process, count, seconds))
    for batching in ("on", "off"):
        with Serving(root, 32 if batching == "on" else 1) as server:
            # Without batching only the largest number of clients says something new.
            for count in counts if batching == "on" else counts[-1:]:
                for call, caller in (("gRPC", server.over_grpc), ("REST", server.over_rest)):
                    times = load(lambda caller=caller: caller(name, image), count, seconds)
                    row(name, call, count, batching, times)


def load(make, count: int, seconds: float) -> tuple[np.ndarray, float]:
    """(seconds of each call, calls a second) of `count` clients; `make()` gives a client's call."""
    calls = [make() for _ in range(count)]
    for call in calls:
        call()
    times, end = [[] for _ in calls], time.perf_counter() + seconds

    def work(place: int) -> None:
        while (started := time.perf_counter()) < end:
            calls[place]()
            times[place].append(time.perf_counter() - started)

    threads = [threading.Thread(target=work, args=(place,)) for place in range(count)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    spent = time.perf_counter() - started
    together = np.concatenate(times)
    return together, len(together) / spent


def row(name: str, call: str, clients: int, batching: str, measured) -> None:
    times, rate = measured
    middle, late = np.percentile(times, [50, 99]) * 1000
    print(
        f"| {name} | {call} | {clients} | {batching} | {middle:.2f} | {late:.2f} | {rate:.0f} |",
        flush=True,
    )


class Serving:
    """The server in a process of its own, and callers of it."""

    def __init__(self, root: Path, max_batch: int):
        command = [sys.executable, "-m", "mri_tf.serve", "--models", str(root), "--rest-port", "0",
                   "--grpc-port", "0", "--max-batch", str(max_batch)]  # fmt: skip
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        line = self._process.stdout.readline()
        self._rest, self._grpc = re.search(r"http://(\S+?)/\S* +gRPC (\S+)", line).groups()

    def __enter__(self) -> "Serving":
        return self

    def __exit__(self, *_) -> None:
        self._process.terminate()
        self._process.wait(60)

    def over_grpc(self, name: str, image: np.ndarray):
        """A call of one image over a channel of its own."""
        options = [("grpc.use_local_subchannel_pool", 1)]
        service = prediction_service_pb2_grpc.PredictionServiceStub(
            grpc.insecure_channel(self._grpc, options)
        )

        def call():
            request = predict_pb2.PredictRequest()
            request.model_spec.name = name
            request.inputs["image"].CopyFrom(tf.make_tensor_proto(image))
            return tf.make_ndarray(service.Predict(request, timeout=60).outputs["probabilities"])

        return call

    def over_rest(self, name: str, image: np.ndarray):
        """A call of one image over a connection of its own; the body is written once."""
        body = json.dumps({"instances": image.round(3).tolist()}).encode()
        connection = http.client.HTTPConnection(self._rest, timeout=60)

        def call():
            connection.request("POST", f"/v1/models/{name}:predict", body)
            return json.loads(connection.getresponse().read())["predictions"]

        return call


if __name__ == "__main__":
    main()
