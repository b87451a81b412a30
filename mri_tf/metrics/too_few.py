"""Whether patients are too few for an interval, decided by their numbers alone."""

import math

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
    orders = math.factorial(sum(counts)) // math.prod(map(math.factorial, counts))
    if 2 / orders <= SIGNIFICANT:
        return ""
    groups = ", ".join(map(str, counts[:-1])) + f" and {counts[-1]}"
    p = f"even a perfect result has p = {2 / orders:.2g}"
    return f"{groups} patients are too few for any result to be significant: {p}"


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
