"""Lists the cases at the paths that a user gives to predict: without labels, one answer for each.

A layout says with `cases_to_predict(path, task)` what it accepts beside a labelled raw folder; the
functions here do it for volumes, folders of sequences and folders of DICOM, images_to_predict.py for
image files. Each also accepts a table whose rows name cases beside it, and raises InputError for a path
that holds none.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import ModuleType

from data_prep.case import Case, Unreadable, fact_of, main_file
from data_prep.io.folders import TABLES, VOLUMES, files_below
from data_prep.io.table import path_in, read_table
from data_prep.io.volume_file import is_dicom
from data_prep.layout_calls import list_cases
from mri_tf.core.errors import InputError, first_few
from mri_tf.core.words import modality_word, printable
from mri_tf.task import Task

ORIGIN = ("modality", "site", "scanner")  # columns of a table of cases to predict


@dataclass(frozen=True)
class CaseToPredict:
    """A case without a label: `name` as the user knows it, and the folder its files are relative to."""

    name: str
    raw: Path
    case: Case
    patient: str = ""  # cases that share it are of one patient; each is of another where it is empty


def facts_of_row(row: dict[str, str]) -> dict[str, str]:
    """What a table of cases to predict says of where an image was made; empty cells are left out."""
    facts = {name: word for name in ORIGIN if (word := fact_of(row, name))}
    if "modality" in facts:
        facts["modality"] = modality_word(facts["modality"])
    return facts


def made_at(cases: list[CaseToPredict], facts: dict[str, str]) -> list[CaseToPredict]:
    """The cases with these facts, where they have none of their own by that name."""
    return [replace(item, case=replace(item.case, facts=facts | item.case.facts)) for item in cases]


def list_cases_to_predict(
    module: ModuleType, paths: list[Path], task: Task, mask: Path | None = None
) -> list[CaseToPredict]:
    """Lists the cases at the paths, in their order, each with another name.

    Args:
        module: the task's layout; without `cases_to_predict` it lists the cases of a raw folder.
        paths: files, folders and tables.
        task: what the layout reads them for.
        mask: tumour mask of the only case.

    Raises:
        InputError: a path does not exist or holds no case, or a mask is given for several.
    """
    check_inputs_exist(paths)
    listed = getattr(module, "cases_to_predict", partial(_cases_in_raw_folder, module))
    cases = [case for path in paths for case in listed(path, task)]
    if mask is not None:
        cases = [_with_mask(cases, mask, getattr(module, "MASK_ROLE", "mask"))]
    names: dict[str, int] = {}
    for number, item in enumerate(cases):
        readable = printable(item.name)
        names[readable] = names.get(readable, 0) + 1
        name = readable if names[readable] == 1 else f"{readable} ({names[readable]})"
        cases[number] = replace(item, name=name, case=replace(item.case, to_predict=True))
    return cases


def check_inputs_exist(paths: list[Path]) -> None:
    """Raises InputError for a path that does not exist."""
    for path in paths:
        if not path.exists():
            raise InputError("The --input path does not exist.", path, "Correct the path.")


def volumes_at(path: Path, role: str, home: str) -> list[CaseToPredict]:
    """Cases of one volume each.

    Args:
        path: a volume file, a table (patient_id), a folder of volumes, or of one DICOM series, or of
            such folders.
        role: the role of the volume in its case.
        home: the folder beside a table, or in a folder, where the volumes are in a raw folder.
    """
    facts = _facts_by_id(path) if is_table(path) else {}
    if is_table(path):
        files = [_volume_named(path.parent / home, name) for name in facts]
    elif path.is_file():
        files = [path]
    else:
        folder = path / home if (path / home).is_dir() else path
        files = sorted(file for file in folder.iterdir() if ends_in(file, VOLUMES))
        if not files:  # DICOM: a folder of one series, or folders of one each
            inside = sorted(entry for entry in folder.iterdir() if entry.is_dir() and any(
                is_dicom(file) for file in files_below(entry)[:1]))  # fmt: skip
            own = any(entry.is_file() and is_dicom(entry) for entry in folder.iterdir())
            files = [folder] if own else inside
        check_any(files, path, "volumes or DICOM series")
    return [
        CaseToPredict(
            shown_name(file, path), file.parent,
            Case(stem_of(file), {role: file.name}, facts=facts.get(stem_of(file), {})),
        )
        for file in files
    ]  # fmt: skip


def folders_at(
    path: Path, files_of: Callable[[Path], dict[str, str]], form: str, depth: int = 1
) -> list[CaseToPredict]:
    """Cases of one folder each.

    Args:
        path: the folder of a case, a table (patient_id), or a folder of cases.
        files_of: gives role -> file name for a folder, nothing for one that is not a case.
        form: a sentence that says what the folder of a case holds, for messages.
        depth: how many folders down from `path` cases are looked for.
    """
    if path.is_file() and not is_table(path):
        raise InputError("--input is a file, but a case is a folder here.", path, form)
    facts: dict[Path, dict] = {}
    if is_table(path):
        facts = {path.parent / path_in(path.parent, name): known
                 for name, known in _facts_by_id(path).items()}  # fmt: skip
        folders = list(facts)
    else:
        folders = [path] if files_of(path) else []
        for down in range(1, depth + 1):
            inside = sorted(path.glob("/".join(["*"] * down)))
            folders = folders or [folder for folder in inside if folder.is_dir() and files_of(folder)]
        check_any(folders, path, "cases", form)
    return [
        CaseToPredict(
            shown_name(folder, path), folder,
            Case(folder.resolve().name, files_of(folder), facts=facts.get(folder, {})),
        )
        for folder in folders
    ]  # fmt: skip


def dicom_at(path: Path, table: str) -> list[CaseToPredict]:
    """Cases of one folder of DICOM files each, at any depth.

    Args:
        path: a patient's folder, a table (patient_id; folder where it has another name), or a folder
            whose subfolders are of several patients by their DICOM headers.
        table: name of a table that is used where `path` is a folder that holds it.
    """
    if path.is_file() and not is_table(path):
        raise InputError("DICOM is read by the folder, not by the file.", path, "Give its folder.")
    listed = path if is_table(path) else path / table
    if listed.is_file():
        rows = read_table(listed, ("patient_id",))
        names = [path_in(listed.parent, row.get("folder") or row["patient_id"]) for row in rows]
        check_inside(names)
        folders = [listed.parent / name for name in names]
    else:
        inside = sorted(
            entry for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith(".")
        )
        folders = inside if len(set(map(_first_patient, inside)) - {""}) > 1 else [path]
    return [dicom_folder(folder, path) for folder in folders]


def dicom_folder(folder: Path, path: Path) -> CaseToPredict:
    """All files of one patient's folder, found at the path that the user gave."""
    from data_prep.cases.dicom_case import dicom_files

    name, home = folder.resolve().name, folder.resolve().parent
    return CaseToPredict(shown_name(folder, path), home, Case(name, dicom_files(home, name)))


def _first_patient(folder: Path) -> str:
    """The PatientID of a folder's first DICOM file, for comparison only."""
    from data_prep.io.dicom.header import read_header

    for file in files_below(folder):
        try:
            return read_header(file).patient_id
        except Unreadable:
            continue
    return ""


def _cases_in_raw_folder(module: ModuleType, path: Path, task: Task) -> list[CaseToPredict]:
    if not path.is_dir():
        raise InputError(
            "The layout of this task reads whole raw folders only.", path,
            "Give the raw folder, or add cases_to_predict(path, task) to the layout; "
            "data_prep/layouts/cases_table.py is an example.",
        )  # fmt: skip
    cases = list_cases(module, path, task, to_predict=True)
    return [CaseToPredict(main_file(case), path, case) for case in cases]


def _with_mask(cases: list[CaseToPredict], mask: Path, role: str) -> CaseToPredict:
    if len(cases) != 1:
        raise InputError(
            "--mask is the tumour mask of a single case.", f"{len(cases)} cases", "Give one --input."
        )
    if not mask.is_file():
        raise InputError("The --mask file does not exist.", mask, "Correct the path.")
    files = {**cases[0].case.files, role: str(mask.absolute())}  # joined to a folder it stays absolute
    return replace(cases[0], case=replace(cases[0].case, files=files))


def is_table(path: Path) -> bool:
    """Whether a path is a table, by its name."""
    return path.suffix.lower() in TABLES


def _facts_by_id(table: Path) -> dict[str, dict[str, str]]:
    """The patient ids of a table, each once, in its order, with what the first row says of each."""
    found: dict[str, dict[str, str]] = {}
    for row in read_table(table, ("patient_id",)):
        if row["patient_id"]:
            found.setdefault(row["patient_id"], facts_of_row(row))
    check_inside(list(found))
    return found


def check_inside(names: list[str]) -> None:
    """Raises InputError for an empty cell, or a path that leads away from the table."""
    if not all(names):
        raise InputError("A row of the table names no case.", "an empty cell", "Fill in the cell.")
    outside = [name for name in names if Path(name).is_absolute() or ".." in Path(name).parts]
    if outside:
        raise InputError(
            "A table can only name files and folders beside it.", first_few(outside),
            "Correct the table, or move it.",
        )  # fmt: skip


def _volume_named(folder: Path, name: str) -> Path:
    files = [folder / path_in(folder, f"{name}{suffix}") for suffix in VOLUMES]
    return next((file for file in files if file.is_file()), folder / f"{name}.nii.gz")


def ends_in(file: Path, suffixes: tuple[str, ...]) -> bool:
    """Whether a file that is not hidden has one of these suffixes."""
    return file.name.lower().endswith(suffixes) and not file.name.startswith(".")


def stem_of(file: Path) -> str:
    """The name of a volume file without its suffix."""
    suffix = max((end for end in VOLUMES if file.name.lower().endswith(end)), key=len, default="")
    return file.name[: len(file.name) - len(suffix)]


def shown_name(case_path: Path, path: Path) -> str:
    """A case's path from where the user's path lies: `a.png`, `test/00012`."""
    base = path.parent if case_path.is_relative_to(path) and path.name else case_path.parent
    return str(case_path.relative_to(base)) if case_path != base else case_path.resolve().name


def check_any(paths: list[Path], folder: Path, what: str, form: str = "") -> None:
    """Raises InputError if a folder gave no path."""
    if not paths:
        raise InputError(f"The --input folder holds no {what}.", folder, form or "Give another folder.")
