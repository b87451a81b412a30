"""Pictures of maps: what is shown of a record, and a contact sheet of each class."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mri_tf.core.words import plural, printed_name
from mri_tf.explain.air import air_of
from mri_tf.explain.maps import Explained
from mri_tf.figures import MapTile, draw_map, draw_map_sheet, save, save_png
from mri_tf.figures.overlay import Overlay, Plane
from mri_tf.store.record import own_slice
from mri_tf.task import Task

MOST_TILES = {1: 18, 3: 6}  # of a sheet, by the planes of a record: what fits on a page
PLANE = ("image", "values", "air")  # arrays of a plane
OWN_MAXIMUM = "Opacity and line are relative to the maximum of each map."


def overlay_of(found: Explained, context_slices: int = 0) -> Overlay:
    """Grad-CAM over the first channel of a record.

    Of a slice what the network saw is shown where that is known; of a volume, and otherwise, the
    prepared image.

    Args:
        found: the maps of a record.
        context_slices: of its task, for what the network saw.
    """
    known = found.record.spacing_mm
    if found.cam.ndim == 2 and found.seen is not None:
        image, values = own_slice(found.seen, context_slices)[..., 0], found.cam
        steps = np.linalg.norm(found.affine[:3, :3], axis=0)[::-1]
        known = known and tuple(float(step) for step in steps)
    else:
        image = found.record.own_slice[..., 0]
        values = found.on_prepared_grid(found.cam)
    spacing_mm = known[-image.ndim:] if known else None
    return Overlay(image.astype(np.float32), values, air_of(image), spacing_mm)


class ClassSheets:
    """Collects the maps of labelled records, and draws a contact sheet of each class.

    The planes that are shown wait in files, so that memory does not grow with the records.
    """

    def __init__(self, folder: Path, class_names: tuple[str, ...]):
        self._folder, self._names = folder, class_names
        self._planes = 0  # of a record
        self._records: dict[int, list[tuple[float, str, float, Path]]] = {}  # by class

    def add(self, label: int, probability: float, caption: str, overlay: Overlay) -> None:
        """Adds a record of this class, `probability` of which the network gives it; -1: of none."""
        if label < 0:
            return
        planes = overlay.planes()
        self._planes = len(planes)
        own = self._records.setdefault(label, [])
        file = self._folder / f"{label}-{len(own)}.npz"
        arrays = {f"{name}{number}": getattr(plane, name)
                  for number, plane in enumerate(planes) for name in PLANE}  # fmt: skip
        np.savez(file, aspects=[plane.aspect for plane in planes], **arrays)
        own.append((probability, caption, overlay.top, file))

    def write(self, out: Path) -> list[Path]:
        """Writes class-01.png and so on for the classes that have records; returns the files.

        A sheet begins with the record whose true class is least probable. Of more records than fit
        on a page, some are chosen evenly in this order.
        """
        files = []
        for label, records in sorted(self._records.items()):
            shown = evenly(sorted(records, key=lambda one: one[:2]), MOST_TILES[self._planes])
            tiles = [self._tile(*one) for one in shown]
            counted, note = plural(len(records), "record"), OWN_MAXIMUM
            if len(shown) < len(records):
                counted = f"{len(shown)} of {counted}"
                note = f"Evenly chosen in the order of the probability of the true class. {note}"
            title = f"{printed_name(self._names[label])}: {counted}, the least probable first"
            files.append(out / f"class-{label + 1:02d}.png")
            save_png(draw_map_sheet(tiles, title, note), files[-1])
        return files

    @staticmethod
    def _tile(probability: float, caption: str, top: float, file: Path) -> MapTile:
        with np.load(file) as stored:
            planes = [
                Plane(*(stored[f"{name}{number}"] for name in PLANE), aspect=float(aspect))
                for number, aspect in enumerate(stored["aspects"])
            ]
        return MapTile(planes, top, caption)


def evenly(records: Sequence, most: int) -> Sequence:
    """All of the records, or `most` of them evenly chosen, the first and the last with them."""
    if len(records) <= most:
        return records
    return [records[place] for place in np.linspace(0, len(records) - 1, most).round().astype(int)]


@dataclass(frozen=True)
class Pictures:
    """Draws the records that are explained one after the other.

    Attributes:
        out: the folder of pictures.
        task: of the run.
        layer: that is explained.
        sheets: to which records with labels are added.
    """

    out: Path
    task: Task
    layer: str
    sheets: ClassSheets

    def draw(self, found: Explained, row: dict) -> None:
        """Writes the picture of a record, and adds it to the sheet of its class.

        Args:
            found: its maps.
            row: its record_id, explained, decision and truth ("" if unknown) as names of classes,
                probability and probability_of_truth.
        """
        explained, decision, truth = (printed_name(row[key])
                                      for key in ("explained", "decision", "truth"))  # fmt: skip
        overlay = overlay_of(found, self.task.context_slices)
        title = f"{row['record_id']}: {explained} {row['probability']:.2f}"
        of = "Decision on this slice alone" if self.task.bag else "Decision"
        note = f"Grad-CAM at {self.layer}. {of}: {decision}; true: {truth or 'unknown'}."
        save(draw_map(overlay, title, note), self.out / f"{row['record_id']}_gradcam")
        if truth:
            caption = f"{row['record_id']}\n{row['probability_of_truth']:.2f} for {truth}"
            caption += f"; map of {explained}" if explained != truth else ""
            self.sheets.add(found.record.label, row["probability_of_truth"], caption, overlay)
