"""What predict writes: answers as JSON, CSV or a submission; labels and maps on a source's grid."""

import csv
import io
import itertools
import json
import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from data_prep.io.nifti import write_nifti
from data_prep.ops.crop import Box, crop
from data_prep.ops.resample import resample_like, volume_of_grid
from data_prep.volume import Volume, source_volume
from mri_tf.core.files import write_atomic
from mri_tf.predict.answers import Answer
from mri_tf.store.record import Record

UNSAFE = re.compile(r"[^\w.()+-]+")
SUFFIX = re.compile(r"\.(nii(\.gz)?|mgh|mgz|png|jpe?g|webp|bmp|tiff?)$", re.IGNORECASE)


@dataclass
class Predictions:
    """All that is said of the inputs, in the order they were given."""

    about: dict  # task, version, class_names, prediction_set_level
    rows: list[dict] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)  # name, reason

    def add(self, name: str, number: int | None, answer: Answer) -> dict:
        """The row of an answer; `number` counts a study's slices from 1, head first."""
        names = self.about["class_names"]
        row = {"input": name}
        if number is not None:
            row["slice"] = number
            if (height := _height_mm(answer.record)) is not None:
                row["z_mm"] = height
        row |= {
            "decision": names[answer.decision],
            "probabilities": dict(zip(names, answer.probabilities.tolist(), strict=True)),
            "prediction_set": None if answer.held is None else [names[place] for place in answer.held],
            "out_of_distribution": answer.outside,
            "reasons": list(answer.reasons),
        }
        self.rows.append(row)
        return row

    def as_json(self) -> bytes:
        skipped = [{"input": name, "reason": reason} for name, reason in self.skipped]
        document = {**self.about, "answers": self.rows, "skipped": skipped}
        return json.dumps(document, indent=1, ensure_ascii=False).encode() + b"\n"

    def as_csv(self) -> bytes:
        """A row an answer, one column a class; a row an input without answer, with the reason."""
        flat = [_flat(row) for row in self.rows]
        columns = list(dict.fromkeys(key for row in flat for key in row))
        rows = [*flat, *({"input": name, "skipped": reason} for name, reason in self.skipped)]
        return _csv([*columns, "skipped"], rows)

    def as_submission(self, columns: tuple[str, str], label: str, ids: dict[str, str]) -> bytes:
        """One row a study: its id and the mean probability of a class over its answers."""
        values: dict[str, list[float]] = {}
        for row in self.rows:
            values.setdefault(ids[row["input"]], []).append(row["probabilities"][label])
        rows = [{columns[0]: one, columns[1]: float(np.mean(own))} for one, own in values.items()]
        return _csv(list(columns), rows)


def safe_name(name: str) -> str:
    """An input's name as part of a file's name."""
    return UNSAFE.sub("_", SUFFIX.sub("", name)).strip("._") or "input"


def write_on_source(
    parts: list[tuple[np.ndarray, np.ndarray]], record: Record, path: Path, labels: bool
) -> Volume:
    """Writes what lies on the grids of a study's records as one NIfTI in the grid of its source.

    parts are (values, affine): (depth, rows, columns), or a slice (rows, columns), and its place. They
    are resampled linearly, label maps to the nearest. A source of unknown grid is the first part's.
    Returns what was written.
    """
    first, affine = parts[0]
    reference, codes = source_volume(record.facts) or (volume_of_grid(_solid(first), affine), "RAS")
    whole = np.zeros(reference.array.shape, np.uint8 if labels else np.float32)
    for values, place in parts:
        part = volume_of_grid(_solid(values), place)
        box = _covered(part, reference)  # of a slice a few voxels deep: the rest stays as it is
        if min(box.size) > 0:
            found = resample_like(part, crop(reference, box), nearest=labels)
            inside = whole[tuple(map(slice, box.start, box.stop))]
            np.maximum(inside, found.array.astype(whole.dtype), out=inside)
    written = Volume(whole, reference.affine)
    write_nifti(path, written, codes)
    return written


def write_label_picture(labels: np.ndarray, shape: tuple[int, int], path: Path) -> np.ndarray:
    """Writes a label map (rows, columns) as PNG on the pixels (rows, columns) of its image file; returns
    what was written."""
    from PIL import Image

    grid, sides = np.array(labels.shape), np.array(shape, np.float32)  # as `images.fit_to_grid` has it
    size = np.clip(np.round(sides * (grid / sides).astype(np.float32).min()).astype(int), 1, grid)
    top, left = (grid - size) // 2
    inside = np.ascontiguousarray(labels[top : top + size[0], left : left + size[1]])
    picture = Image.fromarray(inside).resize(shape[::-1], Image.Resampling.NEAREST)
    data = io.BytesIO()
    picture.save(data, "PNG")
    write_atomic(path, data.getbuffer())
    return np.asarray(picture)


def _covered(part: Volume, reference: Volume) -> Box:
    """The voxels of a reference among which a volume lies; of no size where it lies elsewhere."""
    ends = [(-1.0, size) for size in part.array.shape]  # half a voxel beyond its faces
    corners = np.array([(*corner, 1.0) for corner in itertools.product(*ends)])  # (8, 4)
    places = corners @ (np.linalg.inv(reference.affine) @ part.affine).T[:, :3]
    start = np.clip(np.floor(places.min(axis=0)).astype(int), 0, reference.array.shape)
    stop = np.clip(np.ceil(places.max(axis=0)).astype(int) + 1, start, reference.array.shape)
    return Box(tuple(start.tolist()), tuple(stop.tolist()))


def _solid(values: np.ndarray) -> np.ndarray:
    return values if values.ndim == 3 else values[None]


def _height_mm(record: Record | None) -> float | None:
    """Of a slice's centre in the scanner's RAS, where its place is known."""
    if record is None or record.spacing_mm is None or record.image.ndim != 3:
        return None
    rows, columns = record.image.shape[:2]
    return round(float((record.affine @ [(columns - 1) / 2, (rows - 1) / 2, 0, 1])[2]), 2)


def _flat(row: dict) -> dict:
    flat = {}
    for key, value in row.items():
        if key == "probabilities":
            flat |= {f"p_{name}": number for name, number in value.items()}
        elif isinstance(value, list):
            flat[key] = "; ".join(value)
        else:
            flat[key] = "" if value is None else value
    return flat


def _csv(columns: list[str], rows: list[dict]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()
