"""Lists cases to predict in whatever form they come: images, volumes, folders of sequences, DICOM."""

from dataclasses import replace
from pathlib import Path

from data_prep.case import Case
from data_prep.cases.any_case import IMAGE, form_of
from data_prep.cases.examinations import examinations
from data_prep.cases.images_to_predict import check_has_stack, images_at
from data_prep.cases.neighbours import cases_with_neighbours
from data_prep.cases.to_predict import (
    CaseToPredict,
    check_any,
    check_inside,
    ends_in,
    facts_of_row,
    is_table,
    shown_name,
    stem_of,
)
from data_prep.cases.usual_sequences import BRAIN_WORDS, files_of_sequences, last_word
from data_prep.cases.volume_settings import BRAIN_MASK, sequences_of
from data_prep.io.folders import TEXTS, VOLUMES, files_below
from data_prep.io.table import check_patients, is_empty, path_in, read_table
from data_prep.io.volume_file import is_dicom
from mri_tf.core.errors import InputError
from mri_tf.task import Task

MOST_FILES_LOOKED_AT = 20  # whether they are DICOM
MOST_BESIDE_VOLUMES = 3


def cases_at(path: Path, task: Task, tables: tuple[str, ...] = ()) -> list[CaseToPredict]:
    """The cases at a path, whatever the task was trained on.

    Args:
        path: an image or volume, where a case has one file; a folder whose files are named by the
            task's channels (t1.nii.gz, P01_flair.nii.gz), or by other usual names of them; a folder of
            DICOM; a folder of such folders, or of volumes; or a table with a column for each channel.
        task: what the cases are read for.
        tables: names of a table that is used where `path` is a folder that holds it.

    Raises:
        InputError: the path holds no case.
    """
    table = _table_at(path, tables)
    sequences = sequences_of(task)
    one_image = form_of(task) == IMAGE and len(task.channels) in (1, 3)
    if one_image and len(sequences) > 1 and table is not None:
        one_image = not _has_each_column(table, sequences)
    if table is not None and not one_image and _has_columns(table, sequences):
        return _of_table(table, task)
    if one_image:
        return images_at(path if table is None else table, task)
    if form_of(task) == IMAGE:
        check_has_stack(path, task)
    if path.is_file():
        return [_of_file(path, task, sequences)]
    if holds_dicom(path):
        return _of_dicom(path)
    cases = _of_folder(path, sequences, path)
    for folder in sorted(entry for entry in path.iterdir() if entry.is_dir()):
        cases = cases + ([] if cases and path == cases[0].raw else _of_folder(folder, sequences, path))
    named = " and ".join(sequences)
    form = f"A case is a folder with files named {named} (t1.nii.gz, P01_t1.nii.gz), or with DICOM."
    check_any(cases, path, "cases", form)
    return cases


def _table_at(path: Path, tables: tuple[str, ...]) -> Path | None:
    if path.is_file():
        return path if is_table(path) else None
    return next((path / name for name in tables if (path / name).is_file()), None)


def _has_columns(table: Path, sequences: tuple[str, ...]) -> bool:
    row = read_table(table, ())[0]
    return any(name.lower() in row for name in sequences) or (len(sequences) == 1 and "image" in row)


def _has_each_column(table: Path, sequences: tuple[str, ...]) -> bool:
    """Whether a table names a file for each channel, as `cases_table.list_cases` takes them first."""
    row = read_table(table, ())[0]
    return all(name.lower() in row for name in sequences)


def _of_table(table: Path, task: Task) -> list[CaseToPredict]:
    """One case per row; rows of one patient are several cases of it."""
    cases, sequences, is_stack = [], sequences_of(task), form_of(task) == IMAGE and task.context_slices
    rows = read_table(table, ("patient_id",) if is_stack else ())
    if is_stack:
        check_patients(rows, table.name)
    for row in rows:
        cells = {name: row.get(name.lower(), "") for name in (*sequences, BRAIN_MASK)}
        if len(sequences) == 1:
            own = cells[sequences[0]]
            cells[sequences[0]] = row.get("image", "") if is_empty(own) else own
        filled = {name: cell for name, cell in cells.items() if not is_empty(cell)}
        files = {name: path_in(table.parent, cell) for name, cell in filled.items()}
        check_inside([*files.values()] or [""])
        patient = row.get("patient_id", "")
        name = patient or next(iter(files.values()))
        key = f"{table}: {patient}" if patient else ""
        case = Case(patient, files, facts=facts_of_row(row))
        cases.append(CaseToPredict(name, table.parent, case, key))
    if not is_stack:
        return cases
    with_files = cases_with_neighbours([one.case for one in cases], rows, task, table.name)
    return [replace(one, case=case) for one, case in zip(cases, with_files, strict=True)]


def _of_file(path: Path, task: Task, sequences: tuple[str, ...]) -> CaseToPredict:
    if len(sequences) == 1:
        return CaseToPredict(path.name, path.parent, Case(stem_of(path), {sequences[0]: path.name}))
    raise InputError(
        f"A case of task {task.name} has the images {', '.join(sequences)}, but --input is one file.",
        path, "Give a folder that holds them, or a table with a column for each.",
    )  # fmt: skip


def _of_folder(folder: Path, sequences: tuple[str, ...], path: Path) -> list[CaseToPredict]:
    """The cases whose files are directly in a folder: one, or one for each volume where a case has only
    one sequence."""
    files = sorted(file for file in folder.iterdir() if file.is_file() and ends_in(file, VOLUMES))
    if not files:
        return _of_dicom(folder) if folder != path and holds_dicom(folder) else []
    named = files_of_sequences(files, sequences)
    if len(sequences) == 1 and not named:
        return [
            CaseToPredict(shown_name(file, path), folder, Case(stem_of(file), {sequences[0]: file.name}))
            for file in files
        ]
    brains = [file.name for file in files if last_word(file.name) in BRAIN_WORDS]
    if named and brains:
        named = {**named, BRAIN_MASK: brains[0]}
    return [CaseToPredict(shown_name(folder, path), folder, Case(folder.resolve().name, named))]


def _of_dicom(folder: Path) -> list[CaseToPredict]:
    """The examinations in a folder, named by the folders that hold them."""
    found = examinations(folder)
    cases = []
    for one in found:
        name = one.folder if len(found) > 1 and one.folder else folder.resolve().name
        cases.append(CaseToPredict(name, folder, Case(name, {path: path for path in one.files})))
    return cases


def holds_volumes(folder: Path) -> bool:
    """Whether volume files lie below a folder, by their names."""
    return any(ends_in(file, VOLUMES) for file in files_below(folder))


def holds_dicom(folder: Path) -> bool:
    """Whether one of the first files below a folder that are no texts is DICOM."""
    files = [
        file for file in files_below(folder)
        if not file.name.startswith(".") and not file.name.lower().endswith(TEXTS)
    ]  # fmt: skip
    # Beside volumes a DICOM file may be a report.
    most = MOST_BESIDE_VOLUMES if any(ends_in(file, VOLUMES) for file in files) else MOST_FILES_LOOKED_AT
    return any(is_dicom(file) for file in files[:most])
