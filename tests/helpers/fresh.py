"""Networks of weights no training made, as export would serve them, and made-up records for them."""

from types import SimpleNamespace

import keras
import numpy as np

from mri_tf.calibration.calibrator import Calibrator, calibrator_to_json
from mri_tf.calibration.operating_point import OperatingPoint
from mri_tf.core.hashing import file_hash
from mri_tf.export.inputs import array_shapes
from mri_tf.export.out_of_distribution import fit_ranges, image_statistics
from mri_tf.export.saved_model import ExportSource
from mri_tf.network.build import build_network, load_network
from mri_tf.store.run import Run
from mri_tf.task import Task


def export_source_of(task: Task) -> ExportSource:
    """A network of fresh weights with made-up answers and ranges."""
    keras.utils.set_random_seed(0)
    classes = len(task.class_names)
    factors, natural = (tuple(np.linspace(*ends, classes).tolist()) for ends in ((0.4, 0.6), (0.8, 0.2)))
    natural = tuple(share / sum(natural) for share in natural)
    point = OperatingPoint("balanced_accuracy", None, factors, None, None, 9)
    answers = calibrator_to_json(Calibrator(0.7, (1 / classes,) * classes, natural, point, 0.5))
    run = SimpleNamespace(task=task, values={"answers": answers, "fitted": {"pixel_mm": 0.5}})
    images = np.random.default_rng(9).normal(5, 1, (4, 8, 8, len(task.channels)))
    ranges = fit_ranges(image_statistics(images), task.channels, {})
    return ExportSource(build_network(task), run, ranges, "float32")


def with_drawn_weights(run: Run, seed: int = 0) -> Run:
    """A finished run with drawn weights in place of what it learned: the same on every processor."""
    network, rng = load_network(run), np.random.default_rng(seed)
    for variable in network.variables:
        if not variable.dtype.startswith("float"):
            continue  # the state of a dropout's seed
        inputs = np.prod(variable.shape[:-1]) if len(variable.shape) > 1 else 25
        values = rng.normal(0, np.sqrt(2 / inputs), variable.shape)
        if variable.path.endswith(("gamma", "moving_variance")):
            values = rng.uniform(0.5, 1.5, variable.shape)
        variable.assign(values)
    network.save_weights(run.weights)
    return run.save(weights_sha256=file_hash(run.weights))


def feed_of(task: Task, count: int = 3) -> dict[str, np.ndarray]:
    """Arrays of `count` made-up records, the last of them unlike the others."""
    rng = np.random.default_rng(0)
    feed = {
        name: rng.normal(5, 1, (count, *shape)).astype(np.float32)
        for name, shape in array_shapes(task).items()
    }
    feed["image"][-1] *= 100
    if "record_mask" in feed:
        feed["record_mask"] = (feed["record_mask"] > 6).astype(np.float32)
        feed["spacing_mm"] = np.full((count, 2), 0.5, np.float32)
    return feed
