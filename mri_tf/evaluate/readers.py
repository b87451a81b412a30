"""How far readers agree with each other, and the network with each of them."""

import numpy as np

from data_prep.io.labels import consensus
from data_prep.io.table import READER, reader_columns
from mri_tf.calibration.answers import Answers
from mri_tf.calibration.operating_point import decide
from mri_tf.evaluate.units import case_numbers, means
from mri_tf.metrics.agreement import UNREAD, agreement_among, agreement_of_two
from mri_tf.metrics.number import number
from mri_tf.pipeline.subset import Subset
from mri_tf.splits.units import cases_of
from mri_tf.store.record import NO_LABEL

OF_READERS = (
    "the truth of these cases is what the readers agree on: agreement with it is too high, and cases on "
    "which they do not agree are not among them"
)

ONLY_AGREED = "cases on which the two readers do not agree have no label and are not among these"


def reader_values(subset: Subset, outputs: np.ndarray, calibrator: Answers) -> dict:
    """Agreement on the evaluated cases for metrics.json; nothing where the table had no readers.

    The network's answer for a case is the decision from the mean probability of its records, or with
    `bag` that of the patient.

    Args:
        subset: records with labels.
        outputs: (units, classes) of the network, or (units, members, classes).
        calibrator: of the run.

    Returns:
        `{"readers": {"cases", "among", "network", "with_the_others", "note"}}`: `among` of two readers
        or more, `network` with each reader and with the truth, `with_the_others` of each reader with
        what the others agree on, of three or more.
    """
    cases = cases_of(subset.prepared, subset.records)
    first = np.array([case[0] for case in cases])
    names, readings = _readings(subset, first)
    if not names:
        return {}
    task, prepared = subset.task, subset.prepared
    patients = prepared.patients[first].astype(str)
    truth = np.array([_one_label(prepared.labels[case]) for case in cases])
    decisions = _decisions(subset, outputs, calibrator, patients)
    read = (readings != UNREAD).any(axis=0)
    truth, decisions, readings = truth[read], decisions[read], readings[:, read]
    settings = (patients[read], len(task.class_names), task.ordered)
    found: dict = {"cases": int(read.sum())}
    of_readers = len(names) > 1 and np.array_equal(_agreed(readings, subset), truth)
    if len(names) > 1:
        found["among"] = agreement_among(readings, *settings)
    if len(names) == 2 and of_readers:  # a case with two labels has none
        count = found["among"]["kappa"]["n"]
        unknown = {name: number(np.nan, count, reason=ONLY_AGREED) for name in ("kappa", "agreement")}
        found["among"] |= unknown
    found["network"] = {
        name: agreement_of_two(decisions, other, *settings)
        for name, other in zip((*names, "truth"), (*readings, truth), strict=True)
    }
    if len(names) > 2:
        found["with_the_others"] = {
            name: agreement_of_two(
                readings[number], _agreed(np.delete(readings, number, axis=0), subset), *settings
            )
            for number, name in enumerate(names)
        }
    return {"readers": found | {"note": OF_READERS if of_readers else ""}}


def _readings(subset: Subset, records: np.ndarray) -> tuple[list[str], np.ndarray]:
    """Names of the readers, and (readers, records) class numbers, UNREAD where one has not read it."""
    facts = [subset.prepared.record(int(position)).facts for position in records]
    column = subset.task.prep.get("label_column", "label")
    columns = reader_columns({name for one in facts for name in one}, column)
    number_of = {name: number for number, name in enumerate(subset.task.class_names)}
    readings = [[number_of.get(one.get(name), UNREAD) for one in facts] for name in columns]
    return [f"reader{READER.match(name)[2]}" for name in columns], np.array(readings, int)


def _one_label(labels: np.ndarray) -> int:
    """The label of a case, UNREAD where its records have several or none."""
    found = set(labels.tolist())
    return UNREAD if len(found) > 1 or NO_LABEL in found else found.pop()


def _decisions(
    subset: Subset, outputs: np.ndarray, calibrator: Answers, patients: np.ndarray
) -> np.ndarray:
    """(cases,) the network's decision for each case."""
    natural = calibrator.probabilities(outputs)
    if subset.task.bag:
        of_patient = dict(zip(subset.patients.astype(str), decide(natural, calibrator.point),
                              strict=True))  # fmt: skip
        return np.array([of_patient[patient] for patient in patients])
    return decide(means(natural, case_numbers(subset)), calibrator.point)


def _agreed(readings: np.ndarray, subset: Subset) -> np.ndarray:
    """(cases,) what readers agree on, UNREAD where they do not."""
    names = subset.task.class_names
    words = [["" if label == UNREAD else names[label] for label in case] for case in readings.T]
    agreed = [consensus(case, names, subset.task.ordered) for case in words]
    return np.array([names.index(label) if label else UNREAD for label in agreed])
