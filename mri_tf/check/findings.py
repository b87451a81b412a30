"""What a check found: each a pure function of arrays or counts."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mri_tf.core.errors import first_few
from mri_tf.task.spec import SIDES

GOOD, ATTENTION, UNKNOWN = "good", "attention", "cannot tell"
FEW_PATIENTS = 5  # of a class
FAR = 6.0  # median absolute deviations from the median
LEAST_DEVIATION = 0.02  # of the median, so that equal values with one other are no outliers
SUPPOSED_AUC = 0.8
WIDE = 0.15  # of half an interval
UNLIKELY, DRAWS = 0.05, 1999
MOST_EXTENT = 1.6  # of the largest case over the smallest, along an axis


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        name: what was looked at.
        status: "good", "attention" or "cannot tell".
        text: what was found.
        advice: what to do; empty where nothing is to be done.
        records: positions of the records in question; the terminal names their files.
        on_terminal: what may name files or patients, and is not written into files.
    """

    name: str
    status: str
    text: str
    advice: str = ""
    records: tuple[int, ...] = ()
    on_terminal: str = ""


def skipped_cases(reasons: Sequence[str], total: int) -> Finding:
    """How many cases could not be read, and why."""
    if not reasons:
        return Finding("reading", GOOD, f"all {total} cases could be read")
    # What follows a semicolon may name files.
    kinds = Counter(reason.partition(";")[0] for reason in reasons)
    counted = [f"{count} x {reason}" for reason, count in kinds.most_common()]
    return Finding(
        "reading", ATTENTION, f"{len(reasons)} of {total} cases are skipped: {first_few(counted, 3)}",
        "Repair these files, or go on without them.",
    )  # fmt: skip


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
    if lacking:
        advice = "Add patients, join classes, or use folds."
        return Finding(
            "classes", ATTENTION, f"{text}; none of {first_few(lacking)}", advice,
        )  # fmt: skip
    if few:
        return Finding(
            "classes", ATTENTION, f"{text}; few patients of {first_few(few)}",
            "Add patients, or join classes.",
        )  # fmt: skip
    return Finding("classes", GOOD, text)


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
    known = sorted(set(sites.tolist()) - {""})
    if len(known) < 2:
        text = f"one site ({known[0]})" if known else "no column site"
        return Finding("sites", UNKNOWN, f"{text}: a model may fit one scanner alone, unseen")
    rows, alone = [], []
    for site in known:
        of_site = set(zip(patients[sites == site], labels[sites == site], strict=True))
        counts = np.bincount([int(label) for _, label in of_site], minlength=len(names))
        rows.append(f"{site} {'/'.join(map(str, counts))}")
        if counts.sum() >= FEW_PATIENTS and (counts > 0).sum() == 1:
            alone.append(site)
    text = f"patients of {'/'.join(names)}: {first_few(rows, 12)}"
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


def independence_p(labels: np.ndarray, patients: np.ndarray, sites: np.ndarray) -> float:
    """How often patients who exchange their classes have sites that tell the class as much as here.

    A patient counts once: of several records, the shares of the classes and of the sites count. The
    statistic is chi-squared, of DRAWS draws.
    """
    classes, places = shares(labels, patients), shares(sites, patients)
    expected = np.outer(places.sum(axis=0), classes.sum(axis=0)) / len(classes)

    def statistic(drawn: np.ndarray) -> float:
        return float(((places.T @ drawn - expected) ** 2 / expected).sum())

    here = statistic(classes) - 1e-9
    rng = np.random.default_rng(0)
    more = sum(statistic(rng.permutation(classes)) >= here for _ in range(DRAWS))
    return (1 + more) / (1 + DRAWS)


def shares(values: np.ndarray, patients: np.ndarray) -> np.ndarray:
    """(patients, different values): the share of each value among a patient's records.

    >>> shares(np.array(["A", "B", "B"]), np.array([1, 1, 2]))
    array([[0.5, 0.5],
           [0. , 1. ]])
    """
    rows = np.unique(patients.astype(str), return_inverse=True)[1]
    columns = np.unique(values.astype(str), return_inverse=True)[1]
    counts = np.zeros((rows.max() + 1, columns.max() + 1))
    np.add.at(counts, (rows, columns), 1)
    return counts / counts.sum(axis=1, keepdims=True)


def outliers(name: str, values: np.ndarray, unit: str, columns: Sequence[str]) -> Finding:
    """Records whose values lie far from the others': more than FAR median absolute deviations.

    Args:
        name: what the values are.
        values: (records, columns).
        unit: of the values, for the text.
        columns: name of each column.
    """
    if not len(values):
        return Finding(name, UNKNOWN, "not known of these records")
    middle = np.median(values, axis=0)
    deviation = np.median(np.abs(values - middle), axis=0) * 1.4826  # SD of a normal distribution
    deviation = np.maximum(deviation, LEAST_DEVIATION * np.abs(middle) + 1e-9)
    far = np.abs(values - middle) > FAR * deviation
    low, high = values.min(axis=0), values.max(axis=0)
    ranges = ", ".join(
        f"{column} {a:.4g}" + (f" to {b:.4g}" if b > a else "")
        for column, a, b in zip(columns, low, high, strict=True)
    )
    text = f"{ranges}{' ' + unit if unit else ''}"
    where = np.flatnonzero(far.any(axis=1))
    if not len(where):
        return Finding(name, GOOD, text)
    return Finding(
        name, ATTENTION, f"{text}; {len(where)} of {len(values)} records lie far from the others",
        "Look at these records.", tuple(int(one) for one in where),
    )  # fmt: skip


def extents(sizes_mm: np.ndarray) -> Finding:
    """Whether the records show about as much of the body, by the spacing in their headers.

    `sizes_mm` is (records, 3), along x, y and z.
    """
    low, high = sizes_mm.min(axis=0), sizes_mm.max(axis=0)
    text = ", ".join(f"{axis} {a:.0f} to {b:.0f}" for axis, a, b in zip("xyz", low, high, strict=True))
    if (high <= MOST_EXTENT * low).all():
        return Finding("extents", GOOD, f"{text} mm")
    middle = np.median(sizes_mm, axis=0)
    far = (np.maximum(sizes_mm / middle, middle / sizes_mm) > math.sqrt(MOST_EXTENT)).any(axis=1)
    return Finding(
        "extents", ATTENTION, f"{text} mm: some show more than {MOST_EXTENT:g} times as much",
        "Look at these records: the spacing in their headers may be wrong.",
        tuple(int(one) for one in np.flatnonzero(far)),
    )  # fmt: skip


def alignment(apart: Sequence[list | None]) -> Finding:
    """Whether the sequences of the records lie on each other; None where nobody has looked."""
    if all(names is None for names in apart):
        return Finding("alignment", UNKNOWN, "registered, or not looked at")
    where = tuple(place for place, names in enumerate(apart) if names)
    if not where:
        return Finding("alignment", GOOD, "the sequences of each case lie on each other")
    return Finding(
        "alignment", ATTENTION, f"the sequences of {len(where)} records do not lie on each other",
        'Set prep.register="rigid", which registers them to the first.', where,
    )  # fmt: skip


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
        "precision", ATTENTION, text, "Test on every patient in turn with python -m mri_tf.study."
    )


def hanley_mcneil_error(auc: float, positive: int, negative: int) -> float:
    """Standard error of an AUC (Hanley and McNeil, Radiology 1982, equation 1).

    >>> round(hanley_mcneil_error(0.893, 51, 58), 3)
    0.033
    """
    q1, q2 = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    variance = auc * (1 - auc) + (positive - 1) * (q1 - auc**2) + (negative - 1) * (q2 - auc**2)
    return math.sqrt(variance / (positive * negative))
