"""Where the time of a training step goes, by kind of operation, and what our callbacks add to `fit`.

    python benchmarks/step_profile.py [--works mnet resnet18 grader3d unet3d] [--steps 5]

TensorFlow's profiler records the operations of some steps of each network of benchmarks/steps.py, and of
the 3D U-Net. Shares are of the time of all operations, which may run side by side. For callbacks a small
network, whose steps are short, trains the same epochs with and without those of `train`, in turns.
"""

import argparse
import re
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
from steps import WORKS, Ours

EPOCHS, STEPS_OF_EPOCH = 5, 300
WORKS["unet3d"] = ("unet3d", (2, 64, 64, 64, 4), 2, dict(filters=16, dropout=0.0))
MKL = r"(_?Mkl(Native)?|_?Fused|_)*"  # how oneDNN's operations are named
KINDS = {  # kind -> how the names of its operations begin
    "convolutions and products": MKL + "(Conv|MatMul|Einsum|Depthwise)",
    "BatchNorm": MKL + "BatchNorm",
    "pooling and resizing": MKL + "(MaxPool|AvgPool|Resize|Tile|BroadcastTo)",
    "concatenations and copies": MKL
    + "(Concat|Split|Slice|StridedSlice|Pad|Transpose|Copy|Identity|Pack|ToTf)",
    "the optimizer": "(Resource|Assign|ApplyAdam|ReadVariable)",
    "sums and means": "(Sum|Mean|BiasAddGrad|L2Loss|AddN)",
    "other element-wise": "",
}
NOT_OPERATIONS = {"Run", "Process", "Compute"}  # spans of the executor that hold operations


def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    flags.add_argument("--works", nargs="*", choices=list(WORKS), default=list(WORKS))
    flags.add_argument("--steps", type=int, default=5)
    flags.add_argument("--rounds", type=int, default=5)
    flags = flags.parse_args()
    if flags.works:
        print(f"| network | ms a step | {' | '.join(KINDS)} | longest of the others |")
        print("|---" * (len(KINDS) + 3) + "|")
    for work in flags.works:
        _profile(work, flags.steps)
    print()
    _callbacks(flags.rounds)


def _profile(work: str, steps: int) -> None:
    import tensorflow as tf

    training = Ours(work, "float32", fused=True)
    seconds = training.steps(steps)
    with tempfile.TemporaryDirectory() as folder:
        tf.profiler.experimental.start(folder)
        training.steps(steps)
        tf.profiler.experimental.stop()
        (file,) = Path(folder).rglob("*.xplane.pb")
        spent = _by_operation(file.read_bytes())
    kinds = Counter()
    others = Counter()
    for name, duration in spent.items():
        kind = next(kind for kind, pattern in KINDS.items() if re.match(pattern, name))
        kinds[kind] += duration
        if kind == "other element-wise":
            others[name] += duration
    total = sum(kinds.values())
    shares = [f"{kinds[kind] / total:.0%}" for kind in KINDS]
    longest = ", ".join(f"{name} {part / total:.0%}" for name, part in others.most_common(4))
    milliseconds = f"{1000 * np.median(seconds):.0f}"
    print(f"| {work} | {milliseconds} | {' | '.join(shares)} | {longest} |", flush=True)


def _by_operation(data: bytes) -> Counter:
    """Picoseconds by the operation's type, of the events of TensorFlow's executor."""
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    space = xplane_pb2.XSpace()
    space.ParseFromString(data)
    spent = Counter()
    for plane in space.planes:
        if plane.name != "/host:CPU":
            continue
        names = {key: value.name for key, value in plane.event_metadata.items()}
        for line in plane.lines:
            for event in line.events:
                scope, colon, kind = names[event.metadata_id].rpartition(":")
                is_kind = re.fullmatch(r"_?[A-Z][A-Za-z0-9]+", kind) and kind not in NOT_OPERATIONS
                if colon and scope and is_kind:
                    spent[kind] += event.duration_ps
    return spent


def _callbacks(rounds: int) -> None:
    """Prints what the callbacks of `train` add to an epoch of short steps."""
    import keras
    import tensorflow as tf

    from mri_tf.network.build import PreparingModel
    from mri_tf.train.loop import Schedule, TrainingData, train

    rng = np.random.default_rng(0)
    image = rng.normal(size=(8, 32, 32, 1)).astype(np.float32)
    label = rng.integers(0, 2, 8)

    def network() -> keras.Model:
        keras.utils.set_random_seed(0)
        inputs = keras.Input(image.shape[1:])
        x = keras.layers.Conv2D(8, 3, activation="relu")(inputs)
        x = keras.layers.GlobalAveragePooling2D()(x)
        model = keras.Model(inputs, keras.layers.Dense(2, activation="softmax")(x))
        model = PreparingModel(model.inputs, model.outputs)
        model.compile("adam", "sparse_categorical_crossentropy")
        model.optimizer.build(model.trainable_variables)
        return model

    batch = (image, label, np.ones(8, np.float32))
    endless = tf.data.Dataset.from_tensors(batch).cache().repeat()
    validation = tf.data.Dataset.from_tensors(batch)

    class Clock(keras.callbacks.Callback):
        """Notes when each epoch ends; the first, which compiles, is not counted."""

        def __init__(self):
            super().__init__()
            self.ends = []

        def on_epoch_end(self, epoch, logs=None):
            self.ends.append(time.perf_counter())

        @property
        def step_ms(self) -> float:
            return 1000 * float(np.median(np.diff(self.ends))) / STEPS_OF_EPOCH

    def bare() -> float:
        clock = Clock()
        network().fit(
            endless, epochs=EPOCHS, steps_per_epoch=STEPS_OF_EPOCH, validation_data=validation,
            verbose=0, shuffle=False, callbacks=[clock],
        )  # fmt: skip
        return clock.step_ms

    def with_callbacks() -> float:
        clock = Clock()
        data = TrainingData(lambda first: endless, validation, STEPS_OF_EPOCH, None, lambda *_: [])
        with tempfile.TemporaryDirectory() as folder:
            schedule = Schedule(EPOCHS, 0, 0, "profile")
            train(network(), data, schedule, Path(folder), on_device=False, callbacks=[clock])
        return clock.step_ms

    plain, ours = zip(*((bare(), with_callbacks()) for _ in range(rounds)), strict=True)
    ratios = np.array(ours) / np.array(plain)
    print(
        f"callbacks: fit alone {np.median(plain):.2f} ms a step, with those of train "
        f"{np.median(ours):.2f} ms; ratio {np.median(ratios):.2f} "
        f"({ratios.min():.2f} to {ratios.max():.2f})"
    )


if __name__ == "__main__":
    main()
