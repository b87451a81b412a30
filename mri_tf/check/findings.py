"""What a check found: each a pure function of arrays or counts."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mri_tf.audit import finding as audit
from mri_tf.core.errors import first_few

GOOD, ATTENTION, UNKNOWN = "good", "attention", "cannot tell"
FAR = 6.0  # median absolute deviations from the median
LEAST_DEVIATION = 0.02  # of the median, so that equal values with one other are no outliers
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


def from_audit(found: Sequence[audit.Finding]) -> list[Finding]:
    """What an audit found, as a check tells it; what is not applicable is left out."""
    as_status = {audit.FOUND: ATTENTION, audit.CANNOT_TELL: UNKNOWN}
    return [
        Finding(
            one.name, as_status.get(one.status, GOOD), one.evidence, one.what_to_do, one.records,
            one.on_terminal,
        )
        for one in found if one.status != audit.NOT_APPLICABLE
    ]  # fmt: skip


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


def outliers(
    name: str, values: np.ndarray, unit: str, columns: Sequence[str], least: float = 0.0
) -> Finding:
    """Records whose values lie far from the others': more than FAR median absolute deviations.

    Args:
        name: what the values are.
        values: (records, columns).
        unit: of the values, for the text.
        columns: name of each column.
        least: deviations below this are none.
    """
    if not len(values):
        return Finding(name, UNKNOWN, "not known of these records")
    middle = np.median(values, axis=0)
    deviation = np.median(np.abs(values - middle), axis=0) * 1.4826  # SD of a normal distribution
    deviation = np.maximum(deviation, LEAST_DEVIATION * np.abs(middle) + 1e-9)
    deviation = np.maximum(deviation, least)
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
        return Finding("alignment", UNKNOWN, "not looked at, or the sequences were registered")
    where = tuple(place for place, names in enumerate(apart) if names)
    if not where:
        return Finding("alignment", GOOD, "the sequences of each case lie on each other")
    return Finding(
        "alignment", ATTENTION, f"the sequences of {len(where)} records do not lie on each other",
        'Set prep.register="rigid", which registers them to the first.', where,
    )  # fmt: skip
