"""Whether patients are too few for an interval, decided by their numbers alone."""

import math
from collections.abc import Sequence

import numpy as np

SIGNIFICANT = 0.05
FEWEST = 3  # patients with records of several classes


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

    Args:
        has_class: (patients, classes) bool, whose records are of which class.
    """
    if (has_class.sum(axis=1) <= 1).all():
        return too_few(has_class.sum(axis=0))
    patients = len(has_class)
    if patients >= FEWEST:
        return ""
    return f"{patients} patients with records of several classes are too few for an interval"


def too_few_within(has_class: Sequence[np.ndarray]) -> str:
    """As `too_few_of_classes` where only patients of one stratum are compared with each other.

    Args:
        has_class: of each stratum (patients, classes) bool.
    """
    if any((one.sum(axis=1) > 1).any() for one in has_class):
        return too_few_of_classes(np.concatenate(has_class))
    orders = math.prod(_orders(one.sum(axis=0).tolist()) for one in has_class)
    if 2 / orders <= SIGNIFICANT:
        return ""
    count = sum(map(len, has_class))
    return (
        f"{count} patients, compared within {len(has_class)} groups, are too few for any result to be "
        f"significant: even a perfect result has p = {min(2 / orders, 1):.2g}"
    )
