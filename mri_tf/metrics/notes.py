"""Plain words about what a set's numbers cannot say."""

import numpy as np

from mri_tf.metrics.intervals import highest_error_rate

FEW_PATIENTS = 10
FEW_OF_A_CLASS = 5
WIDE = 0.5  # share of a number's scale: 1, of kappa's (from -1 to 1) 2
NAMED = 5  # at most so many classes a list


def note(by_patient: np.ndarray, class_names: tuple[str, ...], headline: dict[str, dict]) -> str:
    """One line, empty where nothing stands against the numbers.

    by_patient: (patients, true class, predicted class) counts; `headline`: numbers by name, whose
    intervals are looked at.
    """
    patients = len(by_patient)
    having = (by_patient.sum(axis=2) > 0).sum(axis=0)  # (classes,) patients
    notes = []
    if patients < FEW_PATIENTS:
        people = "1 patient" if patients == 1 else f"{patients} patients"
        notes.append(f"only {people}: the intervals are rough")
    notes += _about_rare(class_names, having)
    if by_patient.sum() == np.trace(by_patient.sum(axis=0)):
        most = 100 * highest_error_rate(patients)
        notes.append(
            f"nothing was wrong: a bootstrap cannot show how sure that is; of patients like these "
            f"up to {most:.2g} % may have an error (exact 95 % limit from {patients})"
        )
    wide = [name for name, number in headline.items()
            if _width(number) > WIDE * (2 if "kappa" in name else 1)]
    if wide:
        notes.append(f"{_list(wide)}: the interval is as wide as half the scale, the data cannot tell")
    absent = [name for name, count in zip(class_names, having, strict=True) if count == 0]
    if absent:
        notes.append(f"no record of {_list(absent)}: left out of the means unless predicted")
    return "; ".join(notes)


def _about_rare(class_names: tuple[str, ...], having: np.ndarray) -> list[str]:
    rare = [
        (name, int(count)) for name, count in zip(class_names, having, strict=True)
        if 0 < count < FEW_OF_A_CLASS
    ]  # fmt: skip
    if not rare:
        return []
    if len(rare) == 1:
        name, count = rare[0]
        people = "1 patient" if count == 1 else f"{count} patients"
        return [f"class {name} has {people}: its numbers say almost nothing"]
    listed = _list([f"{name} ({count})" for name, count in rare])
    return [
        f"classes with fewer than {FEW_OF_A_CLASS} patients: {listed}: "
        "their numbers say almost nothing"
    ]


def _width(number: dict) -> float:
    return 0.0 if number["low"] is None else number["high"] - number["low"]


def _list(names: list[str]) -> str:
    shown = ", ".join(names[:NAMED])
    return shown if len(names) <= NAMED else f"{shown} and {len(names) - NAMED} more"
