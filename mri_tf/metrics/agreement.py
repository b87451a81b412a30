"""Agreement among readers of the same cases, and of a network with each of them."""

import itertools
from typing import NamedTuple

import numpy as np

from mri_tf.metrics import counts
from mri_tf.metrics.classification import share_of_records
from mri_tf.metrics.intervals import kappa_interval
from mri_tf.metrics.number import number, number_over_patients
from mri_tf.metrics.too_few import too_few_of_classes

UNREAD = -1
SAME = "both name one class alone, or no case was read by both"


class Pairs(NamedTuple):
    """Pairs of readings of one case: class numbers of both, and the patient, (pairs,) each."""

    first: np.ndarray
    second: np.ndarray
    patients: np.ndarray

    @classmethod
    def of(cls, first: np.ndarray, second: np.ndarray, patients: np.ndarray) -> "Pairs":
        """Of the cases that both have read."""
        both = (first != UNREAD) & (second != UNREAD)
        return cls(first[both], second[both], patients[both])


def agreement_of_two(
    first: np.ndarray, second: np.ndarray, patients: np.ndarray, classes: int, ordered: bool
) -> dict:
    """Cohen's kappa of two readers and the share of cases on which they agree.

    Args:
        first, second: (cases,) class numbers, UNREAD where one has not read the case.
        patients: (cases,) ids; intervals are over them.
        classes: how many there are.
        ordered: the kappa is quadratic (Cohen 1968).

    Returns:
        `{"cases": of both, "kappa": number, "agreement": number, "kind": text}`.
    """
    pairs = Pairs.of(first, second, patients)
    by_patient = counts.confusion_by_patient(*pairs, classes)
    found = {"cases": len(pairs.first), **_numbers(pairs, by_patient, ordered)}
    return {**found, "kind": kind_of_kappa("Cohen's", ordered)}


def agreement_among(
    readings: np.ndarray, patients: np.ndarray, classes: int, ordered: bool
) -> dict:
    """Agreement of all readers with each other, over all pairs of readers who read a case.

    Of two readers the kappa is Cohen's. Of more, every pair of readings of a case counts in both orders,
    so that chance is that of all readers together: with every case read by every reader that is Fleiss'
    kappa (1971), with quadratic costs where classes are ordered.

    Args:
        readings: (readers, cases) class numbers, UNREAD where a reader has not read the case.
        patients: (cases,) ids.
        classes: how many there are.
        ordered: costs are quadratic.

    Returns:
        `{"cases": read by two readers or more, "kappa": number, "agreement": number, "kind": text}`.
    """
    if len(readings) == 2:
        return agreement_of_two(*readings, patients, classes, ordered)
    couples = [Pairs.of(*two, patients) for two in itertools.combinations(readings, 2)]
    pairs = Pairs(*(np.concatenate(part) for part in zip(*couples, strict=True)))
    by_patient = counts.confusion_by_patient(*pairs, classes)
    by_patient = by_patient + by_patient.transpose(0, 2, 1)  # in both orders
    several = (readings != UNREAD).sum(axis=0) > 1
    found = {"cases": int(several.sum()), **_numbers(pairs, by_patient, ordered)}
    return {**found, "kind": kind_of_kappa("Fleiss'", ordered)}


def kind_of_kappa(whose: str, ordered: bool) -> str:
    """The name of a kappa.

    >>> kind_of_kappa("Cohen's", ordered=True)
    "Cohen's kappa, quadratic"
    """
    return f"{whose} kappa, quadratic" if ordered else f"{whose} kappa"


def _numbers(pairs: Pairs, by_patient: np.ndarray, ordered: bool) -> dict[str, dict]:
    """Kappa and share of agreeing pairs, with intervals over patients.

    `by_patient` are (patients, first reading, second reading) counts.
    """
    total, classes = by_patient.sum(axis=0), by_patient.shape[1]
    rank = np.arange(classes)
    costs = (rank[:, None] - rank) ** 2 / (classes - 1) ** 2 if ordered else 1 - np.eye(classes)
    measure = counts.quadratic_kappa if ordered else counts.kappa
    value = float(measure(total)) if total.sum() else np.nan

    def interval() -> tuple[float, float, str]:
        shares = total / total.sum()
        by_chance = float(shares.sum(axis=1) @ costs @ shares.sum(axis=0))
        pairs_of = by_patient.sum(axis=(1, 2))
        differ = int((pairs_of > np.trace(by_patient, axis1=1, axis2=2)).sum())
        return kappa_interval(value, measure(total - by_patient), differ, pairs_of, by_chance)

    has_class = by_patient.sum(axis=2) > 0  # (patients, classes)
    if few := np.isfinite(value) and too_few_of_classes(has_class):
        kappa = number(value, len(by_patient), reason=few)
    else:
        kappa = number_over_patients(value, len(by_patient), interval, SAME)
    return {"kappa": kappa, "agreement": share_of_records(pairs.first == pairs.second, pairs.patients)}
