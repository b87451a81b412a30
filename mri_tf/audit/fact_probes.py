"""Probes of what is known of a record beside its image: header facts, geometry, files, site and scanner.

Each is a pure function of the facts that preparation kept. None of them is anatomy, so none may tell the
label.
"""

import math
from collections.abc import Iterable, Sequence

import numpy as np

from data_prep.io.dicom.facts import NUMBERS, TEXTS
from data_prep.io.folders import IMAGES, VOLUMES
from mri_tf.core.words import number_in
from mri_tf.metrics.probe_test import Probe
from mri_tf.store.record import source_spacing_mm

CATEGORIES = (*TEXTS, "modality", "scanning_sequence", "contrast_agent", "low_is_white")
IN_WORDS = {
    "field_strength_t": "field strength", "tr_ms": "repetition time", "te_ms": "echo time",
    "ti_ms": "inversion time", "flip_angle_degrees": "flip angle",
    "slice_thickness_mm": "slice thickness", "contrast_agent": "contrast agent",
    "scanning_sequence": "kind of sequence", "manufacturer": "manufacturer", "model": "scanner model",
    "modality": "modality", "low_is_white": "low values shown bright",
}  # fmt: skip
MOST_CATEGORIES = 40  # the most common ones have a feature of their own
WAVES = 3  # of the order of files, whole ones over all of it
# The end of another name may be a part of a patient's.
SUFFIXES = (*VOLUMES, *IMAGES, ".nhdr", ".mhd", ".img", ".dcm", ".ima", ".gif")


def acquisition_probes(facts: Sequence[dict]) -> dict[str, Probe]:
    """One probe for each kind of header fact, with all sequences that have it.

    Args:
        facts: of each record, as preparation kept them: "te_ms", or "t1_te_ms" of a sequence.
    """
    names = sorted({name for one in facts for name in one})
    probes = {}
    for kind in (*NUMBERS, *CATEGORIES):
        columns = [name for name in names if name == kind or name.endswith(f"_{kind}")]
        parts = [
            numbers(name, [one.get(name) for one in facts]) if kind in NUMBERS
            else categories(name, [one.get(name) for one in facts])
            for name in columns
        ]  # fmt: skip
        if parts:
            probes[IN_WORDS[kind]] = joined(parts)
    return probes


def geometry_probes(facts: Sequence[dict], spacings_mm: Sequence[tuple | None]) -> dict[str, Probe]:
    """Size of the original image in voxels or pixels, and spacing of its voxels, where they are known.

    Args:
        facts: of each record: `source_shape` and `source_affine` of the original volume, or
            `picture_size`, columns and rows of the original picture.
        spacings_mm: of the prepared grid along depth, rows and columns, for records without these.
    """
    sizes = [one.get("source_shape", one.get("picture_size")) for one in facts]
    spacings = [
        source_spacing_mm(one) if "source_affine" in one else spacing and spacing[::-1]
        for one, spacing in zip(facts, spacings_mm, strict=True)
    ]
    probes = {}
    for name, values in (("size of the original", sizes), ("spacing", spacings)):
        axes = max((len(value) for value in values if value is not None), default=0)
        parts = [
            numbers(f"{name} along {'xyz'[axis]}", [
                np.log(value[axis]) if value is not None and axis < len(value) else None
                for value in values
            ])
            for axis in range(axes)
        ]  # fmt: skip
        if parts:
            probes[name] = joined(parts)
    return probes


def file_probes(facts: Sequence[dict], sources: Sequence[str]) -> dict[str, Probe]:
    """Format of the files by their suffix and their first bytes, and the axes in which they are stored.

    Args:
        facts: of each record.
        sources: the main file of each record, of which only a usual suffix is kept; "" where not known.
    """
    suffixes = [
        next((end for end in SUFFIXES if name.lower().endswith(end)), None) for name in sources
    ]
    parts = [
        categories("suffix", suffixes),
        categories("stored axes", [one.get("source_axes") for one in facts]),
    ]
    if any("file_format" in one for one in facts):
        parts.append(categories("format", [one.get("file_format") for one in facts]))
    return {"file format": joined(parts)}


def order_probe(cases: Sequence[int]) -> Probe:
    """The order of the cases in the table or folder, where it may go by class.

    Args:
        cases: number of each record's case.
    """
    place = np.unique(np.asarray(cases), return_inverse=True)[1]
    share = place / max(1, place.max())
    waves = [
        wave(2 * np.pi * count * share) for count in range(1, WAVES + 1) for wave in (np.sin, np.cos)
    ]
    names = [f"{name} {count}" for count in range(1, WAVES + 1) for name in ("sine", "cosine")]
    values = np.stack([share, place % 2, *waves], axis=1)
    return Probe(("place", "every second", *names), values.astype(float))


def place_probes(facts: Sequence[dict]) -> dict[str, Probe]:
    """Site and scanner, as the table or the headers name them."""
    return {
        name: categories(name, [one.get(name) or None for one in facts])
        for name in ("site", "scanner") if any(one.get(name) for one in facts)
    }  # fmt: skip


def numbers(name: str, values: Iterable) -> Probe:
    """A number of each record, and whether it is there; a missing one is the mean of the others."""
    array = np.array([math.nan if value is None else number_in(str(value)) for value in values])
    known = np.isfinite(array)
    mean = array[known].mean() if known.any() else 0.0
    columns = np.stack([np.where(known, array, mean), ~known], axis=1).astype(float)
    return Probe((name, f"{name} missing"), columns)


def categories(name: str, values: Iterable) -> Probe:
    """The categories of each record, the most common ones by themselves; a missing value is one too."""
    texts = np.array(["" if value is None else str(value) for value in values], dtype=object)
    names, counts = np.unique(texts.astype(str), return_counts=True)
    kept = names[np.argsort(-counts, kind="stable")[:MOST_CATEGORIES]]
    columns = [texts == one for one in kept]
    if len(names) > len(kept):
        columns.append(~np.isin(texts.astype(str), kept))
        kept = [*kept, "others"]
    spelled = tuple(f"{name} {one or 'missing'}" for one in kept)
    return Probe(spelled, np.stack(columns, axis=1).astype(float), categories=True)


def joined(parts: Sequence[Probe]) -> Probe:
    """Several probes as one; categories only where all of them are, and one alone."""
    if len(parts) == 1:
        return parts[0]
    columns = tuple(name for part in parts for name in part.columns)
    return Probe(columns, np.concatenate([part.values for part in parts], axis=1))
