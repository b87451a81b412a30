"""Which files predict never writes over: its inputs, and what is no answers of an earlier call."""

import json
from pathlib import Path

from data_prep.cases.to_predict import CaseToPredict
from mri_tf.core.errors import InputError

CSV_START = b"input,"  # the first bytes of a CSV file of answers


def check_inputs_kept(
    answers: Path | None, maps: Path | None, inputs: list[Path], cases: list[CaseToPredict]
) -> None:
    """Raises InputError where what is written would replace what somebody else made.

    Args:
        answers: file of the answers; None where they are printed. It may not be one of the input paths,
            a file of a case, or a file that does not hold answers of an earlier call. A submission
            table counts as such a file: tables of labels look like it.
        maps: folder of the label maps or Grad-CAM maps; None where there are none. It may not hold an
            input, beside which a manual mask may have the name of a map.
        inputs: paths that the user gave.
        cases: that were found there.
    """
    read = {path.resolve() for path in inputs}
    read |= {(case.raw / name).resolve() for case in cases for name in case.case.files.values()}
    if answers is not None and answers.resolve() in read:
        raise InputError("--out would overwrite an input.", answers, "Choose another --out.")
    if maps is not None and any(maps.resolve() in (path, path.parent) for path in read):
        raise InputError(
            "Maps are not written into a folder that holds an input.", maps,
            "Choose an --out in a folder of its own.",
        )  # fmt: skip
    if answers is not None and answers.is_file() and not _holds_answers(answers):
        raise InputError(
            "--out would replace a file that holds no answers of predict.", answers,
            "Choose another --out, or remove the file.",
        )  # fmt: skip


def _holds_answers(path: Path) -> bool:
    """Whether a file holds the answers of an earlier call; an empty file has nothing to lose."""
    data = path.read_bytes()
    if not data or data.startswith(CSV_START):
        return True
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return False
    return isinstance(document, dict) and {"task", "class_names", "answers"} <= set(document)
