"""Raw folder to prepared set: lists the cases, reads them (in workers) and writes the shards."""

import dataclasses
import difflib
import json
import sys
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import mri_tf
from data_prep.case import Case, Unreadable, main_file
from data_prep.cases.any_case import IMAGE, form_of
from data_prep.io.volume_file import may_be_dicom
from data_prep.layout import (
    ListOptions,
    find_layout,
    identities_of,
    is_user_layout,
    layout_version,
    operations_of,
    read_case,
)
from data_prep.ops.skull_strip import PROGRAMS, program_version
from data_prep.phantom import PHANTOM_NOTE
from data_prep.prepare.duplicates import find_copies, report, summary_lines, with_groups
from data_prep.prepare.listed_cases import cases_to_prepare, check_splits
from data_prep.prepare.provenance import file_states, private_rows, unchanged
from data_prep.prepare.pseudonyms import Pseudonyms
from data_prep.prepare.shards import ShardWriter, drop_journal
from data_prep.prepare.shared_identities import join_shared
from mri_tf.core.arguments import check_arguments
from mri_tf.core.deadline import NO_LIMIT, Deadline
from mri_tf.core.errors import InputError, first_few
from mri_tf.core.executors import executor, map_in_order
from mri_tf.core.hashing import fingerprint
from mri_tf.core.progress import progress
from mri_tf.store.fingerprints import prep_fingerprint
from mri_tf.store.prepared import MANIFEST, PRIVATE, Prepared, read_private
from mri_tf.store.record import SCHEMA_VERSION, Record
from mri_tf.task import Task

LIBRARIES = (
    "tensorflow", "numpy", "scipy", "scikit-image", "nibabel", "pillow", "pydicom", "imagecodecs",
    "SimpleITK",
)  # fmt: skip


# What makes a prepared set another one: key of the manifest -> how a message names it.
IDENTITY = {
    "task": "task", "prep": "settings in prep", "layout": "layout or its version",
    "sources": "list of cases", "salt": "salt of the pseudonyms",
}  # fmt: skip


@dataclass(frozen=True)
class Skipped:
    """A case that gave no record: its file and the reason."""

    file: str
    reason: str


@dataclass(frozen=True)
class PrepareOptions:
    """Where the work runs, how strict it is, what becomes of patient ids, and when it stops."""

    workers: int = 1
    scheduler: str = ""  # address of a Dask scheduler
    strict: bool = False  # write nothing if any case cannot be read
    pseudonyms: Pseudonyms = Pseudonyms()
    listing: ListOptions = ListOptions()
    deadline: Deadline = NO_LIMIT

    @property
    def calls_ahead(self) -> int:
        """How many cases wait in the workers."""
        return 1 if self.workers == 1 and not self.scheduler else 4 * max(self.workers, 4)


def prepare(
    task: Task, task_file: Path, raw: Path, out: Path, options: PrepareOptions = PrepareOptions()
) -> tuple[Prepared, list[Skipped]]:
    """Prepares a raw folder, or continues an interrupted run, or opens the set if it is complete.

    Args:
        task: what is prepared; its layout reads the raw folder.
        task_file: the task's file, which workers load.
        raw: folder of the raw data.
        out: folder of the prepared set; new or empty, or holding this same set.
        options: where the work runs, and how strict it is.

    Returns:
        The set, and the cases that could not be read.

    Raises:
        InputError: nothing can be prepared from this input or, with `options.strict`, not all of it.
        OutOfTime: the deadline has come before the last case; those that are done are kept.
    """
    raw, out = Path(raw), Path(out).absolute()
    layout = find_layout(task, task_file)
    _check_settings(task, layout.SETTINGS)
    cases = cases_to_prepare(layout, raw, task, options.listing)
    identity = _identity(task, layout, cases, options.pseudonyms)
    program = task.prep.get("brain_mask", "")
    tools = {program: program_version(program)} if program in PROGRAMS else {}
    if (out / MANIFEST).is_file():
        return _open_existing(out, identity, raw, cases, options.strict)
    _check_is_new(out)
    patients_known, copies = all(case.patient for case in cases), None
    of_images = form_of(task) == IMAGE and all(IMAGE in case.files for case in cases)
    with executor(options.workers, options.scheduler) as pool:
        begun = identity
        about = {"tools": tools} if tools else {}  # with what is found of copies and joined patients
        if hasattr(layout, "identities") and any(map(_may_be_dicom, cases)):
            identities = partial(_identities, task_file, task, raw)
            cases, about["joined"] = _joined(cases, identities, options, pool)
            patients_known = all(case.patient for case in cases)
            patients = fingerprint([case.patient for case in cases])
            begun = begun | {"patients": options.pseudonyms.keyed(patients)}
        if not (patients_known or of_images):
            # Copies are found among the records; here each case is somebody else.
            cases = [replace(case, patient=case.patient or f"unknown-{number + 1:06d}")
                     for number, case in enumerate(cases)]  # fmt: skip
            about["patients_known"] = False
        elif "duplicates" in task.prep or not patients_known:
            duplicates, bits = task.prep.get("duplicates", {}), task.prep.get("bits", 0)
            copies = find_copies(raw, cases, duplicates, bits, pool, options.calls_ahead)
            cases = with_groups(cases, copies)
            # What an interrupted run wrote is of use only if the groups are the same.
            begun = begun | {"groups": options.pseudonyms.keyed(fingerprint(copies.group_of))}
        writer = ShardWriter(out, begun, lambda number, state: unchanged(raw, cases[number], state))
        apart = _write_cases(writer, pool, task, task_file, raw, cases, options)
    if apart:
        print(
            f"warning: the sequences of {len(apart)} cases do not lie on each other "
            f'(prep.register="rigid" registers them): {first_few(apart)}', file=sys.stderr,
        )  # fmt: skip
    skipped = _skipped(writer, cases, task, options.strict)
    if out.exists():
        out.rmdir()  # empty, as checked above
    record_ids = writer.index["record_id"]
    if copies:
        print("\n".join(summary_lines(cases, copies)), file=sys.stderr)
        duplicates = report(cases, copies, record_ids, writer.case_of)
        about |= {"patients_known": patients_known, "duplicates": duplicates}
    rows = private_rows(record_ids, writer.case_of, writer.skipped, writer.states, cases)
    if (raw / PHANTOM_NOTE).is_file():
        about["synthetic"] = True
    writer.finish(_manifest(task, layout, identity, writer, about), rows)
    return Prepared.open(out), skipped


def _may_be_dicom(case: Case) -> bool:
    return any(map(may_be_dicom, case.files.values()))


def _joined(
    cases: list[Case], identities: Callable, options: PrepareOptions, pool: Executor
) -> tuple[list[Case], dict]:
    """The cases with one id for each patient, by their headers, and how many were joined."""
    found = join_shared(cases, identities, options.strict, pool, options.calls_ahead)
    if found.patients:
        print(found.warning, file=sys.stderr)
        check_splits(found.cases)
    return found.cases, {"patients": found.patients, "remaining": found.remaining}


@dataclass(frozen=True)
class SettingTypes:
    """Types of the settings that several layouts share; a layout checks the values of its own."""

    # Where the brain is: "otsu" (found from the image), "file" (a mask of the case), or by an installed
    # program, "synthstrip" or "hd-bet".
    brain_mask: str = ""
    bits: int = 0  # 8 scales 16-bit images to 0..255
    # Contrast-limited equalisation to 0..255: of images dict(low=..., high=...) in the task's unit, of
    # volumes its arguments.
    clahe: dict = field(default_factory=dict)
    covariates: tuple[str, ...] = ()  # further columns of the table that the records keep
    crop_to_brain: bool = False  # cuts volumes to the box of the brain or head
    dtype: str = ""  # of the record: uint8, uint16 (images), int16, float16 (volumes) or float32
    # How copies of images are looked for: dict(distance=..., similarity=...).
    duplicates: dict = field(default_factory=dict)
    finest_mm: tuple[float, float] = (0.0, 0.0)  # of pixels and from slice to slice; finer is resampled
    intercept: float = 0.0  # added to stored values times slope
    keep_aspect: bool = True  # a volume keeps its proportions on the grid, with a margin
    label_column: str = ""  # of the table
    missing: str = ""  # of a sequence that a case lacks: fail, skip or zero_fill
    n4: dict = field(default_factory=dict)  # bias field correction: its arguments
    nominal_spacing: bool = False  # the spacing in the headers is not the true one
    # "rigid" turns and shifts a case's sequences onto the first; a registration that fails is named.
    register: str = ""
    reference: str = ""  # the sequence that gives the grid; the first unless set
    sequences: dict = field(default_factory=dict)  # name -> rule that finds its DICOM series
    # Of single images: the column with the number of a slice in its stack, for context_slices.
    slice_column: str = ""
    slice_step: int = 1  # every how many slices one is taken
    slices: dict = field(default_factory=dict)  # of a 2D task: dict(count=12, low=0.2, high=0.8)
    slope: float = 1.0  # from stored values to the task's unit
    # Further columns in which the slices of one stack of a patient agree, such as series and phase.
    stack_columns: tuple[str, ...] = ()
    table: str = ""  # name of the table in the raw folder, where it has another than usual
    window: tuple[float, float] = (0.0, 0.0)  # percentiles that become 0 and 255


def _check_settings(task: Task, settings: set[str]) -> None:
    unknown = sorted(set(task.prep) - settings)
    if unknown:
        near = difflib.get_close_matches(unknown[0], settings, n=1)
        raise InputError(
            f"Unknown settings in prep of task {task.name}.",
            first_few(unknown),
            (f"Did you mean {near[0]}? " if near else "")
            + f"Its layout knows {', '.join(sorted(settings)) or 'none'}.",
        )
    typed = {one.name for one in dataclasses.fields(SettingTypes)}
    shared = {name: value for name, value in task.prep.items() if name in typed}
    if not is_user_layout(task):
        check_arguments("prep", SettingTypes, shared)


def _identity(task: Task, layout: ModuleType, cases: list[Case], pseudonyms: Pseudonyms) -> dict:
    """What the set depends on, for the manifest: sets with the same values are the same set."""
    return {
        "task": task.name,
        "prep": prep_fingerprint(task),
        "layout": layout_version(task, layout),
        "sources": pseudonyms.keyed(fingerprint([case.as_json() for case in cases])),
        "salt": pseudonyms.fingerprint,
    }


def _open_existing(
    out: Path, identity: dict, raw: Path, cases: list[Case], strict: bool
) -> tuple[Prepared, list[Skipped]]:
    """Opens a complete set; raises InputError if it was made from other input."""
    drop_journal(out)
    prepared = Prepared.open(out)
    rows = read_private(out / PRIVATE)
    different = [IDENTITY[key] for key in identity if prepared.manifest.get(key) != identity[key]]
    if not different and rows:
        states = {int(row["source_number"]): json.loads(row["state"]) for row in rows}
        different = [
            f"{main_file(cases[number])} has changed"
            for number, state in states.items()
            if not unchanged(raw, cases[number], state)
        ][:1]
    if different:
        raise InputError(
            "The output folder already holds another prepared set.",
            f"{out}, prepared from other input ({', '.join(different)})",
            "Remove it if it is out of date, or prepare into another folder with "
            "python -m data_prep.write --out DIR and give that folder with --data.",
        )
    skipped = [Skipped(row["source"], row["skipped_because"]) for row in rows if row["skipped_because"]]
    if strict and skipped:
        raise InputError(
            "--strict does not allow a prepared set from which inputs were skipped.",
            first_few(f"{item.file}: {item.reason}" for item in skipped),
            "Correct or remove these files, and prepare into another folder.",
        )
    return prepared, skipped


def _check_is_new(out: Path) -> None:
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(
            "The output folder must be new or empty.",
            f"{out}, which is a file or holds other files",
            "Choose another --out folder.",
        )


def _write_cases(
    writer: ShardWriter, pool: Executor, task: Task, task_file: Path, raw: Path, cases: list[Case],
    options: PrepareOptions,
) -> list[str]:  # fmt: skip
    """Reads the cases that an interrupted run left, in workers, and writes their records in order.

    Returns the files of those whose sequences do not lie on each other.
    """
    apart = []
    read = partial(_read_case, task_file, task, raw)
    with progress(f"preparing {task.name}", len(cases)) as advance:
        remaining = cases[writer.cases_done :]
        for result in map_in_order(pool, read, remaining, options.calls_ahead):
            number = writer.cases_done
            state = file_states(raw, cases[number])
            if isinstance(result, str):
                writer.skip(result, state)
            else:
                writer.add(_identified(result, number, options.pseudonyms), state)
                if result[0].facts.get("sequences_apart"):
                    apart.append(main_file(cases[number]))
            advance(writer.cases_done)
            options.deadline.got_on = True
            if writer.cases_done < len(cases):
                of_all = f"{writer.cases_done} of {len(cases)} cases of {task.name}"
                options.deadline.check(f"{of_all} are prepared")
    return apart


def _identities(task_file: Path, task: Task, raw: Path, case: Case) -> set[str]:
    """Runs in a worker: what only one patient can have."""
    return identities_of(find_layout(task, task_file), raw, case, task)


def _read_case(task_file: Path, task: Task, raw: Path, case: Case) -> list[Record] | str:
    """Runs in a worker: the records of one case, or the reason why there are none."""
    try:
        return read_case(find_layout(task, task_file), raw, case, task) or "it gave no image"
    except Unreadable as error:
        return str(error)


def _identified(records: list[Record], number: int, pseudonyms: Pseudonyms) -> list[Record]:
    """The records of case `number` with their ids, and with pseudonyms where there is a salt."""
    return [
        dataclasses.replace(
            record,
            record_id=f"{number:06d}-{place:04d}",
            patient=pseudonyms.of(record.patient),
            group=pseudonyms.of(record.group) if record.group else "",
        )
        for place, record in enumerate(records)
    ]


def _skipped(writer: ShardWriter, cases: list[Case], task: Task, strict: bool) -> list[Skipped]:
    """The cases that gave no record; raises InputError, and removes what was written, if too many."""
    skipped = [Skipped(main_file(cases[number]), reason) for number, reason in writer.skipped.items()]
    if not writer.case_of or (strict and skipped):
        writer.abandon()
        raise InputError(
            "--strict writes nothing, because some inputs cannot be read."
            if writer.case_of
            else f"No input of task {task.name} can be read.",
            first_few(f"{item.file}: {item.reason}" for item in skipped),
            "Correct or remove these files.",
        )
    return skipped


def _manifest(
    task: Task, layout: ModuleType, identity: dict, writer: ShardWriter, about: dict
) -> dict:
    labels = Counter(writer.index["label"])
    return {
        "schema_version": SCHEMA_VERSION,
        **identity,
        "class_names": list(task.class_names),
        "channels": list(task.image_channels),
        "operations": list(operations_of(layout, task)),
        "settings": dict(task.prep),
        "modality": task.modality,
        "label_from_position": task.label_from_position,
        **about,
        "versions": {"mri_tf": mri_tf.__version__, **{name: version(name) for name in LIBRARIES}},
        "counts": {
            "cases": len(set(writer.case_of)),
            "records": len(writer.case_of),
            "patients": len(set(writer.index["patient"])),
            "skipped": len(writer.skipped),
            "per_class": {
                name: labels[number] for number, name in enumerate(task.class_names)
            } if task.kind == "classification" else {},
        },
    }  # fmt: skip
