"""Whether patients are too few for an interval, decided by their numbers alone."""

import math
from collections.abc import Sequence

import numpy as np

from mri_tf.core.words import plural

SIGNIFICANT = 0.05
FEWEST = 3  # patients with records of several classes, who are enough
FEWEST_TO_COMPARE, FEWEST_OF_CLASS = 20, 7  # patients, for a difference: all, and of each class


def too_few(patients_of: np.ndarray) -> str:
    """Returns the reason if no ranking of so few patients could be significant, otherwise "".

    That is so if a permutation test's smallest two-sided p-value is above 0.05.

    Args:
        patients_of: (classes,) patients of each class; every patient has one class.
    """
    counts = [int(count) for count in patients_of if count]
    if len(counts) < 2:
        return ""
    orders = _orders(counts)
    if 2 / orders <= SIGNIFICANT:
        return ""
    groups = ", ".join(map(str, counts[:-1])) + f" and {counts[-1]}"
    p = f"even a perfect result has p = {2 / orders:.2g}"
    return f"{groups} patients are too few for any result to be significant: {p}"


def _orders(counts: Sequence[int]) -> int:
    """In how many orders of patients the classes can stand."""
    return math.factorial(sum(counts)) // math.prod(map(math.factorial, counts))


def too_few_of_classes(has_class: np.ndarray) -> str:
    """The reason why numbers that compare classes get no interval; "" if they get one.

    Patients with records of several classes are compared with themselves, and FEWEST of them are
    enough. Fewer count to the rarest of their classes, and the rule of `too_few` decides.

    Args:
        has_class: (patients, classes) bool, whose records are of which class.
    """
    mixed = _mixed(has_class)
    if mixed >= FEWEST:
        return ""
    patients_of = _patients_of(has_class)
    if mixed and np.count_nonzero(patients_of) < 2:
        return f"{plural(mixed, 'patient')} with records of several classes are too few for an interval"
    return too_few(patients_of)


def _mixed(has_class: np.ndarray) -> int:
    """Patients with records of several classes."""
    return int((has_class.sum(axis=1) > 1).sum())


def _patients_of(has_class: np.ndarray) -> np.ndarray:
    """(classes,) patients of each class; one of several classes counts to that which fewest have."""
    rarest = np.where(has_class, has_class.sum(axis=0), len(has_class) + 1).argmin(axis=1)
    return np.bincount(rarest[has_class.any(axis=1)], minlength=has_class.shape[1])


def too_few_within(has_class: Sequence[np.ndarray]) -> str:
    """As `too_few_of_classes` where only patients of one stratum are compared with each other.

    Args:
        has_class: of each stratum (patients, classes) bool.
    """
    if sum(map(_mixed, has_class)) >= FEWEST:
        return ""
    orders = math.prod(_orders(_patients_of(one).tolist()) for one in has_class)
    if 2 / orders <= SIGNIFICANT:
        return ""
    count = sum(map(len, has_class))
    return (
        f"{count} patients, compared within {len(has_class)} groups, are too few for any result to be "
        f"significant: even a perfect result has p = {min(2 / orders, 1):.2g}"
    )


def of_one_patient(patients_of: np.ndarray, nouns: str = "classes") -> str:
    """Why a mean over classes whose variance is seen by leaving out patients has no interval; "" where
    it has one. Without the only patient of a class there is nothing to compare.

    Args:
        patients_of: (classes,) patients of each.
        nouns: what classes are called.
    """
    alone = int((patients_of == 1).sum())
    if not alone:
        return ""
    has = "has" if alone == 1 else "have"
    return f"{alone} of the {nouns} {has} one patient alone: nothing tells how much its part varies"


def too_few_to_compare(has_class: np.ndarray, means_of_classes: bool) -> str:
    """Why a difference between two answers for the same patients gets no interval; "" where it gets one.

    Fewer patients draw too like themselves again: the resamples vary less than new patients would. In a
    mean over classes a rare class counts as much as all others.

    Args:
        has_class: (patients, classes) bool, whose records are of which class.
        means_of_classes: whether the number weighs classes alike, as an AUC or balanced accuracy does.
    """
    if len(has_class) < FEWEST_TO_COMPARE:
        return f"too few to compare two answers: {len(has_class)}, and {FEWEST_TO_COMPARE} are needed"
    of_class = has_class.sum(axis=0)
    rarest = of_class[of_class > 0].min()
    if means_of_classes and rarest < FEWEST_OF_CLASS:
        return f"too few of a class to compare two answers: {rarest}, and {FEWEST_OF_CLASS} are needed"
    return ""
