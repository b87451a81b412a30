"""Answers for original files, prepared as in training: python -m mri_tf.predict --model DIR."""

import argparse
import os
import sys
from pathlib import Path

from mri_tf.core.command_line import (
    DONE,
    INTERRUPTED,
    SOME_SKIPPED,
    Parser,
    import_tensorflow,
    run_command,
)
from mri_tf.core.errors import InputError, first_few

FORMATS = ("json", "csv", "submission")
ANSWERS = "answers.json"  # beside the label maps of a segmentation


def main(arguments: list[str]) -> int:
    """Predicts every study; returns the exit code."""
    flags = _parser().parse_args(arguments)
    from data_prep.cases.to_predict import check_there

    check_flags(flags)
    if flags.model is not None and not flags.model.exists():
        raise InputError("--model names an exported model that exists.", flags.model, "Correct it.")
    check_there(flags.input)
    try:
        return _predict(flags)
    except KeyboardInterrupt:
        print("error: Interrupted. No answers were written.", file=sys.stderr, flush=True)
        return INTERRUPTED


def _predict(flags) -> int:
    import_tensorflow()
    from data_prep.cases.to_predict import list_cases_to_predict
    from mri_tf.predict.model import ModelOptions, open_model
    from mri_tf.predict.outputs import Outputs

    where = ModelOptions(flags.model, flags.server, flags.task, flags.token_file, flags.timeout_s)
    model, module = open_model(where, needs_segmenter=flags.mask is None)
    task = model.exported.task
    check_task(flags, task, module)
    studies = list_cases_to_predict(module, flags.input, task, flags.mask)
    check_nothing_lost(flags, studies)
    found = _about(model.exported)
    if flags.explain and "explain" not in model.signatures:
        raise InputError(
            "--explain needs a model with the signature explain.", f"{task.name} without it",
            "Export its run again with python -m mri_tf.export.",
        )  # fmt: skip
    outputs = Outputs(model, found, _folder(flags, task), flags.explain)
    ids = _answer_all(outputs, module, _patients(task, studies))
    if not found.rows:
        raise InputError(
            "At least one input can be read.",
            first_few(f"{name}: {reason}" for name, reason in found.skipped), "Mend the files.",
        )  # fmt: skip
    _write(flags, task, found, module, ids)
    for name, reason in found.skipped:
        print(f"skipped {name}: {reason}", file=sys.stderr)
    _warn(found)
    return SOME_SKIPPED if found.skipped else DONE


def _answer_all(outputs, module, patients: list[tuple[str, list]]) -> dict[str, str]:
    """Reads and answers one patient after the other; returns input name -> patient's id."""
    from data_prep.case import Unreadable, main_file
    from mri_tf.core.progress import progress

    task, ids = outputs.model.exported.task, {}
    with progress(f"predicting {task.name}", len(patients)) as advance:
        for done, (name, studies) in enumerate(patients, 1):
            read = []
            for study in studies:  # of a patient's images those that can be read, as in training
                try:
                    read.append((study, _read(module, study, task)))
                except Unreadable as reason:
                    shown = name if len(studies) == 1 else f"{name}, {main_file(study.case)}"
                    outputs.found.skipped.append((shown, str(reason)))
            if read:
                outputs.take(name, read[0][0], [records for _, records in read])
                ids[name] = studies[0].case.patient
            advance(done)
    return ids


def _read(module, study, task) -> list:
    """The records of a study, as preparation makes them; raises Unreadable."""
    from data_prep.case import Unreadable

    records = module.read_case(study.raw, study.case, task)
    if not records:
        raise Unreadable("it gave no image")
    if task.spacing and records[0].spacing_mm is None:
        raise Unreadable("its spacing in mm is not known, and the task resamples slices")
    given = records[0].mask
    if task.box.get("around") == "mask" and given is not None and not given.any():
        raise Unreadable("its mask is empty on the prepared grid: there is no tumour to look at")
    return records


def _patients(task, studies: list) -> list[tuple[str, list]]:
    """What is answered for: every study, or those of one patient together."""
    if not task.bag:
        return [(study.name, [study]) for study in studies]
    together: dict[str, list] = {}
    for study in studies:
        together.setdefault(study.patient or f"alone: {study.name}", []).append(study)
    return [(own[0].name, own) for own in together.values()]


def _about(exported):
    from mri_tf.calibration.calibrator import PREDICTION_SET_LEVEL
    from mri_tf.predict.files import Predictions

    about = {"task": exported.task.name, "version": exported.version}
    about["class_names"] = list(exported.task.output_names)
    if exported.answers is not None:
        about["prediction_set_level"] = PREDICTION_SET_LEVEL
    return Predictions(about)


def _write(flags, task, found, module, ids: dict[str, str]) -> None:
    """The answers, whole or not at all; the last line names what was written."""
    from mri_tf.core.files import write_atomic

    kind, count = _format(flags), len(found.rows)
    if kind == "submission":
        *columns, label = module.SUBMISSION
        data = found.as_submission(tuple(columns), label, ids)
        count = data.count(b"\n") - 1  # a row a patient below the head
    else:
        data = found.as_csv() if kind == "csv" else found.as_json()
    if flags.out is None:
        sys.stdout.write(data.decode())
        return
    path = flags.out / ANSWERS if task.kind == "segmentation" else flags.out
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, data)
    mapped = flags.explain or task.kind == "segmentation"
    beside = f", and maps in {_folder(flags, task)}" if mapped else ""
    print(f"wrote {path}: {count} {'answer' if count == 1 else 'answers'}{beside}")


def _warn(found) -> None:
    from mri_tf.explain.attribution import outside_warnings

    mapped = [row for row in found.rows if "map_outside_brain" in row]
    for line in outside_warnings((row["input"], row["map_outside_brain"]) for row in mapped):
        print(line, file=sys.stderr)


def _folder(flags, task) -> Path | None:
    """Where maps go: the folder of a segmentation, or one beside the file of the answers."""
    if flags.out is None or task.kind == "segmentation":
        return flags.out
    return flags.out.with_name(f"{flags.out.stem}_maps")


def _format(flags) -> str:
    named = flags.out is not None and flags.out.suffix.lower() == ".csv"
    return flags.format or ("csv" if named else "json")


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value < 1e6:
        raise argparse.ArgumentTypeError(f"needs a time above 0 s, not {text}")
    return value


def _parser() -> Parser:
    parser = Parser("python -m mri_tf.predict", __doc__)
    parser.add_argument("--model", type=Path, help="saved_models/<task>, or a version in it")
    parser.add_argument("--server", default="", help="ask this server: http://HOST:8501")
    parser.add_argument("--task", default="", help="of --server without --model; file of one's own task")
    parser.add_argument(
        "--input", required=True, type=Path, nargs="+", metavar="PATH",
        help="NIfTI files, DICOM folders, images, folders of studies, or a table of them",
    )  # fmt: skip
    parser.add_argument("--mask", type=Path, help="the one study's tumour mask, where it takes one")
    parser.add_argument("--explain", action="store_true", help="write where the network looked, too")
    parser.add_argument("--out", type=Path, help="x.json, x.csv, or folder of labels (default: print)")
    parser.add_argument("--format", choices=FORMATS, help="(default: by the suffix of --out)")
    parser.add_argument("--token-file", type=Path, help="bearer token (default: $MRI_TF_TOKEN)")
    parser.add_argument("--timeout-s", type=_seconds, default=120.0, help="of a request (default 120)")
    return parser


ANSWERS_HEAD = b"input,"  # of a CSV of answers


def check_flags(flags) -> None:
    """Raises InputError for flags that do not go together, before anything is read."""
    if flags.model is None and not flags.server:
        raise InputError("predict asks a model.", "no model", "Give --model DIR, or --server URL.")
    if flags.model is None and not flags.task:
        raise InputError("--server goes with --task or --model.", "neither", "Add --task NAME.")
    if flags.explain and flags.out is None:
        raise InputError("--explain writes maps beside the answers.", "no --out", "Add --out FILE.")
    if flags.out is not None:
        home = next((one for one in flags.out.absolute().parents if one.exists()), flags.out)
        if not home.is_dir() or not os.access(home, os.W_OK):
            raise InputError("--out lies where files can be written.", flags.out, "Name another.")
    if flags.format and flags.out is not None and flags.out.suffix.lower() in (".csv", ".json"):
        kind = "json" if flags.format == "json" else "csv"
        if flags.out.suffix.lower() != f".{kind}":
            raise InputError("--format fits the suffix of --out.", flags.out, f"Name a .{kind} file.")


def check_nothing_lost(flags, studies: list) -> None:
    """Raises InputError where answers or maps would be written over what is read.

    `studies` are those listed at the inputs. A table in an input folder counts as read, too, unless it
    is one of answers.
    """
    if flags.out is None:
        return
    out = flags.out.resolve()
    read = {path.resolve() for path in (*flags.input, flags.mask) if path is not None}
    read |= {(one.raw / name).resolve() for one in studies for name in one.case.files.values()}
    table = out.suffix.lower() == ".csv" and out.is_file() and out.parent in read
    if out in read or (table and not out.read_bytes().startswith(ANSWERS_HEAD)):
        raise InputError(
            "--out is none of the inputs.", flags.out, "Name a file or folder that is not there."
        )


def check_task(flags, task, module) -> None:
    """Raises InputError for flags that this task has no use for."""
    uses_mask = bool(task.spacing) or task.box.get("around") == "mask"
    if flags.mask is not None and not uses_mask:
        raise InputError("--mask is for tasks that look at a tumour.", task.name, "Leave it away.")
    if task.kind != "segmentation":
        if flags.out is not None and flags.out.is_dir():
            raise InputError("--out of a classifier names a file.", flags.out, "Add a file's name.")
        known = flags.out is None or flags.out.suffix.lower() in (".json", ".csv")
        if not known and not flags.format:
            raise InputError(
                "The suffix of --out is .json or .csv, unless --format says which.", flags.out,
                "Add one of them.",
            )  # fmt: skip
        if flags.format == "submission" and not hasattr(module, "SUBMISSION"):
            raise InputError("A submission is a task's own table.", task.name, "Take --format csv.")
        return
    if flags.explain or flags.format in ("csv", "submission"):
        raise InputError("--explain and tables are for classifiers.", task.name, "Leave them away.")
    if flags.out is None or flags.out.suffix or flags.out.is_file():
        raise InputError(
            "--out of a segmentation names a folder of label maps.", flags.out or "no --out",
            "For example --out labels.",
        )  # fmt: skip


if __name__ == "__main__":
    sys.exit(run_command(main))
