"""What a search varies: for each network a function that declares keys of the task and their ranges.

A function is found by the task's `model`; it may declare any key that `--set` takes.
"""

import inspect
import sys

from mri_tf.core.errors import InputError
from mri_tf.task import Task
from mri_tf.task.overrides import with_values


def space_of(task: Task):
    """keras_tuner.HyperParameters for the task's model. Raises InputError if there is no space."""
    import keras_tuner

    names = space_names()
    if task.model not in names:
        raise InputError(
            "This network has no search space in tuning/spaces.py.", task.model,
            f"There are spaces for {', '.join(names)}; write one called {task.model}.",
        )  # fmt: skip
    space = keras_tuner.HyperParameters()
    globals()[task.model](space)
    with_values(task, space.values)  # refuses a key that the task does not have
    return space


def space_names() -> list[str]:
    """The networks that have a search space, sorted."""
    functions = inspect.getmembers(sys.modules[__name__], inspect.isfunction)
    return [name for name, made in functions if list(inspect.signature(made).parameters) == ["space"]]


def feature_classifier(space) -> None:
    """Ranges around the paper's 16 filters and 100 dense units."""
    _recipe_a(space, [8, 16, 32], [32, 100, 200])


def feature_classifier3d(space) -> None:
    """Ranges up to the paper's 32 filters and 200 dense units."""
    _recipe_a(space, [8, 16, 32], [32, 64, 200])


def vgg(space) -> None:
    """Ranges around the paper's 16 filters and 100 dense units."""
    _recipe_a(space, [8, 16, 32], [32, 100, 200])


def vgg3d(space) -> None:
    """Ranges around the paper's 16 filters, up to its 200 dense units."""
    _recipe_a(space, [8, 16, 24], [32, 64, 200])


def vgg_features(space) -> None:
    """Ranges around the paper's 100 dense units."""
    _recipe_a(space, [], [32, 100, 200])


def grader3d(space) -> None:
    """Ranges around the paper's dropout of 0.4 and weight decay of 1e-4; it does not state widths."""
    _training(space)
    space.Choice("model_args.filters", [8, 16, 24], default=16)
    space.Choice("model_args.dense_units", [32, 64, 128], default=64)
    space.Float("model_args.dropout", 0.2, 0.6, step=0.1, default=0.4)
    space.Float("model_args.weight_decay", 1e-6, 1e-3, sampling="log", default=1e-4)


def masked_grader3d(space) -> None:
    """The same ranges as of the grader alone."""
    grader3d(space)


def backbone_classifier(space) -> None:
    """Learning rates ten times lower than from scratch, so that pre-trained weights survive."""
    _training(space, lowest_rate=1e-5)
    space.Float("model_args.dropout", 0.0, 0.5, step=0.1, default=0.0)


def encoder_classifier3d(space) -> None:
    """The same: its encoder is pre-trained, too."""
    backbone_classifier(space)


def resnet3d(space) -> None:
    """The same, for weights that were trained on volumes."""
    backbone_classifier(space)


def frozen_probe(space) -> None:
    """How images are drawn for its fit; the strength of the penalty is chosen within each fit."""
    space.Choice("loss_weights", ["none", "sqrt_inverse_frequency"], default="sqrt_inverse_frequency")
    space.Float("augment_probability", 0.0, 0.8, step=0.2, default=0.6)


def statistics_probe3d(space) -> None:
    """The same as of the other probe."""
    frozen_probe(space)


def backbone_ensemble(space) -> None:
    """One backbone for each channel: the same ranges as for one."""
    backbone_classifier(space)


def _recipe_a(space, conv_filters: list[int], dense_units: list[int]) -> None:
    """A classifier of recipe A; the second value of each list is the default."""
    _training(space)
    if conv_filters:
        space.Choice("model_args.conv_filters", conv_filters, default=conv_filters[1])
    space.Choice("model_args.dense_units", dense_units, default=dense_units[1])
    space.Float("model_args.dropout", 0.2, 0.6, step=0.1, default=0.5)


def _training(space, lowest_rate: float = 1e-4) -> None:
    """What every training has: learning rate, class weights, share of augmented images."""
    space.Float("learning_rate", lowest_rate, 1e-2, sampling="log", default=1e-3)
    space.Choice("loss_weights", ["none", "sqrt_inverse_frequency"], default="sqrt_inverse_frequency")
    space.Float("augment_probability", 0.0, 0.8, step=0.2, default=0.6)
