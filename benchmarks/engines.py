"""Latency of exported models in TensorFlow, ONNX Runtime and OpenVINO, by families of networks.

    python benchmarks/engines.py [--only grader3d,windows] [--threads 1] [--rounds 5] [--before CHECKOUT]

Each family is exported with drawn weights in the size of one of the tasks, opened as `--engine` opens
it and asked for one case. The engines take turns in one process; printed are medians of processor time
and of wall time, and how many times less processor time than TensorFlow's they take (least to most).
Exits with 1 where an answer differs from TensorFlow's by more than 1e-4.

`windows` is a whole case of 144 x 192 x 160 voxels (80 windows of 64 x 64 x 64), `eight windows` one of
96 x 96 x 96: they take long and are not among the families unless they are named. With --before,
TensorFlow also runs what another checkout of the repository exports.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "helpers"))

FAMILIES = {  # name -> task, its values, signature
    "M-Net 2D features": ("sax_levels", {}, "serving_default"),
    "ResNet-18": ("brain_tumor_44", {"model_args.weights": "none"}, "serving_default"),
    "3D U-Net": ("lgg_tumour", {}, "serving_default"),
    "grader3d": ("glioma_grading", {}, "serving_default"),
    "bag of slices": ("meningioma_grading", {"model_args.weights": "none"}, "slices"),
    "five members": ("brain_tumor_44", {"model_args.weights": "none"}, "serving_default"),
}
WINDOWS = {
    "windows": ("glioma_tumour", {}, "serving_default"),
    "eight windows": ("glioma_tumour", {"image_shape": (96, 96, 96)}, "serving_default"),
}
SLICES = 10  # of a patient
MEMBERS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", default=",".join(FAMILIES))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--engines", default="onnxruntime,openvino")
    parser.add_argument("--before", type=Path, help="another checkout, whose export TensorFlow runs too")
    parser.add_argument("--export", nargs=2, help=argparse.SUPPRESS)
    flags = parser.parse_args()
    if flags.export:
        export(flags.export[0], Path(flags.export[1]))
        return
    os.environ["TF_NUM_INTRAOP_THREADS"], os.environ["TF_NUM_INTEROP_THREADS"] = str(flags.threads), "1"
    print(f"{flags.threads} threads, {flags.rounds} rounds in turns")
    print("| family | engine | CPU, ms | wall, ms | times less CPU (rounds) | largest difference |")
    print("|---" * 6 + "|", flush=True)
    wrong = False
    for name in flags.only.split(","):
        with tempfile.TemporaryDirectory() as scratch:
            wrong |= not measure(name, Path(scratch), flags)
    sys.exit(1 if wrong else 0)


def export(name: str, folder: Path) -> None:
    """Writes a SavedModel of one family with one signature."""
    from fresh import export_source_of

    from mri_tf.export.saved_model import write_saved_model
    from mri_tf.network.build import build_network
    from mri_tf.task.files import feature_task, find_task_file, load_task
    from mri_tf.task.overrides import with_values

    task_name, values, signature = (FAMILIES | WINDOWS)[name]
    file = find_task_file(task_name)
    task = with_values(load_task(file), values)
    features = None
    if task.features_from:
        features = build_network(feature_task(task, file)[0])
    source = export_source_of(task, features, 3)
    if name == "five members":
        source = of_members(source, task, export_source_of)
    write_saved_model(source, folder, only=signature)


def of_members(source, task, make):
    """The export of a model of five members, without a distance of features."""
    import numpy as np

    from mri_tf.calibration.answers import answers_to_json
    from mri_tf.calibration.cross_conformal import HeldOut
    from mri_tf.calibration.member_scale import MemberScale
    from mri_tf.calibration.operating_point import OperatingPoint
    from mri_tf.calibration.pooled import Correlation, Curve, PooledAnswers

    classes = len(task.class_names)
    even, curve = (1 / classes,) * classes, Curve(1.0, (0.0,) * classes)
    point = OperatingPoint("balanced_accuracy", None, (1.0,) * classes, None, None, 9)
    answers = PooledAnswers(
        (MemberScale((0.0,) * classes, 1.0, (True,) * classes),) * MEMBERS, curve, curve, even, even,
        Correlation(0.5, 9), point, (HeldOut((0.1, 0.5, 0.9), (1.0, 1.0, 1.0)),) * MEMBERS, 9,
    )  # fmt: skip
    values = source.run.values | {"answers": answers_to_json(answers)}
    run = SimpleNamespace(task=task, values=values, has_members=True)
    members = tuple(make(task).members[0] for _ in range(MEMBERS))
    for seed, member in enumerate(members):  # an engine would compute equal members only once
        rng = np.random.default_rng(seed)
        for variable in member.model.trainable_variables:
            variable.assign(variable.numpy() * rng.uniform(0.9, 1.1, variable.shape))
    familiar = replace(source.familiarity, features=None)
    return replace(source, members=members, run=run, familiarity=familiar)


def measure(name: str, scratch: Path, flags) -> bool:
    """Prints the rows of one family; whether all answers are alike."""
    import numpy as np

    from mri_tf.core.errors import InputError
    from mri_tf.engines.choose import difference, open_engine

    signature = (FAMILIES | WINDOWS)[name][2]
    calls = {}
    for label, checkout in (("TensorFlow before", flags.before), ("TensorFlow", ROOT)):
        if checkout is None:
            continue
        folder = scratch / label.replace(" ", "_")
        path = os.pathsep.join([str(checkout.resolve()), *sys.path[1:]])
        command = [sys.executable, __file__, "--export", name, str(folder)]
        subprocess.run(command, check=True, env=os.environ | {"PYTHONPATH": path}, cwd=checkout)
        calls[label], feed = in_tensorflow(folder, signature)
    in_order = {"TensorFlow": calls["TensorFlow"]} | calls
    for engine in flags.engines.split(","):
        try:
            runs = open_engine(engine, folder, lambda _, arrays: calls["TensorFlow"](arrays), print)
            in_order[engine] = runs[signature]
        except InputError as error:
            print(f"| {name} | {engine} | | | | not taken: {error.received} |", flush=True)
    answers, spent = {}, {label: [] for label in in_order}
    for _ in range(flags.rounds):
        for label, call in in_order.items():
            wall, cpu = time.perf_counter(), time.process_time()
            answers[label] = call(feed)
            spent[label].append((time.process_time() - cpu, time.perf_counter() - wall))
    alike, base = True, np.array(spent["TensorFlow"])
    for label, times in spent.items():
        cpu, wall = np.median(times, axis=0) * 1000
        ratios = base[:, 0] / np.array(times)[:, 0]
        gap = max(
            float(np.max(np.abs(answers[label][key].astype(float) - values)))
            for key, values in answers["TensorFlow"].items()
        )
        ratio = f"**{np.median(ratios):.2f}** ({ratios.min():.2f} to {ratios.max():.2f})"
        told = difference(answers["TensorFlow"], answers[label])
        alike &= not told
        cells = (name, label, f"{cpu:.1f}", f"{wall:.1f}", ratio, told or f"{gap:.0e}")
        print(f"| {' | '.join(cells)} |", flush=True)
    return alike


def in_tensorflow(folder: Path, signature: str):
    """A call of a SavedModel's signature, and a case for it."""
    import numpy as np
    import tensorflow as tf

    loaded = tf.saved_model.load(str(folder))
    function, rng = loaded.signatures[signature], np.random.default_rng(0)
    feed = {}
    for name, spec in function.structured_input_signature[1].items():
        shape = [1 if size is None else size for size in spec.shape]
        if signature == "slices":
            shape[1] = SLICES
        binary = "mask" in name
        feed[name] = (np.ones(shape) if binary else rng.normal(5, 1, shape)).astype(np.float32)

    def call(arrays):
        outputs = function(**{name: tf.constant(value) for name, value in arrays.items()})
        assert loaded
        return {name: value.numpy() for name, value in outputs.items()}

    return call, feed


if __name__ == "__main__":
    main()
