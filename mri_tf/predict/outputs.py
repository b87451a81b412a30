"""Predicts one case after the other; keeps the rows of answers only, and writes maps as files."""

from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from data_prep.case import Unreadable, main_file
from data_prep.cases.image_case import read_pixels
from data_prep.cases.to_predict import CaseToPredict
from data_prep.volume import source_volume
from mri_tf.core.errors import InputError
from mri_tf.core.progress import progress
from mri_tf.explain.maps import Explained, attribution_of, network_affine
from mri_tf.predict.answers import (
    Answer,
    Model,
    answer_patient,
    answer_records,
    feed_of,
    label_map,
    read_records,
    sample_slices,
    with_box_mask,
)
from mri_tf.predict.files import Predictions, safe_name, write_label_picture, write_on_source
from mri_tf.predict.pictures import draw_decision, draw_decisions
from mri_tf.store.record import Record
from mri_tf.task import Task

if TYPE_CHECKING:  # it needs packages of an extra
    from mri_tf.predict.dicom_out import DicomOut


class Predictor:
    """Collects a model's answers in `predictions` and writes maps to a folder; None for no maps.

    The maps are the label maps of a segmentation, or Grad-CAM maps of a classifier's decisions. `dicom`
    writes all that is answered as DICOM objects too.
    """

    def __init__(
        self, model: Model, folder: Path | None = None, any_modality: bool = False,
        dicom: "DicomOut | None" = None,
    ):  # fmt: skip
        self.predictions = Predictions(model.exported)
        self._model, self._folder, self._any_modality = model, folder, any_modality
        self._dicom = dicom
        self._placed: list = []  # what was written of the input in hand, for `dicom`
        self._file_names: set[str] = set()  # of the maps written

    def predict(self, layout: ModuleType, cases: list[CaseToPredict]) -> None:
        """Adds the answers for all cases, and the names of those that cannot be read."""
        task = self._model.exported.task
        patients = _by_patient(task, cases)
        with progress(f"predicting {task.name}", len(patients)) as advance:
            for done, (name, own_cases) in enumerate(patients, 1):
                readable = []  # of a patient's cases those that can be read are used, as in training
                for case in own_cases:
                    try:
                        readable.append((case, read_records(layout, case, task)))
                    except Unreadable as reason:
                        shown = name if len(own_cases) == 1 else f"{name}, {main_file(case.case)}"
                        self.predictions.skipped.append((shown, str(reason)))
                if readable:
                    self._check_modality(name, readable[0][1][0])
                    before, self._placed = len(self.predictions.rows), []
                    self._answer(name, readable[0][0], [records for _, records in readable])
                    if self._dicom is not None:
                        rows = self.predictions.rows[before:]
                        self._dicom.add(name, readable, rows, self._placed)
                    self.predictions.patients[name] = own_cases[0].case.patient
                advance(done)

    def _check_modality(self, name: str, record: Record) -> None:
        """Raises InputError for an input of another modality than the model was trained on."""
        exported = self._model.exported
        trained = exported.modality or exported.task.modality
        shown = record.facts.get("modality", "")
        if trained and shown and trained != shown and not self._any_modality:
            raise InputError(
                f"The model was trained on {trained} and knows nothing of {shown}.", name,
                "Give images of that modality; --anyway asks the model all the same.",
            )  # fmt: skip

    def _answer(self, name: str, case: CaseToPredict, records: list[list[Record]]) -> None:
        """Answers for the first case's records, or for those of all of a patient's cases together."""
        task = self._model.exported.task
        if task.kind == "segmentation":
            self._segment(name, case, records[0])
        elif task.bag:
            self._classify_patient(name, [sample_slices(self._model.exported, r) for r in records])
        else:
            self._classify(name, records[0])

    def _classify_patient(self, name: str, cases: list[list[Record]]) -> None:
        answer = answer_patient(self._model, [record for records in cases for record in records])
        row = self.predictions.add(name, None, answer)
        for records in cases if self._folder else ():
            slices = [replace(answer, record=record) for record in records]
            self._explain(name, slices, [row] * len(records))

    def _classify(self, name: str, records: list[Record]) -> None:
        if self._model.exported.task.box.get("around") == "mask":
            records = [with_box_mask(self._model, record) for record in records]
        answers = answer_records(self._model, records)
        numbers = range(1, len(answers) + 1) if len(answers) > 1 else [None]
        pairs = zip(numbers, answers, strict=True)
        rows = [self.predictions.add(name, number, answer) for number, answer in pairs]
        if self._folder:
            self._explain(name, answers, rows)

    def _explain(self, name: str, answers: list[Answer], rows: list[dict]) -> None:
        """Writes Grad-CAM of the decisions on a case's records: a picture each, or one NIfTI file and a
        picture of the same name."""
        from mri_tf.figures import save

        task = self._model.exported.task
        maps = [self._map(answer) for answer in answers]
        if source_volume(answers[0].record.facts) is None and len(task.image_shape) == 2:
            for explained, row in zip(maps, rows, strict=True):
                picture = draw_decision(explained, name, row)
                _add_map(row, save(picture, self._new_file(name, "gradcam"))[0].name)
            self._placed += [explained.cam for explained in maps]
            return
        path = self._new_file(name, "gradcam.nii.gz")
        save(draw_decisions(maps, name, rows), path.with_name(path.name.removesuffix(".nii.gz")))
        parts = [(explained.cam, explained.affine) for explained in maps]
        self._placed.append(write_on_source(parts, answers[0].record, path, labels=False))
        for explained, row in zip(maps, rows, strict=True):
            _add_map(row, path.name)
            if explained.cam.ndim == 3 and explained.cam.any():
                lies = attribution_of(explained)
                row["map_outside_brain"] = lies.shares["outside"]
                if lies.even["outside"]:
                    row["map_outside_enrichment"] = lies.enrichment("outside")

    def _map(self, answer: Answer) -> Explained:
        model, record = self._model, answer.record
        inputs = feed_of([record], model.exported)
        inputs["class_index"] = np.array([answer.decision], np.int32)
        cam = np.asarray(model.call("explain", inputs)["map"][0], np.float32)
        affine = network_affine(model.exported.task, record, model.exported.fitted)
        return Explained(record, answer.probabilities, answer.decision, cam, None, affine)

    def _segment(self, name: str, case: CaseToPredict, records: list[Record]) -> None:
        """Writes the label map of a case on its source grid and adds the amount of each label."""
        model, first = self._model, records[0]
        maps, unlike = zip(*(label_map(model, record) for record in records), strict=True)
        if source_volume(first.facts) is None and maps[0].ndim == 2:
            shape = read_pixels(case.raw / case.case.files["image"], 1, bits=0).shape[:2]
            path = self._new_file(name, "labels.png")
            voxels, voxel_ml = write_label_picture(maps[0], shape, path), None
            self._placed.append(voxels)
        else:
            path = self._new_file(name, "labels.nii.gz")
            parts = [(labels, record.affine) for labels, record in zip(maps, records, strict=True)]
            volume = write_on_source(parts, first, path, labels=True)
            self._placed.append(volume)
            voxels = volume.array
            voxel_ml = None if first.spacing_mm is None else np.prod(volume.spacing_mm) / 1000
        names = model.exported.task.output_names
        counts = np.bincount(voxels.ravel(), minlength=len(names)).tolist()
        row = {"input": name, "label_map": path.name, "voxels": dict(zip(names, counts, strict=True))}
        if voxel_ml is not None:
            volumes = {label: round(n * float(voxel_ml), 4) for label, n in row["voxels"].items()}
            row["volume_ml"] = volumes
        flags = [each.images for each in unlike]
        row["out_of_distribution"] = any(flags) if None not in flags else None
        row["reasons"] = list(dict.fromkeys(text for each in unlike for text in each.reasons))
        self.predictions.rows.append(row)

    def _new_file(self, name: str, ending: str) -> Path:
        """A path for a map of an input; with a number where an earlier input has the same file name."""
        stem, number = safe_name(name), 1
        while (file := f"{stem}_{ending}") in self._file_names:
            number += 1
            stem = f"{safe_name(name)}-{number}"
        self._file_names.add(file)
        self._folder.mkdir(parents=True, exist_ok=True)
        return self._folder / file


def _by_patient(task: Task, cases: list[CaseToPredict]) -> list[tuple[str, list[CaseToPredict]]]:
    """(name, cases) of each answer: one case, or a patient's where the task answers for patients."""
    if not task.bag:
        return [(case.name, [case]) for case in cases]
    patients: dict[str, list[CaseToPredict]] = {}
    for case in cases:
        patients.setdefault(case.patient or f"alone: {case.name}", []).append(case)
    return [(own_cases[0].name, own_cases) for own_cases in patients.values()]


def _add_map(row: dict, name: str) -> None:
    """Notes the file name of a map in a row; a list where there are several."""
    before = row.get("map", [])
    names = list(dict.fromkeys([*([before] if isinstance(before, str) else before), name]))
    row["map"] = names[0] if len(names) == 1 else names
