"""A task: what is classified or segmented, from which images, with which network, as plain values.

A Task is frozen and survives JSON unchanged, so that it can be saved beside the weights and compared by
its fingerprint. Standard library only.
"""

import dataclasses
import json
import typing
from dataclasses import dataclass, field
from typing import Any

from mri_tf.core.arguments import type_name
from mri_tf.core.errors import InputError
from mri_tf.task.rules import CHANGE, check_rules

SIDES = ("train", "validation", "test")
PRESENCE = "has_"  # how channels begin that say whether a sequence is there
WHITE_STRIPE = "white_stripe"  # a method of `normalize`
LARGEST_FLOAT = 1e308


@dataclass(frozen=True)
class Task:
    """One classification or segmentation task; `mri_tf.task.settings` makes its dictionaries typed."""

    name: str  # letters, digits and _; that of the file
    channels: tuple[str, ...]  # of the images, in order
    image_shape: tuple[int, ...]  # (rows, columns) or (depth, rows, columns) of the prepared grid
    class_names: tuple[str, ...]  # in the order of the outputs; of a segmentation, mask value 0 first
    model: str  # a file of mri_tf/models
    kind: str = "classification"  # or "segmentation"
    # Neighbouring slices on each side that a 2D network sees with a slice, as further channels; where
    # the stack ends, its last slice takes the place of those that are missing.
    context_slices: int = 0
    layout: str = "cases_table"  # how raw folders are organised: a file of data_prep/layouts, or a path
    modality: str = ""  # of all images, as DICOM writes it (MR, CT), where they have one
    phantom: str = ""  # a function of data_prep/phantom/kinds.py that writes synthetic raw data
    prep: dict = field(default_factory=dict)  # preparation settings, part of a prepared set's key
    # How intensities are scaled: dict(method="range", low=..., high=...), dict(method="shift",
    # offset=...), or dict(method="zscore", region="image"), by whose mean and SD ("image" or "mask"), or
    # dict(method="white_stripe") by those of white matter, inside the brain.
    normalize: dict = field(default_factory=lambda: {"method": "zscore"})
    # Differences between scanners or sites that are taken out, fitted on the training side:
    # dict(method="nyul") matches histograms of the images; dict(method="combat", batch="site"), or
    # "scanner", shifts and scales the features of a frozen network. Empty: none.
    harmonise: dict = field(default_factory=dict)
    model_args: dict = field(default_factory=dict)  # arguments of the network's builder
    features_from: str = ""  # the segmentation task whose network feeds the classifier
    features: dict = field(default_factory=dict)  # dotted key -> value, set on the feature task
    # One answer a patient instead of one a slice: dict(pooling="mean") averages the probabilities of
    # the slices, "attention" weighs them.
    bag: dict = field(default_factory=dict)
    # What a 3D segmentation sees of a case at a time, if not all of it:
    # dict(shape=(64, 64, 64), foreground_share=0.5, overlap=0.5).
    patch: dict = field(default_factory=dict)
    # The cube around a mask or the brain that a 3D classifier sees, if not the whole case:
    # dict(around="mask", margin_voxels=10, grid=(96, 96, 96)).
    box: dict = field(default_factory=dict)
    # Slices with a mask, resampled to the median spacing of the training side and cut to the mask:
    # dict(grid=(128, 128), margin_mm=6.0, medians=1.0), where a pixel is `medians` medians wide.
    spacing: dict = field(default_factory=dict)
    boxes_from: str = ""  # the segmentation task whose masks give the boxes of new cases
    # What a segmentation learns: 0 the masks, n which of n k-means centroids of intensity is nearest.
    intensity_classes: int = 0
    augment: dict = field(default_factory=dict)  # operation -> its arguments
    augment_probability: float = 0.0  # of an image, each epoch
    # Augmented copies of a training image whose frozen features are kept on disk, one drawn an epoch;
    # 0 computes them in every epoch. No effect on a network that begins with layers that train.
    feature_bank: int = 0
    # Views of an image over which the answers of a classifier are averaged, in calibration, evaluation
    # and the exported model: dict(flips=("columns",), shift_voxels=2). Each costs one more pass of the
    # network; none is used while training. Empty: the image alone.
    test_time: dict = field(default_factory=dict)
    oversample: bool = False  # every class drawn equally often in an epoch
    # Of the classes in the loss: "none", "sqrt_inverse_frequency" or "inverse_frequency".
    loss_weights: str = "none"
    # How the decision is made from probabilities, chosen on the validation side: the fields of
    # mri_tf/calibration/operating_point.py.
    operating_point: dict = field(default_factory=lambda: {"criterion": "balanced_accuracy"})
    ordered: bool = False  # the classes are grades, lowest first
    # The label of a slice is its place in the stack by definition, so that an audit does not wonder
    # whether the order of files tells it.
    label_from_position: bool = False
    # The last layer of a classifier: "softmax", or of three ordered classes or more "cumulative", where
    # one score and ordered thresholds give the probabilities (proportional odds, McCullagh 1980).
    head: str = "softmax"
    # The number by which studies compare variants; the others only describe.
    primary_metric: str = "auc"
    # Properties that several classes share, scored too: contrast=("T1", "T2", "T1", ...), one a class.
    class_parts: dict = field(default_factory=dict)
    split_fractions: tuple[float, ...] = (0.6, 0.2, 0.2)  # train, validation, test; of patients
    precision: str = "float32"  # of the training; evaluation and exports always use float32
    batch_size: int = 8  # records, or patients of a bag
    epochs: int = 50  # how often the training side is seen
    # A budget that is the same for every number of records: rounded up to whole epochs, it takes the
    # place of `epochs`; 0: `epochs` counts.
    steps: int = 0
    # Whose weights the run keeps: the epoch with the lowest validation loss; "accuracy", of a
    # classifier the first one with the highest validation accuracy; or "budget", the last.
    choose_epoch: str = "validation"
    patience: int = 0  # epochs without a better one of these before training stops; 0: never
    learning_rate: float = 1e-3  # of the layers without a rate of their own
    # "constant", or "cosine", which lets every learning rate fall to 0 over the training
    # (Loshchilov and Hutter 2017).
    schedule: str = "constant"
    warm_up: int = 0  # steps in which the learning rates rise from 0; patience begins after them
    clip_norm: float = 0.0  # largest norm of the gradients of one optimizer together; 0: any
    label_smoothing: float = 0.0  # share of the target that is spread evenly over the classes
    # Of a segmentation: share of the loss that is one minus the soft Dice of the classes after the
    # first (Milletari et al. 2016); the rest is cross entropy.
    dice_share: float = 0.0
    # Largest decay of a moving average of the weights, which is validated, saved and exported in the
    # place of the last step's weights; step t uses at most (1 + t) / (10 + t), so that 0.98 needs 440
    # steps and 0.99 needs 890. 0: none.
    average: float = 0.0
    # Which variables train, learning rates of groups, the optimizer and its decay: the fields of
    # FineTuning in mri_tf/task/settings.py. Empty: all layers, by Adam.
    fine_tune: dict = field(default_factory=dict)
    demo_patients: int = 24  # of the synthetic data, where no data is given
    caution: str = ""  # a sentence that stands beside the numbers of every run, study and model card
    variants: dict = field(default_factory=dict)  # name -> {dotted key: value}

    def __post_init__(self):
        hints = typing.get_type_hints(Task)
        for spec in dataclasses.fields(Task):
            value = _normalised(getattr(self, spec.name), hints[spec.name], spec.name)
            object.__setattr__(self, spec.name, value)
        check_rules(self)

    @property
    def network_shape(self) -> tuple[int, ...]:
        """The shape of the network's input, without channels."""
        cut = self.patch.get("shape") or self.box.get("grid") or self.spacing.get("grid")
        return cut or self.image_shape

    @property
    def slice_offsets(self) -> tuple[int, ...]:
        """The slices that an image holds, counted from its own: -k to k with `context_slices` k."""
        return tuple(range(-self.context_slices, self.context_slices + 1))

    @property
    def image_channels(self) -> tuple[str, ...]:
        """Names of the channels of an image: those of the task, for each slice that it holds."""
        return tuple(
            f"{name} (slice {offset:+d})" if offset else name
            for offset in self.slice_offsets for name in self.channels
        )  # fmt: skip

    @property
    def presence(self) -> dict[int, int]:
        """Channel of each sequence that may be missing -> the channel that says whether it is there."""
        return {
            self.channels.index(name.removeprefix(PRESENCE)): place
            for place, name in enumerate(self.channels)
            if name.startswith(PRESENCE) and name.removeprefix(PRESENCE) in self.channels
        }

    @property
    def pretrained_on(self) -> str:
        """The segmentation task that is trained first, for its features or its masks; may be empty."""
        return self.features_from or self.boxes_from

    @property
    def standardised(self) -> bool:
        """Whether preparation makes z-scores of what lies inside a case's mask, and 0 of the rest."""
        in_mask = self.normalize.get("method") == "zscore" and self.normalize.get("region") == "mask"
        return in_mask or self.by_white_matter

    @property
    def by_white_matter(self) -> bool:
        """Whether mean and SD of these z-scores are those of white matter."""
        return self.normalize.get("method") == WHITE_STRIPE

    def epochs_of(self, steps: int) -> int:
        """How many epochs of `steps` steps are trained: `epochs`, or as many as the budget takes."""
        return -(-self.steps // steps) if self.steps else self.epochs

    @property
    def output_names(self) -> tuple[str, ...]:
        """Names of the network's outputs, in their order."""
        if not self.intensity_classes:
            return self.class_names
        return tuple(f"intensity_{number + 1}" for number in range(self.intensity_classes))


def to_json(task: Task) -> dict:
    """The task as plain JSON values (tuples become lists)."""
    return json.loads(json.dumps(dataclasses.asdict(task)))


def from_json(values: dict) -> Task:
    """The task that `to_json` wrote; equal to the one that was written."""
    unknown = set(values) - {spec.name for spec in dataclasses.fields(Task)}
    if unknown:
        raise InputError(
            "The saved task has fields that this version does not know.", ", ".join(sorted(unknown)),
            "Use the version of mri_tf that wrote it.",
        )  # fmt: skip
    return Task(**values)


def _normalised(value: Any, hint: Any, name: str) -> Any:
    """The value in the type of its field, so that it is equal after a JSON round trip."""
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
        CHANGE.format(name),
    )


def _tuples(value: Any, name: str) -> Any:
    """The value with all lists within it as tuples; refuses what JSON cannot hold."""
    if isinstance(value, (list, tuple)):
        return tuple(_tuples(inner, name) for inner in value)
    if isinstance(value, dict):
        return {str(key): _tuples(inner, name) for key, inner in value.items()}
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    raise InputError(
        f"{name} of a task may hold only numbers, strings, lists and dictionaries.",
        f"{value!r} ({type(value).__name__})",
        CHANGE.format(name),
    )
