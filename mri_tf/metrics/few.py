"""Whether so few patients could show anything at all: the exact argument of exchanged labels.

Where every patient has one true class, chance is the exchange of patients. Of 2 and 2 patients there are
6 exchanges, of which the best and the worst are a third: no number of theirs can lie beyond chance, but
a bootstrap of them gives narrow intervals that do.
"""

import math

import numpy as np

from mri_tf.metrics.bootstrap import COVERAGE


def too_few(having: np.ndarray) -> str:
    """Why there is no interval of a number that compares groups of patients, or nothing.

    having: (classes,) patients of each class, who have no other.
    """
    counts = [int(count) for count in having if count]
    if len(counts) < 2:
        return ""
    exchanges = math.factorial(sum(counts)) // math.prod(map(math.factorial, counts))
    if 2 / exchanges <= 1 - COVERAGE:
        return ""
    listed = ", ".join(map(str, counts[:-1])) + f" and {counts[-1]}"
    return f"{listed} patients are too few: chance alone does as well in 1 of {exchanges / 2:g} cases"


def one_class_each(by_patient: np.ndarray) -> bool:
    """Whether every patient of (patients, true class, predicted class) counts has one true class."""
    return bool(((by_patient.sum(axis=2) > 0).sum(axis=1) <= 1).all())
