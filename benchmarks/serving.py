"""Compares the embedded server with calling the signature in process: latency and throughput.

    python benchmarks/serving.py [--seconds 5] [--clients 1,8,32] [--models DIR --model NAME]
    python benchmarks/serving.py --before CHECKOUT

Uses two models of 128 x 128 images, a small and a large one; or an exported model whose
`serving_default` takes only `image`. The server is a separate process; clients are threads here with
one connection each. Each request is one image: float32 bytes over gRPC, JSON over REST. Prints a row
for each model, way to call and number of clients, with and without batching: p50, p99, requests a
second.

With --before, the REST interface of this checkout is compared with that of another checkout of the
repository: first that both answer alike, also to requests that are wrong, then both in turns, with the
ratio of each number. Rows of arrays as bytes, which only this one may take, are compared with JSON to
the other.
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

from mri_tf.serve.raw_tensors import MEDIA_TYPE, TENSORS, arrays_of, tensors_body, tensors_header

ROOT = Path(__file__).resolve().parent.parent
SIZE = 128
ROUNDS = 5  # of a comparison in turns


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=5.0, help="a measurement")
    parser.add_argument("--clients", default="1,8,32")
    parser.add_argument("--models", type=Path, help="folder of exported models")
    parser.add_argument("--model", help="a model in it")
    parser.add_argument("--before", type=Path, help="another checkout, to compare REST with")
    parser.add_argument("--only", choices=["small", "large"], help="of the two models, this one")
    flags = parser.parse_args()
    counts = [int(one) for one in flags.clients.split(",")]
    print(f"{len(os.sched_getaffinity(0))} cores, {flags.seconds:g} s a row")
    if flags.before is None:
        print("| model | call | clients | batching | p50, ms | p99, ms | requests/s |")
        print("|---" * 7 + "|")
    with tempfile.TemporaryDirectory() as scratch:
        root, names = flags.models, [flags.model]
        if root is None:
            root, names = Path(scratch), ["small", "large"]
            write_model(root / "small" / "1", filters=4, layers=1)
            write_model(root / "large" / "1", filters=32, layers=6)
            names = [name for name in names if flags.only in (None, name)]
        if flags.before is not None:
            compare(root, names, flags.before.resolve(), counts, flags.seconds)
            return
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


def load_model(root: Path, name: str):
    """The newest version's `serving_default`, in process, and a random image for it."""
    version = max((root / name).iterdir(), key=lambda path: int(path.name) if path.name.isdigit() else 0)
    signature = tf.saved_model.load(str(version)).signatures["serving_default"]
    shape = signature.structured_input_signature[1]["image"].shape[1:]
    return signature, np.random.default_rng(0).normal(size=(1, *shape)).astype(np.float32)


def measure(root: Path, name: str, counts: list[int], seconds: float) -> None:
    """Prints the rows of one model."""
    signature, image = load_model(root, name)

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


def compare(root: Path, names: list[str], checkout: Path, counts: list[int], seconds: float) -> None:
    """Prints the numbers of this checkout's REST beside those of another's, measured in turns."""
    with Serving(root, 32, checkout) as before, Serving(root, 32) as now:
        for name in names:
            alike(before, now, name, load_model(root, name)[1])
        print("both answer alike, to right and wrong requests")
        both = "before | now | ratio (rounds)"
        print(f"| model | call | clients | p50, ms, {both} | requests/s, {both} |")
        print("|---" * 9 + "|", flush=True)
        for name in names:
            image = load_model(root, name)[1]
            for call in ("over_rest", "over_bytes"):
                for count in counts:
                    compared_row(before, now, name, image, (call, count, seconds))


def compared_row(before: "Serving", now: "Serving", name: str, image, asked) -> None:
    """Prints one row: medians over rounds in turns, the ratios with the least and the most."""
    call, count, seconds = asked
    found = []  # (rounds, before and now, p50 and rate)
    for _ in range(ROUNDS):
        pair = [(before, "over_rest"), (now, call)]
        measured = [
            load(lambda one=one, way=way: getattr(one, way)(name, image), count, seconds / ROUNDS)
            for one, way in pair
        ]
        found.append([(np.median(times) * 1000, rate) for times, rate in measured])
    p50, rate = np.moveaxis(np.array(found), -1, 0)  # each (rounds, 2)
    cells = []
    for values, ratios in ((p50, p50[:, 0] / p50[:, 1]), (rate, rate[:, 1] / rate[:, 0])):
        cells += [f"{one:.1f}" for one in np.median(values, axis=0)]
        cells.append(f"**{np.median(ratios):.1f}** ({ratios.min():.1f} to {ratios.max():.1f})")
    way = "JSON" if call == "over_rest" else "bytes"
    print(f"| {name} | {way} | {count} | {' | '.join(cells)} |", flush=True)


def alike(before: "Serving", now: "Serving", name: str, image: np.ndarray) -> None:
    """Exits unless both servers give the same numbers, and refuse what is wrong in the same words."""
    draw, path = np.random.default_rng(1), f"/v1/models/{name}:predict"
    for scale in (1e-6, 1.0, 300.0, 1e6):
        images = (draw.normal(size=(3, *image.shape[1:])) * scale).astype(np.float32)
        for numbers in (images.tolist(), images.round().astype(int).tolist()):
            rows = [{"image": one} for one in numbers]
            for document in ({"instances": numbers}, {"inputs": numbers}, {"instances": rows}):
                body = json.dumps(document).encode()
                (one, first), (other, second) = (server.post(path, body) for server in (before, now))
                same = one == other == 200 and first.keys() == second.keys()
                if not same or not np.array_equal(*map(_as_float32, (first, second))):
                    sys.exit(f"{name}: the answers differ: {str(first)[:200]} {str(second)[:200]}")
        body = json.dumps({"inputs": images.tolist()}).encode()
        if not np.array_equal(now.over_bytes(name, images)(), _as_float32(now.post(path, body)[1])):
            sys.exit(f"{name}: the answer to bytes differs from that to JSON")
    good = json.dumps({"instances": image.tolist()})
    number = good.index(".") - 1
    for wrong in ("true", '"1.5"', "null", "1e99", "123456789012345678901", "[1.0]", "1, 2", "1 2", ""):
        body = (good[:number] + wrong + good[good.index(",", number) :]).encode()
        answers = [server.post(path, body) for server in (before, now)]
        if answers[0] != answers[1] or answers[0][0] != 400:
            sys.exit(f"{name}: the answers to {wrong!r} in an image differ: {answers}")


def _as_float32(answer: dict) -> np.ndarray:
    (values,) = answer.values()
    return np.array(values, np.float32)


def row(name: str, call: str, clients: int, batching: str, measured) -> None:
    times, rate = measured
    middle, late = np.percentile(times, [50, 99]) * 1000
    print(
        f"| {name} | {call} | {clients} | {batching} | {middle:.2f} | {late:.2f} | {rate:.0f} |",
        flush=True,
    )


class Serving:
    """The server in a process of its own, and callers of it."""

    def __init__(self, root: Path, max_batch: int, checkout: Path = ROOT):
        command = [sys.executable, "-m", "mri_tf.serve", "--models", str(root.resolve()), "--rest-port",
                   "0", "--grpc-port", "0", "--max-batch", str(max_batch)]  # fmt: skip
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=checkout,
            env=os.environ | {"PYTHONPATH": os.pathsep.join([str(checkout), *sys.path[1:]])},
        )  # fmt: skip
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

    def over_bytes(self, name: str, image: np.ndarray):
        """As `over_rest`, with the arrays as bytes in both directions."""
        body = tensors_body({"image": image})
        headers = {"Content-Type": MEDIA_TYPE, TENSORS: tensors_header({"image": image})}
        connection = http.client.HTTPConnection(self._rest, timeout=60)

        def call():
            connection.request("POST", f"/v1/models/{name}:predict", body, headers)
            response = connection.getresponse()
            return arrays_of(response.headers[TENSORS], response.read())["probabilities"]

        return call

    def post(self, path: str, body: bytes) -> tuple[int, dict]:
        """The status and the document of the answer to one request."""
        connection = http.client.HTTPConnection(self._rest, timeout=60)
        connection.request("POST", path, body)
        response = connection.getresponse()
        return response.status, json.loads(response.read())


if __name__ == "__main__":
    main()
