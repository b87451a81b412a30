"""Reads every record of a set once and keeps what the probes see of it: some hundred numbers each."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mri_tf.audit import fact_probes, image_probes
from mri_tf.audit.foreground import Foreground, foreground, shown_channel
from mri_tf.audit.image_probes import View
from mri_tf.core.progress import progress
from mri_tf.metrics.probe_test import Probe
from mri_tf.store.prepared import Prepared
from mri_tf.store.record import Record
from mri_tf.task.spec import PRESENCE

BORDER, BACKGROUND = "border", "background"
ORDER, MISSING = "order of files", "missing sequences"
OF_IMAGES = {
    BORDER: image_probes.border, BACKGROUND: image_probes.background, "corners": image_probes.corners,
}  # fmt: skip
BASELINES = {"histogram": image_probes.histogram, "thumbnail": image_probes.thumbnail}
VOLUME_OF_MASK = "volume of the mask"
LEAST_WITH_BORDER = 0.5  # share of records that have one: with less, none is looked at


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


class Rows:
    """Features of one record after the other, as numbers: names are kept once."""

    def __init__(self):
        self._names: list[str] = []
        self._values: list[np.ndarray] = []

    def __len__(self) -> int:
        return len(self._values)

    def add(self, features: dict[str, float]) -> None:
        """Adds a record's; one that has not been there before is 0 in the records so far."""
        known = set(self._names)
        self._names += [name for name in features if name not in known]
        self._values.append(np.array([features.get(name, 0.0) for name in self._names], np.float32))

    def probe(self) -> Probe:
        """All records' features."""
        values = np.zeros((len(self._values), len(self._names)))
        for row, of_record in zip(values, self._values, strict=True):
            row[: len(of_record)] = of_record
        return Probe(tuple(self._names), values)


def measure(prepared: Prepared, records: np.ndarray, context: Context) -> Measured:
    """All probes of some records.

    Args:
        prepared: the set.
        records: positions in it.
        context: what is known of the images.
    """
    facts, spacings, methods, borders = [], [], [], []
    rows = {name: Rows() for name in (*OF_IMAGES, *BASELINES, MISSING, VOLUME_OF_MASK)}
    with progress("looking at records", len(records)) as advance:
        for number, position in enumerate(records.tolist(), 1):
            record = prepared.record(position)
            facts.append(record.facts)
            spacings.append(record.spacing_mm)
            view, place = view_of(record, channel_names(prepared, record), context.modality)
            methods.append(place.method)
            borders.append(place.ends_in_image)
            for name, probe in (OF_IMAGES | BASELINES).items():
                rows[name].add(probe(view))
            rows[MISSING].add(image_probes.missing(view, _presence(prepared, record)))
            if record.mask is not None:
                rows[VOLUME_OF_MASK].add(image_probes.mask_volume(record.mask, record.spacing_mm))
            advance(number)
    names = prepared.record_ids[records]
    forbidden = {
        **fact_probes.acquisition_probes(facts),
        **fact_probes.geometry_probes(facts, spacings),
        **fact_probes.file_probes(facts, [context.sources.get(name, "") for name in names]),
        **fact_probes.place_probes(facts),
        ORDER: fact_probes.order_probe([int(name.partition("-")[0]) for name in names]),
        **{name: rows[name].probe() for name in (MISSING, *OF_IMAGES)},
    }
    baselines = {name: rows[name].probe() for name in BASELINES}
    if len(rows[VOLUME_OF_MASK]) == len(records):
        baselines[VOLUME_OF_MASK] = rows[VOLUME_OF_MASK].probe()
    if context.label_from_position:
        baselines |= {name: forbidden[name] for name in OF_IMAGES}
    why_not = _why_not(context, float(np.mean(borders)))
    kept = {name: probe for name, probe in forbidden.items() if name not in {**why_not, **baselines}}
    return Measured(kept, baselines, _in_words(methods), why_not)


def _why_not(context: Context, with_border: float) -> dict[str, str]:
    """Name of a probe -> why it is not asked; `with_border` is the share of images that have one."""
    found = {ORDER: context.ordered} if context.ordered else {}
    if with_border < LEAST_WITH_BORDER and not context.label_from_position:
        why = "the head or body does not end in the image, so that there is no border"
        found |= {BORDER: why, BACKGROUND: why}
    return found


def view_of(record: Record, channels: Sequence[str], modality: str) -> tuple[View, Foreground]:
    """A record as the image probes look at it, and where its head or body is.

    Args:
        record: of a prepared set.
        channels: names of the channels of its own slice.
        modality: as DICOM writes it.
    """
    view = plain_view(record, channels)
    place = foreground(shown_channel(view.image), modality)
    return view._replace(inside=place.inside), place


def plain_view(record: Record, channels: Sequence[str]) -> View:
    """The same for probes that do not ask where the head or body is: all of the image is inside."""
    image = record.own_slice.astype(np.float32)
    image = image[None] if image.ndim == 3 else image  # (depth, rows, columns, channels)
    kept = [number for number, name in enumerate(channels) if not name.startswith(PRESENCE)]
    image = image[..., kept]
    return View(image, [channels[number] for number in kept], np.ones(image.shape[:-1], bool))


def channel_names(prepared: Prepared, record: Record) -> list[str]:
    """Names of the channels of a record's own slice: those of the manifest that name no neighbour."""
    count = record.own_slice.shape[-1]
    names = [name for name in prepared.manifest.get("channels", ()) if " (slice " not in name]
    return names if len(names) == count else [f"channel {number + 1}" for number in range(count)]


def _presence(prepared: Prepared, record: Record) -> dict[str, bool]:
    return {
        name: bool(record.own_slice[..., number].any())
        for number, name in enumerate(channel_names(prepared, record)) if name.startswith(PRESENCE)
    }  # fmt: skip


def _in_words(methods: Sequence[str]) -> str:
    """How the foreground was found, such as "background in 28, otsu in 2 of 30 images"."""
    parts = [f"{name} in {methods.count(name)}" for name in sorted(set(methods))]
    return f"{', '.join(parts)} of {len(methods)} images"
