"""Raw folder -> prepared set: lists the sources, reads them (in workers), writes the shards."""

import dataclasses
import difflib
import json
import sys
from collections import Counter
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path

import mri_tf
from data_prep.case import Case, Unreadable, main_file
from data_prep.layout import find_layout, layout_version
from data_prep.prepare.duplicates import Copies, find_copies, lines, report, tied
from data_prep.prepare.provenance import file_states, private_rows, read_private, unchanged
from data_prep.prepare.pseudonyms import Pseudonyms
from data_prep.prepare.shards import ShardWriter, drop_journal
from mri_tf.core.errors import InputError, first_few
from mri_tf.core.executors import executor, map_in_order
from mri_tf.core.hashing import fingerprint
from mri_tf.core.progress import progress
from mri_tf.store.fingerprints import prep_fingerprint
from mri_tf.store.prepared import MANIFEST, PRIVATE, Prepared
from mri_tf.store.record import SCHEMA_VERSION, Record
from mri_tf.task import Task
from mri_tf.task.files import find_task_file, is_built_in

LIBRARIES = (
    "tensorflow", "numpy", "scipy", "scikit-image", "nibabel", "pillow", "pydicom", "imagecodecs",
    "SimpleITK",
)  # fmt: skip


@dataclass(frozen=True)
class Skipped:
    """A case that gave no record: its file and the reason."""

    file: str
    reason: str


@dataclass(frozen=True)
class PrepareOptions:
    """Where the work runs and how strict it is."""

    workers: int = 1
    scheduler: str = ""
    strict: bool = False
    pseudonyms: Pseudonyms = Pseudonyms()


def prepare(
    task: Task, task_file: Path, raw: Path, out: Path, how: PrepareOptions = PrepareOptions()
) -> tuple[Prepared, list[Skipped]]:
    """Prepares a raw folder, or opens the set if that was done; continues where it was interrupted.

    Raises InputError for input that cannot be used at all; single unreadable sources are
    returned (and, with `how.strict`, nothing is written and InputError is raised).
    """
    module = find_layout(task, task_file)
    _check_settings(task, module.SETTINGS)
    cases = module.list_cases(Path(raw), task)
    _check_patients(cases)
    identity = {
        "task": task.name,
        "prep": prep_fingerprint(task),
        "layout": layout_version(task, module),
        "sources": how.pseudonyms.keyed(fingerprint([case.as_json() for case in cases])),
        "salt": how.pseudonyms.fingerprint,
    }
    out = Path(out).absolute()
    if (out / MANIFEST).is_file():
        drop_journal(out)
        return _open_existing(out, identity, Path(raw), cases, how.strict)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(
            "A prepared set is written into a new folder.",
            f"{out}, which is a file or holds other files",
            "Name another --out.",
        )
    copies, known, begun = None, all(case.patient for case in cases), identity
    with executor(how.workers, how.scheduler) as pool:
        if "duplicates" in task.prep or not known:
            copies = _copies(pool, task, Path(raw), cases, how)
            cases = tied(cases, copies)
            # What an interrupted run wrote is of use only if the groups are the same.
            begun = identity | {"groups": how.pseudonyms.keyed(fingerprint(copies.group_of))}
        writer = ShardWriter(
            out, begun, lambda number, state: unchanged(Path(raw), cases[number], state)
        )
        _write_cases(writer, pool, task, task_file, Path(raw), cases, how)
    skipped = [
        Skipped(main_file(cases[number]), reason) for number, reason in writer.skipped.items()
    ]
    if not writer.case_of or (how.strict and skipped):
        writer.abandon()
        raise InputError(
            "--strict writes only if every input can be read."
            if writer.case_of
            else f"Task {task.name} needs at least one readable input.",
            first_few(f"{item.file}: {item.reason}" for item in skipped),
            "Mend or remove these files.",
        )
    if out.exists():
        out.rmdir()  # empty, as checked above
    rows = private_rows(
        writer.index["record_id"], writer.case_of, writer.skipped, writer.states, cases
    )
    if copies:
        print("\n".join(lines(cases, copies)), file=sys.stderr)
    about = {"patients_known": known, **_about(writer, cases, copies)} if copies else {}
    writer.finish(_manifest(task, task_file, identity, writer, about), rows)
    return Prepared.open(out), skipped


def _check_settings(task: Task, settings: set[str]) -> None:
    unknown = sorted(set(task.prep) - settings)
    if unknown:
        near = difflib.get_close_matches(unknown[0], settings, n=1)
        hint = f"Did you mean {near[0]}?" if near else "Correct prep in the task file."
        raise InputError(
            f"prep of task {task.name} takes {', '.join(sorted(settings)) or 'nothing'}.",
            first_few(unknown),
            hint,
        )


def _write_cases(writer, pool, task, task_file, raw: Path, cases, how: PrepareOptions) -> None:
    # A worker elsewhere finds a built-in task by its name, whatever its own paths are.
    name = task.name if is_built_in(task_file) else str(task_file)
    read = partial(_read_one, name, task, str(raw))
    left = cases[writer.cases_done :]
    with progress(f"preparing {task.name}", len(cases)) as advance:
        for result in map_in_order(pool, read, left, _ahead(how)):
            number = writer.cases_done
            state = file_states(raw, cases[number])
            if isinstance(result, str):
                writer.skip(result, state)
            else:
                named = [
                    _named(record, number, place, how.pseudonyms)
                    for place, record in enumerate(result)
                ]
                writer.add(named, state)
            advance(writer.cases_done)


def _ahead(how: PrepareOptions) -> int:
    return 1 if how.workers == 1 and not how.scheduler else 4 * max(how.workers, 4)


def _copies(pool, task: Task, raw: Path, cases: list[Case], how: PrepareOptions) -> Copies:
    settings, bits = task.prep.get("duplicates", {}), task.prep.get("bits", 0)
    return find_copies(raw, cases, settings, bits, pool, _ahead(how))


def _about(writer: ShardWriter, cases: list[Case], copies: Copies) -> dict:
    """What the manifest says of copies; records have been named by then."""
    names: dict[int, list[str]] = {}
    for name, number in zip(writer.index["record_id"], writer.case_of, strict=True):
        names.setdefault(number, []).append(name)
    return {"duplicates": report(cases, copies, lambda number: names.get(number, []))}


def _read_one(name_or_file: str, task: Task, raw: str, case: Case) -> list[Record] | str:
    """Runs in a worker: the records of one source, or the reason why there are none."""
    try:
        module = find_layout(task, find_task_file(name_or_file))
        return module.read_case(Path(raw), case, task) or "it gave no image"
    except Unreadable as error:
        return str(error)


def _named(record: Record, number: int, place: int, pseudonyms: Pseudonyms) -> Record:
    return dataclasses.replace(
        record,
        record_id=f"{number:06d}-{place:04d}",
        patient=pseudonyms.of(record.patient),
        group=pseudonyms.of(record.group) if record.group else "",
    )


def _check_patients(cases: list[Case]) -> None:
    sides: dict[str, set[str]] = {}
    for case in cases:
        sides.setdefault(case.patient, set()).add(case.split)
    torn = sorted(patient for patient, splits in sides.items() if len(splits) > 1)
    if torn:
        raise InputError(
            "Every row of a patient has the same value in the split column.",
            f"several of {first_few(torn)}",
            "Correct the table: patients on two sides make every number too good.",
        )


def _open_existing(
    out: Path, identity: dict, raw: Path, cases: list[Case], strict: bool
) -> tuple[Prepared, list[Skipped]]:
    prepared = Prepared.open(out)
    found = {key: prepared.manifest.get(key) for key in identity}
    rows = read_private(out / PRIVATE)
    differs = [key for key in identity if found[key] != identity[key]]
    if not differs and rows:
        states = {int(row["source_number"]): json.loads(row["state"]) for row in rows}
        differs = [
            f"{main_file(cases[number])} has changed"
            for number, state in states.items()
            if not unchanged(raw, cases[number], state)
        ][:1]
    if differs:
        raise InputError(
            "A folder holds one prepared set.",
            f"{out}, prepared from other input ({', '.join(differs)})",
            "Remove it if it is out of date, or prepare into another folder with "
            "python -m data_prep.write --out DIR and name that with --data.",
        )
    skipped = [
        Skipped(row["source"], row["skipped_because"]) for row in rows if row["skipped_because"]
    ]
    if strict and skipped:
        raise InputError(
            "--strict takes a set of which every input could be read.",
            first_few(f"{item.file}: {item.reason}" for item in skipped),
            "Mend these files and prepare into another folder.",
        )
    return prepared, skipped


def _manifest(task: Task, task_file: Path, identity: dict, writer: ShardWriter, about: dict) -> dict:
    labels = Counter(writer.index["label"])
    return {
        "schema_version": SCHEMA_VERSION,
        **identity,
        "class_names": list(task.class_names),
        "channels": list(task.channels),
        "operations": list(find_layout(task, task_file).OPERATIONS),
        "settings": dict(task.prep),
        **about,
        "versions": {"mri_tf": mri_tf.__version__, **{name: version(name) for name in LIBRARIES}},
        "counts": {
            "records": len(writer.case_of),
            "patients": len(set(writer.index["patient"])),
            "skipped": len(writer.skipped),
            "per_class": {
                name: labels[number] for number, name in enumerate(task.class_names)
            } if task.kind == "classification" else {},
        },
    }  # fmt: skip
