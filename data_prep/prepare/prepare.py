"""Raw folder to prepared set: lists the cases, reads them (in workers) and writes the shards."""

import dataclasses
import sys
from concurrent.futures import Executor
from functools import partial
from pathlib import Path

from data_prep.case import Case, has_several_images, main_file
from data_prep.phantom import PHANTOM_NOTE
from data_prep.prepare.duplicates import report, summary_lines
from data_prep.prepare.existing_set import Skipped, check_is_new, identity_of, open_existing
from data_prep.prepare.listed_cases import cases_to_prepare
from data_prep.prepare.manifest import manifest_of, tools_of
from data_prep.prepare.prep_settings import check_settings
from data_prep.prepare.provenance import file_states, private_rows, unchanged
from data_prep.prepare.pseudonyms import Pseudonyms
from data_prep.prepare.same_patients import same_patients
from data_prep.prepare.shards import ShardWriter
from data_prep.prepare.source import USUAL, PrepareOptions, Source
from mri_tf.core.errors import InputError, first_few
from mri_tf.core.executors import executor, map_in_order
from mri_tf.core.progress import progress
from mri_tf.store.prepared import MANIFEST, Prepared
from mri_tf.store.record import Record
from mri_tf.task import Task


def prepare(
    task: Task, task_file: Path, raw: Path, out: Path, options: PrepareOptions = USUAL
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
    source, out = Source(task, task_file, Path(raw)), Path(out).absolute()
    layout = source.layout
    check_settings(task, layout.SETTINGS)
    cases = cases_to_prepare(layout, source.raw, task, options.listing)
    identity = identity_of(task, layout, cases, options.pseudonyms)
    tools = tools_of(task)
    if (out / MANIFEST).is_file():
        return open_existing(out, identity, source.raw, cases, options.strict)
    check_is_new(out)
    with executor(options.workers, options.scheduler) as pool:
        found = same_patients(source, cases, options, pool)
        begun, cases = identity | found.identity, found.cases
        writer = ShardWriter(
            out, begun, lambda number, state: unchanged(source.raw, cases[number], state)
        )
        apart = _write_cases(writer, pool, source, cases, options)
    if apart:
        print(
            f"warning: the sequences of {len(apart)} cases do not lie on each other "
            f'(prep.register="rigid" registers them): {first_few(apart)}', file=sys.stderr,
        )  # fmt: skip
    skipped = _skipped(writer, cases, task, options.strict)
    if out.exists():
        out.rmdir()  # empty, as checked above
    record_ids = writer.index["record_id"]
    about = ({"tools": tools} if tools else {}) | found.about
    if found.copies:
        print("\n".join(summary_lines(cases, found.copies)), file=sys.stderr)
        about["duplicates"] = report(cases, found.copies, record_ids, writer.case_of)
    if len(task.channels) > 1 and any(map(has_several_images, cases)):
        about["separate_channels"] = True
    if (source.raw / PHANTOM_NOTE).is_file():
        about["synthetic"] = True
    rows = private_rows(record_ids, writer.case_of, writer.skipped, writer.states, cases)
    writer.finish(manifest_of(task, layout, identity, writer, about), rows)
    return Prepared.open(out), skipped


def _write_cases(
    writer: ShardWriter, pool: Executor, source: Source, cases: list[Case], options: PrepareOptions
) -> list[str]:
    """Reads the cases that an interrupted run left, in workers, and writes their records in order.

    Returns the files of those whose sequences do not lie on each other.
    """
    apart = []
    read, name = partial(Source.records, source), source.task.name
    with progress(f"preparing {name}", len(cases)) as advance:
        remaining = cases[writer.cases_done :]
        for result in map_in_order(pool, read, remaining, options.calls_ahead):
            number = writer.cases_done
            state = file_states(source.raw, cases[number])
            if isinstance(result, str):
                writer.skip(result, state)
            else:
                writer.add(_identified(result, number, options.pseudonyms), state)
                if result[0].facts.get("sequences_apart"):
                    apart.append(main_file(cases[number]))
            advance(writer.cases_done)
            options.deadline.got_on = True
            if writer.cases_done < len(cases):
                of_all = f"{writer.cases_done} of {len(cases)} cases of {name}"
                options.deadline.check(f"{of_all} are prepared")
    return apart


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
