"""Reads every record of a set once and keeps what the probes see of it: some hundred numbers each."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mri_tf.audit import fact_probes, image_probes
from mri_tf.audit.foreground import Foreground, foreground
from mri_tf.audit.image_probes import View
from mri_tf.core.progress import progress
from mri_tf.metrics.probe_test import Probe
from mri_tf.store.prepared import Prepared
from mri_tf.store.record import Record

PRESENCE = "has_"  # how channels begin that say whether a sequence is there
BORDER, BACKGROUND = "border", "background"
OF_IMAGES = {
    BORDER: image_probes.border, BACKGROUND: image_probes.background, "corners": image_probes.corners,
}  # fmt: skip
BASELINES = {"histogram": image_probes.histogram, "thumbnail": image_probes.thumbnail}
VOLUME_OF_MASK = "volume of the mask"
MOST_WITHOUT_BORDER = 0.5  # share of records without one: with more, none is looked at


@dataclass(frozen=True)
class Measured:
    """What the probes see of records.

    Attributes:
        forbidden: probes that must not tell the label, by name.
        baselines: probes that may, and those that must if the label is a place in the stack.
        foreground: how the head or body was found, in words.
        not_looked_at: name of a probe -> why there is none.
    """

    forbidden: dict[str, Probe]
    baselines: dict[str, Probe]
    foreground: str
    not_looked_at: dict[str, str]


@dataclass(frozen=True)
class Context:
    """What is known of the images before they are looked at.

    Attributes:
        modality: as DICOM writes it; "" where it is not known.
        sources: record id -> its file, where the set has its sidecar.
        ordered: why the order of the cases is not looked at; "" where it is.
        label_from_position: the label is a position in the stack by definition, which all that a slice
            shows tells: what lies around the anatomy is then a baseline.
    """

    modality: str
    sources: dict[str, str]
    ordered: str = ""
    label_from_position: bool = False


def measure(prepared: Prepared, records: np.ndarray, context: Context) -> Measured:
    """All probes of some records.

    Args:
        prepared: the set.
        records: positions in it.
        context: what is known of the images.
    """
    facts, spacings, found, masks = [], [], [], []
    rows: dict[str, list[dict]] = {name: [] for name in (*OF_IMAGES, *BASELINES, "missing sequences")}
    with progress("looking at records", len(records)) as advance:
        for number, position in enumerate(records.tolist(), 1):
            record = prepared.record(position)
            facts.append(record.facts)
            spacings.append(record.spacing_mm)
            view, place = view_of(record, _names(prepared, record), context.modality)
            found.append(place)
            for name, probe in (OF_IMAGES | BASELINES).items():
                rows[name].append(probe(view))
            rows["missing sequences"].append(image_probes.missing(view, _presence(prepared, record)))
            if record.mask is not None:
                masks.append(image_probes.mask_volume(record.mask, record.spacing_mm))
            advance(number)
    files = [context.sources.get(name, "") for name in prepared.record_ids[records]]
    forbidden = {
        **fact_probes.acquisition_probes(facts),
        **fact_probes.geometry_probes(facts, spacings),
        **fact_probes.file_probes(facts, files),
        **fact_probes.place_probes(facts),
        **{name: table(rows[name]) for name in ("missing sequences", *OF_IMAGES)},
    }
    not_looked_at = {"order of files": context.ordered} if context.ordered else {}
    if not context.ordered:
        cases = [int(name.partition("-")[0]) for name in prepared.record_ids[records]]
        forbidden["order of files"] = fact_probes.order_probe(cases)
    without = np.mean([not one.ends_in_image for one in found])
    if without > MOST_WITHOUT_BORDER:
        why = "the head or body does not end in the image, so that there is no border"
        for name in (BORDER, BACKGROUND):
            del forbidden[name]
            not_looked_at[name] = why
    baselines = {name: table(rows[name]) for name in BASELINES}
    if context.label_from_position:
        baselines |= {name: forbidden.pop(name) for name in OF_IMAGES if name in forbidden}
    if len(masks) == len(records):
        baselines[VOLUME_OF_MASK] = table(masks)
    return Measured(forbidden, baselines, _method(found), not_looked_at)


def view_of(record: Record, channels: Sequence[str], modality: str) -> tuple[View, Foreground]:
    """A record as the image probes look at it, and where its head or body is.

    Args:
        record: of a prepared set.
        channels: names of the channels of its own slice.
        modality: as DICOM writes it.
    """
    image = record.own_slice.astype(np.float32)
    image = image[None] if image.ndim == 3 else image  # (depth, rows, columns, channels)
    kept = [number for number, name in enumerate(channels) if not name.startswith(PRESENCE)]
    image = image[..., kept]
    varying = [number for number in range(image.shape[-1]) if np.ptp(image[..., number]) > 0]
    of_grey = image[..., varying[0]] if varying else image[..., 0]
    place = foreground(of_grey, modality)
    names = [channels[number] for number in kept]
    return View(image, names, place.inside), place


def _names(prepared: Prepared, record: Record) -> list[str]:
    """Names of the channels of a record's own slice: those of the manifest that name no neighbour."""
    count = record.own_slice.shape[-1]
    names = [name for name in prepared.manifest.get("channels", ()) if " (slice " not in name]
    return names if len(names) == count else [f"channel {number + 1}" for number in range(count)]


def _presence(prepared: Prepared, record: Record) -> dict[str, bool]:
    return {
        name: bool(record.own_slice[..., number].any())
        for number, name in enumerate(_names(prepared, record)) if name.startswith(PRESENCE)
    }  # fmt: skip


def table(rows: Sequence[dict[str, float]]) -> Probe:
    """Features by name of each record as one probe; 0 where a record has no such feature."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    values = np.array([[row.get(name, 0.0) for name in names] for row in rows], float)
    return Probe(tuple(names), values)


def _method(found: Sequence[Foreground]) -> str:
    """How the foreground was found, such as "background in 30 images"."""
    methods = [one.method for one in found]
    parts = [f"{name} in {methods.count(name)}" for name in sorted(set(methods))]
    return f"{', '.join(parts)} of {len(methods)} images"
