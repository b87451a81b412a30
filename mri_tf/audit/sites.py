"""Sites and classes: how many patients of each class a site has."""

from collections.abc import Sequence

import numpy as np

from mri_tf.core.errors import first_few

SITE = "site"
MOST_NAMED = 12


def class_counts(labels: np.ndarray, patients: np.ndarray, sites: np.ndarray, classes: int) -> dict:
    """Site -> (classes,) patients of each class; sites without a name are left out.

    Args:
        labels: (records,) class numbers.
        patients: (records,) ids.
        sites: (records,) names; empty where nobody knows.
        classes: how many there are.
    """
    counts = {}
    for site in sorted(set(sites.tolist()) - {""}):
        here = sites == site
        pairs = set(zip(patients[here].astype(str), labels[here].tolist(), strict=True))
        counts[site] = np.bincount([label for _, label in pairs], minlength=classes)
    return counts


def in_words(counts: dict, class_names: Sequence[str]) -> str:
    """Such as "patients of low/high: A 5/4, B 2/6"."""
    rows = [f"{site} {'/'.join(map(str, row))}" for site, row in counts.items()]
    return f"patients of {'/'.join(class_names)}: {first_few(rows, MOST_NAMED)}"
