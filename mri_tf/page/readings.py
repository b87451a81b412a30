"""Reading mode: labels that a reader gives before seeing the answer, and how far readers agree."""

import csv
import io
import itertools
import math
from dataclasses import dataclass, field

from mri_tf.page.refused import Refused

COLUMNS = ("case", "file", "patient", "reader", "label", "corrected", "seconds", "order", "decision")
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # with which spreadsheets take a cell for a formula
MOST_READERS = 20
NOTE = (
    "Labels that were given before the answer was shown; intervals are over patients. Cases are matched "
    "by the names of their files."
)


@dataclass
class Readings:
    """What one reader said of a study's cases: case id -> label, corrected label, seconds, order."""

    reader: str
    given: dict[str, dict] = field(default_factory=dict)

    def read(self, case_id: str, values: dict, classes: tuple[str, ...]) -> None:
        """Takes a reader's label of a case, or later a corrected one; raises Refused (400, 409)."""
        label, corrected, seconds = (values.get(name) for name in ("label", "corrected", "seconds"))
        for name, value in (("label", label), ("corrected", corrected)):
            if not (value in classes if isinstance(value, str) else value is None and name != "label"):
                raise Refused(400, f"The {name} must be one of {', '.join(classes)}.", repr(value)[:60],
                              "Choose a class.")  # fmt: skip
        number = isinstance(seconds, (int, float)) and not isinstance(seconds, bool)
        if not number or not 0 <= seconds < 1e6 or not math.isfinite(seconds):
            raise Refused(400, "seconds must be the time of the reading.", repr(seconds)[:60],
                          "Send a number.")  # fmt: skip
        known = self.given.get(case_id)
        if known is None:
            self.given[case_id] = {
                "label": label, "corrected": corrected, "seconds": round(float(seconds), 3),
                "order": len(self.given) + 1,
            }  # fmt: skip
        elif known["label"] != label:
            raise Refused(409, "The label was given before the answer was seen, and stays.", label,
                          "Send it as corrected.")  # fmt: skip
        else:
            known["corrected"] = corrected

    def as_csv(self, cases: dict[str, dict]) -> bytes:
        """A row for each case that was read, in the order of reading."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(COLUMNS)
        for case_id, given in sorted(self.given.items(), key=lambda item: item[1]["order"]):
            case = cases[case_id]
            row = {**given, "case": case["name"], "file": case["files"], "patient": case["patient"],
                   "reader": self.reader, "decision": case["decision"]}  # fmt: skip
            writer.writerow([_cell(row[name]) for name in COLUMNS])
        return text.getvalue().encode()


def agreement(readings: Readings, cases: dict[str, dict], task, others: list[dict]) -> dict:
    """How far readers agree with the model, on the cases that this reader has read, and with each other.

    Args:
        readings: of this study.
        cases: of the worker, by id.
        task: with class names, ordered or not.
        others: `{"name", "csv"}` of further readers, as `as_csv` writes them.

    Returns:
        `{"with_model", "after_correction", "readers_with_model", "between", "among", "note"}` with the
        numbers of `mri_tf.metrics.agreement`.

    Raises:
        Refused: 400 where `others` is no such list, 422 for a CSV that cannot be read.
    """
    import numpy as np

    from mri_tf.metrics.agreement import UNREAD, agreement_among, agreement_of_two

    number_of = {name: number for number, name in enumerate(task.class_names)}
    shown = list(cases.values())
    patients = np.array([case["patient"] for case in shown], str)
    settings = (patients, len(task.class_names), task.ordered)

    def numbers(words) -> np.ndarray:
        return np.array([number_of.get(word, UNREAD) for word in words], int)

    of_case = [readings.given.get(case["id"]) for case in shown]
    own = numbers([given and given["label"] for given in of_case])
    after = numbers([given and (given["corrected"] or given["label"]) for given in of_case])
    # Of unread cases too, the model's agreement with an uploaded table would tell its answers.
    model = numbers([given and case["decision"] for given, case in zip(of_case, shown, strict=True)])
    read = {readings.reader: own}
    for name, text in _other_readers(others, read):
        labels = _labels_of(name, text, number_of)
        read[name] = numbers([labels.get(_cell(case["files"])) for case in shown])

    def of_two(first: np.ndarray, second: np.ndarray) -> dict:
        return _flat(agreement_of_two(first, second, *settings))

    among = agreement_among(np.stack([*read.values()]), *settings) if len(read) > 2 else None
    return {
        "with_model": of_two(own, model),
        "after_correction": of_two(after, model),
        "readers_with_model": [
            {"name": name, **of_two(labels, model)} for name, labels in read.items()
        ],
        "between": [
            {"a": first, "b": second, **of_two(read[first], read[second])}
            for first, second in itertools.combinations(read, 2)
        ],
        "among": among and _flat(among),
        "note": NOTE,
    }


def _flat(found: dict) -> dict:
    """The numbers under the names that the page uses."""
    return {"n": found["cases"], "agreement": found["agreement"], "kappa": found["kappa"],
            "method": found["kind"]}  # fmt: skip


def _other_readers(others, known: dict) -> list[tuple[str, str]]:
    """(name, CSV) of further readers, each with another name."""
    if not isinstance(others, list) or len(others) > MOST_READERS:
        raise Refused(400, f"readers must be a list of at most {MOST_READERS}.", type(others).__name__,
                      "Send name and csv of each.")  # fmt: skip
    found, names = [], set(known)
    for other in others:
        values = [other.get(key) for key in ("name", "csv")] if isinstance(other, dict) else [None]
        if not all(isinstance(value, str) for value in values):
            raise Refused(400, "Every reader must have a name and a csv.", repr(other)[:40],
                          "Send both as text.")  # fmt: skip
        name, number = values[0] or "reader", 1
        while (unique := name if number == 1 else f"{name} ({number})") in names:
            number += 1
        names.add(unique)
        found.append((unique, values[1]))
    return found


def _labels_of(reader: str, text: str, number_of: dict) -> dict[str, str]:
    """File -> label of a reader's CSV; raises Refused (422)."""
    try:
        rows = list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline="")))
    except csv.Error as error:
        raise _no_csv(reader, str(error)) from None
    if not rows or not {"file", "label"} <= set(rows[0]):
        raise _no_csv(reader, "no columns file and label")
    unknown = sorted({row["label"] or "" for row in rows} - set(number_of) - {""})
    if unknown:
        raise _no_csv(reader, f"the label {unknown[0][:40]!r}, which is no class of this model")
    return {row["file"]: row["label"] for row in rows if row["file"]}


def _no_csv(reader: str, what: str) -> Refused:
    return Refused(422, f"The readings of {reader} cannot be read.", what,
                   "Give a CSV that the page wrote for the same model.")  # fmt: skip


def _cell(value) -> str:
    """A cell of a CSV that no spreadsheet takes for a formula.

    >>> _cell("=1+1"), _cell(None), _cell("case 1")
    ("'=1+1", '', 'case 1')
    """
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(FORMULA) else text
