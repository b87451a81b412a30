"""Builds the network of a task and loads the network of a run."""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass

import keras

from mri_tf.calibration.operating_point import check_criterion
from mri_tf.core.errors import InputError
from mri_tf.models.frozen_probe import POOLINGS, frozen_probe
from mri_tf.models.heads import SOFTMAX
from mri_tf.models.registry import builder, check_model_args
from mri_tf.models.statistics_probe import statistics_probe3d
from mri_tf.network.bags import bag_network, scorer
from mri_tf.network.combat import Correction, load_correction
from mri_tf.network.fine_tuning import freeze
from mri_tf.pipeline.augment2d import check_augment
from mri_tf.pipeline.batches import BatchFunction
from mri_tf.pipeline.histogram_matching import matches_histograms
from mri_tf.pipeline.mixup import NAME as MIXUP
from mri_tf.pipeline.mixup import check_mixup
from mri_tf.pipeline.normalize import check_normalize
from mri_tf.pipeline.sequence_dropout import check_sequence_dropout
from mri_tf.store.run import Run
from mri_tf.task import Task
from mri_tf.task.files import saved_task
from mri_tf.task.harmonise import combat_batch, harmonise_of
from mri_tf.task.overrides import with_values
from mri_tf.task.settings import bag_of, check_settings, fine_tuning_of
from mri_tf.task.spec import WHITE_STRIPE

# Networks whose last layer alone is fitted, to features that nothing trains.
PROBES = (frozen_probe.__name__, statistics_probe3d.__name__)


class PreparingModel(keras.Model):
    """A functional model whose train step makes its batch itself, on the device, if told to.

    Attributes:
        prepare: what makes the batch; None where it comes ready.
        correction: of the features of a site or scanner, see `network.combat`; None where there is none.
    """

    prepare: BatchFunction | None = None
    correction: Correction | None = None

    def train_step(self, data):
        if self.prepare is not None:
            data = self.prepare(data)
        return super().train_step(data)


def check_task(task: Task) -> None:
    """Raises InputError for names and arguments in a task that do not exist, before data is read."""
    check_settings(task)
    harmonise_of(task)
    check_augment(task.augment, task.network_shape)
    check_sequence_dropout(task)
    check_mixup(task)
    _check_steps(task)
    check_normalize(task.normalize)
    if "head" in task.model_args:
        raise InputError(
            "head is a key of the task, not of model_args.", task.model_args["head"],
            "Set head in the task.",
        )  # fmt: skip
    check_model_args(task.model, task.model_args, takes_features=bool(task.features_from))
    _check_intensities(task)
    _check_combat(task)
    check_criterion(task.operating_point, len(task.class_names))


def check_network(task: Task, features: Task | None = None) -> None:
    """Raises InputError where the task's network cannot be built, for example on a grid that cannot be
    halved as often as it does, or where `fine_tune` names no variable; before data is read.

    Args:
        task: the task; pre-trained weights are not loaded.
        features: the segmentation task that is trained first, whose network feeds that of the task or
            finds its boxes.
    """
    network = None
    if features is not None:
        network = build_network(features)
    if task.features_from and network is None:
        return  # the network comes from a run, which is checked when it is opened
    if takes_weights(task):
        task = with_values(task, {"model_args.weights": "none"})
    build_network(task, network if task.features_from else None)


def _check_intensities(task: Task) -> None:
    """Raises InputError where a backbone would be given other intensities than it is told."""
    parameter = _parameters(task).get("intensities")
    if parameter is None:
        return
    told = task.model_args.get("intensities", parameter.default)
    given = {"range": "unit", "zscore": "zscore", WHITE_STRIPE: "zscore"}.get(task.normalize["method"])
    if told != given:
        raise InputError(
            "model_args.intensities must be unit with normalize.method range, and zscore with z-scores.",
            f"{told} with normalize.method {task.normalize['method']}",
            "Change one of them in the task.",
        )


def _check_steps(task: Task) -> None:
    """Raises InputError for mixed images where the network is fitted at once and not in steps."""
    if MIXUP in task.augment and task.model in PROBES:
        raise InputError(
            f"augment.{MIXUP} needs a network that is trained in steps.", f"model {task.model}",
            f"Take {MIXUP} out of augment, or change model.",
        )  # fmt: skip


def _check_combat(task: Task) -> None:
    """Raises InputError where a task corrects features of a network that is trained."""
    if not combat_batch(task):
        return
    if task.model not in PROBES:
        raise InputError(
            "harmonise.method combat is for the features of a frozen network.", f"model {task.model}",
            f"Set model to {' or '.join(PROBES)}, or harmonise={{}}.",
        )  # fmt: skip
    pooling = task.model_args.get("pooling", POOLINGS[0])
    if pooling != POOLINGS[0]:
        raise InputError(
            f"harmonise.method combat needs model_args.pooling {POOLINGS[0]}.",
            pooling, "Change one of them in the task.",
        )  # fmt: skip


def takes_weights(task: Task) -> bool:
    """Whether the task's network begins with weights of other data."""
    return "weights" in _parameters(task)


def _parameters(task: Task) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(builder(task.model)).parameters


def check_features(task: Task, features: Task) -> None:
    """Raises InputError unless the feature network sees images as the classifier does.

    One that only predicts masks takes the same records and normalises them its own way.
    """
    expected = {
        "name": task.pretrained_on,
        "kind": "segmentation",
        "image_shape": task.image_shape,
        "channels": task.channels,
    }
    if task.features_from:
        expected |= {"normalize": task.normalize, "context_slices": task.context_slices}
        expected["harmonise"] = task.harmonise if matches_histograms(task) else {}
    if task.boxes_from:
        expected["prep"] = task.prep
    if _records_of(task) != _records_of(features):  # both read the same ones
        expected["normalize"] = task.normalize
    differs = [key for key, value in expected.items() if getattr(features, key) != value]
    if differs:
        key = differs[0]
        raise InputError(
            f"The feature network of {task.name} must have {key} {expected[key]}.",
            getattr(features, key),
            f"Choose another --features run, or set features.{key} as well.",
        )


def _records_of(task: Task) -> tuple[bool, bool]:
    """What preparation makes of a task's intensities."""
    return task.standardised, task.by_white_matter


@dataclass(frozen=True)
class Parts:
    """A task's network of single images, and what weighs the slices of a patient (None: alike)."""

    network: keras.Model
    score: keras.Model | None


def build_parts(task: Task, features: keras.Model | None = None) -> Parts:
    """Parts with fresh weights, around a segmentation network if the task takes one."""
    shape = (*task.network_shape, len(task.image_channels))
    source = shape if features is None else _for_images_of(features, shape)
    head = {"head": task.head} if task.head != SOFTMAX else {}
    network = builder(task.model)(source, len(task.output_names), **task.model_args, **head)
    freeze(network, fine_tuning_of(task))
    return Parts(network, scorer(bag) if (bag := bag_of(task)) else None)


def _for_images_of(features: keras.Model, shape: tuple[int, ...]) -> keras.Model:
    """The network for images of another size than it was trained on, as where it saw patches."""
    if features.input_shape[1:] == shape:
        return features
    image = keras.Input(shape, name="image")
    other = keras.models.clone_model(features, input_tensors=image)
    other.set_weights(features.get_weights())
    return other


def wrap_for_training(task: Task, parts: Parts, end: keras.Model | None = None) -> PreparingModel:
    """The whole network, or around `end`, a view on the last layers of `parts.network`."""
    network = end or parts.network
    if task.bag:
        network = bag_network(network, parts.score)
    inputs = network.inputs[0] if len(network.inputs) == 1 else tuple(network.inputs)
    return PreparingModel(inputs, network.outputs[0], name=task.name)


def build_network(task: Task, features: keras.Model | None = None) -> PreparingModel:
    """The task's whole network with fresh weights."""
    return wrap_for_training(task, build_parts(task, features))


def build_run_network(run: Run) -> PreparingModel:
    """The network of a run with fresh weights; its weights file holds features and backbone too."""
    features = run.values["feature_task"]
    network = build_network(saved_task(features)) if features else None
    task = run.task
    if takes_weights(task):
        task = with_values(task, {"model_args.weights": "none"})
    return build_network(task, network)


def load_network(run: Run) -> PreparingModel:
    """The trained network of a finished run; raises InputError for weights that do not fit."""
    model = build_run_network(run)
    try:
        model.load_weights(run.weights)
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            "Cannot load the weights of the run.", f"{run.weights} ({type(error).__name__})",
            "Train the run again into a new folder.",
        ) from None  # fmt: skip
    model.correction = load_correction(run)
    return model
