"""Writes the answers for each case as DICOM objects: a report, and its labels or maps.

These are the only outputs that name patients: they carry the patient and the study of the source
headers, as an archive needs them.
"""

import sys
from pathlib import Path

import numpy as np

from data_prep.case import Unreadable
from data_prep.cases.dicom_sources import is_dicom_case, on_pixels, series_of_case, series_on_grid
from data_prep.cases.to_predict import CaseToPredict
from data_prep.io.dicom.series import Series
from data_prep.volume import Volume, source_volume
from mri_tf.core.errors import InputError, first_few
from mri_tf.core.hashing import folder_hash
from mri_tf.core.words import plural
from mri_tf.dicom.headers import frame_number, stand_ins
from mri_tf.dicom.maker import UNKNOWN, Maker, check_highdicom, write_new
from mri_tf.dicom.parametric_map import map_of
from mri_tf.dicom.report import Reported, report_of
from mri_tf.dicom.segmentation import segmentation_of
from mri_tf.export.reader import Exported
from mri_tf.predict.files import off_grid, safe_name
from mri_tf.predict.outputs import Answered
from mri_tf.store.record import Record

LABELS, GRAD_CAM, REPORT = "labels", "gradcam", "report"
PARALLEL = 0.01  # pixels that a slice of a record may tilt out of a slice of the file, per pixel
IN_SLICE = 0.1  # slices that it may lie off

Placed = Volume | np.ndarray  # (x, y, z) on the source's grid, or (rows, columns) of a single image


def open_dicom_out(
    folder: Path, exported: Exported, cases: list[CaseToPredict], inputs: list[Path]
) -> "DicomOut":
    """Checks --dicom-out and says what the objects carry; raises InputError.

    `inputs` are the paths of --input, inside of which objects would be read as scans the next time.
    """
    check_highdicom()
    others = [case.name for case in cases if not is_dicom_case(case.raw, case.case)]
    if others:
        raise InputError(
            "--dicom-out needs DICOM inputs, as patient and study come from their headers.",
            first_few(others), "Give DICOM files, or leave out --dicom-out.",
        )  # fmt: skip
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(
            "--dicom-out must be a new or an empty folder, so that nothing is overwritten.", folder,
            "Choose another folder.",
        )  # fmt: skip
    if any(path.is_dir() and folder.resolve().is_relative_to(path.resolve()) for path in inputs):
        raise InputError(
            "--dicom-out must not lie in a folder of --input, where objects would be read as scans.",
            folder, "Choose another folder.",
        )  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    print(
        f"note: the DICOM objects in {folder} name the patient and the study, as the source headers do",
        file=sys.stderr, flush=True,
    )  # fmt: skip
    return DicomOut(folder, exported)


class DicomOut:
    """Writes objects into a folder; `failed` holds the names of inputs without objects, and why."""

    def __init__(self, folder: Path, exported: Exported):
        self.folder, self.written = folder, 0
        self.failed: list[tuple[str, str]] = []
        self._task, self._stems = exported.task, set()
        self._maker = Maker(
            exported.task.name, UNKNOWN if exported.version is None else str(exported.version),
            UNKNOWN if exported.folder is None else folder_hash(exported.folder),
            exported.weights or UNKNOWN,
        )  # fmt: skip

    def __call__(self, answered: Answered) -> None:
        """Writes the objects of one answer."""
        name = answered.name
        try:
            objects = self._objects(answered)
        except Unreadable as reason:
            self.failed.append((name, str(reason)))
            return
        stem = self._stem(name)
        for ending, dataset in objects:
            write_new(self.folder / f"{stem}_{ending}.dcm", dataset)
            self.written += 1

    def what_is_left(self) -> str:
        """A sentence on the objects that are there where the command ends early; "" without any."""
        if not self.written:
            return ""
        return (f"{plural(self.written, 'DICOM object')} written into {self.folder}; remove this folder "
                "before you repeat the command.")  # fmt: skip

    def say_result(self) -> None:
        """Prints how many objects were written, and for which inputs there are none."""
        print(f"wrote {plural(self.written, 'DICOM object')} into {self.folder}", file=sys.stderr)
        for name, reason in self.failed:
            print(f"no DICOM objects for {name}: {reason}", file=sys.stderr)

    def _objects(self, answered: Answered) -> list[tuple[str, object]]:
        """(end of the file's name, dataset) of all objects, the report last; raises Unreadable."""
        cases = list(zip(answered.cases, answered.records, strict=True))
        rows, placed = answered.rows, _placed(answered)
        found = [series_of_case(case.raw, case.case, self._task) for case, _ in cases]
        if not all(found):
            raise Unreadable("its DICOM files hold no series that can be referred to")
        patients = {one.patient_id for series in found for one in series.values()}
        if len(patients) > 1:
            raise Unreadable(f"its series are of {len(patients)} patients by their headers")
        every = [one for series in found for one in series.values()]
        images = {id(one): stand_ins(one) for one in every}
        chosen = [_of_grid(series, records) for series, (_, records) in zip(found, cases, strict=True)]
        kind = LABELS if self._task.kind == "segmentation" else GRAD_CAM
        made: dict[str, list] = {}
        for values, series in zip(placed, chosen, strict=False):
            if series is None:
                raise Unreadable("its answer lies on the pixels of none of its DICOM series")
            made.setdefault(kind, []).append(self._derived(kind, values, series, images[id(series)]))
        by_file = {
            file: image
            for one in every for file, image in zip(one.files, images[id(one)], strict=True)
        }  # fmt: skip
        answers = [Reported(row) for row in rows]
        if len(cases) == 1 and len(rows) == len(cases[0][1]):
            pairs = zip(rows, cases[0][1], strict=True)
            answers = [_reported(row, record, chosen[0], by_file) for row, record in pairs]
        report = report_of(answers, list(by_file.values()), made, self._maker)
        numbered = [
            (kind if len(made[kind]) == 1 else f"{kind}-{number}", dataset)
            for number, dataset in enumerate(made.get(kind, []), 1)
        ]
        return [*numbered, (REPORT, report)]

    def _derived(self, kind: str, values: Placed, series: Series, images: list):
        """The object of a label map or of a map."""
        volume = values if isinstance(values, Volume) else _of_picture(values, series)
        pixels = on_pixels(volume, series)  # (slices, rows, columns)
        if kind == LABELS:
            return segmentation_of(pixels, self._task.output_names, series, images, self._maker)
        return map_of(pixels, series, images, self._maker)

    def _stem(self, name: str) -> str:
        """The name of an input as the beginning of file names, with a number where it is taken."""
        stem, number = safe_name(name), 1
        while stem in self._stems:
            number += 1
            stem = f"{safe_name(name)}-{number}"
        self._stems.add(stem)
        return stem


def _placed(answered: Answered) -> list[Placed]:
    """The label map of a segmentation, or the maps of a classifier: one a case of volumes or slices of
    volumes, and of pictures one a record."""
    found = answered.source_labels
    if found is not None:
        return [found if isinstance(found, np.ndarray) else found[0]]
    placed: list[Placed] = []
    for maps, found in zip(answered.maps, answered.source_maps, strict=True):
        placed += [one.cam for one in maps] if found is None else [found[0]]
    return placed


def _of_grid(found: dict[str, Series], records: list[Record]) -> Series | None:
    """The series on whose pixels the answers of records lie; of single images the only one."""
    grid = source_volume(records[0].facts)
    if grid is not None:
        return series_on_grid(found, grid[0])
    series = next(iter(found.values()))
    return series if len(series.stack) == 1 else None


def _of_picture(values: np.ndarray, series: Series) -> Volume:
    """(rows, columns) of the picture that `read_pixels` makes of the only slice of a series, or of the
    grid that a task fits it into, as a volume in its place."""
    read = series.read()
    shape = np.squeeze(read.array).T.shape
    if values.shape != shape:
        values = off_grid(values, shape, nearest=values.dtype == np.uint8)
    return Volume(values.T[::-1, ::-1].reshape(read.array.shape), read.affine)


def _reported(row: dict, record: Record, series: Series | None, by_file: dict) -> Reported:
    """An answer with the image that it is about, where it is about one slice of the file."""
    number = None if series is None else _slice_number(record, series)
    if number is None:
        return Reported(row)
    item = series.stack[number]
    return Reported(row, by_file[item.file], frame_number(item, by_file[item.file]))


def _slice_number(record: Record, series: Series) -> int | None:
    """The slice of a series that a 2D record is; None where it is a volume or lies across slices."""
    if record.image.ndim != 3:
        return None
    if record.affine is None:
        return 0 if len(series.stack) == 1 else None
    to_pixel = np.linalg.inv(series.affine) @ record.affine  # (column, row, 0) -> (column, row, slice)
    rows, columns = record.image.shape[:2]
    place = float((to_pixel @ [(columns - 1) / 2, (rows - 1) / 2, 0, 1])[2])
    tilted = np.abs(to_pixel[2, :2]).max() > PARALLEL
    number = round(place)
    inside = 0 <= number < len(series.stack) and abs(place - number) <= IN_SLICE
    return number if inside and not tilted else None
