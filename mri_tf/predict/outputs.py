"""Predicts one case after the other; keeps the rows of answers, and hands on what else there is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from types import ModuleType

import numpy as np

from data_prep.case import Unreadable, main_file
from data_prep.cases.image_case import source_shape
from data_prep.cases.to_predict import CaseToPredict
from data_prep.volume import Volume, source_volume
from mri_tf.core.errors import InputError
from mri_tf.core.progress import progress
from mri_tf.core.words import modality_word
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
from mri_tf.predict.files import Predictions, label_picture, on_source
from mri_tf.store.record import Record
from mri_tf.task import Task


@dataclass(frozen=True)
class Answered:
    """What one answer is about, for a keeper of images and maps.

    Attributes:
        name: of the input, as in the rows.
        cases: that were read: one, or all of a patient's that can be read.
        records: those of each case that were given to the network.
        rows: of the answers: one a record, or one for all.
        maps: Grad-CAM of the decisions on each case's records; empty where none were asked for.
        labels: of a segmentation, each record's label map on its prepared grid, (*grid) uint8.
        source_labels: these together on the grid of the source file: a volume and the directions of its
            stored axes, or (rows, columns) of an image.
    """

    name: str
    cases: list[CaseToPredict]
    records: list[list[Record]]
    rows: list[dict]
    maps: list[list[Explained]]
    labels: list[np.ndarray]
    source_labels: tuple[Volume, str] | np.ndarray | None = None

    @cached_property
    def source_maps(self) -> list[tuple[Volume, str] | None]:
        """The maps of each case on the grid of its source file, as `source_labels`; None of pictures."""
        return [
            None if source_volume(maps[0].record.facts) is None and maps[0].cam.ndim == 2
            else on_source([(one.cam, one.affine) for one in maps], maps[0].record, labels=False)
            for maps in self.maps
        ]  # fmt: skip


Keep = Callable[[Answered], None]


class Predictor:
    """Collects a model's answers in `predictions`, and hands what each is about to all of `keepers`.

    `explain` asks for Grad-CAM maps of a classifier's decisions.
    """

    def __init__(
        self, model: Model, keepers: Sequence[Keep] = (), explain: bool = False,
        any_modality: bool = False,
    ):  # fmt: skip
        self.predictions = Predictions(model.exported)
        self._model, self._keepers, self._any_modality = model, keepers, any_modality
        self._explains = explain

    def predict(self, layout: ModuleType, cases: list[CaseToPredict]) -> None:
        """Adds the answers for all cases, and the names of those that cannot be read; shows progress."""
        task = self._model.exported.task
        with progress(f"predicting {task.name}", len(by_patient(task, cases))) as advance:
            self.predict_each(layout, cases, advance)

    def predict_each(
        self, layout: ModuleType, cases: list[CaseToPredict], advance: Callable[[int], None]
    ) -> None:
        """The same; `advance` is told how many of `by_patient` are done."""
        task = self._model.exported.task
        for done, (name, own_cases) in enumerate(by_patient(task, cases), 1):
            readable = []  # of a patient's cases those that can be read are used, as in training
            for case in own_cases:
                try:
                    readable.append((case, read_records(layout, case, task)))
                except Unreadable as reason:
                    shown = name if len(own_cases) == 1 else f"{name}, {main_file(case.case)}"
                    self.predictions.skipped.append((shown, str(reason)))
            if readable:
                self._check_modality(name, readable[0][1][0])
                self.predictions.patients[name] = own_cases[0].case.patient
                answered = self._answer(name, *map(list, zip(*readable, strict=True)))
                for keep in self._keepers:
                    keep(answered)
            advance(done)

    def _check_modality(self, name: str, record: Record) -> None:
        """Raises InputError for an input of another modality than the model was trained on."""
        exported = self._model.exported
        trained = modality_word(exported.modality or exported.task.modality)
        shown = modality_word(record.facts.get("modality", ""))
        if trained and shown and trained != shown and not self._any_modality:
            raise InputError(
                f"The model was trained on {trained} and knows nothing of {shown}.", name,
                "Give images of that modality; --anyway asks the model all the same.",
            )  # fmt: skip

    def _answer(
        self, name: str, cases: list[CaseToPredict], records: list[list[Record]]
    ) -> Answered:
        """Answers for the first case's records, or for those of all of a patient's cases together."""
        task, case = self._model.exported.task, cases[0]
        if task.kind == "segmentation":
            return self._segment(name, case, records[0])
        if task.bag:
            own = [sample_slices(self._model.exported, of_case) for of_case in records]
            return self._classify_patient(name, cases, own)
        return self._classify(name, case, records[0])

    def _classify_patient(
        self, name: str, cases: list[CaseToPredict], records: list[list[Record]]
    ) -> Answered:
        answer = answer_patient(self._model, [record for of_case in records for record in of_case])
        rows, maps = [self.predictions.add(name, None, answer)], []
        for of_case in records if self._explains else ():
            slices = [replace(answer, record=record) for record in of_case]
            maps.append(self._maps(slices, rows * len(of_case)))
        return Answered(name, cases, records, rows, maps, [])

    def _classify(self, name: str, case: CaseToPredict, records: list[Record]) -> Answered:
        if self._model.exported.task.box.get("around") == "mask":
            records = [with_box_mask(self._model, record) for record in records]
        answers = answer_records(self._model, records)
        numbers = range(1, len(answers) + 1) if len(answers) > 1 else [None]
        pairs = zip(numbers, answers, strict=True)
        rows = [self.predictions.add(name, number, answer) for number, answer in pairs]
        maps = [self._maps(answers, rows)] if self._explains else []
        return Answered(name, [case], [records], rows, maps, [])

    def _maps(self, answers: list[Answer], rows: list[dict]) -> list[Explained]:
        """Grad-CAM of the decisions on a case's records; notes in their rows where those in 3D lie."""
        maps = [self._map(answer) for answer in answers]
        for explained, row in zip(maps, rows, strict=True):
            if explained.cam.ndim == 3 and explained.cam.any():
                lies = attribution_of(explained)
                row["map_outside_brain"] = lies.shares["outside"]
                if lies.even["outside"]:
                    row["map_outside_enrichment"] = lies.enrichment("outside")
        return maps

    def _map(self, answer: Answer) -> Explained:
        model, record = self._model, answer.record
        inputs = feed_of([record], model.exported)
        inputs["class_index"] = np.array([answer.decision], np.int32)
        cam = np.asarray(model.call("explain", inputs)["map"][0], np.float32)
        affine = network_affine(model.exported.task, record, model.exported.fitted)
        return Explained(record, answer.probabilities, answer.decision, cam, None, affine)

    def _segment(self, name: str, case: CaseToPredict, records: list[Record]) -> Answered:
        """The label map of a case on its source grid, and a row with the amount of each label."""
        model, first = self._model, records[0]
        maps, unlike = zip(*(label_map(model, record) for record in records), strict=True)
        if source_volume(first.facts) is None and maps[0].ndim == 2:
            shape = source_shape(case.raw, case.case, model.exported.task)
            found = voxels = label_picture(maps[0], shape)
            voxel_ml = None
        else:
            parts = [(labels, record.affine) for labels, record in zip(maps, records, strict=True)]
            found = on_source(parts, first, labels=True)
            voxels = found[0].array
            voxel_ml = None if first.spacing_mm is None else np.prod(found[0].spacing_mm) / 1000
        names = model.exported.task.output_names
        counts = np.bincount(voxels.ravel(), minlength=len(names)).tolist()
        row = {"input": name, "voxels": dict(zip(names, counts, strict=True))}
        if voxel_ml is not None:
            volumes = {label: round(n * float(voxel_ml), 4) for label, n in row["voxels"].items()}
            row["volume_ml"] = volumes
        flags = [each.images for each in unlike]
        row["out_of_distribution"] = any(flags) if None not in flags else None
        row["reasons"] = list(dict.fromkeys(text for each in unlike for text in each.reasons))
        self.predictions.rows.append(row)
        return Answered(name, [case], [records], [row], [], list(maps), found)


def by_patient(task: Task, cases: list[CaseToPredict]) -> list[tuple[str, list[CaseToPredict]]]:
    """(name, cases) of each answer: one case, or a patient's where the task answers for patients."""
    if not task.bag:
        return [(case.name, [case]) for case in cases]
    patients: dict[str, list[CaseToPredict]] = {}
    for case in cases:
        patients.setdefault(case.patient or f"alone: {case.name}", []).append(case)
    return [(own_cases[0].name, own_cases) for own_cases in patients.values()]
