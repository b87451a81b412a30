"""Fine-tuning: which variables train, at which learning rates, and how these decay.

    fine_tune=dict(
        train=("stack2_block1_2_.*", "probabilities/.*"),
        groups=dict(conv=dict(variables="stack2_.*", rate_share=0.1)),
        optimizer="adam", decay=0.95,
    )

Regexes are matched against whole variable paths such as `stack2_block1_2_conv/kernel`.
"""

import dataclasses
import math
import re
from collections.abc import Iterable

import keras
from keras import ops

from mri_tf.core.errors import InputError, first_few
from mri_tf.network.fused_adam import Adam, AdamW
from mri_tf.task.settings import FineTuning

# By variable name: neither BatchNorm's scale and shift nor thresholds between grades are a size.
NOT_DECAYED = ("bias", "gamma", "beta", "threshold")


@dataclasses.dataclass(frozen=True)
class Steps:
    """How the learning rates and gradients of a training are treated, step by step."""

    total: int = 0  # steps of the whole training
    warm_up: int = 0  # steps in which the rates rise from 0
    cosine: bool = False  # afterwards they fall to 0 along half a cosine; otherwise they stay
    clip_norm: float = 0.0  # largest norm of the gradients of one optimizer; 0: any

    @property
    def constant(self) -> bool:
        """Whether a learning rate is the same in every step."""
        return not self.warm_up and not self.cosine


@keras.saving.register_keras_serializable(package="mri_tf")
class WarmUpThenCosine(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate that rises in a line, and then stays or falls to 0 along half a cosine.

    It depends on the number of the step alone, so a training that continues has the rates that it would
    have had.

    Args:
        rate: the largest learning rate.
        total, warm_up, cosine: as in `Steps`.

    Source: Loshchilov and Hutter 2017 (SGDR).
    """

    def __init__(self, rate: float, total: int, warm_up: int, cosine: bool):
        self.rate, self.total, self.warm_up, self.cosine = rate, total, warm_up, cosine

    def __call__(self, step):
        step = ops.cast(step, "float32")
        rising = ops.minimum((step + 1) / max(self.warm_up, 1), 1.0)
        if not self.cosine:
            return self.rate * rising
        done = (step - self.warm_up) / max(self.total - self.warm_up, 1)
        return self.rate * rising * 0.5 * (1 + ops.cos(math.pi * ops.clip(done, 0.0, 1.0)))

    def get_config(self) -> dict:
        return dict(rate=self.rate, total=self.total, warm_up=self.warm_up, cosine=self.cosine)


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
    settings: FineTuning, learning_rate: float, variables: Iterable[keras.Variable],
    steps: Steps = Steps(),
) -> keras.optimizers.Optimizer:  # fmt: skip
    """The optimizer of these trainable variables; one a group where there are groups.

    `learning_rate` is the task's, of the variables in no group. Raises InputError for a group that
    matches no variable, or one that another group has matched.
    """
    owner: dict[str, str] = {}
    for name, group in settings.groups.items():
        for variable in _matched(f"groups.{name}.variables", group.variables, variables):
            other = owner.setdefault(variable.path, name)
            _require(other == name, "groups", "share no variable", f"{variable.path} in {other}, {name}")
    others = _one_optimizer(settings, learning_rate, settings.optimizer, steps)
    if not settings.groups:
        return others
    by_regex = {
        group.variables: _one_optimizer(settings, group.rate(learning_rate), name, steps)
        for name, group in settings.groups.items()
    }
    return keras.optimizers.MultiOptimizer(
        keras.optimizers.OptimizerMap(default_optimizer=others, optimizer_map=by_regex), name="groups"
    )


def _one_optimizer(settings: FineTuning, learning_rate: float, name: str, steps: Steps):
    rate = learning_rate
    if not steps.constant:
        rate = WarmUpThenCosine(learning_rate, steps.total, steps.warm_up, steps.cosine)
    common = dict(name=name, global_clipnorm=steps.clip_norm or None)
    if settings.optimizer == "sgd":
        return keras.optimizers.SGD(rate, momentum=settings.momentum, **common)
    if settings.optimizer == "adam":
        return Adam(rate, **common)
    optimizer = AdamW(rate, weight_decay=settings.weight_decay, **common)
    optimizer.exclude_from_weight_decay(var_names=NOT_DECAYED)
    return optimizer


class LogLearningRates(keras.callbacks.Callback):
    """Writes every optimizer's learning rate to the history, as it is at the end of an epoch."""

    def __init__(self, optimizer: keras.optimizers.Optimizer):
        super().__init__()
        optimizer = getattr(optimizer, "inner_optimizer", optimizer)  # of one that scales its loss
        self.optimizers = getattr(optimizer, "optimizers", [optimizer])

    def on_epoch_end(self, epoch, logs=None):
        for optimizer in self.optimizers:
            logs[f"learning_rate_{optimizer.name}"] = _rate(optimizer)


class DecayLearningRates(LogLearningRates):
    """Every optimizer's learning rate times `decay`, each `decay_every` epochs; written to the history.

    The rate follows from the epoch alone, so a training that continues has the one it would have had.
    Made when the optimizer is new: its rates then are the first epoch's.
    """

    def __init__(self, settings: FineTuning, optimizer: keras.optimizers.Optimizer):
        super().__init__(optimizer)
        self.settings = settings
        self.first = [_rate(one) for one in self.optimizers]

    def on_epoch_begin(self, epoch, logs=None):
        factor = self.settings.decay ** (epoch // self.settings.decay_every)
        for optimizer, first in zip(self.optimizers, self.first, strict=True):
            optimizer.learning_rate = first * factor


def _rate(optimizer: keras.optimizers.Optimizer) -> float:
    return float(keras.ops.convert_to_numpy(optimizer.learning_rate))  # it may be mirrored


def callbacks_of(
    settings: FineTuning, optimizer: keras.optimizers.Optimizer, steps: Steps = Steps()
) -> list:
    """What a training with these settings needs besides a compiled model."""
    if not steps.constant:
        return [LogLearningRates(optimizer)]
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
