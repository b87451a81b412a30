"""A task's dictionaries as frozen dataclasses, checked: Patch, Box, Spacing, Bag, Views and FineTuning.

`patch_of(task)`, `box_of`, `spacing_of`, `bag_of`, `views_of` and `fine_tuning_of` build them from the
task's plain values; they return None for an empty dictionary (`fine_tuning_of` the defaults) and raise
InputError for a misspelt key, a wrong type or a value out of range. `harmonise` has a file of its own.
"""

import dataclasses
import math
import re
from dataclasses import dataclass, field

from mri_tf.core.arguments import check_arguments
from mri_tf.core.errors import InputError
from mri_tf.task.spec import Task

AROUND = ("mask", "brain")
AXES = ("depth", "rows", "columns")  # of a grid; one of 2D images has no depth
POOLINGS = ("mean", "attention")
OPTIMIZERS = ("adam", "sgd", "adamw")


@dataclass(frozen=True, kw_only=True)
class Patch:
    """What a 3D segmentation network sees of a volume at a time."""

    shape: tuple[int, int, int]  # (depth, rows, columns) in voxels
    foreground_share: float = 0.5  # of the training patches, centred on a voxel of the mask
    overlap: float = 0.5  # of neighbouring windows when a whole volume is predicted


@dataclass(frozen=True, kw_only=True)
class Box:
    """The cube around the mask or the brain that a 3D classifier sees, resampled to `grid`."""

    around: str  # mask or brain
    grid: tuple[int, int, int]  # (depth, rows, columns) of the network's input
    margin_voxels: int = 10  # on each side of what lies inside


@dataclass(frozen=True, kw_only=True)
class Spacing:
    """Slices cut to their mask and resampled to one spacing, fitted on the training side."""

    grid: tuple[int, int]  # (rows, columns) of the network's input
    margin_mm: float = 6.0  # kept around the mask
    medians: float = 1.0  # width of a network pixel in median spacings of the training side


@dataclass(frozen=True, kw_only=True)
class Bag:
    """How the slices of a patient become one answer."""

    pooling: str = "mean"  # of the slices' probabilities: all alike, or weighed by attention
    attention_units: int = 64  # width of the layer that weighs the slices


@dataclass(frozen=True, kw_only=True)
class Views:
    """The changed images that a classifier's answer is averaged over, beside the unchanged one."""

    flips: tuple[str, ...] = ()  # axes, each mirrored in a view of its own: depth (3D), rows, columns
    shift_voxels: int = 0  # of two views for each axis, one in each direction; edges repeat; 0: none


@dataclass(frozen=True, kw_only=True)
class Group:
    """Variables that train at another learning rate than the task's."""

    variables: str  # regular expression of whole variable paths
    learning_rate: float = 0.0  # of these variables; or
    rate_share: float = 0.0  # theirs as a share of the task's, which it follows wherever that changes

    def rate(self, of_task: float) -> float:
        """The learning rate of these variables where the task's is `of_task`."""
        return self.learning_rate or self.rate_share * of_task


@dataclass(frozen=True, kw_only=True)
class FineTuning:
    """Which variables train, how fast, and how that decays; by default all, by Adam."""

    train: str | tuple[str, ...] = ()  # regular expressions of the variables that train; none: all
    groups: dict = field(default_factory=dict)  # name -> Group
    optimizer: str = "adam"  # or "sgd" or "adamw"
    momentum: float = 0.0  # of sgd
    weight_decay: float = 0.0  # of adamw: decoupled (Loshchilov and Hutter 2019), of kernels alone
    decay: float = 1.0  # factor on every learning rate
    decay_every: int = 1  # epochs; 7 with decay=0.1 is StepLR(7, 0.1)

    @property
    def patterns(self) -> tuple[str, ...]:
        """`train` as a tuple of regular expressions."""
        patterns = [self.train] if isinstance(self.train, str) else self.train
        return tuple(pattern for pattern in patterns if pattern)


def check_settings(task: Task) -> None:
    """Raises InputError for settings that do not exist, are out of range or exclude each other."""
    cuts = [name for name in ("patch", "box", "spacing") if getattr(task, name)]
    require(len(cuts) < 2, "A task takes at most one of patch, box and spacing.", ", ".join(cuts))
    patch_of(task)
    box = box_of(task)
    spacing_of(task)
    bag_of(task)
    tuning = fine_tuning_of(task)
    require(
        tuning.decay == 1 or (task.schedule == "constant" and not task.warm_up),
        "fine_tune.decay changes learning rates once an epoch, schedule and warm_up in every step: a "
        "task takes one of them.",
        f"decay {tuning.decay:g}, schedule {task.schedule}, warm_up {task.warm_up}",
    )
    require(
        bool(task.boxes_from) == (box is not None and box.around == "mask"),
        'boxes_from and box=dict(around="mask", ...) need each other.',
        "boxes_from alone" if task.boxes_from else "box without boxes_from",
    )
    views_of(task)


def patch_of(task: Task) -> Patch | None:
    """The task's `patch`, checked; None if the network sees whole images."""
    if not task.patch:
        return None
    patch = built(Patch, "patch", task.patch)
    require(
        len(task.image_shape) == 3
        and all(0 < side <= size for side, size in zip(patch.shape, task.image_shape, strict=True)),
        f"patch.shape must be (depth, rows, columns) within image_shape {task.image_shape}.",
        patch.shape,
    )
    share = patch.foreground_share
    require(0 <= share <= 1, "patch.foreground_share must lie between 0 and 1.", share)
    require(0 <= patch.overlap < 1, "patch.overlap must be at least 0 and below 1.", patch.overlap)
    require(task.kind == "segmentation", "patch is only for segmentation tasks.", task.kind)
    return patch


def box_of(task: Task) -> Box | None:
    """The task's `box`, checked; None if it has none."""
    if not task.box:
        return None
    box = built(Box, "box", task.box)
    require(box.around in AROUND, f"box.around must be {' or '.join(AROUND)}.", box.around)
    require(len(task.image_shape) == 3, "box is only for 3D images.", f"image_shape {task.image_shape}")
    require(min(box.grid) >= 1, "box.grid must be at least 1 voxel wide.", box.grid)
    require(box.margin_voxels >= 0, "box.margin_voxels must be at least 0.", box.margin_voxels)
    return box


def spacing_of(task: Task) -> Spacing | None:
    """The task's `spacing`, checked; None if it has none."""
    if not task.spacing:
        return None
    spacing = built(Spacing, "spacing", task.spacing)
    require(
        len(task.image_shape) == 2 and task.kind == "classification",
        "spacing is only for classification of 2D slices.", f"{task.kind} of {task.image_shape}",
    )  # fmt: skip
    require(min(spacing.grid) >= 1, "spacing.grid must be at least 1 pixel wide.", spacing.grid)
    require(spacing.margin_mm >= 0, "spacing.margin_mm must be at least 0.", spacing.margin_mm)
    require(spacing.medians > 0, "spacing.medians must be positive.", spacing.medians)
    return spacing


def bag_of(task: Task) -> Bag | None:
    """The task's `bag`, checked; None if single images are classified."""
    if not task.bag:
        return None
    bag = built(Bag, "bag", task.bag)
    require(bag.pooling in POOLINGS, f"bag.pooling must be {' or '.join(POOLINGS)}.", bag.pooling)
    require(bag.attention_units >= 1, "bag.attention_units must be at least 1.", bag.attention_units)
    return bag


def views_of(task: Task) -> Views | None:
    """The task's `test_time`, checked; None if the image alone is answered for."""
    if not task.test_time:
        return None
    views, grid = built(Views, "test_time", task.test_time), task.network_shape
    require(task.kind == "classification", "test_time is only for classifiers.", task.kind)
    axes = AXES[-len(grid) :]
    require(
        set(views.flips) <= set(axes) and len(set(views.flips)) == len(views.flips),
        f"test_time.flips must name different ones of {', '.join(axes)}.", views.flips,
    )  # fmt: skip
    require(
        0 <= views.shift_voxels < min(grid),
        f"test_time.shift_voxels must be at least 0 and smaller than the network's image {grid}.",
        views.shift_voxels,
    )
    return views


def fine_tuning_of(task: Task) -> FineTuning:
    """The task's `fine_tune`, checked as far as it can be without a network."""
    tuning = built(FineTuning, "fine_tune", task.fine_tune)
    groups = {}
    for name, values in tuning.groups.items():
        require(
            name.isidentifier() and name not in OPTIMIZERS,
            "fine_tune.groups must have names of letters, digits and _, other than "
            f"{', '.join(OPTIMIZERS)}.",
            name,
        )
        group = groups[name] = built(Group, f"fine_tune.groups.{name}", values)
        rates = (group.learning_rate, group.rate_share)
        require(
            sorted(rates)[0] == 0 < sorted(rates)[1] < math.inf,
            f"fine_tune.groups.{name} must have a positive learning_rate or a positive rate_share, one "
            "of the two.", f"learning_rate={rates[0]}, rate_share={rates[1]}",
        )  # fmt: skip
    for pattern in (*tuning.patterns, *(group.variables for group in groups.values())):
        try:
            re.compile(pattern)
        except re.error as error:
            rule = "fine_tune.train and fine_tune.groups take regular expressions."
            require(False, rule, f"{pattern}: {error}")
    optimizer, known = tuning.optimizer, ", ".join(OPTIMIZERS)
    require(optimizer in OPTIMIZERS, f"fine_tune.optimizer must be one of {known}.", optimizer)
    for name, user in (("momentum", "sgd"), ("weight_decay", "adamw")):
        value = getattr(tuning, name)
        require(0 <= value < 1, f"fine_tune.{name} must be at least 0 and below 1.", value)
        require(
            not value or optimizer == user, f"fine_tune.{name} is only for optimizer {user}.", optimizer
        )
    require(0 < tuning.decay <= 1, "fine_tune.decay must be positive and at most 1.", tuning.decay)
    require(
        tuning.decay_every >= 1, "fine_tune.decay_every must be at least 1 epoch.", tuning.decay_every
    )
    return dataclasses.replace(tuning, groups=groups)


def built(settings: type, name: str, values: dict):
    """The dataclass `settings` from the dictionary `name` of a task, its keys and types checked."""
    check_arguments(name, settings, values)
    return settings(**values)


def require(holds: bool, rule: str, received: object) -> None:
    """Raises InputError with the rule unless it holds."""
    if not holds:
        raise InputError(rule, received, "Change it in the task file or with --set.")
