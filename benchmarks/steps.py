"""Seconds a training step: ours, with Keras' own BatchNorm and Adam, and the same networks in PyTorch.

    python benchmarks/steps.py [--peers-python PYTHON] [--rounds 5] [--steps 5] [--compiled] [--monai]
                               [--works mnet resnet18 grader3d] [--precisions float32 bfloat16]

On a GPU without TensorFlow: KERAS_BACKEND=jax python benchmarks/steps.py --works mnet grader3d ..., with
torch in the same interpreter. There ours is compiled by XLA and has no fused BatchNorm of its own.

The networks have the same weights, see the same batch and are trained by Adam; dropout is 0. The losses
of their first three steps are compared before anything is timed. Then they train in turns: each round
times some steps of each, and the ratio is that of the round's medians.
"""

import argparse
import contextlib
import json
import os
import platform
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np

# Builder, shape of the batch, classes, arguments. Labels of M-Net are a class for every pixel.
WORKS = {
    "mnet": ("mnet", (5, 128, 128, 1), 17, dict(start_filters=16, dropout=0.0)),
    "resnet18": ("backbone_classifier", (16, 224, 224, 3), 2, dict(weights="none")),
    "grader3d": ("grader3d", (2, 96, 96, 96, 4), 2, dict(dropout=0.0, weight_decay=0.0)),
}
FIRST_STEPS = 3
TOLERANCE = {"float32": 2e-3, "bfloat16": 5e-2}  # of the losses, relative and absolute


def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    flags.add_argument("--peers-python", help="interpreter with torch; without it no PyTorch is timed")
    flags.add_argument("--rounds", type=int, default=5)
    flags.add_argument("--steps", type=int, default=5, help="steps a round")
    flags.add_argument("--works", nargs="+", choices=list(WORKS), default=list(WORKS))
    flags.add_argument("--precisions", nargs="+", choices=list(TOLERANCE), default=list(TOLERANCE))
    flags.add_argument("--compiled", action="store_true", help="also torch.compile, which takes minutes")
    flags.add_argument("--monai", action="store_true", help="also MONAI's ResNet-18")
    flags = flags.parse_args()
    cores = len(os.sched_getaffinity(0))
    print(f"{processor()}, {cores} cores\n")
    print("| work | precision | who | ms a step | over ours (least to most) | of the peak |")
    print("|---|---|---|---|---|---|")
    for precision in flags.precisions:
        peak = matmul_flops(precision)
        for work in flags.works:
            with tempfile.TemporaryDirectory() as folder:
                rows(work, precision, Path(folder), flags, cores, peak)


def rows(work: str, precision: str, folder: Path, flags, cores: int, peak: float) -> None:
    """Prints a line for each way to train one network."""
    ours = Ours(work, precision, fused=True)
    trainings = {"ours": ours}
    if on_tensorflow():
        trainings["Keras' BatchNorm and Adam"] = Ours(work, precision, fused=False)
    flop = 3 * forward_flops(ours.model) * len(ours.image)  # forward, and two products backward
    ours.write(folder)
    with contextlib.ExitStack() as stack:
        ways = {"eager": "PyTorch eager"}
        if flags.compiled:
            ways["compiled"] = "PyTorch compiled"
        if flags.monai and work == "resnet18":
            ways["monai"] = "MONAI"
        for how, name in ways.items() if flags.peers_python else ():
            trainings[name] = stack.enter_context(
                Peer(flags.peers_python, folder, cores, how, precision)
            )
        compare({name: training.first for name, training in trainings.items()}, TOLERANCE[precision])
        seconds = {name: [] for name in trainings}
        for turn in range(flags.rounds + 1):
            for name, training in trainings.items():
                median = float(np.median(training.steps(flags.steps)))
                if turn:  # the first round warms up
                    seconds[name].append(median)
    for name, own in seconds.items():
        ratios = np.array(own) / seconds["ours"]
        spread = f"{np.median(ratios):.2f} ({ratios.min():.2f} to {ratios.max():.2f})"
        cells = work, precision, name, f"{1000 * np.median(own):.0f}", spread
        print(f"| {' | '.join(cells)} | {flop / np.median(own) / peak:.0%} |", flush=True)


def compare(losses: dict[str, list[float]], tolerance: float) -> None:
    """Ends the program where the first losses of two trainings differ."""
    wanted = np.array(losses["ours"])
    for name, own in losses.items():
        if not np.allclose(own, wanted, rtol=tolerance, atol=tolerance):
            raise SystemExit(f"the first losses differ: ours {wanted.tolist()}, {name} {own}")


class Ours:
    """Our network; with Keras' BatchNorm and Adam where it is not fused."""

    def __init__(self, work: str, precision: str, fused: bool):
        import keras

        from mri_tf.models.batch_norm import BatchNormalization
        from mri_tf.models.registry import builder
        from mri_tf.network.fused_adam import Adam

        name, shape, classes, arguments = WORKS[work]
        keras.utils.set_random_seed(0)
        policy = keras.config.dtype_policy()
        keras.config.set_dtype_policy("mixed_bfloat16" if precision == "bfloat16" else "float32")
        self.model = builder(name)(shape[1:], classes, **arguments)
        keras.config.set_dtype_policy(policy)
        if not fused:
            for layer in self.model.layers:
                if isinstance(layer, BatchNormalization):
                    layer._can_be_fused = lambda inputs: False
        rng = np.random.default_rng(0)
        self.image = rng.normal(size=shape).astype(np.float32)
        labels = shape[:-1] if name in ("mnet", "unet3d") else shape[:1]
        self.label = rng.integers(0, classes, labels)
        self.model.compile(
            optimizer=(Adam if fused else keras.optimizers.Adam)(1e-3),
            loss="sparse_categorical_crossentropy", jit_compile=not on_tensorflow(),
        )  # fmt: skip
        self._weights = [np.array(weight) for weight in self.model.weights]
        if on_tensorflow():
            import tensorflow as tf

            data = tf.data.Dataset.from_tensors((self.image, self.label)).cache().repeat()
            self._iterator = iter(data)
            self.model.make_train_function()
        self.first = [self._one() for _ in range(FIRST_STEPS)]

    def _one(self) -> float:
        if not on_tensorflow():
            return float(self.model.train_on_batch(self.image, self.label))
        for metric in self.model.metrics:
            metric.reset_state()
        return float(self.model.train_function(self._iterator)["loss"])

    def steps(self, count: int) -> list[float]:
        """Seconds of each step."""
        seconds = []
        for _ in range(count):
            begun = time.perf_counter()
            self._one()
            seconds.append(time.perf_counter() - begun)
        return seconds

    def write(self, folder: Path) -> None:
        """The network as it began, and its batch, for `steps_peers.py`."""
        values = dict(zip([weight.path for weight in self.model.weights], self._weights, strict=True))
        layers = []
        for operation in self.model.operations:
            settings = operation.get_config()
            keep = ("padding", "strides", "pool_size", "size", "epsilon", "momentum", "scale", "offset")
            node = operation._inbound_nodes[0]
            layers.append({
                "name": operation.name, "kind": type(operation).__name__,
                "rank": len(operation.output.shape),
                "settings": {key: settings[key] for key in keep if key in settings},
                "weights": [weight.path for weight in operation.weights],
                "inputs": [tensor._keras_history.operation.name for tensor in node.input_tensors],
            })  # fmt: skip
        (folder / "network.json").write_text(json.dumps(layers))
        np.savez(folder / "weights.npz", **values)
        np.savez(folder / "batch.npz", image=self.image, label=self.label)


class Peer:
    """A training in PyTorch, in a process of its own."""

    def __init__(self, python: str, folder: Path, cores: int, how: str, precision: str):
        script = Path(__file__).with_name("steps_peers.py")
        self._process = subprocess.Popen(
            [python, script, folder, str(cores)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.first = self._ask({"start": how, "precision": precision})

    def steps(self, count: int) -> list[float]:
        """Seconds of each step."""
        return self._ask({"steps": count})

    def _ask(self, command: dict) -> list[float]:
        print(json.dumps(command), file=self._process.stdin, flush=True)
        return json.loads(self._process.stdout.readline())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.stdin.close()
        self._process.wait()


def forward_flops(model) -> int:
    """Multiplications and additions of the convolutions and dense layers of one forward pass."""
    total = 0
    for layer in model.layers:
        if hasattr(layer, "kernel"):
            places = int(np.prod(layer.output.shape[1:-1], dtype=int))
            total += 2 * int(np.prod(layer.kernel.shape)) * places
    return total


def matmul_flops(precision: str, side: int = 2048) -> float:
    """Floating-point operations a second of a large matrix product: the peak of this machine."""
    import keras

    matrix = keras.ops.cast(keras.random.normal((side, side)), precision)
    seconds = []
    for _ in range(8):
        begun = time.perf_counter()
        corner = keras.ops.matmul(matrix, matrix)[0, 0]
        float(keras.ops.cast(corner, "float32"))  # waits for the product
        seconds.append(time.perf_counter() - begun)
    return 2 * side**3 / float(np.median(seconds[2:]))


def on_tensorflow() -> bool:
    import keras

    return keras.backend.backend() == "tensorflow"


def processor() -> str:
    """Name and instruction sets for matrices."""
    text = Path("/proc/cpuinfo").read_text(encoding="utf-8") if Path("/proc/cpuinfo").exists() else ""
    names = [line.partition(":")[2] for line in text.splitlines() if line.startswith("model name")]
    sets = [word for word in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if f" {word}" in text]
    return f"{names[0].strip() if names else platform.processor()} ({', '.join(sets)})"


if __name__ == "__main__":
    main()
