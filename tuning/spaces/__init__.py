"""What is searched, one file a model: `declare(hp)` names dotted keys of the task and their ranges.

The file is found by the task's `model`; whatever it declares must be a key that `--set` takes.
"""

import importlib
from pathlib import Path

from mri_tf.core.errors import InputError
from mri_tf.task import Task
from mri_tf.task.overrides import with_values

FOLDER = Path(__file__).resolve().parent


def space_of(task: Task):
    """keras_tuner.HyperParameters of the task's model; raises InputError where there is no space."""
    import keras_tuner

    names = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem != "__init__")
    if task.model not in names:
        raise InputError(
            "A search needs a space of the task's model, a file of tuning/spaces.", task.model,
            f"There are spaces for {', '.join(names)}; write tuning/spaces/{task.model}.py.",
        )  # fmt: skip
    space = keras_tuner.HyperParameters()
    importlib.import_module(f"tuning.spaces.{task.model}").declare(space)
    with_values(task, space.values)  # refuses a key the task does not have
    return space


def declare_training(space, lowest_rate: float = 1e-4) -> None:
    """What every training has: step, class weights, how much is augmented."""
    space.Float("learning_rate", lowest_rate, 1e-2, sampling="log", default=1e-3)
    space.Choice("loss_weights", ["none", "sqrt_inverse_frequency"], default="sqrt_inverse_frequency")
    space.Float("augment_probability", 0.0, 0.8, step=0.2, default=0.6)
