"""Whether anything that probes see of records tells their labels: one test of a family of probes.

Each probe is asked twice, by the scores of a ridge regression for held-out patients and by its best
single feature (mri_tf/metrics/label_association.py): the first finds what many features tell together,
the second what one of many tells alone, which the first cannot see among few patients. Both are compared
with what they give where patients exchange their labels, in units of their own spread. The exchanges are
those of all probes together, so that the p-values are for the whole family: with no signal anywhere,
some probe has p at or below 0.05 in 5 % of data sets (max-T, step-down: Westfall and Young 1993).
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from mri_tf.metrics.label_association import (
    Exchanges,
    column_correlations,
    cramers_v,
    held_out_correlation,
    standardised,
    unit_means,
)

FAMILY_WISE = 0.05
FEWEST_PATIENTS, FEWEST_OF_A_CLASS = 10, 4
ROUNDING = 1e-7  # of statistics that are equal
PLANTED, CAUGHT = 200, 0.8  # marks that are planted, and the share of them that must be found
MOST_COMPARED = 500  # exchanges with which a planted mark is compared


class Probe(NamedTuple):
    """What a probe sees of records.

    Attributes:
        columns: what each feature is called.
        values: (records, columns) finite numbers.
        categories: the columns are shares of categories that exclude each other.
    """

    columns: tuple[str, ...]
    values: np.ndarray
    categories: bool = False


class Told(NamedTuple):
    """What the test says of one probe.

    Attributes:
        statistic: a correlation between -1 and 1, or Cramér's V of categories: of the stronger of the
            probe's two tests.
        chance: mean and SD of the same over exchanges of the labels.
        p: adjusted for all probes; None where it is not applicable.
        column: the feature that tells the labels best, where it alone is the stronger test; else "".
    """

    statistic: float | None
    chance: tuple[float, float] | None
    p: float | None
    column: str = ""


@dataclass(frozen=True)
class _Member:
    """One of the tests of the family: whose it is, and (exchanges,) values, the first as seen."""

    probe: str
    column: str
    of_columns: bool
    values: np.ndarray
    standard: np.ndarray  # in units of their spread


class Family:
    """Probes that are tested together.

    Args:
        probes: by name.
        exchanges: of the labels of the probes' records.
        families: that share the error rate, this one included; p-values are multiplied by their number.
    """

    def __init__(self, probes: dict[str, Probe], exchanges: Exchanges, families: int = 1):
        self._exchanges, self._families = exchanges, families
        self._of_categories = {name for name, probe in probes.items() if probe.categories}
        self._best: dict[str, np.ndarray] = {}  # of each probe (exchanges,) its best feature's value
        members = []
        for name, probe in probes.items():
            members += self._members_of(name, probe)
        self._members = sorted(members, key=lambda one: -one.standard[0])
        self._planted: dict[int, np.ndarray] = {}
        labels = exchanges.units.labels
        self._common = [one for one in exchanges.classes if np.sum(labels == one) >= FEWEST_OF_A_CLASS]

    @property
    def counted(self) -> str:
        """What exchanges labels, in words."""
        units = self._exchanges.units
        several = len(units.labels) > len(np.unique(units.owners))
        return "patients and records that exchange labels" if several else "patients"

    def told(self, name: str) -> Told:
        """What the test says of a probe; without a p-value where it is the same in all who exchange."""
        of_probe = [(one, p) for one, p in self._adjusted() if one.probe == name]
        if not of_probe:
            return Told(None, None, None)
        # Of equal p-values that of the larger statistic, which comes first; of categories that of all.
        by_all = name in self._of_categories
        best, p = min(of_probe, key=lambda pair: (pair[1], by_all and pair[0].of_columns))
        chance = float(best.values.mean()), float(best.values.std())
        return Told(float(best.values[0]), chance, p, best.column)

    def _members_of(self, name: str, probe: Probe) -> list[_Member]:
        units = unit_means(probe.values, self._exchanges.units)
        rows, kept = standardised(units, self._exchanges)
        if not len(kept):
            return []
        whole = cramers_v(units, self._exchanges) if probe.categories else held_out_correlation(
            rows, self._exchanges
        )  # fmt: skip
        by_column = column_correlations(rows, self._exchanges)
        self._best[name] = by_column.max(axis=1)
        strongest = probe.columns[kept[int(np.argmax(by_column[0]))]]
        found = [("", False, whole), (strongest, True, self._best[name])]
        return [
            _Member(name, column, of_columns, values, standard)
            for column, of_columns, values in found if (standard := _standard(values)) is not None
        ]  # fmt: skip

    def _adjusted(self) -> list[tuple[_Member, float]]:
        """Each test and its p-value, by step-down max-T and for all families (Bonferroni)."""
        found, largest = [], np.full(len(self._exchanges.labels), -np.inf)
        for one in reversed(self._members):
            largest = np.maximum(largest, one.standard)
            found.append(float(np.mean(largest >= one.standard[0] - ROUNDING)))
        adjusted = np.minimum(1, self._families * np.maximum.accumulate(found[::-1]))
        return list(zip(self._members, adjusted.tolist(), strict=True))

    def smallest_agreement(self, name: str) -> float | None:
        """The smallest share of patients in whom a mark agrees with the label that would be found.

        The mark is one more feature of the probe that says whether a record is of one class (of several
        classes each is taken in turn). In as many patients as the share leaves, drawn at random, it says
        the contrary. "Would be found" means in 80 % of such draws, by the same test at this size.

        Args:
            name: of the probe.

        Returns:
            None where not even a mark that agrees in all patients would be found.
        """
        units = len(self._exchanges.units.labels)
        if not self._common:
            return None
        low, high = -1, units // 2 + 1  # most units in which it may disagree; one more
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self._is_caught(name, middle) else (low, middle)
        return None if low < 0 else 1 - low / units

    def _is_caught(self, name: str, disagreeing: int) -> bool:
        marks = self._marked(disagreeing)  # (marks, exchanges)
        compared = slice(0, marks.shape[1])
        if name in self._best:
            marks = np.maximum(marks, self._best[name][compared])
        spread = marks.std(axis=1, keepdims=True)
        standard = (marks - marks.mean(axis=1, keepdims=True)) / np.where(spread > 0, spread, np.inf)
        others = [one.standard[compared] for one in self._members
                  if not (one.probe == name and one.of_columns)]  # fmt: skip
        largest = np.max([*others, np.full(marks.shape[1], -np.inf)], axis=0)
        p = np.mean(np.maximum(standard, largest) >= standard[:, :1] - ROUNDING, axis=1)
        return np.mean(self._families * p <= FAMILY_WISE) >= CAUGHT

    def _marked(self, disagreeing: int) -> np.ndarray:
        """(marks, exchanges) correlation of labels with marks that are wrong in so many units."""
        if disagreeing not in self._planted:
            exchanges = self._exchanges.first(MOST_COMPARED)
            labels, rng = exchanges.units.labels, np.random.default_rng(disagreeing)
            marks = np.empty((len(labels), PLANTED))
            for number in range(PLANTED):
                marks[:, number] = labels == self._common[number % len(self._common)]
                wrong = rng.permutation(len(labels))[:disagreeing]
                marks[wrong, number] = 1 - marks[wrong, number]
            rows, kept = standardised(marks, exchanges)
            found = np.zeros((PLANTED, len(exchanges.labels)))
            found[kept] = column_correlations(rows, exchanges).T
            self._planted[disagreeing] = found
        return self._planted[disagreeing]


def too_few(exchanges: Exchanges) -> str:
    """Why so few patients cannot tell anything, in words; "" where they are enough.

    Patients count who can exchange their label with somebody, or among their own records.
    """
    units = exchanges.units
    several = [block for block in np.unique(units.blocks)
               if len(np.unique(units.labels[units.blocks == block])) > 1]  # fmt: skip
    inside = np.isin(units.blocks, several)
    patients = len(np.unique(units.owners[inside]))
    if patients < FEWEST_PATIENTS:
        return f"{patients} patients, fewer than {FEWEST_PATIENTS}"
    of_class = [
        len(np.unique(units.owners[inside & (units.labels == one)])) for one in exchanges.classes
    ]
    if sum(count >= FEWEST_OF_A_CLASS for count in of_class) < 2:
        return f"fewer than {FEWEST_OF_A_CLASS} patients in all classes but one"
    return ""


def _standard(values: np.ndarray) -> np.ndarray | None:
    """(exchanges,) in units of their spread, the labels as seen included; None where all are equal."""
    spread = values.std()
    return (values - values.mean()) / spread if spread > 1e-9 else None
