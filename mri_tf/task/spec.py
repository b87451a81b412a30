"""A task as values: what is classified, from what, with which model. Standard library only.

A Task is frozen, printable and survives JSON unchanged, so that it can be saved beside the
weights and compared by its fingerprint. Variants and `--set` are one mechanism: dotted keys
and values, applied together by `with_values`.
"""

import dataclasses
import json
import typing
from dataclasses import dataclass, field
from typing import Any

from mri_tf.core.arguments import type_name
from mri_tf.core.errors import InputError

SIDES = ("train", "validation", "test")
KINDS = ("classification", "segmentation")
PRECISIONS = ("float32", "mixed_float16", "mixed_bfloat16")
LOSS_WEIGHTS = ("none", "sqrt_inverse_frequency", "inverse_frequency")
LARGEST_FLOAT = 1e308
BASE_VARIANT = "manual"  # the reserved name of a task without variants


@dataclass(frozen=True)
class Task:
    """One classification or segmentation task. Units and shapes stand beside each field."""

    name: str
    channels: tuple[str, ...]
    image_shape: tuple[int, ...]  # (rows, columns) or (depth, rows, columns) of the prepared grid
    class_names: tuple[str, ...]  # in the order of the outputs; of a segmentation, mask value 0 first
    model: str  # a file of mri_tf/models
    kind: str = "classification"
    layout: str = "cases_table"  # how raw folders are organised: a file of data_prep/layouts, or a path
    phantom: str = ""  # a function of data_prep/phantom/kinds.py that writes synthetic raw data
    prep: dict = field(default_factory=dict)  # preparation settings; prepared sets are keyed by them
    normalize: dict = field(default_factory=lambda: {"method": "zscore"})
    model_args: dict = field(default_factory=dict)
    features_from: str = ""  # the segmentation task whose network feeds the classifier
    features: dict = field(default_factory=dict)  # dotted key -> value, set on the feature task
    # Patients are answered for, not single slices: dict(pooling="mean") averages the probabilities of a
    # patient's slices, "attention" weighs them.
    bag: dict = field(default_factory=dict)
    # What a 3D network sees of a study, if not all: patches of a segmentation,
    # dict(shape=(64, 64, 64), foreground_share=0.5, overlap=0.5), or the box around a mask or the
    # brain, dict(around="mask", margin_voxels=10, grid=(96, 96, 96)).
    patch: dict = field(default_factory=dict)
    box: dict = field(default_factory=dict)
    # Slices with a mask, resampled to the median spacing of the training side and cut to the mask:
    # dict(grid=(128, 128), margin_mm=6.0, medians=1.0), the last how many medians a pixel is wide.
    spacing: dict = field(default_factory=dict)
    boxes_from: str = ""  # the segmentation task whose masks give the boxes of unseen studies
    # Of a segmentation: 0 learns the masks, n the nearest of n k-means centroids of intensity.
    intensity_classes: int = 0
    augment: dict = field(default_factory=dict)  # operation -> its arguments
    augment_probability: float = 0.0  # of an image, each epoch
    # Augmented copies of a training image whose frozen features are kept on disk, one drawn an epoch;
    # 0 computes them anew each time. Of no effect where a network begins with layers that train.
    feature_bank: int = 0
    oversample: bool = False  # every class drawn equally often in an epoch
    loss_weights: str = "none"
    operating_point: dict = field(default_factory=lambda: {"criterion": "balanced_accuracy"})
    ordered: bool = False  # the classes are grades, lowest first
    # What else classes are told by: part -> its value in each class, contrast=("T1", "T2", "T1", ...).
    class_parts: dict = field(default_factory=dict)
    split_fractions: tuple[float, ...] = (0.6, 0.2, 0.2)  # train, validation, test; of patients
    precision: str = "float32"  # of the training; numbers and exports are float32 always
    batch_size: int = 8
    epochs: int = 50
    patience: int = 0  # epochs without a better validation before training stops; 0: never
    learning_rate: float = 1e-3
    # Which variables train, learning rates a group, the optimizer and its decay: FineTuning of
    # mri_tf/task/settings.py. Empty: all layers, by Adam.
    fine_tune: dict = field(default_factory=dict)
    demo_patients: int = 24  # of the phantom, where no data is named
    variants: dict = field(default_factory=dict)  # name -> {dotted key: value}

    def __post_init__(self):
        hints = typing.get_type_hints(Task)
        for spec in dataclasses.fields(Task):
            value = _normalised(getattr(self, spec.name), hints[spec.name], spec.name)
            object.__setattr__(self, spec.name, value)
        self._check()

    @property
    def network_shape(self) -> tuple[int, ...]:
        """Of what the network sees at a time, without channels."""
        cut = self.patch.get("shape") or self.box.get("grid") or self.spacing.get("grid")
        return cut or self.image_shape

    @property
    def pretrained_on(self) -> str:
        """The segmentation task that is trained first, for its features or its masks."""
        return self.features_from or self.boxes_from

    @property
    def output_names(self) -> tuple[str, ...]:
        """Names of what the network's outputs mean, in their order."""
        if not self.intensity_classes:
            return self.class_names
        return tuple(f"intensity_{number + 1}" for number in range(self.intensity_classes))

    def _check(self) -> None:
        _require(self.name.isidentifier(), "name", "is also a file name: letters, digits, _", self.name)
        _require(self.kind in KINDS, "kind", f"is one of {', '.join(KINDS)}", self.kind)
        _require(len(self.channels) >= 1, "channels", "names at least one", self.channels)
        _require(
            len(self.image_shape) in (2, 3) and min(self.image_shape) >= 1,
            "image_shape",
            "is (rows, columns) or (depth, rows, columns)",
            self.image_shape,
        )
        _require(
            len(self.class_names) >= 2 and len(set(self.class_names)) == len(self.class_names),
            "class_names",
            "needs at least two different names",
            self.class_names,
        )
        for part, values in self.class_parts.items():
            _require(
                isinstance(values, tuple) and len(values) == len(self.class_names)
                and all(isinstance(value, str) for value in values),
                f"class_parts.{part}", f"names one value for each of {len(self.class_names)} classes",
                values,
            )  # fmt: skip
        _require(
            self.loss_weights in LOSS_WEIGHTS,
            "loss_weights",
            f"is one of {', '.join(LOSS_WEIGHTS)}",
            self.loss_weights,
        )
        _require(
            self.precision in PRECISIONS,
            "precision",
            f"is one of {', '.join(PRECISIONS)}",
            self.precision,
        )
        _require(
            0.0 <= self.augment_probability <= 1.0,
            "augment_probability",
            "lies in 0 to 1",
            self.augment_probability,
        )
        _require(
            len(self.split_fractions) == 3
            and min(self.split_fractions) > 0
            and abs(sum(self.split_fractions) - 1) < 1e-6,
            "split_fractions",
            "are three positive numbers (train, validation, test) that sum to 1",
            self.split_fractions,
        )
        for name in ("batch_size", "epochs", "demo_patients"):
            _require(getattr(self, name) >= 1, name, "is at least 1", getattr(self, name))
        _require(
            self.intensity_classes == 0 or (self.kind == "segmentation" and self.intensity_classes > 1),
            "intensity_classes",
            "is 0, or at least 2 in a segmentation task",
            self.intensity_classes,
        )
        _require(self.feature_bank >= 0, "feature_bank", "is at least 0", self.feature_bank)
        _require(
            not self.bag or (self.kind == "classification" and len(self.image_shape) == 2),
            "bag",
            "is for classification of 2D slices",
            self.bag,
        )
        _require(self.patience >= 0, "patience", "is at least 0", self.patience)
        _require(self.learning_rate > 0, "learning_rate", "is positive", self.learning_rate)
        _require(
            BASE_VARIANT not in self.variants,
            "variants",
            f"cannot hold the reserved name {BASE_VARIANT}",
            sorted(self.variants),
        )


def to_json(task: Task) -> dict:
    """The task as plain JSON values (tuples become lists)."""
    return json.loads(json.dumps(dataclasses.asdict(task)))


def from_json(values: dict) -> Task:
    """The task that `to_json` wrote; equal to the one that was written."""
    unknown = set(values) - {spec.name for spec in dataclasses.fields(Task)}
    if unknown:
        raise InputError(
            "A saved task has the fields this version knows.", ", ".join(sorted(unknown)),
            "Use the version of mri_tf that wrote it.",
        )  # fmt: skip
    return Task(**values)


def _normalised(value: Any, hint: Any, name: str) -> Any:
    """The value in the one type its field has, so that a JSON round trip is equal."""
    value = _tuples(value, name)
    origin = typing.get_origin(hint)
    if origin is tuple:
        item = typing.get_args(hint)[0]
        if isinstance(value, tuple):
            return tuple(_normalised(inner, item, name) for inner in value)
    elif hint is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        if abs(value) < LARGEST_FLOAT:  # also refuses NaN
            return float(value)
    elif isinstance(value, hint) and not (hint is int and isinstance(value, bool)):
        return value
    raise InputError(
        f"{name} of a task must be a {type_name(hint)}.",
        f"{value!r} ({type(value).__name__})",
        f"Change {name} in the task file or in --set.",
    )


def _tuples(value: Any, name: str) -> Any:
    """Lists as tuples all the way down; refuses what JSON cannot hold."""
    if isinstance(value, (list, tuple)):
        return tuple(_tuples(inner, name) for inner in value)
    if isinstance(value, dict):
        return {str(key): _tuples(inner, name) for key, inner in value.items()}
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    raise InputError(
        f"{name} of a task holds numbers, words, lists and dictionaries.",
        f"{value!r} ({type(value).__name__})",
        f"Change {name} in the task file or in --set.",
    )


def _require(holds: bool, name: str, rule: str, received: Any) -> None:
    if not holds:
        raise InputError(f"{name} of a task {rule}.", received, "Change it in the task file.")
