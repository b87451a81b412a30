"""Axial slices of a case whose sequences are channels: the records of one patient, by the task's rule.

The rule, `slices` in `prep`: dict(count=12, low=0.2, high=0.8) takes that many slices, evenly, between
two heights of the brain's extent (0 its lowest slice, 1 its highest).
"""

import numpy as np

from data_prep.case import Case, record_of
from data_prep.cases.neighbours import stats_of_slices, with_neighbours
from data_prep.cases.volume_case import JoinedCase, in_dtype
from data_prep.ops.axial import axial_slice, check_tilt
from data_prep.ops.intensity_stats import region_stats
from data_prep.volume import Volume
from mri_tf.core.errors import InputError
from mri_tf.store.record import Record
from mri_tf.task import Task


def check_slices(task: Task) -> None:
    """Raises InputError for `slices` or `window` in prep that have no meaning."""
    rule, window = task.prep.get("slices", {}), task.prep.get("window", (0.0, 100.0))
    rule = rule if isinstance(rule, dict) else {"": rule}
    unknown = set(rule) - {"count", "low", "high"}
    valid = not unknown and type(rule.get("count")) is int and rule["count"] >= 1
    ends = rule.get("low", 0.0), rule.get("high", 1.0)
    valid = valid and all(type(end) in (int, float) for end in ends)
    if not valid or not 0 <= ends[0] < ends[1] <= 1:
        raise InputError(
            "slices in prep of a 2D task must give how many slices (count) to take between two heights "
            "of the brain (low and high, 0 to 1).",
            rule or "none", "For example slices=dict(count=12, low=0.2, high=0.8).",
        )  # fmt: skip
    if len(window) != 2 or not 0 <= window[0] < window[1] <= 100:
        raise InputError("window in prep must be two percentiles.", window, "For example (0.5, 99.5).")
    if "window" in task.prep and task.prep.get("missing") == "zero_fill":
        raise InputError(
            "window in prep cannot be combined with missing zero_fill, whose presence channels are not "
            "images.", "both", "Leave out window, or choose another setting of missing.",
        )  # fmt: skip


def chosen_heights(
    inside: np.ndarray, *, count: int, low: float = 0.0, high: float = 1.0
) -> list[int]:
    """z indices of `count` slices, each in the middle of one of as many equal parts; head first.

    There are fewer where the parts are thinner than a slice.

    Args:
        inside: (x, y, z) bool, the brain.
        count: number of slices.
        low, high: where to begin and end, as shares of the brain's height.
    """
    filled = np.flatnonzero(inside.any(axis=(0, 1)))
    first, last = filled[0], filled[-1]
    shares = low + (high - low) * (np.arange(count) + 0.5) / count
    places = np.floor(first + shares * (last + 1 - first)).astype(int)
    return sorted({int(place) for place in np.minimum(places, last)}, reverse=True)


def slice_records(joined: JoinedCase, case: Case, task: Task) -> list[Record]:
    """Records (rows, columns, channels) of the slices that the task's rule names, with their neighbours
    in the volume where the task asks for them; raises Unreadable.

    With `window`, each channel's two percentiles inside the brain become 0 and 255 (uint8), and the
    statistics are taken of the result; without it they are those of the case.
    """
    check_tilt(joined.volume)
    volume, stats, dtype = joined.volume, joined.stats, task.prep.get("dtype", "float32")
    if "window" in task.prep:
        volume, dtype = _windowed(joined, task.prep["window"]), "uint8"
        stats = region_stats(volume.array, joined.inside)
    sequences = [Volume(one, volume.affine) for one in np.moveaxis(volume.array, -1, 0)]

    stats = stats_of_slices(stats, task)

    def slice_at(z: int) -> tuple[np.ndarray, np.ndarray]:
        found = [axial_slice(one, z, task.image_shape, fill=0) for one in sequences]
        pixels = [pixels for pixels, _ in found]  # (rows, columns) of each channel
        return in_dtype(np.stack(pixels, axis=-1), dtype), found[0][1]

    records = []
    for z in chosen_heights(joined.inside, **task.prep["slices"]):
        image, affine, known = with_neighbours(slice_at, z, volume.array.shape[2], task)
        facts = {**joined.facts, **known}
        records.append(record_of(case, task, image, facts=facts, affine=affine, stats=stats))
    return records


def _windowed(joined: JoinedCase, percentiles: tuple[float, float]) -> Volume:
    """Every channel from 0 to 255, clipped; a channel with one value becomes 0."""
    volume = joined.volume
    array = np.zeros(volume.array.shape, np.float32)
    for channel in range(array.shape[3]):
        values = volume.array[..., channel]
        low, high = np.percentile(values[joined.inside], percentiles)
        if high > low:
            array[..., channel] = 255 * np.clip((values - low) / (high - low), 0, 1)
    return Volume(array, volume.affine, volume.facts, volume.stored_axes)
