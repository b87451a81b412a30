"""How strongly features go together with labels, for many exchanges of the labels at once.

Three statistics, each of (exchanges,) values of which the first is that of the labels as they were seen:
the correlation of the labels with scores that a ridge regression gives to held-out patients, the largest
correlation of a single feature, and Cramér's V of categories.

Everything is centred within what exchanges labels, over all its units: what differs between blocks and
not within them can tell nothing. No regression has an intercept of its own: one that is fitted without
the patient who is held out is low where the label is high, so that scores of useless features would
correlate negatively with labels. Where features are many, scores of useless ones correlate a little
positively instead; what exchanged labels give says by how much.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.sparse import csr_matrix

from mri_tf.metrics.label_exchanges import ExchangeUnits, drawn_exchanges, every_exchange

DRAWS = 1999
AT_ONCE = 2**22  # numbers of one array
CONSTANT = 1e-9  # of its largest value: a feature that varies less is constant


@dataclass(frozen=True)
class Exchanges:
    """Labels of units, first as they were seen, then in every exchange or in drawn ones.

    Attributes:
        units: what exchanges labels.
        labels: (exchanges, units) class numbers.
        exact: these are all exchanges that there are.
    """

    units: ExchangeUnits
    labels: np.ndarray
    exact: bool

    @classmethod
    def of(cls, units: ExchangeUnits, draws: int = DRAWS, seed: int = 0) -> "Exchanges":
        """Every exchange where there are at most `draws`, else the labels seen and drawn ones."""
        every, rng = every_exchange(units.labels, units.blocks, draws), np.random.default_rng(seed)
        if every is None:
            drawn = drawn_exchanges(units.labels, units.blocks, draws, rng)
            return cls(units, np.concatenate([units.labels[None], *drawn]), exact=False)
        others = every[(every != units.labels).any(axis=1)]
        return cls(units, np.concatenate([units.labels[None], rng.permutation(others)]), exact=True)

    def first(self, count: int) -> "Exchanges":
        """The first of them, which are as good as drawn at random."""
        return Exchanges(self.units, self.labels[:count], exact=False)

    @cached_property
    def classes(self) -> np.ndarray:
        """The class numbers that occur."""
        return np.unique(self.units.labels)

    @cached_property
    def weights(self) -> np.ndarray:
        """(units,) of which those of an owner add up to 1; they are equal within a block."""
        return 1 / np.bincount(self.units.owners)[self.units.owners]

    def weighted(self, values: np.ndarray) -> np.ndarray:
        """(units, ...) values of units, centred within their blocks, times the root of the weights."""
        return self.centred(values * self._roots(values.ndim))

    def centred(self, values: np.ndarray) -> np.ndarray:
        """(units, ...) values minus the mean of their block."""
        flat = values.reshape(len(values), -1)
        means = (self._members.T @ flat) / self._sizes[:, None]
        return (flat - self._members @ means).reshape(values.shape)

    def targets(self) -> Iterator[tuple[slice, np.ndarray]]:
        """Parts of the exchanges: which ones, and (classes, units, part), 1 for the class of a unit, as
        `weighted` gives it."""
        count = len(self.classes)
        rows = max(1, AT_ONCE // (count * self.labels.shape[1]))
        for start in range(0, len(self.labels), rows):
            part = slice(start, min(start + rows, len(self.labels)))
            labels = self.labels[part].T  # (units, part)
            yield part, np.stack([self.weighted((labels == one).astype(float)) for one in self.classes])

    @cached_property
    def whitening(self) -> np.ndarray:
        """(classes, contrasts) that makes of targets contrasts without correlation, of length 1."""
        _, seen = next(self.targets())
        seen = seen[:, :, 0]  # (classes, units)
        values, vectors = np.linalg.eigh(seen @ seen.T)
        kept = values > 1e-9 * values.max()
        return vectors[:, kept] / np.sqrt(values[kept])

    @cached_property
    def _members(self) -> csr_matrix:
        block_of = np.unique(self.units.blocks, return_inverse=True)[1]
        ones, rows = np.ones(len(block_of)), np.arange(len(block_of))
        return csr_matrix((ones, (rows, block_of)))  # (units, blocks)

    @cached_property
    def _sizes(self) -> np.ndarray:
        return np.asarray(self._members.sum(axis=0)).ravel()

    def _roots(self, dimensions: int) -> np.ndarray:
        return np.sqrt(self.weights).reshape(-1, *[1] * (dimensions - 1))


def unit_means(values: np.ndarray, units: ExchangeUnits) -> np.ndarray:
    """(units, columns): the mean over the records of each unit of (records, columns)."""
    sums = np.zeros((len(units.labels), values.shape[1]))
    np.add.at(sums, units.unit_of, values)
    return sums / np.bincount(units.unit_of)[:, None]


def standardised(features: np.ndarray, exchanges: Exchanges) -> tuple[np.ndarray, np.ndarray]:
    """Features whose columns count equally, centred and weighted.

    Args:
        features: (units, columns).
        exchanges: of the labels of these units.

    Returns:
        (units, kept) with columns of variance 1 over patients, and the numbers of those columns: others
        are constant within all blocks.
    """
    rows = exchanges.weighted(features)
    lengths = np.sqrt((rows**2).sum(axis=0))
    largest = np.abs(features).max(axis=0, initial=0.0)
    kept = np.flatnonzero(lengths > CONSTANT * np.maximum(largest, 1e-300))
    return rows[:, kept] / lengths[kept] * np.sqrt(exchanges.weights.sum()), kept


def held_out_correlation(rows: np.ndarray, exchanges: Exchanges) -> np.ndarray:
    """(exchanges,) correlation of labels with the scores that held-out patients get by kernel ridge.

    Every owner's units are left out together, in closed form: the residuals are (I - H_gg)^-1 times
    those of H = K (K + λI)^-1. λ is the trace of K divided by the number of patients, which no label
    decides: a direction of the features is shrunk by half where it holds as much variance as a patient
    does on average. Of several classes, the scores and labels of all are correlated together, so that
    each class counts as its variance does.

    Args:
        rows: (units, columns) of `standardised`.
        exchanges: of the labels.
    """
    basis, shares = _ridge(rows, exchanges.weights.sum())
    found = np.empty(len(exchanges.labels))
    leave_out = _LeaveOut(basis, shares, exchanges.units.owners)
    for part, targets in exchanges.targets():
        flat = targets.transpose(1, 0, 2).reshape(len(rows), -1)  # (units, classes x part)
        fitted = basis @ (shares[:, None] * (basis.T @ flat))
        scores = exchanges.centred(flat - leave_out.residuals(flat - fitted))
        scores, truth = (one.reshape(targets.transpose(1, 0, 2).shape) for one in (scores, flat))
        products = [(a * b).sum(axis=(0, 1)) for a, b in ((scores, truth), (scores, scores))]
        length = np.sqrt(products[1] * (truth**2).sum(axis=(0, 1)))
        found[part] = np.divide(products[0], length, out=np.zeros_like(length), where=length > 1e-12)
    return found


def _ridge(rows: np.ndarray, patients: float) -> tuple[np.ndarray, np.ndarray]:
    """An orthonormal (units, directions) basis of the kernel, and what ridge keeps of each direction."""
    if rows.shape[1] > len(rows):
        values, basis = np.linalg.eigh(rows @ rows.T)
        values = np.clip(values, 0, None)
    else:
        basis, lengths, _ = np.linalg.svd(rows, full_matrices=False)
        values = lengths**2
    return basis, values / (values + values.sum() / patients)


class _LeaveOut:
    """Turns residuals of H into those of a fit without the owner's units."""

    def __init__(self, basis: np.ndarray, shares: np.ndarray, owners: np.ndarray):
        order = np.argsort(owners, kind="stable")
        groups = np.split(order, np.flatnonzero(np.diff(owners[order])) + 1)
        self._alone = np.concatenate([group for group in groups if len(group) == 1] or [order[:0]])
        hat = (basis[self._alone] ** 2 * shares).sum(axis=1)
        self._factors = 1 / (1 - hat)
        self._blocks = [
            (group, np.linalg.inv(np.eye(len(group)) - (basis[group] * shares) @ basis[group].T))
            for group in groups if len(group) > 1
        ]  # fmt: skip

    def residuals(self, residuals: np.ndarray) -> np.ndarray:
        """(units, columns) of the fit without each unit's owner."""
        found = np.empty_like(residuals)
        found[self._alone] = residuals[self._alone] * self._factors[:, None]
        for group, inverse in self._blocks:
            found[group] = inverse @ residuals[group]
        return found


def column_correlations(rows: np.ndarray, exchanges: Exchanges) -> np.ndarray:
    """(exchanges, columns) correlation of each feature with the labels; of several classes the multiple
    correlation with all of them.

    Arguments as of `held_out_correlation`.
    """
    total = exchanges.weights.sum()
    found = np.empty((len(exchanges.labels), rows.shape[1]))
    for part, targets in exchanges.targets():
        products = np.stack([rows.T @ one for one in targets])  # (classes, columns, part)
        contrasts = np.tensordot(exchanges.whitening.T, products, axes=1)
        found[part] = np.sqrt((contrasts**2).sum(axis=0) / total).T
    return found


def cramers_v(shares: np.ndarray, exchanges: Exchanges) -> np.ndarray:
    """(exchanges,) Cramér's V of categories and labels, each patient counted once.

    Args:
        shares: (units, categories) share of each category among a unit's records.
        exchanges: of the labels.
    """
    weights, classes = exchanges.weights, exchanges.classes
    total = weights.sum()
    of_category = weights @ shares  # (categories,)
    of_class = np.array([weights[exchanges.units.labels == one].sum() for one in classes])
    present = of_category > 0
    expected = np.outer(of_class, of_category[present]) / total  # (classes, categories)
    scaled = shares[:, present] * np.sqrt(weights)[:, None]
    found = np.empty(len(exchanges.labels))
    most = total * (min(len(classes), int(present.sum())) - 1)
    if most <= 0:
        return np.zeros(len(found))
    for part, targets in exchanges.targets():
        apart = np.stack([scaled.T @ one for one in targets])  # (classes, categories, part)
        found[part] = np.sqrt((apart**2 / expected[..., None]).sum(axis=(0, 1)) / most)
    return found
