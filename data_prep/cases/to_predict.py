"""What a user wants answers for: paths to sources without labels, a study each.

A prep module says with `cases_to_predict(path, task)` what it takes beside its labelled raw folder;
these functions do it for image files, volumes, folders of sequences and folders of DICOM. Every one
takes a table too, whose rows name studies beside it, and raises InputError for a path that holds none.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType

from data_prep.case import Case
from data_prep.io.table import read_table
from mri_tf.core.errors import InputError, first_few
from mri_tf.task import Task

IMAGES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
VOLUMES = (".nii", ".nii.gz", ".mgh", ".mgz")
TABLE = ".csv"


@dataclass(frozen=True)
class CaseToPredict:
    """A study to answer for: `name` as the user knows it, and where its files lie."""

    name: str
    raw: Path
    case: Case
    patient: str = ""  # studies that share it are one patient's; nobody else's where it is empty


def list_cases_to_predict(
    module: ModuleType, paths: list[Path], task: Task, mask: Path | None = None
) -> list[CaseToPredict]:
    """The studies at the paths, in their order, each with a name of its own; raises InputError.

    `mask` is the one study's tumour mask. A prep file of a user's own without `cases_to_predict`
    is asked for the sources of a raw folder.
    """
    found: list[CaseToPredict] = []
    check_there(paths)
    for path in paths:
        listed = getattr(module, "cases_to_predict", _of_raw_folder(module))
        found += listed(path, task)
    if mask is not None:
        found = [_with_mask(found, mask, getattr(module, "MASK_ROLE", "mask"))]
    names: dict[str, int] = {}
    for number, one in enumerate(found):
        # A file's name may be no text: answers are.
        readable = one.name.encode("utf-8", "backslashreplace").decode()
        names[readable] = names.get(readable, 0) + 1
        name = readable if names[readable] == 1 else f"{readable} ({names[readable]})"
        found[number] = replace(one, name=name, case=replace(one.case, to_predict=True))
    return found


def check_there(paths: list[Path]) -> None:
    """Raises InputError for a path that does not exist."""
    for path in paths:
        if not path.exists():
            raise InputError("--input names files and folders that exist.", path, "Correct it.")


def images_at(path: Path, task: Task) -> list[CaseToPredict]:
    """An image file of any name, those of a table (image, and patient_id where known), or all in a
    folder and its folders.

    Where the task answers for patients, the images of one folder are one patient's.
    """
    table = path if _is_table(path) else path / "manifest.csv"
    if table.is_file():
        found, rows = [], read_table(table, ("image",))
        _inside([row["image"] for row in rows])
        for row in rows:
            patient, case = row.get("patient_id", ""), Case("", {"image": row["image"]})
            name, own = (patient, f"{table}: {patient}") if task.bag and patient else (row["image"], "")
            found.append(CaseToPredict(name, table.parent, replace(case, patient=patient), own))
        return found
    files = [path] if path.is_file() else _within(path, IMAGES)
    _check_any(files, path, "images")
    together = bool(task.bag) and path.is_dir()
    return [
        CaseToPredict(
            _name(file.parent if together else file, path),
            file.parent,
            Case("", {"image": file.name}),
            str(file.parent) if together else "",
        )
        for file in files
    ]


def volumes_at(path: Path, role: str, home: str) -> list[CaseToPredict]:
    """A NIfTI or MGH file, those of a table's patient_id in `home` beside it, or those of a folder
    (of its folder `home`, where it has one)."""
    if _is_table(path):
        folder = path.parent / home
        files = [_volume_named(folder, name) for name in _ids(path, "patient_id")]
    elif path.is_file():
        files = [path]
    else:
        folder = path / home if (path / home).is_dir() else path
        files = sorted(file for file in folder.iterdir() if _ends(file, VOLUMES))
        _check_any(files, path, f"NIfTI files, or {home}/ with them")
    return [
        CaseToPredict(_name(file, path), file.parent, Case(_stem(file), {role: file.name}))
        for file in files
    ]


def folders_at(
    path: Path, files_of: Callable[[Path], dict[str, str]], rule: str, depth: int = 1
) -> list[CaseToPredict]:
    """A folder that is a study, those of a table's patient_id beside it, or those that lie in it, up
    to `depth` folders down.

    `files_of(folder)` gives role -> file name, nothing where a folder is no study.
    """
    if path.is_file() and not _is_table(path):
        raise InputError(rule, path, "Give the study's folder.")
    if _is_table(path):
        folders = [path.parent / name for name in _ids(path, "patient_id")]
    else:
        folders = [path] if files_of(path) else []
        for down in range(1, depth + 1):
            inside = sorted(path.glob("/".join(["*"] * down)))
            folders = folders or [folder for folder in inside if folder.is_dir() and files_of(folder)]
        _check_any(folders, path, "studies", rule)
    return [
        CaseToPredict(_name(folder, path), folder, Case(folder.resolve().name, files_of(folder)))
        for folder in folders
    ]


def dicom_at(path: Path, table: str) -> list[CaseToPredict]:
    """A patient's folder of DICOM files at any depth, the folders a table (patient_id; folder) names,
    or the folders in one whose DICOM files are of several patients by their headers.

    A table called `table` in a folder is used."""
    if path.is_file() and not _is_table(path):
        raise InputError("DICOM is read by the folder.", path, "Give the folder of the study.")
    listed = path if _is_table(path) else path / table
    if listed.is_file():
        rows = read_table(listed, ("patient_id",))
        names = [row.get("folder") or row["patient_id"] for row in rows]
        folders = [listed.parent / name for name in _inside(names)]
    else:
        inside = sorted(one for one in path.iterdir() if one.is_dir() and not one.name.startswith("."))
        folders = inside if len(set(map(_first_patient, inside)) - {""}) > 1 else [path]
    return [dicom_folder(folder, path) for folder in folders]


def dicom_folder(folder: Path, given: Path) -> CaseToPredict:
    """All files of one patient's folder."""
    from data_prep.cases.dicom_case import dicom_case

    name = folder.resolve().name
    home = folder.resolve().parent
    return CaseToPredict(_name(folder, given), home, dicom_case(home, name, name))


def _first_patient(folder: Path) -> str:
    """The PatientID of a folder's first DICOM file, which goes nowhere from here."""
    from data_prep.case import Unreadable
    from data_prep.io.dicom.header import read_header

    for file in sorted(one for one in folder.rglob("*") if one.is_file()):
        try:
            return read_header(file).patient_id
        except Unreadable:
            continue
    return ""


def _of_raw_folder(module: ModuleType) -> Callable[[Path, Task], list[CaseToPredict]]:
    def listed(path: Path, task: Task) -> list[CaseToPredict]:
        if not path.is_dir():
            raise InputError(
                "A prep file without cases_to_predict takes its raw folder.", path,
                "Add cases_to_predict(path, task); data_prep/layouts/cases_table.py is an example.",
            )  # fmt: skip
        from data_prep.case import main_file

        return [CaseToPredict(main_file(one), path, one) for one in module.list_cases(path, task)]

    return listed


def _with_mask(found: list[CaseToPredict], mask: Path, role: str) -> CaseToPredict:
    if len(found) != 1:
        raise InputError("--mask goes with one study.", f"{len(found)} studies", "Give one --input.")
    if not mask.is_file():
        raise InputError("--mask names a file.", mask, "Correct it.")
    (one,) = found
    files = {**one.case.files, role: str(mask.absolute())}  # an absolute path stays as it is
    return replace(one, case=replace(one.case, files=files))


def _is_table(path: Path) -> bool:
    return path.suffix.lower() == TABLE


def _ids(table: Path, column: str) -> list[str]:
    """The ids in a column, each once, in the order of the table."""
    names = [row[column] for row in read_table(table, (column,)) if row[column]]
    return list(dict.fromkeys(_inside(names)))


def _inside(names: list[str]) -> list[str]:
    if not all(names):
        raise InputError("A row of a table names its study.", "an empty cell", "Correct the table.")
    outside = [name for name in names if Path(name).is_absolute() or ".." in Path(name).parts]
    if outside:
        raise InputError("A table names what lies beside it.", first_few(outside), "Correct the table.")
    return names


def _volume_named(folder: Path, name: str) -> Path:
    there = [folder / f"{name}{suffix}" for suffix in VOLUMES]
    return next((file for file in there if file.is_file()), folder / f"{name}.nii.gz")


def _within(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if file.is_file() and _ends(file, suffixes))


def _ends(file: Path, suffixes: tuple[str, ...]) -> bool:
    return file.name.lower().endswith(suffixes) and not file.name.startswith(".")


def _stem(file: Path) -> str:
    name = file.name
    for suffix in sorted(VOLUMES, key=len, reverse=True):
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return name


def _name(found: Path, given: Path) -> str:
    """The path from where the given one lies: `a.png`, `test/00012`."""
    base = given.parent if found.is_relative_to(given) and given.name else found.parent
    return str(found.relative_to(base)) if found != base else found.resolve().name


def _check_any(found: list, path: Path, what: str, rule: str = "") -> None:
    if not found:
        raise InputError(
            rule or f"A folder for --input holds {what}.", f"{path} without any", "Name another."
        )
