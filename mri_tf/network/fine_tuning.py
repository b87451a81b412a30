"""Fine-tuning: which variables train, at which learning rates, and how these decay.

    fine_tune=dict(
        train=("stack2_block1_2_.*", "probabilities/.*"),
        groups=dict(conv=dict(variables="stack2_.*", learning_rate=1e-6)),
        optimizer="adam", decay=0.95,
    )

Regexes are matched against whole variable paths such as `stack2_block1_2_conv/kernel`.
"""

import dataclasses
import re
from collections.abc import Iterable

import keras

from mri_tf.core.errors import InputError, first_few
from mri_tf.task.settings import FineTuning

NOT_DECAYED = ("bias", "gamma", "beta")  # by variable name; BatchNorm's scale and shift are no size


def freeze(network: keras.Model, settings: FineTuning) -> None:
    """Leaves only the variables of `settings.train` trainable; call it before `compile`.

    A layer of which nothing trains is frozen as a whole: its BatchNorm then stays in inference mode
    and its statistics do not move. What the network's builder has frozen stays so. Raises InputError
    for a regex that matches no variable that could train.
    """
    patterns = settings.patterns
    if not patterns:
        return
    for pattern in patterns:
        _matched("train", pattern, network.trainable_variables)
    for layer in network.layers:
        left = [v for v in layer.trainable_variables if not _trains(v, patterns)]
        if left and len(left) == len(layer.trainable_variables):
            layer.trainable = False
        else:
            for variable in left:
                variable.trainable = False


def make_optimizer(
    settings: FineTuning, learning_rate: float, variables: Iterable[keras.Variable]
) -> keras.optimizers.Optimizer:
    """The optimizer of these trainable variables; one a group where there are groups.

    `learning_rate` is of the variables in no group. Raises InputError for a group that matches no
    variable, or one that another group has matched.
    """
    owner: dict[str, str] = {}
    for name, group in settings.groups.items():
        for variable in _matched(f"groups.{name}.variables", group.variables, variables):
            other = owner.setdefault(variable.path, name)
            _require(other == name, "groups", "share no variable", f"{variable.path} in {other}, {name}")
    others = _one_optimizer(settings, learning_rate, settings.optimizer)
    if not settings.groups:
        return others
    by_regex = {
        group.variables: _one_optimizer(settings, group.learning_rate, name)
        for name, group in settings.groups.items()
    }
    return keras.optimizers.MultiOptimizer(
        keras.optimizers.OptimizerMap(default_optimizer=others, optimizer_map=by_regex), name="groups"
    )


def _one_optimizer(settings: FineTuning, learning_rate: float, name: str):
    if settings.optimizer == "sgd":
        return keras.optimizers.SGD(learning_rate, momentum=settings.momentum, name=name)
    if settings.optimizer == "adam":
        return keras.optimizers.Adam(learning_rate, name=name)
    optimizer = keras.optimizers.AdamW(learning_rate, weight_decay=settings.weight_decay, name=name)
    optimizer.exclude_from_weight_decay(var_names=NOT_DECAYED)
    return optimizer


class DecayLearningRates(keras.callbacks.Callback):
    """Every optimizer's learning rate times `decay`, each `decay_every` epochs; written to the history.

    The rate follows from the epoch alone, so a training that continues has the one it would have had.
    Made when the optimizer is new: its rates then are the first epoch's.
    """

    def __init__(self, settings: FineTuning, optimizer: keras.optimizers.Optimizer):
        super().__init__()
        self.settings = settings
        optimizer = getattr(optimizer, "inner_optimizer", optimizer)  # of one that scales its loss
        self.optimizers = getattr(optimizer, "optimizers", [optimizer])
        self.first = [_rate(one) for one in self.optimizers]

    def on_epoch_begin(self, epoch, logs=None):
        factor = self.settings.decay ** (epoch // self.settings.decay_every)
        for optimizer, first in zip(self.optimizers, self.first, strict=True):
            optimizer.learning_rate = first * factor

    def on_epoch_end(self, epoch, logs=None):
        for optimizer in self.optimizers:
            logs[f"learning_rate_{optimizer.name}"] = _rate(optimizer)


def _rate(optimizer: keras.optimizers.Optimizer) -> float:
    return float(keras.ops.convert_to_numpy(optimizer.learning_rate))  # it may be mirrored


def callbacks_of(settings: FineTuning, optimizer: keras.optimizers.Optimizer) -> list:
    """What a training with these settings needs besides a compiled model."""
    plain = dataclasses.replace(settings, train=()) == FineTuning()
    return [] if plain else [DecayLearningRates(settings, optimizer)]


def _trains(variable: keras.Variable, patterns: tuple[str, ...]) -> bool:
    return any(re.fullmatch(pattern, variable.path) for pattern in patterns)


def _matched(where: str, pattern: str, variables: Iterable[keras.Variable]) -> list[keras.Variable]:
    found = [variable for variable in variables if re.fullmatch(pattern, variable.path)]
    if not found:
        last_first = [variable.path for variable in variables][::-1]
        raise InputError(
            f"fine_tune.{where} matches whole paths of variables that train.", f"{pattern}, which "
            "matches none", f"From the last one: {first_few(last_first, 8)}.",
        )  # fmt: skip
    return found


def _require(holds: bool, name: str, rule: str, received: object) -> None:
    if not holds:
        raise InputError(f"fine_tune.{name} {rule}.", received, "Change it in the task.")
