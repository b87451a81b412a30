"""What a search varies: a function a network declares dotted keys of the task and their ranges.

The function is found by the task's `model`; whatever it declares must be a key that `--set` takes.
"""

import inspect
import sys

from mri_tf.core.errors import InputError
from mri_tf.task import Task
from mri_tf.task.overrides import with_values


def space_of(task: Task):
    """keras_tuner.HyperParameters of the task's model; raises InputError where there is no space."""
    import keras_tuner

    names = space_names()
    if task.model not in names:
        raise InputError(
            "The network of a task to search needs a function in tuning/spaces.py.", task.model,
            f"There are spaces for {', '.join(names)}; write one called {task.model}.",
        )  # fmt: skip
    space = keras_tuner.HyperParameters()
    globals()[task.model](space)
    with_values(task, space.values)  # refuses a key the task does not have
    return space


def space_names() -> list[str]:
    """The networks that have a search space, sorted."""
    functions = inspect.getmembers(sys.modules[__name__], inspect.isfunction)
    return [name for name, one in functions if list(inspect.signature(one).parameters) == ["space"]]


def feature_classifier(space) -> None:
    """Ranges around the paper's n_c 16 and n_FC 100."""
    _training(space)
    space.Choice("model_args.conv_filters", [8, 16, 32], default=16)
    space.Choice("model_args.dense_units", [32, 100, 200], default=100)
    space.Float("model_args.dropout", 0.2, 0.6, step=0.1, default=0.5)


def feature_classifier3d(space) -> None:
    """Ranges around the paper's n_c 32 and n_FC 200."""
    _training(space)
    space.Choice("model_args.conv_filters", [8, 16, 32], default=16)
    space.Choice("model_args.dense_units", [32, 64, 200], default=64)
    space.Float("model_args.dropout", 0.2, 0.6, step=0.1, default=0.5)


def vgg(space) -> None:
    """Ranges around the paper's n_c 16 and n_FC 100."""
    _training(space)
    space.Choice("model_args.conv_filters", [8, 16, 32], default=16)
    space.Choice("model_args.dense_units", [32, 100, 200], default=100)
    space.Float("model_args.dropout", 0.2, 0.6, step=0.1, default=0.5)


def vgg3d(space) -> None:
    """Ranges around the paper's n_c 16 and n_FC 200."""
    _training(space)
    space.Choice("model_args.conv_filters", [8, 16, 24], default=16)
    space.Choice("model_args.dense_units", [32, 64, 200], default=64)
    space.Float("model_args.dropout", 0.2, 0.6, step=0.1, default=0.5)


def vgg_features(space) -> None:
    """Ranges around the paper's n_FC 100."""
    _training(space)
    space.Choice("model_args.dense_units", [32, 100, 200], default=100)
    space.Float("model_args.dropout", 0.2, 0.6, step=0.1, default=0.5)


def grader3d(space) -> None:
    """Ranges around the paper's dropout of 0.4 and weight decay of 1e-4; it is silent on widths."""
    _training(space)
    space.Choice("model_args.filters", [8, 16, 24], default=16)
    space.Choice("model_args.dense_units", [32, 64, 128], default=64)
    space.Float("model_args.dropout", 0.2, 0.6, step=0.1, default=0.4)
    space.Float("model_args.weight_decay", 1e-6, 1e-3, sampling="log", default=1e-4)


def backbone_classifier(space) -> None:
    """Steps down to a tenth of what a network from scratch needs: weights of other data are to stay."""
    _training(space, lowest_rate=1e-5)
    space.Float("model_args.dropout", 0.0, 0.5, step=0.1, default=0.0)


def backbone_ensemble(space) -> None:
    """One backbone a channel: as a single one."""
    backbone_classifier(space)


def _training(space, lowest_rate: float = 1e-4) -> None:
    """What every training has: step, class weights, how much is augmented."""
    space.Float("learning_rate", lowest_rate, 1e-2, sampling="log", default=1e-3)
    space.Choice("loss_weights", ["none", "sqrt_inverse_frequency"], default="sqrt_inverse_frequency")
    space.Float("augment_probability", 0.0, 0.8, step=0.2, default=0.6)
