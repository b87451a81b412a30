"""One study after the other: its answers noted, its labels or maps written where they are asked for.

Nothing of a study is kept but its rows.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from data_prep.cases.to_predict import CaseToPredict
from data_prep.io.image import read_image
from data_prep.volume import source_volume
from mri_tf.explain.maps import Explained, network_affine, shares_of
from mri_tf.predict.answers import (
    Answer,
    Model,
    answer_patient,
    answer_records,
    boxed,
    feed_of,
    label_map,
    label_reasons,
    taken_records,
)
from mri_tf.predict.files import Predictions, safe_name, write_label_picture, write_on_source
from mri_tf.store.record import Record


@dataclass(frozen=True)
class Outputs:
    """Where answers go: the rows, and the folder of files (None: none are written)."""

    model: Model
    found: Predictions
    folder: Path | None = None
    explain: bool = False
    used: set[str] = field(default_factory=set)  # names of files

    def take(self, name: str, study: CaseToPredict, records: list[list[Record]]) -> None:
        """Answers for a study's records; where the task answers for patients, for those of all of the
        patient's studies."""
        task = self.model.exported.task
        if task.kind == "segmentation":
            self._segment(name, study, records[0])
        elif task.bag:
            self._patient(name, [taken_records(self.model.exported, one) for one in records])
        else:
            self._classify(name, records[0])

    def _patient(self, name: str, studies: list[list[Record]]) -> None:
        answer = answer_patient(self.model, [record for study in studies for record in study])
        row = self.found.add(name, None, answer)
        for study in studies if self.explain else ():
            slices = [replace(answer, record=record) for record in study]
            self._explain(name, slices, [row] * len(study))

    def _classify(self, name: str, records: list[Record]) -> None:
        if self.model.exported.task.box.get("around") == "mask":
            records = [boxed(self.model, record) for record in records]
        answers = answer_records(self.model, records)
        several = len(answers) > 1
        rows = [
            self.found.add(name, number if several else None, answer)
            for number, answer in enumerate(answers, 1)
        ]
        if self.explain:
            self._explain(name, answers, rows)

    def _explain(self, name: str, answers: list[Answer], rows: list[dict]) -> None:
        """Grad-CAM of the decisions on a study's records: one NIfTI, or pictures of image files."""
        from mri_tf.figures import draw_map, save

        task = self.model.exported.task
        made = [self._map(answer) for answer in answers]
        if source_volume(answers[0].record.facts) is None and len(task.image_shape) == 2:
            for found, row in zip(made, rows, strict=True):
                title = f"{name}: {row['decision']} {row['probabilities'][row['decision']]:.2f}"
                note = "Grad-CAM of the decision." if found.cam.any() else "The map is 0 everywhere."
                picture = draw_map(found.record.image[..., 0], found.cam, title, note)
                _add_map(row, save(picture, self._new_file(name, "gradcam"))[0].name)
            return
        path = self._new_file(name, "gradcam.nii.gz")
        parts = [(found.cam, found.affine) for found in made]
        write_on_source(parts, answers[0].record, path, labels=False)
        for found, row in zip(made, rows, strict=True):
            _add_map(row, path.name)
            if found.cam.ndim == 3 and found.cam.any():
                row["map_outside_brain"] = shares_of(found)["outside"]

    def _map(self, answer: Answer) -> Explained:
        model, record = self.model, answer.record
        feed = feed_of([record], model.exported)
        chosen = np.array([answer.decision], np.int32)
        cam = model.call("explain", {**feed, "class_index": chosen})["map"][0]
        place = network_affine(model.exported.task, record, model.exported.fitted)
        cam = np.asarray(cam, np.float32)
        return Explained(record, answer.probabilities, answer.decision, cam, None, place)

    def _segment(self, name: str, study: CaseToPredict, records: list[Record]) -> None:
        """The label map of a study on the grid of its source, and how much there is of each label."""
        model, first = self.model, records[0]
        maps = [label_map(model, record) for record in records]
        why = list(dict.fromkeys(text for one in records for text in label_reasons(model, one)))
        if source_volume(first.facts) is None and maps[0].ndim == 2:
            shape = read_image(study.raw / study.case.files["image"], 1).shape[:2]
            path = self._new_file(name, "labels.png")
            voxels, voxel_ml = write_label_picture(maps[0], shape, path), None
        else:
            path = self._new_file(name, "labels.nii.gz")
            parts = [(one, record.affine) for one, record in zip(maps, records, strict=True)]
            volume = write_on_source(parts, first, path, labels=True)
            voxels = volume.array
            voxel_ml = None if first.spacing_mm is None else np.prod(volume.spacing_mm) / 1000
        names = model.exported.task.output_names
        count = np.bincount(voxels.ravel(), minlength=len(names)).tolist()
        row = {"input": name, "label_map": path.name, "voxels": dict(zip(names, count, strict=True))}
        if voxel_ml is not None:
            volumes = {one: round(n * float(voxel_ml), 4) for one, n in row["voxels"].items()}
            row["volume_ml"] = volumes
        row["out_of_distribution"] = None if model.exported.ranges is None else bool(why)
        self.found.rows.append({**row, "reasons": why})

    def _new_file(self, name: str, what: str) -> Path:
        """A path for a study; where an earlier one's name is alike, with a number."""
        stem, number = safe_name(name), 1
        while (full := f"{stem}_{what}" if number == 1 else f"{stem}-{number}_{what}") in self.used:
            number += 1
        self.used.add(full)
        self.folder.mkdir(parents=True, exist_ok=True)
        return self.folder / full


def _add_map(row: dict, name: str) -> None:
    """A file's name, or the names of several."""
    known = row.get("map", [])
    names = list(dict.fromkeys([*([known] if isinstance(known, str) else known), name]))
    row["map"] = names[0] if len(names) == 1 else names
