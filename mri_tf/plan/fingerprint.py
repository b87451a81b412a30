"""What a raw folder holds, measured: counts, grids, intensities, what is missing, what is there twice.

Headers of up to MOST_HEADERS cases and voxels of up to MOST_IMAGES are read, evenly chosen, so that time
and memory do not grow with the folder. Nothing here names a patient or a file.
"""

import dataclasses
import os
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from data_prep.case import Case
from data_prep.cases.image_case import IMAGE
from data_prep.cases.usual_sequences import NAMES, usual_name
from data_prep.io.geometry import Grid
from data_prep.recognised import Recognised
from mri_tf.core.command_line import import_tensorflow
from mri_tf.core.hashing import file_hash
from mri_tf.core.progress import progress
from mri_tf.core.words import modality_word
from mri_tf.plan.drawn_masks import check_no_masks
from mri_tf.plan.looked_at import first_image, grid_of_case, look_at
from mri_tf.task import Task

MOST_HEADERS, MOST_IMAGES, MOST_HASHED = 200, 16, 2000
PERCENTILES = (0.5, 50.0, 99.5)
AIR_HU = -400.0  # CT has values below it, MR has not
CT = "CT"


@dataclass(frozen=True)
class Fingerprint:
    """The facts that the rules decide by. Lengths are in mm; x is to the right, y to the front, z to the
    head; of images x is along the columns and y along the rows."""

    layout: str
    how_recognised: str
    channels: tuple[str, ...]
    images: bool  # single 2D images; else volumes
    cases: int
    patients: int  # 0 where they are unknown
    images_per_patient: float  # median of the cases
    label: str
    label_of_patient: bool  # every patient has one class
    classes: dict[str, int]  # class -> cases
    patients_per_class: dict[str, int]
    sites: dict[str, int]
    has_split: bool
    split_column: str  # of the table, where it has another name than split
    missing: dict[str, int]  # channel -> cases without it
    same_file: int  # cases with an image file that is a byte for byte copy of another case's
    modality: str  # MR, CT, another of DICOM, or empty
    how_modality: str
    shape: tuple[float, ...]  # medians: (x, y, z) voxels, or (x, y) pixels
    shape_range: tuple[tuple[int, int], ...]  # least and most along each axis
    spacing_mm: tuple[float, ...] = ()  # medians of volumes
    spacing_range_mm: tuple[tuple[float, float], ...] = ()
    foreground_mm: tuple[float, ...] = ()  # median extent of the brain, head or body
    intensities: dict[str, list[float]] = field(default_factory=dict)  # channel -> PERCENTILES
    lowest: float = 0.0
    highest: float = 0.0
    whole_numbers: bool = True
    colour: bool = False  # the images have three different channels
    unreadable: int = 0  # of those that were looked at
    like_label: tuple[str, ...] = ()  # columns that are the label in another form
    shortcuts: tuple[str, ...] = ()  # columns of how an image was taken, whose values go with one class

    def as_json(self) -> dict:
        """Plain values, as they are written beside the task file."""
        return dataclasses.asdict(self)


def measure(found: Recognised, raw: Path, cases: list[Case], task: Task) -> Fingerprint:
    """Measures a raw folder.

    Args:
        found: what its layout recognised.
        raw: the folder.
        cases: all its cases.
        task: a draft of the task, with layout, channels and classes.

    Raises:
        InputError: a channel is a drawn mask.
    """
    if found.images:
        import_tensorflow()  # which decodes PNG and JPEG
    headers = [case for case in _evenly(cases, MOST_HEADERS) if first_image(raw, case)]
    with progress("reading headers", len(headers)) as advance:
        grids = []
        for number, case in enumerate(headers):
            grids.append(grid_of_case(raw, case, found.images))
            advance(number + 1)
    images = _evenly(cases, MOST_IMAGES)
    with progress("reading images", len(images)) as advance:
        seen = []
        for number, case in enumerate(images):
            seen.append(look_at(raw, case, task, found.images))
            advance(number + 1)
    read = [one for one in grids if one is not None] or [one.grid for one in seen if one.grid]
    axes = 2 if found.images else 3
    shapes = np.array([grid.shape[:axes] for grid in read] or [(0,) * axes])
    spacings = np.array([grid.spacing_mm for grid in read] or [(0.0,) * 3])
    values = [array for one in seen for array in one.values.values()]
    by_channel = {name: [one.values[name] for one in seen if name in one.values]
                  for name in task.channels}  # fmt: skip
    check_no_masks(by_channel)
    modality, how = _modality(found, read, values)
    extents = [one.foreground_mm for one in seen if one.foreground_mm]
    return Fingerprint(
        layout=task.layout, how_recognised=found.why, channels=task.channels, images=found.images,
        **_counts(cases, task),
        same_file=_copies(raw, cases, task.channels),
        modality=modality, how_modality=how,
        shape=tuple(float(value) for value in np.median(shapes, axis=0)),
        shape_range=tuple((int(low), int(high)) for low, high in _range(shapes)),
        spacing_mm=() if found.images else tuple(float(value) for value in np.median(spacings, axis=0)),
        spacing_range_mm=() if found.images else _range(spacings),
        foreground_mm=tuple(float(value) for value in np.median(extents, axis=0)) if extents else (),
        intensities={name: _percentiles(arrays) for name, arrays in by_channel.items()},
        lowest=float(min((array.min() for array in values), default=0)),
        highest=float(max((array.max() for array in values), default=0)),
        whole_numbers=all(np.array_equal(array, np.round(array)) for array in values),
        colour=any(one.colour for one in seen),
        unreadable=max(sum(grid is None for grid in grids), sum(not one.grid for one in seen)),
    )  # fmt: skip


def _evenly(items: list, most: int) -> list:
    """At most so many of the items, evenly chosen."""
    if len(items) <= most:
        return list(items)
    return [items[int(place)] for place in np.linspace(0, len(items) - 1, most)]


def _range(values: np.ndarray) -> tuple[tuple[float, float], ...]:
    least, most = values.min(axis=0), values.max(axis=0)
    return tuple((float(low), float(high)) for low, high in zip(least, most, strict=True))


def _percentiles(arrays: list[np.ndarray]) -> list[float]:
    """Medians over the cases of each percentile, to four digits."""
    if not arrays:
        return []
    found = np.median([np.percentile(array, PERCENTILES) for array in arrays], axis=0)
    return [float(f"{value:.4g}") for value in found]


def _counts(cases: list[Case], task: Task) -> dict:
    labels_of, number_of = defaultdict(set), Counter()
    for case in cases:
        labels_of[case.patient].add(case.label)
        number_of[case.patient] += 1
    known = "" not in labels_of
    # A case without any file, such as a row without a folder, says nothing of the sequences.
    with_some = [case for case in cases if any(name in case.files for name in task.channels)]
    sites = Counter(case.facts["site"] for case in cases if "site" in case.facts)
    per_class = {name: {c.patient for c in cases if c.label == name} for name in task.class_names}
    return dict(
        cases=len(cases),
        patients=len(labels_of) if known else 0,
        images_per_patient=float(np.median(list(number_of.values()))) if known else 0.0,
        label=task.prep.get("label_column", ""),
        label_of_patient=known and all(len(labels) == 1 for labels in labels_of.values()),
        classes={name: sum(case.label == name for case in cases) for name in task.class_names},
        patients_per_class={name: len(per_class[name]) if known else 0 for name in task.class_names},
        sites=dict(sorted(sites.items())),
        has_split=any(case.split for case in cases),
        split_column=task.prep.get("split_column", ""),
        missing={name: sum(name not in case.files for case in with_some) for name in task.channels}
        if with_some else {},
    )  # fmt: skip


def _copies(raw: Path, cases: list[Case], channels: tuple[str, ...]) -> int:
    """How many of the first MOST_HASHED cases hold the same image file as another, byte for byte; of
    DICOM only the first file of each case is compared."""
    by_size = defaultdict(list)
    for number, case in enumerate(cases[:MOST_HASHED]):
        named = [case.files[name] for name in (IMAGE, *channels) if name in case.files]
        for file in named or [next(iter(case.files.values()), "")]:
            path = raw / file
            pair = path.with_suffix(".img")  # the header of an ANALYZE image says little of it
            path = pair if path.suffix.lower() == ".hdr" and os.path.isfile(pair) else path
            if os.path.isfile(path):
                by_size[path.stat().st_size].append((number, path))
    owners = defaultdict(set)
    for found in by_size.values():
        if len({number for number, _ in found}) > 1:
            for number, path in found:
                owners[file_hash(path)].add(number)
    return len(set().union(*(numbers for numbers in owners.values() if len(numbers) > 1)))


def _modality(found: Recognised, grids: list[Grid], values: list) -> tuple[str, str]:
    """The modality and how it is known; empty where it is not."""
    stated = Counter(grid.modality for grid in grids if grid.modality)
    if stated:
        return stated.most_common(1)[0][0], "DICOM headers"
    rows = Counter(modality_word(row.get("modality", "")) for row in found.rows or ())
    rows.pop("", None)
    if len(rows) == 1:
        return next(iter(rows)), "the column modality"
    if not found.images and values and np.median([array.min() for array in values]) <= AIR_HU:
        return CT, "values of air in Hounsfield units"
    names = {usual_name(name) for name in found.channels}
    if "ct" in names:
        return CT, "the names of the channels"
    if names & set(NAMES):  # without ct, these are of MR
        return "MR", "the names of the channels"
    if not found.images and values:
        return "MR", "volumes without values of air in Hounsfield units"
    return "", ""
