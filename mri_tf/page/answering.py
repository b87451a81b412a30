"""Answers for the files of a study, by the code of mri_tf.predict, with volumes to look at."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from data_prep.case import Unreadable
from data_prep.cases.to_predict import CaseToPredict, list_cases_to_predict
from data_prep.io.nifti import write_nifti
from data_prep.io.volume_file import is_dicom
from mri_tf.core.errors import InputError
from mri_tf.page.case_grid import CaseGrid
from mri_tf.predict.answers import Model
from mri_tf.predict.outputs import Answered, Predictor, by_patient
from mri_tf.store.record import Record

HEADER = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyDescription",
    "SeriesDate", "SeriesDescription", "Modality", "Manufacturer", "ManufacturerModelName",
)  # fmt: skip
DEEPEST = 4  # folders that hold nothing but one folder
FLAG = re.compile(r"--[a-z]")  # of a sentence that is for the command line
Tell = Callable[[dict], None]


def answer_study(job: dict, model: Model, layout: ModuleType, tell: Tell) -> None:
    """Answers for all cases of a study.

    Args:
        job: `input` and `out` folders; `reading`, whether each answer is a case of its own, to be read
            before it is seen; `header`, whether to tell who and when.
        model: the opened model.
        layout: that reads its inputs.
        tell: is told of events: listed, case, progress, finished.

    Raises:
        InputError, RunFailed: nothing can be read, or the model does not answer.
    """
    home, task = Path(job["input"]), model.exported.task
    cases = cases_in(home, layout, task)
    count = len(by_patient(task, cases))
    tell({"event": "listed", "of": count})
    keep = _Keep(job, home, tell)
    explains = "explain" in model.signatures and task.kind == "classification"
    predictor = Predictor(model, [keep], explain=explains)
    predictor.predict_each(layout, cases, lambda done: tell({"event": "progress", "done": done}))
    found = predictor.predictions
    about = json.loads(found.as_json())
    shown = [{"input": shown_input(name, home), "reason": reason} for name, reason in found.skipped]
    if not found.rows:
        reason = shown[0]["reason"] if shown else "no case"
        raise InputError("None of the files could be read.", reason, "Correct or replace the files.")
    about = {name: value for name, value in about.items() if name not in ("answers", "skipped")}
    tell({"event": "finished", "skipped": shown, "about": about})


def cases_in(home: Path, layout: ModuleType, task) -> list[CaseToPredict]:
    """The cases of what was dropped: of its only entry, else of all together.

    Raises InputError for the first of these that holds no case.
    """
    entries = sorted(home.iterdir())
    tried = [home] if len(entries) != 1 else [entries[0], home]
    for _ in range(DEEPEST):  # what was dropped may be a folder around the folder that the layout reads
        inside = [entry for entry in tried[0].iterdir()] if tried[0].is_dir() else []
        if len(inside) != 1 or not inside[0].is_dir():
            break
        tried.insert(0, inside[0])
    order, first = sorted(tried, key=lambda path: len(path.parts)), None
    order = order if len(entries) != 1 else [*order[1:], order[0]]  # the whole folder last
    for path in order:
        try:
            return list_cases_to_predict(layout, [path], task)
        except InputError as error:
            first = first or error
    raise first


def shown_input(name: str, home: Path) -> str:
    """An input's name without our folder around it."""
    if name == home.name:
        files = sum(path.is_file() for path in home.rglob("*"))
        return f"{files} files" if files != 1 else "1 file"
    return name.removeprefix(f"{home.name}/")


def sentence_of(error: Exception, home: Path) -> str:
    """An error as a person reads it who knows neither our folders nor the flags of a command."""
    hint = getattr(error, "hint", "")
    text = str(error)
    if hint and FLAG.search(hint):
        text = text.removesuffix(" ".join(hint.split())).strip()
    text = text.replace(f"{home}/", "").replace(str(home), "the files").replace("--input ", "")
    return " ".join(text.split())


class _Keep:
    """Writes the volumes of each answer and tells of its cases."""

    def __init__(self, job: dict, home: Path, tell: Tell):
        self._out, self._home, self._tell = Path(job["out"]), home, tell
        self._reading, self._header = job["reading"], job["header"]
        self._patients: dict[str, int] = {}
        self._count = 0

    def __call__(self, answered: Answered) -> None:
        name = shown_input(answered.name, self._home)
        rows = [{**row, "input": name} for row in answered.rows]
        records = _shown(answered)
        maps = [one for of_case in answered.maps for one in of_case][: len(records)]
        if not self._reading or len(rows) == 1:
            self._case(answered, name, records, rows, maps)
            return
        for at, row in enumerate(rows):
            slice_name = f"{name}, slice {at + 1}"
            self._case(answered, slice_name, records[at : at + 1], [row], maps[at : at + 1])

    def _case(
        self, answered: Answered, name: str, records: list[Record], rows: list[dict], maps: list
    ) -> None:
        """Writes and tells of a case: all of an answered input, or one slice of it."""
        self._count += 1
        case_id = f"c{self._count}"
        grid = CaseGrid(records)
        grid.write_channels(self._out, case_id)
        if maps:
            grid.write_map(maps, self._out, case_id)
        if answered.labels:
            grid.write_labels(answered.labels, self._out, case_id)
            if isinstance(answered.source_labels, tuple):
                write_nifti(self._out / f"{case_id}_labels_source.nii.gz", *answered.source_labels)
        number = self._patient(answered.cases[0])
        self._tell({
            "event": "case",
            "case": {
                "id": case_id, "name": f"case {self._count}", "files": name, "patient": number,
                "rows": rows,
                "decision": rows[0].get("decision") if len(rows) == 1 else None,
                "channels": records[0].own_slice.shape[-1],
                "is_2d": not grid.is_volume and len(records) == 1,
                "map": bool(maps), "labels": bool(answered.labels),
                "header": header_of(answered.cases[0]) if self._header else None,
            },
        })  # fmt: skip

    def _patient(self, case: CaseToPredict) -> int:
        """A number for the patient of a case; each case without one is of another patient."""
        key = case.case.patient or case.patient or f"alone: {case.name}"
        return self._patients.setdefault(key, len(self._patients) + 1)


def _shown(answered: Answered) -> list[Record]:
    """The records that are shown: of a patient's several volumes the first, of pictures all."""
    first = answered.records[0]
    if first[0].image.ndim == 3 and all(len(records) == 1 for records in answered.records):
        return [records[0] for records in answered.records]
    return first


def header_of(case: CaseToPredict) -> dict[str, str] | None:
    """What the DICOM header of a case says of patient, date and scanner; None for other files."""
    import pydicom

    for name in case.case.files.values():
        path = case.raw / name
        try:
            if path.is_dir():
                path = next(file for file in sorted(path.rglob("*")) if file.is_file())
            if is_dicom(path):
                header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(HEADER))
                return {word: str(header[word].value) for word in HEADER if word in header}
        except (OSError, StopIteration, Unreadable, ValueError, pydicom.errors.InvalidDicomError):
            continue
    return None
