"""Whether a trained network looks at what is no anatomy: border, background and corners of its images.

The region of a held-out patient (the donor) is put into a few training images (the recipients), and the
network answers. A network that looks at the region as a sign of the class is pulled towards the class of
the donor. What the cut itself does to an answer is the same for donors of all classes, so that the
donors' labels are exchanged to tell how likely the pull is by chance (mri_tf/metrics/class_pull.py).
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from mri_tf.audit.finding import (
    CANNOT_TELL,
    FAMILIES_OF_A_RUN,
    FOUND,
    NOT_APPLICABLE,
    NOT_FOUND,
    Finding,
)
from mri_tf.audit.judged import FEWEST_PATIENTS, Judged, batch_size, images_of, one_a_patient
from mri_tf.audit.measured import channel_names, view_of
from mri_tf.audit.regions import REGIONS, Pictured
from mri_tf.core.progress import progress
from mri_tf.metrics.class_pull import Pull, class_pull
from mri_tf.metrics.paired import holm
from mri_tf.metrics.probe_test import FAMILY_WISE
from mri_tf.store.record import Record
from mri_tf.task.spec import PRESENCE

NAME = "the network looks at: {}"
LEAST_CHANGE = 0.1  # of the difference of logits, odds of 1.1: less decides no answer
RECIPIENTS, OF_LARGE_IMAGES = 4, 2  # of each network
LARGE = 2**20  # values of an image, from which on it is large
LEAST_PROBABLE = 1e-30
MEANING = (
    "The network takes what is no anatomy for a sign of the class. Its numbers hold only where this "
    "part of the images differs between the classes as it does here."
)
WHAT_TO_DO = {
    "border": "Find out why the border differs between the classes (masks, brain extraction, "
    "resampling), and prepare the data again.",
    "background": "Set what lies around the head or body to 0 (prep.brain_mask, crop_to_brain), and "
    "train again.",
    "corners": "Remove burned-in text and marks from the images, and train again.",
}


@dataclass(frozen=True)
class Swapped:
    """What networks say of images with the regions of donors.

    Attributes:
        logits: name of a region -> (donors, classes), means over recipients, up to a constant a donor.
        labels: (donors,) class numbers.
        blocks: (donors,) number of the network that was asked.
    """

    logits: dict[str, np.ndarray]
    labels: np.ndarray
    blocks: np.ndarray


def looks_at_findings(judged: list[Judged], seed: int = 0) -> list[Finding]:
    """A finding for each region.

    Args:
        judged: the networks of a run, of a task whose label is no position.
        seed: of the choice of recipients and of the drawn exchanges.
    """
    judged = [one for one in judged if len(one.held_out)]
    donors = sum(len(one.held_out) for one in judged)
    if donors < FEWEST_PATIENTS:
        why = f"{donors} held-out patients, fewer than {FEWEST_PATIENTS}"
        return [Finding(NAME.format(name), CANNOT_TELL, why, n=donors) for name in REGIONS]
    total = sum(len(one.held_out) * len(recipients_of(one, seed)) for one in judged)
    with progress("exchanging border, background and corners", total) as advance:
        parts, done = [], 0
        for one in judged:
            parts.append(_answers(one, seed, lambda count, done=done: advance(done + count)))
            done += len(one.held_out) * len(recipients_of(one, seed))
    logits = {name: np.concatenate([part[name] for part in parts]) for name in REGIONS}
    labels = np.concatenate([one.held_out.labels for one in judged])
    blocks = np.repeat(np.arange(len(judged)), [len(one.held_out) for one in judged])
    return findings_of(Swapped(logits, labels, blocks), seed)


def findings_of(swapped: Swapped, seed: int = 0) -> list[Finding]:
    """A finding for each region.

    p-values are adjusted for the regions together (Holm 1979), and doubled for the probes of the same
    audit, which share the error rate.
    """
    pulls = {name: class_pull(values, swapped.labels, swapped.blocks, seed)
             for name, values in swapped.logits.items()}  # fmt: skip
    told = [name for name, pull in pulls.items() if pull]
    among_regions = holm([pulls[name].p for name in told])
    adjusted = dict(zip(told, np.minimum(1, FAMILIES_OF_A_RUN * np.array(among_regions)), strict=True))
    counts = len(swapped.labels), FAMILIES_OF_A_RUN * len(told)
    return [_finding(name, pull, float(adjusted.get(name, 1)), counts) for name, pull in pulls.items()]


def _finding(name: str, pull: Pull | None, p: float, counts: tuple[int, int]) -> Finding:
    """Of a region with its adjusted p-value; `counts`: donors, and the factor of the least p-value."""
    n, factor = counts
    called = NAME.format(name)
    if pull is None:
        why = "it is the same in all patients, or not within what the network sees"
        return Finding(called, NOT_APPLICABLE, why, n=n)
    if factor / pull.exchanges > FAMILY_WISE:
        why = f"{n} patients whose labels can be exchanged in {pull.exchanges} ways: too few to tell"
        return Finding(called, CANNOT_TELL, why, n=n)
    evidence = (
        "where this part of an image is replaced by that of a patient of another class, the answer "
        f"moves towards that patient's class by {pull.pull:.2f} in log-odds "
        f"(odds x {np.exp(min(pull.pull, 99)):.2g}); p = {p:.2g} "
        f"(adjusted for all findings that have one)"
    )
    numbers = {"statistic": pull.pull, "p": p, "n": n}
    if p <= FAMILY_WISE and pull.pull < LEAST_CHANGE:
        return Finding(
            called, NOT_FOUND, f"{evidence}: too small to matter, as it is less than {LEAST_CHANGE}",
            **numbers,
        )  # fmt: skip
    if p <= FAMILY_WISE:
        return Finding(
            called, FOUND, evidence, **numbers, meaning=MEANING, what_to_do=WHAT_TO_DO[name]
        )
    smallest = pull.smallest_found(FAMILY_WISE / factor)
    return Finding(
        called, NOT_FOUND, f"{evidence}; a change by {smallest:.2g} would have been found", **numbers
    )


def recipients_of(judged: Judged, seed: int) -> np.ndarray:
    """Positions of the training images that regions are put into, as many of each class as possible."""
    prepared = judged.held_out.prepared
    large = np.prod(prepared.image_shape) > LARGE
    return one_a_patient(prepared, (judged.training,), OF_LARGE_IMAGES if large else RECIPIENTS, seed)


def _answers(judged: Judged, seed: int, advance) -> dict[str, np.ndarray]:
    """Name of a region -> (donors, classes) means of log probabilities over the recipients."""
    subset = judged.held_out
    prepared, size = subset.prepared, batch_size(subset)
    found = {name: [] for name in REGIONS}
    count = 0
    for position in recipients_of(judged, seed).tolist():
        recipient = prepared.record(position)
        given = _scaled(recipient, judged)
        of_recipient = {name: [] for name in REGIONS}
        for start in range(0, len(subset), size):
            donors = [prepared.record(place) for place in subset.records[start : start + size].tolist()]
            pictured = [_in_units_of(given, _scaled(donor, judged), judged) for donor in donors]
            for name, swap in REGIONS.items():
                changed = np.stack(
                    [_whole(recipient, swap(one, given.pictured), judged) for one in pictured]
                )
                images = images_of([recipient] * len(donors), changed, subset)
                answers = judged.model.predict_on_batch(images)
                of_recipient[name].append(np.log(np.maximum(answers, LEAST_PROBABLE)))
            count += len(donors)
            advance(count)
        for name, rows in of_recipient.items():
            found[name].append(np.concatenate(rows).astype(float))
    return {name: np.mean(of_recipients, axis=0) for name, of_recipients in found.items()}


class _Scaled(NamedTuple):
    """A record's images, and (channels,) their medians deep inside the head."""

    pictured: Pictured
    middle: np.ndarray


def _scaled(record: Record, judged: Judged) -> _Scaled:
    """Of a record, without channels that only say whether a sequence is there."""
    task, prepared = judged.held_out.task, judged.held_out.prepared
    _, place = view_of(record, channel_names(prepared, record), task.modality)
    image = record.image.astype(np.float32)[..., _kept(record, judged)]
    image = image[None] if image.ndim == 3 else image
    mask = None if record.mask is None else record.mask.reshape(place.inside.shape)
    middle = np.median(image[deep_inside(place.inside, mask)], axis=0)
    return _Scaled(Pictured(image, place.inside, place.ends_in_image), middle)


def _kept(record: Record, judged: Judged) -> np.ndarray:
    """Which channels of the whole record are images."""
    names = channel_names(judged.held_out.prepared, record)
    own = np.array([not name.startswith(PRESENCE) for name in names])
    return np.tile(own, record.image.shape[-1] // len(own))


def _whole(record: Record, changed: np.ndarray, judged: Judged) -> np.ndarray:
    """The record's image with changed images in the place of its own."""
    image = record.image.astype(np.float32)
    image[..., _kept(record, judged)] = changed.reshape(*image.shape[:-1], -1)
    return image


def _in_units_of(recipient: _Scaled, donor: _Scaled, judged: Judged) -> Pictured:
    """The donor's images in the units of the recipient's.

    Intensities without a unit are multiplied such that the medians deep inside both heads are equal. The
    mean and SD by which the network's images are normalised would not do: a lesion or a bright border
    changes them, and all other regions would then tell of it. Nothing is done where a median is not
    above 0, as where preparation has standardised the images.
    """
    task, given = judged.held_out.task, donor.pictured
    if task.normalize["method"] != "zscore" or task.standardised:
        return given
    known = (donor.middle > 0) & (recipient.middle > 0)
    gain = np.where(known, recipient.middle / np.where(known, donor.middle, 1), 1)
    return given._replace(image=(given.image * gain).astype(np.float32))


def deep_inside(inside: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    """The deeper half of a head or body without its mask; all of it where nothing is left.

    Args:
        inside: (depth, rows, columns) bool.
        mask: of the same shape; None where there is none.
    """
    depth = ndimage.distance_transform_edt(inside)
    deep = inside & (depth >= np.median(depth[inside])) if inside.any() else ~inside
    without = deep if mask is None else deep & (mask == 0)
    return without if without.any() else deep
