"""Sentences on what the numbers of a set cannot show."""

import numpy as np

from mri_tf.metrics.intervals import clopper_pearson

FEW_PATIENTS = 10
FEW_OF_A_CLASS = 5
WIDE = 0.5  # share of the scale, which is 1 long, and 2 for kappa (-1 to 1)
MAX_NAMES = 5  # in a list of classes


def note(
    by_patient: np.ndarray, class_names: tuple[str, ...], headline: dict[str, dict], absent_from: str
) -> str:
    """Returns the cautions about a set's numbers in one line, empty where there are none.

    Args:
        by_patient: (patients, true class, predicted class) counts.
        class_names: in the order of the counts.
        headline: numbers of metrics.json by name, whose intervals are checked.
        absent_from: the means that leave out a class without a record.
    """
    patients = len(by_patient)
    patients_of = (by_patient.sum(axis=2) > 0).sum(axis=0)  # (classes,) patients
    notes = []
    if patients < FEW_PATIENTS:
        notes.append(f"only {_patients(patients)}: the intervals are rough")
    notes += _on_rare_classes(class_names, patients_of)
    if by_patient.sum() == np.trace(by_patient.sum(axis=0)):
        highest = 100 * clopper_pearson(0, patients)[1]
        notes.append(
            f"no error was observed; up to {highest:.2g} % of similar patients may have an error (exact "
            f"95 % limit from {patients})"
        )
    wide = [name for name, number in headline.items()
            if _width(number) > WIDE * (2 if "kappa" in name else 1)]
    if wide:
        notes.append(f"{_list(wide)}: the interval covers more than half the scale")
    absent = [name for name, count in zip(class_names, patients_of, strict=True) if count == 0]
    if absent:
        notes.append(f"no record of {_list(absent)}: left out of {absent_from}")
    return "; ".join(notes)


def _on_rare_classes(class_names: tuple[str, ...], patients_of: np.ndarray) -> list[str]:
    rare = [(name, int(count)) for name, count in zip(class_names, patients_of, strict=True)
            if 0 < count < FEW_OF_A_CLASS]  # fmt: skip
    if not rare:
        return []
    if len(rare) == 1:
        name, count = rare[0]
        return [f"class {name} has only {_patients(count)}: its numbers are hardly informative"]
    listed = _list([f"{name} ({count})" for name, count in rare])
    few = f"classes with fewer than {FEW_OF_A_CLASS} patients: {listed}"
    return [f"{few}: their numbers are hardly informative"]


def _patients(count: int) -> str:
    return "1 patient" if count == 1 else f"{count} patients"


def _width(number: dict) -> float:
    return 0.0 if number["low"] is None else number["high"] - number["low"]


def _list(names: list[str]) -> str:
    shown = ", ".join(names[:MAX_NAMES])
    return shown if len(names) <= MAX_NAMES else f"{shown} and {len(names) - MAX_NAMES} more"
