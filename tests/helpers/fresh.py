"""Networks of weights no training made, as export would serve them, and made-up records for them."""

import dataclasses
from types import SimpleNamespace

import keras
import numpy as np
import tensorflow as tf

from mri_tf.calibration.answers import answers_to_json
from mri_tf.calibration.calibrator import Calibrator
from mri_tf.calibration.familiar_images import Familiar, Limits, fit_familiar
from mri_tf.calibration.feature_distance import fit_feature_distance
from mri_tf.calibration.mean_distance import distance_of_one
from mri_tf.calibration.operating_point import OperatingPoint
from mri_tf.core.hashing import file_hash
from mri_tf.evaluate.familiarity import Familiarity, columns_of
from mri_tf.export.inputs import array_shapes
from mri_tf.export.source import ExportSource
from mri_tf.network.build import build_network, load_network
from mri_tf.network.members import Member
from mri_tf.network.penultimate import with_features
from mri_tf.pipeline.image_statistics import statistics_of
from mri_tf.store.run import Run
from mri_tf.task import Task


def export_source_of(
    task: Task, features: keras.Model | None = None, patients: int = 30
) -> ExportSource:
    """A network of fresh weights with made-up answers, to which images of `feed_of` are familiar.

    `features` is the segmentation network that a classifier takes; `patients` are those of whom the
    familiar images are.
    """
    keras.utils.set_random_seed(0)
    classes = len(task.class_names)
    factors, natural = (tuple(np.linspace(*ends, classes).tolist()) for ends in ((0.4, 0.6), (0.8, 0.2)))
    natural = tuple(share / sum(natural) for share in natural)
    point = OperatingPoint("balanced_accuracy", None, factors, None, None, 9)
    answers = answers_to_json(Calibrator(0.7, (1 / classes,) * classes, natural, point, 0.5))
    values = {"answers": answers, "fitted": {"pixel_mm": 0.5}}
    run = SimpleNamespace(task=task, values=values, has_members=False)
    network = build_network(task, features)
    distance = None
    if task.kind == "classification":
        width = with_features(network).outputs[1].shape[-1]
        drawn = np.random.default_rng(8).normal(size=(30, width))
        distance = distance_of_one(fit_feature_distance(drawn, np.arange(30)))
    familiar = Familiarity(familiar_noise(task, patients), distance)
    return ExportSource((Member(run, network),), run, familiar, "float32")


def familiar_noise(task: Task, patients: int = 30) -> Familiar:
    """What a training side of white noise, mean 5 and SD 1, finds familiar."""
    rng = np.random.default_rng(9)
    shape = array_shapes(task)["image"]
    images = rng.normal(5, 1, (2 * patients, *shape)).astype(np.float32)
    columns = columns_of(task)
    spacing_mm = rng.uniform(0.4, 0.6, (len(images), 2)) if task.spacing else None
    values = statistics_of(tf.constant(images), spacing_mm, [{}] * len(images))
    owners = np.repeat(np.arange(patients), 2)
    familiar = fit_familiar(values, owners, columns, bool(task.bag))
    limit = dataclasses.replace(familiar.limits.records, value=8.0)  # SD: no noise is far by chance
    wide = Limits(limit, limit if task.bag else None)
    return dataclasses.replace(familiar, limits=wide, graph_limits=wide)


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
