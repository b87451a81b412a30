"""The files predict writes: answers as JSON, CSV or a submission table; labels and maps as images."""

import csv
import io
import itertools
import json
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from data_prep.ops.crop import Box, crop
from data_prep.ops.resample import resample_like, volume_of_grid
from data_prep.volume import Volume, source_volume
from mri_tf.calibration.prediction_sets import LEVEL
from mri_tf.core.files import write_atomic
from mri_tf.export.reader import Exported
from mri_tf.predict.answers import Answer
from mri_tf.store.record import Record

ANSWERS = "answers.json"  # in the folder of a segmentation's label maps
UNSAFE = re.compile(r"[^\w.()+-]+")
SUFFIX = re.compile(r"\.(nii(\.gz)?|mgh|mgz|png|jpe?g|webp|bmp|tiff?)$", re.IGNORECASE)


@dataclass
class Predictions:
    """The answers for all inputs, in the order the inputs were given."""

    exported: Exported
    rows: list[dict] = field(default_factory=list)  # one per answer
    skipped: list[tuple[str, str]] = field(default_factory=list)  # input name, reason
    patients: dict[str, str] = field(default_factory=dict)  # input name -> patient id

    def add(self, name: str, number: int | None, answer: Answer) -> dict:
        """Adds the row of an answer; `number` counts the slices of a case from 1, the head first."""
        names = self.exported.task.output_names
        row = {"input": name}
        if number is not None:
            row["slice"] = number
            if (height_mm := _height_mm(answer.record)) is not None:
                row["z_mm"] = height_mm
        labels = answer.prediction_set
        row |= {
            "decision": names[answer.decision],
            "most_probable": names[int(np.argmax(answer.probabilities))],
            "probabilities": dict(zip(names, answer.probabilities.tolist(), strict=True)),
            "prediction_set": None if labels is None else [names[label] for label in labels],
            "out_of_distribution": answer.unlike.images,
            "reasons": list(answer.unlike.reasons),
            "feature_out_of_distribution": answer.unlike.features,
            "feature_distance": answer.unlike.distance,
        }
        if answer.disagreement is not None:
            row["disagreement"] = dict(zip(names, answer.disagreement.tolist(), strict=True))
        if answer.corrected is not None:
            row["features_corrected"] = answer.corrected
        self.rows.append(row)
        return row

    def as_json(self) -> bytes:
        """The model's name and classes, the answers, and the inputs that were skipped."""
        task = self.exported.task
        about = {"task": task.name, "version": self.exported.version, "class_names": task.output_names}
        if self.exported.answers is not None:
            about["prediction_set_level"] = LEVEL
            if reason := self.exported.answers.why_no_sets:
                about["no_prediction_sets"] = reason
        skipped = [{"input": name, "reason": reason} for name, reason in self.skipped]
        document = {**about, "answers": self.rows, "skipped": skipped}
        return json.dumps(document, indent=1, ensure_ascii=False).encode() + b"\n"

    def as_csv(self) -> bytes:
        """A row for each answer with a column for each class, then a row for each skipped input."""
        flat = [_flat(row) for row in self.rows]
        columns = list(dict.fromkeys(key for row in flat for key in row))
        rows = [*flat, *({"input": name, "skipped": reason} for name, reason in self.skipped)]
        return _csv([*columns, "skipped"], rows)

    def as_submission(self, id_column: str, value_column: str, class_name: str) -> bytes:
        """A row for each patient: id, and the mean probability of a class over the patient's answers."""
        values: dict[str, list[float]] = {}
        for row in self.rows:
            patient = self.patients[row["input"]]
            values.setdefault(patient, []).append(row["probabilities"][class_name])
        rows = [{id_column: name, value_column: float(np.mean(p))} for name, p in values.items()]
        return _csv([id_column, value_column], rows)


def write_answers(
    predictions: Predictions, path: Path | None, file_format: str,
    submission: tuple[str, str, str] | None, maps: Path | None,
) -> None:  # fmt: skip
    """Writes the answers to a file and prints its name; prints the answers where `path` is None.

    `file_format` is "json", "csv" or "submission"; `submission` holds that table's columns (id, value)
    and the class it is about. `maps` is the folder where maps were written, if any.
    """
    count = len(predictions.rows)
    if file_format == "submission":
        data = predictions.as_submission(*submission)
        count = data.count(b"\n") - 1  # a row for each patient below the header
    else:
        data = predictions.as_csv() if file_format == "csv" else predictions.as_json()
    if path is None:
        sys.stdout.write(data.decode())
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, data)
    maps_text = f", and maps in {maps}" if maps else ""
    print(f"wrote {path}: {count} {'answer' if count == 1 else 'answers'}{maps_text}")


def safe_name(name: str) -> str:
    """The name of an input as part of a file name.

    >>> safe_name("test/a b.nii.gz")
    'test_a_b'
    """
    return UNSAFE.sub("_", SUFFIX.sub("", name)).strip("._") or "input"


def on_source(
    parts: list[tuple[np.ndarray, np.ndarray]], record: Record, labels: bool
) -> tuple[Volume, str]:
    """Values on the grids of a case's records as one volume on the grid of the source file.

    Args:
        parts: (values, affine) of each record: (depth, rows, columns), or one slice (rows, columns), and
            the affine (column, row, depth) -> RAS mm.
        record: one of the records, for the source grid; the first part's grid where it is unknown.
        labels: whether values are labels: uint8, resampled to the nearest; else float32, linear.

    Returns:
        The volume, and the directions of the axes in the source file.
    """
    first, affine = parts[0]
    reference, codes = source_volume(record.facts) or (volume_of_grid(_as_3d(first), affine), "RAS")
    whole = np.zeros(reference.array.shape, np.uint8 if labels else np.float32)
    for values, part_affine in parts:
        part = volume_of_grid(_as_3d(values), part_affine)
        box = _box_of(part, reference)  # only these voxels are resampled: a slice covers few of them
        if min(box.size) > 0:
            resampled = resample_like(part, crop(reference, box), nearest=labels)
            inside = whole[tuple(map(slice, box.start, box.stop))]
            np.maximum(inside, resampled.array.astype(whole.dtype), out=inside)
    return Volume(whole, reference.affine), codes


def label_picture(labels: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """A label map (rows, columns) uint8, on the grid that `fit_to_grid` fitted an image into, with that
    image's `shape` (rows, columns)."""
    return off_grid(labels, shape, nearest=True)


def off_grid(values: np.ndarray, shape: tuple[int, int], nearest: bool) -> np.ndarray:
    """Values (rows, columns), uint8 or float32, on the grid that `fit_to_grid` fitted an image into, on
    the pixels of that image of `shape`: the nearest, or bilinear."""
    from PIL import Image

    grid, sides = np.array(values.shape), np.array(shape, np.float32)  # float32, as in fit_to_grid
    size = np.clip(np.round(sides * (grid / sides).astype(np.float32).min()).astype(int), 1, grid)
    top, left = (grid - size) // 2
    inside = np.ascontiguousarray(values[top : top + size[0], left : left + size[1]])
    how = Image.Resampling.NEAREST if nearest else Image.Resampling.BILINEAR
    return np.asarray(Image.fromarray(inside).resize(shape[::-1], how))


def write_label_image(labels: np.ndarray, path: Path) -> None:
    """Writes labels (rows, columns) uint8 as PNG."""
    from PIL import Image

    data = io.BytesIO()
    Image.fromarray(labels).save(data, "PNG")
    write_atomic(path, data.getbuffer())


def _box_of(part: Volume, reference: Volume) -> Box:
    """The voxels of a reference that a volume covers; of size 0 where they do not overlap."""
    ends = [(-1.0, size) for size in part.array.shape]  # half a voxel beyond the faces
    corners = np.array([(*corner, 1.0) for corner in itertools.product(*ends)])  # (8, 4)
    places = corners @ (np.linalg.inv(reference.affine) @ part.affine).T[:, :3]
    start = np.clip(np.floor(places.min(axis=0)).astype(int), 0, reference.array.shape)
    stop = np.clip(np.ceil(places.max(axis=0)).astype(int) + 1, start, reference.array.shape)
    return Box(tuple(start.tolist()), tuple(stop.tolist()))


def _as_3d(values: np.ndarray) -> np.ndarray:
    return values if values.ndim == 3 else values[None]


def _height_mm(record: Record | None) -> float | None:
    """The height (RAS z) of a slice's centre; None for volumes and where the spacing is unknown."""
    if record is None or record.spacing_mm is None or record.image.ndim != 3:
        return None
    rows, columns = record.image.shape[:2]
    return round(float((record.affine @ [(columns - 1) / 2, (rows - 1) / 2, 0, 1])[2]), 2)


def _flat(row: dict) -> dict:
    flat = {}
    for key, value in row.items():
        if isinstance(value, dict):
            start = "p" if key == "probabilities" else key
            flat |= {f"{start}_{name}": number for name, number in value.items()}
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
