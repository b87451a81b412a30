"""Axial slices of a study whose sequences are channels: records of one patient, by a rule of the task.

The rule, `slices` in `prep`: dict(count=12, low=0.2, high=0.8) takes that many slices, evenly, between
two heights of the brain's extent (0 its lowest slice, 1 its highest).
"""

import numpy as np

from data_prep.case import Case
from data_prep.cases.volume_case import Study, in_dtype
from data_prep.ops.axial import axial_slice, check_tilt
from data_prep.ops.intensity_stats import region_stats
from data_prep.volume import Volume
from mri_tf.core.errors import InputError
from mri_tf.store.record import NO_LABEL, Record
from mri_tf.task import Task


def slice_settings(*, count: int, low: float = 0.0, high: float = 1.0) -> dict:
    """The values of `slices`."""
    return {"count": count, "low": low, "high": high}


def check_slices(task: Task) -> None:
    """Raises InputError for a rule, or for a `window` of intensities, that cannot be."""
    rule, window = task.prep.get("slices", {}), task.prep.get("window", (0.0, 100.0))
    unknown = set(rule) - {"count", "low", "high"}
    sound = not unknown and isinstance(rule.get("count"), int) and rule["count"] >= 1
    if not sound or not 0 <= rule.get("low", 0.0) < rule.get("high", 1.0) <= 1:
        raise InputError(
            "slices in prep of a 2D task says how many slices, between which heights of the brain.",
            rule or "none", "For example slices=dict(count=12, low=0.2, high=0.8).",
        )  # fmt: skip
    if len(window) != 2 or not 0 <= window[0] < window[1] <= 100:
        raise InputError("window in prep is two percentiles.", window, "For example (0.5, 99.5).")
    if "window" in task.prep and task.prep.get("missing") == "zero_fill":
        raise InputError(
            "A window of intensities is for images.", "presence channels too (missing zero_fill)",
            "Leave window away, or choose another policy for missing sequences.",
        )  # fmt: skip


def chosen_heights(inside: np.ndarray, *, count: int, low: float, high: float) -> list[int]:
    """z indices of `count` slices in the middles of equal parts, head first; fewer where parts are
    thinner than a slice."""
    filled = np.flatnonzero(inside.any(axis=(0, 1)))
    first, last = filled[0], filled[-1]
    shares = low + (high - low) * (np.arange(count) + 0.5) / count
    places = np.floor(first + shares * (last + 1 - first)).astype(int)
    return sorted({int(place) for place in np.minimum(places, last)}, reverse=True)


def slice_records(study: Study, case: Case, task: Task) -> list[Record]:
    """Records (rows, columns, channels) of the slices that the rule names; raises Unreadable.

    With `window`, a channel's percentiles inside the brain are taken to 0 and 255 (uint8), and the
    statistics are of those values; else they are the study's.
    """
    check_tilt(study.volume)
    volume, stats, dtype = study.volume, study.stats, task.prep.get("dtype", "float32")
    if "window" in task.prep:
        volume, dtype = _windowed(study, task.prep["window"]), "uint8"
        stats = region_stats(volume.array, study.inside)
    label = task.class_names.index(case.label) if case.label else NO_LABEL
    records = []
    for z in chosen_heights(study.inside, **slice_settings(**task.prep["slices"])):
        channels = []
        for channel in range(volume.array.shape[3]):
            one = Volume(volume.array[..., channel], volume.affine)
            pixels, affine = axial_slice(one, z, task.image_shape, fill=0)
            channels.append(pixels)
        records.append(
            Record(
                record_id="",
                patient=case.patient,
                image=in_dtype(np.stack(channels, axis=-1), dtype),
                label=label,
                group=case.group,
                split=case.split,
                facts=study.facts,
                affine=affine,
                intensity_stats=stats,
            )
        )
    return records


def _windowed(study: Study, percentiles: tuple[float, float]) -> Volume:
    """Every channel from 0 to 255, clipped; a channel of one value is 0."""
    array = np.zeros(study.volume.array.shape, np.float32)
    for channel in range(array.shape[3]):
        values = study.volume.array[..., channel]
        low, high = np.percentile(values[study.inside], percentiles)
        if high > low:
            array[..., channel] = 255 * np.clip((values - low) / (high - low), 0, 1)
    return Volume(array, study.volume.affine, study.volume.facts, study.volume.stored_axes)
