"""What a check found about patients, their classes and their sites; pure functions of arrays."""

import difflib
import math
from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np

from mri_tf.audit.sites import class_counts, in_words
from mri_tf.check.findings import ATTENTION, GOOD, UNKNOWN, Finding
from mri_tf.core.errors import first_few
from mri_tf.metrics.label_association import Exchanges, cramers_v, unit_means
from mri_tf.metrics.label_exchanges import exchange_units
from mri_tf.task.spec import SIDES

ALIKE = 0.8  # of two names, by difflib: one letter of six differs
FEW_PATIENTS = 5  # of a class
FEW_SHARE = 0.1  # of the patients with several classes, for the labels to be doubtful
SUPPOSED_AUC = 0.8
WIDE = 0.15  # of half an interval
UNLIKELY = 0.05


def classes_by_side(
    labels: np.ndarray, patients: np.ndarray, sides: Sequence[np.ndarray], names: Sequence[str]
) -> Finding:
    """Patients of each class on each side; a class that a side lacks, or with few patients, is named."""
    counts = np.array([[len(set(patients[side][labels[side] == number])) for side in sides]
                       for number in range(len(names))])  # (classes, sides)  # fmt: skip
    rows = [f"{name} {'/'.join(map(str, row))}" for name, row in zip(names, counts, strict=True)]
    text = f"patients in {'/'.join(SIDES)}: {first_few(rows, 12)}"
    lacking = [
        f"{name} in {side}"
        for name, row in zip(names, counts, strict=True)
        for side, count in zip(SIDES, row, strict=True)
        if not count
    ]
    few = [name for name, row in zip(names, counts, strict=True) if row.sum() < FEW_PATIENTS]
    misspelt = [f"{name} may be {near[0]} misspelt" for name in few
                if (near := difflib.get_close_matches(name, set(names) - {name}, 1, ALIKE))]  # fmt: skip
    if lacking:
        advice = "Add patients, join classes, or use folds."
        if misspelt:
            advice = f"{first_few(misspelt)}: correct the label. Otherwise: {advice.lower()}"
        return Finding(
            "classes", ATTENTION, f"{text}; none of {first_few(lacking)}", advice,
        )  # fmt: skip
    if few:
        return Finding(
            "classes", ATTENTION, f"{text}; few patients of {first_few(few)}",
            "Add patients, or join classes.",
        )  # fmt: skip
    return Finding("classes", GOOD, text)


def classes_of_patients(labels: np.ndarray, patients: np.ndarray) -> Finding:
    """Whether a few patients have records of several classes, and the others of one.

    Args:
        labels: (records,) class of each record.
        patients: (records,) whose it is.
    """
    by_patient = defaultdict(set)
    for label, patient in zip(labels, patients, strict=True):
        by_patient[patient].add(int(label))
    several = {patient for patient, found in by_patient.items() if len(found) > 1}
    if 0 < len(several) <= FEW_SHARE * len(by_patient):
        where = tuple(place for place, patient in enumerate(patients) if patient in several)
        return Finding(
            "labels", ATTENTION,
            f"{len(several)} of {len(by_patient)} patients have records of several classes, the others "
            "of one", "Look whether these labels are right.", where,
        )  # fmt: skip
    text = f"{len(several)} of {len(by_patient)} patients have records of several classes"
    return Finding("labels", GOOD, text if several else "every patient has one class")


def classes_by_site(
    labels: np.ndarray, patients: np.ndarray, sites: np.ndarray, names: Sequence[str]
) -> Finding:
    """Whether a site has patients of one class alone, or other shares of the classes than the others.

    Args:
        labels: (records,) class of each record.
        patients: (records,) whose it is.
        sites: (records,) where it was acquired; empty where nobody knows.
        names: of the classes.
    """
    counts = class_counts(labels, patients, sites, len(names))
    if len(counts) < 2:
        text = f"there is one site ({', '.join(counts)})" if counts else "there is no column site"
        return Finding("sites", UNKNOWN, f"{text}: nobody sees whether a model works elsewhere")
    alone = [site for site, row in counts.items()
             if row.sum() >= FEW_PATIENTS and (row > 0).sum() == 1]  # fmt: skip
    text = in_words(counts, names)
    if alone:
        return Finding(
            "sites", ATTENTION, f"{text}; one class alone at {first_few(alone)}",
            "The site tells the class there: leave such sites out, or hold them out as a whole.",
        )  # fmt: skip
    p = independence_p(labels, patients, sites)
    if p < UNLIKELY:
        return Finding(
            "sites", ATTENTION, f"{text}; class and site are not independent (p = {p:.3f})",
            "A network may learn the scanner in the place of the disease: hold sites out as a whole "
            "(mri_tf.study --leave-one-site-out), or balance them.",
        )  # fmt: skip
    return Finding("sites", GOOD, text)


def classes_by_kind_of_picture(
    labels: np.ndarray, patients: np.ndarray, kinds: Sequence[str]
) -> Finding:
    """Whether the size and the format of the pictures' files go together with the classes.

    Args:
        labels: (records,) class of each record.
        patients: (records,) whose it is.
        kinds: of each record, such as "512 x 512 JPEG".
    """
    counts = Counter(kinds)
    if len(counts) == 1:
        return Finding("pictures", GOOD, f"all files are {next(iter(counts))}")
    text = first_few([f"{count} of {kind}" for kind, count in counts.most_common()], 4)
    p = independence_p(labels, patients, np.array(kinds))
    if p < UNLIKELY:
        return Finding(
            "pictures", ATTENTION, f"{text}; class and kind of file are not independent (p = {p:.3f})",
            "The classes may come from several sources, and a network may learn the source: take all "
            "classes from one source, or see what the size and the format alone tell "
            "(python -m mri_tf.audit).",
        )  # fmt: skip
    return Finding("pictures", GOOD, text)


def independence_p(labels: np.ndarray, patients: np.ndarray, sites: np.ndarray) -> float:
    """The share of exchanges of classes between patients in which class and site go together at least
    as strongly as in the data, by Cramér's V.

    Args:
        labels: (records,) class of each record.
        patients: (records,) whose it is; a patient counts once, by the shares of the sites.
        sites: (records,) where it was acquired.
    """
    exchanges = Exchanges.of(exchange_units(labels, patients))
    names, site_of = np.unique(sites.astype(str), return_inverse=True)
    values = cramers_v(unit_means(np.eye(len(names))[site_of], exchanges.units), exchanges)
    return float(np.mean(values >= values[0] - 1e-9))


def expected_auc_interval(labels: np.ndarray, patients: np.ndarray, names: Sequence[str]) -> Finding:
    """How wide an interval of the AUC so many patients can give, by Hanley and McNeil (1982).

    Args:
        labels: (records,) class of each record that is tested.
        patients: (records,) whose it is.
        names: of the classes; of several, the one with the fewest patients against the others.
    """
    counts = [len(set(patients[labels == number])) for number in range(len(names))]
    rarest = int(np.argmin(counts))
    few, others = counts[rarest], len(set(patients[labels != rarest]))
    if not few or not others:
        text = f"no patient of {names[rarest]} to test on"
        return Finding("precision", ATTENTION, text, "Add patients.")
    half = 1.96 * hanley_mcneil_error(SUPPOSED_AUC, few, others)
    low, high = max(0.0, SUPPOSED_AUC - half), min(1.0, SUPPOSED_AUC + half)
    text = (
        f"{few} and {others} patients to test on: an AUC of {SUPPOSED_AUC:g} would have an interval of "
        f"about {low:.2f} to {high:.2f}"
    )
    if half <= WIDE:
        return Finding("precision", GOOD, text)
    return Finding(
        "precision", ATTENTION, text,
        "Test on every patient in turn: python -m mri_tf.train --folds 5, or python -m mri_tf.study.",
    )


def hanley_mcneil_error(auc: float, positive: int, negative: int) -> float:
    """Standard error of an AUC (Hanley and McNeil, Radiology 1982, equation 1).

    >>> round(hanley_mcneil_error(0.893, 51, 58), 3)
    0.033
    """
    q1, q2 = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    variance = auc * (1 - auc) + (positive - 1) * (q1 - auc**2) + (negative - 1) * (q2 - auc**2)
    return math.sqrt(variance / (positive * negative))
