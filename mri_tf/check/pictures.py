"""Pictures of a check: a sheet of each class, the same after augmentation, and histograms."""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from mri_tf.audit.identity import without_identity
from mri_tf.core.progress import progress
from mri_tf.core.words import printed_name
from mri_tf.figures import save_png
from mri_tf.figures.sheets import Tile, draw_histograms, draw_sheet, grey_values
from mri_tf.pipeline.batches import batch_function, read_in_order
from mri_tf.pipeline.field_of_view import cut_function
from mri_tf.store.prepared import Prepared
from mri_tf.store.record import NO_LABEL, own_slice
from mri_tf.task import Task
from mri_tf.task.overrides import with_values
from mri_tf.task.spec import PRESENCE

SHOWN = {2: 12, 3: 6}  # records of a class, by the dimensions of the image
HISTOGRAM_RECORDS = 60
THINNED = 20_000  # values of a record in a histogram
NO_SITE = "all"


@dataclass(frozen=True)
class Picture:
    """A picture on disk, and what it shows."""

    file: Path
    title: str


def write_pictures(task: Task, prepared: Prepared, folder: Path) -> list[Picture]:
    """Draws all pictures of a check as PNG; they show record numbers, and no patient or file.

    Records that show a face or text are left out of the sheets.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pictures = []
    names = task.class_names if task.kind == "classification" else ("all",)
    with progress("drawing pictures", 2 * len(names) + 1) as advance:
        for number, name in enumerate(names):
            chosen = _some(prepared, number if task.kind == "classification" else NO_LABEL, task)
            records = without_identity(prepared, chosen, task.modality)
            if not len(records):
                continue
            shown = f"Class {printed_name(name)}"
            if left_out := len(chosen) - len(records):
                shown += f" ({left_out} left out that show a face or text)"
            sheet = draw_sheet([_tile(prepared, position) for position in records], shown)
            pictures.append(_saved(sheet, folder / f"class-{number + 1:02d}.png", shown))
            advance(2 * number + 1)
            if task.augment and not task.box and not task.spacing:
                sheet = draw_sheet(_augmented(task, prepared, records), f"{shown}, augmented")
                title = f"{shown} after augmentation, as the network sees it"
                pictures.append(_saved(sheet, folder / f"class-{number + 1:02d}-augmented.png", title))
            advance(2 * number + 2)
        histograms = draw_histograms(_intensities(task, prepared), "intensities of prepared records")
        title = "Intensities of each channel, a line for each site"
        pictures.append(_saved(histograms, folder / "histograms.png", title))
        advance(2 * len(names) + 1)
    return pictures


def _saved(figure, file: Path, title: str) -> Picture:
    save_png(figure, file)
    return Picture(file, title)


def _some(prepared: Prepared, label: int, task: Task) -> np.ndarray:
    """Records of a class, evenly chosen."""
    records = np.flatnonzero(prepared.labels == label)
    most = SHOWN[len(task.image_shape)]
    if len(records) <= most:
        return records
    return records[np.linspace(0, len(records) - 1, most).astype(int)]


def _tile(prepared: Prepared, position: int) -> Tile:
    record = prepared.record(position)
    return Tile(grey_values(record.own_slice), str(prepared.record_ids[position]), record.mask)


def _augmented(task: Task, prepared: Prepared, records: np.ndarray) -> list[Tile]:
    """The records as a training batch has them: augmented, every one of them, and normalised; without
    what is fitted on a training side."""
    task = with_values(task, {"augment_probability": 1.0, "bag": {}, "harmonise": {}})
    make = batch_function(task, training=True, fitted={})
    cut, tiles = cut_function(task, training=True, fitted={}), []
    for position in records:
        (raw,) = read_in_order(prepared, np.array([position]), 1, cut=cut)
        raw["seed"] = tf.constant([[0, int(position)]], tf.int64)
        image, _, _ = make(raw)
        shown = grey_values(own_slice(image.numpy()[0], task.context_slices))
        tiles.append(Tile(shown, str(prepared.record_ids[position])))
    return tiles


def _intensities(task: Task, prepared: Prepared) -> dict[str, dict[str, np.ndarray]]:
    """Channel -> site -> intensities of some records; background that is exactly 0 is left out."""
    sites = prepared.manifest["index"]["site"]
    chosen = np.linspace(0, len(prepared) - 1, min(HISTOGRAM_RECORDS, len(prepared))).astype(int)
    values: dict[str, dict[str, list]] = defaultdict(lambda: defaultdict(list))
    for position in chosen:
        image = prepared.record(int(position)).own_slice
        for number, channel in enumerate(task.channels):
            own = image[..., number].ravel().astype(np.float32)
            own = own[own != 0] if (own != 0).any() else own
            if not channel.startswith(PRESENCE):
                values[channel][sites[position] or NO_SITE].append(own[:: max(1, own.size // THINNED)])
    return {
        channel: {site: np.concatenate(arrays) for site, arrays in of_site.items()}
        for channel, of_site in values.items()
    }
