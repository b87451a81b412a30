"""From a fingerprint to a task: every decision of the planner, with its reason.

Each rule is a function of the fingerprint (and of what was decided before) that returns Decisions; the
reasons become comments in the task file.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mri_tf.plan.fingerprint import CT, Fingerprint
from mri_tf.task.spec import PRESENCE

VOXELS = 300_000  # of a 3D grid: training takes 4 GB, and minutes on two cores
SIDES = (32, 64, 96, 128, 160, 192, 224)  # of a 2D grid; all can be halved five times
PRETRAINED_SIDE = 224
THICK, FEW_SLICES = 4.0, 12  # slices so much thicker than pixels, and so few, are a bag and no volume
BALANCED, UNBALANCED = 1.5, 4.0  # most frequent class over least frequent
MANY_IMAGES = 3  # of a patient, for one answer a patient
STEPS = {2: 600, 3: 400}
CT_STEP_HU = 50.0
SLACK = 0.1  # of 16 voxels, by which a case may be larger than the grid, which then shows it smaller


@dataclass(frozen=True)
class Decision:
    """A value of the task, and why it was chosen."""

    key: str
    value: Any
    reason: str


def decide(facts: Fingerprint, weights_at_hand: bool) -> list[Decision]:
    """All decisions about a task, in the order of the task file.

    `weights_at_hand` says whether ImageNet weights are on this machine or can be downloaded.
    """
    made: list[Decision] = []
    for rule in RULES:
        made += rule(facts, weights_at_hand)
    return made


def _form(facts: Fingerprint) -> str:
    """image, slices (a bag of slices of thick volumes) or volume."""
    if facts.images:
        return "image"
    thick = facts.spacing_mm[2] > THICK * min(facts.spacing_mm[:2])
    return "slices" if thick and facts.shape[2] <= FEW_SLICES else "volume"


def _channels(facts: Fingerprint, _) -> list[Decision]:
    if facts.images:
        if facts.colour:
            return [Decision("channels", ["red", "green", "blue"], "the images are in colour")]
        return [Decision("channels", list(facts.channels), "the images are grey")]
    missing = {name: count for name, count in facts.missing.items() if count}
    names, why = list(facts.channels), facts.how_recognised
    if missing and len(names) > 1:
        names += [f"{PRESENCE}{name}" for name in facts.channels]
        lacking = ", ".join(f"{name} in {count}" for name, count in missing.items())
        why = f"sequences are missing ({lacking} of {facts.cases} cases): has_* says which are there"
    return [Decision("channels", names, why)]


def _modality(facts: Fingerprint, _) -> list[Decision]:
    if not facts.modality:
        return []
    return [Decision("modality", facts.modality, f"by {facts.how_modality}")]


def _grid(facts: Fingerprint, weights_at_hand: bool) -> list[Decision]:
    if _form(facts) == "volume":
        grid, voxel_mm = _grid3d(facts)
        extent = " x ".join(f"{mm:.0f}" for mm in _extent_mm(facts))
        reason = f"median extent {extent} mm, voxels of {voxel_mm:.1f} mm: at most {VOXELS} voxels"
        return [Decision("image_shape", grid, reason)]
    if weights_at_hand:
        reason = "the size that the weights were trained on"
        return [Decision("image_shape", [PRETRAINED_SIDE] * 2, reason)]
    shortest = min(facts.shape[:2])
    side = max((side for side in SIDES if side <= shortest), default=SIDES[0])
    side = min(side, 128)
    size = f"{facts.shape[0]:.0f} x {facts.shape[1]:.0f}"
    reason = f"median size {size} pixels, at most 128 without weights"
    return [Decision("image_shape", [side, side], reason)]


def _extent_mm(facts: Fingerprint) -> tuple[float, ...]:
    whole = [size * mm for size, mm in zip(facts.shape, facts.spacing_mm, strict=True)]
    return facts.foreground_mm if facts.foreground_mm and _crops(facts) else tuple(whole)


def _grid3d(facts: Fingerprint) -> tuple[list[int], float]:
    """(depth, rows, columns) in multiples of 16 that hold the median extent, and the voxel's width."""
    x_mm, y_mm, z_mm = _extent_mm(facts)
    voxel_mm = max(min(facts.spacing_mm), 0.5)
    while True:
        grid = [16 * max(1, math.ceil(mm / voxel_mm / 16 - SLACK)) for mm in (z_mm, y_mm, x_mm)]
        if math.prod(grid) <= VOXELS:
            return grid, voxel_mm
        voxel_mm *= 1.05


def _crops(facts: Fingerprint) -> bool:
    return not facts.images and facts.modality == "MR"


def _prep(facts: Fingerprint, _) -> list[Decision]:
    form = _form(facts)
    made = []
    if form == "image":
        if not facts.whole_numbers or facts.lowest < 0:
            made.append(Decision("prep.dtype", "float32", "values with signs or fractions"))
        elif facts.highest > 255:
            made.append(Decision("prep.dtype", "uint16", f"values up to {facts.highest:g}"))
        return made
    if len(facts.channels) > 1 and any(facts.missing.values()):
        made.append(Decision("prep.missing", "zero_fill", "a missing sequence is 0, and has_* says so"))
    if _crops(facts):
        reason = "what lies around the head or body says nothing, and its size differs between scanners"
        made.append(Decision("prep.crop_to_brain", True, reason))
    if form == "slices":
        count = max(1, min(FEW_SLICES, int(facts.shape[2])))
        reason = f"slices of {facts.spacing_mm[2]:g} mm, {facts.shape[2]:.0f} of them: no volume in 3D"
        made.append(Decision("prep.slices", {"count": count}, reason))
    if facts.modality == CT:
        made.append(Decision("prep.dtype", "int16", "Hounsfield units are whole numbers"))
    return made


def _normalize(facts: Fingerprint, _) -> list[Decision]:
    known = [values for values in facts.intensities.values() if values]
    if facts.modality == CT and known:
        low = CT_STEP_HU * math.floor(max(-1024.0, min(values[0] for values in known)) / CT_STEP_HU)
        high = CT_STEP_HU * math.ceil(max(values[-1] for values in known) / CT_STEP_HU)
        reason = "CT has a unit: the range of 99 % of the values, in Hounsfield units"
        return [Decision("normalize", {"method": "range", "low": low, "high": high}, reason)]
    if facts.colour:
        values = {"method": "range", "low": 0.0, "high": 255.0}
        return [Decision("normalize", values, "colours have a fixed range")]
    if facts.images:
        return [Decision("normalize", {"method": "zscore"}, "intensities have no unit")]
    reason = "MR has no unit; statistics of the head or body alone, 0 outside"
    return [Decision("normalize", {"method": "zscore", "region": "mask"}, reason)]


def _model(facts: Fingerprint, weights_at_hand: bool) -> list[Decision]:
    form = _form(facts)
    if form == "volume":
        reason = "volumes: a 3D network from scratch, with group norm because batches are small"
        return [
            Decision("model", "grader3d", reason),
            Decision("model_args", {"filters": 8, "dense_units": 32, "norm": "group"}, "few patients"),
        ]
    if weights_at_hand:
        reason = "2D: a network that was trained on ImageNet needs fewer patients"
        intensities = "unit" if facts.colour else "zscore"
        arguments = {"backbone": "resnet18", "weights": "imagenet", "intensities": intensities}
        return [
            Decision("model", "backbone_classifier", reason),
            Decision("model_args", arguments, "as the task normalises"),
        ]
    reason = "2D; ImageNet weights are neither on this machine nor can they be downloaded now"
    arguments = {"conv_filters": 16, "dense_units": 100, "dropout": 0.2}
    return [
        Decision("model", "vgg", reason),
        Decision("model_args", arguments, "a small network, trained for a short time"),
    ]


def _bag(facts: Fingerprint, _) -> list[Decision]:
    form = _form(facts)
    many = form == "image" and facts.label_of_patient and facts.images_per_patient >= MANY_IMAGES
    if form != "slices" and not many:
        return []
    reason = "one answer a patient: the mean of the probabilities of the slices"
    return [Decision("bag", {"pooling": "mean"}, reason)]


def _augment(facts: Fingerprint, _) -> list[Decision]:
    operations = _geometry(facts)
    reasons = ["small turns, shifts and zooms; no flip: left and right may matter"]
    if facts.modality != CT and not facts.colour:
        operations["random_contrast"] = {"low": 0.8, "high": 1.25}
        operations["random_bias_field"] = {"max_coefficient": 0.2}
        operations["random_noise"] = {"max_sd": 0.1}
        reasons.append("contrast, receive fields and noise of magnitude images differ between scanners")
    elif facts.modality == CT:
        operations["random_noise"] = {"max_sd": 0.05, "kind": "gaussian"}
        reasons.append("noise differs with the dose")
    if _form(facts) != "image" and len(facts.channels) > 1 and any(facts.missing.values()):
        operations["sequence_dropout"] = {"probability": 0.1}
        reasons.append("a present sequence is left out at times, so that a missing one is no surprise")
    share = 0.8 if _form(facts) == "volume" else 0.6
    return [
        Decision("augment", operations, "; ".join(reasons)),
        Decision("augment_probability", share, "of the images, anew in each epoch"),
    ]


def _geometry(facts: Fingerprint) -> dict:
    """Turns, shifts and zooms of images or volumes."""
    if _form(facts) == "volume":
        degrees = [10.0, 5.0, 5.0]
        affine = {"max_degrees": degrees, "max_shift_fraction": 0.05, "zoom": [0.9, 1.1]}
        return {"random_affine3d": affine}
    return {"random_affine": {"max_degrees": 15.0, "max_shift_fraction": 0.08, "zoom": [0.9, 1.1]}}


def _balance(facts: Fingerprint, _) -> list[Decision]:
    counts = [count for count in facts.classes.values() if count]
    ratio = max(counts) / min(counts)
    listed = ", ".join(f"{name} {count}" for name, count in facts.classes.items())
    if ratio <= BALANCED:
        return [Decision("loss_weights", "none", f"the classes are balanced: {listed}")]
    if ratio <= UNBALANCED:
        return [Decision("loss_weights", "sqrt_inverse_frequency", f"unbalanced classes: {listed}")]
    return [Decision("oversample", True, f"very unbalanced classes: {listed}")]


def _training(facts: Fingerprint, weights_at_hand: bool) -> list[Decision]:
    dimensions = 3 if _form(facts) == "volume" else 2
    pretrained = weights_at_hand and dimensions == 2
    batch = 4 if dimensions == 3 else 16
    rate = 1e-4 if pretrained else 1e-3
    why_rate = "weights that were trained before change slowly" if pretrained else "from scratch"
    return [
        Decision("batch_size", batch, "what fits the memory of a small machine"),
        Decision("steps", STEPS[dimensions], "a budget of steps, the same for every number of patients"),
        Decision("learning_rate", rate, why_rate),
        Decision("schedule", "cosine", "it falls to 0 over the budget"),
        Decision("warm_up", 20, "steps until the full rate"),
        Decision("average", 0.98, "the average of the weights wanders less than the last step's"),
        Decision("choose_epoch", "budget", "few validation patients cannot choose an epoch"),
    ]


def _operating_point(facts: Fingerprint, _) -> list[Decision]:
    reason = "missing a class counts alike for all; see docs/task-file.md for other criteria"
    return [Decision("operating_point", {"criterion": "balanced_accuracy"}, reason)]


Rule = Callable[[Fingerprint, bool], list[Decision]]
RULES: tuple[Rule, ...] = (
    _channels, _modality, _grid, _prep, _normalize, _model, _bag, _augment, _balance, _training,
    _operating_point,
)  # fmt: skip
