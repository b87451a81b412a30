"""Better than chance: patients exchange their labels, and the numbers are counted again.

The share of exchanges with a number at least as large is an exact p-value
(mri_tf/metrics/label_exchanges.py).
"""

import math
from typing import NamedTuple

import numpy as np
from scipy.stats import rankdata

from mri_tf.metrics.classifier import Predictions
from mri_tf.metrics.label_exchanges import drawn_exchanges, every_exchange, labelled_units

DRAWS = 9999
ROUNDING = 1e-6  # of sums in single precision
BETTER = 0.025  # one-sided: p at or below it is better than chance
ALIKE = 1.05  # times the patients of a fold that all folds hold together, below which they are the same


class Units(NamedTuple):
    """What exchanges labels: patients of one label, or the records of a patient of several.

    Attributes:
        labels: (units,) class of each.
        blocks: (units,) units of one block exchange their labels among each other.
        records: (units,) records of each.
        hits: (units, classes) records that are predicted as each class.
        ranks: (units, classes) sum of the records' ranks by the probability of each class.
    """

    labels: np.ndarray
    blocks: np.ndarray
    records: np.ndarray
    hits: np.ndarray
    ranks: np.ndarray


class Exchange(NamedTuple):
    """How often an exchange of labels gives a number as large as the one that was seen.

    Attributes:
        p: name of a number -> one-sided p-value.
        draws: how many exchanges were counted.
        every: every exchange was counted; else they were drawn.
        within_folds: patients exchanged within folds only.
        approximate: several networks answered, which share training patients.
    """

    p: dict[str, float]
    draws: int
    every: bool
    within_folds: bool
    approximate: bool

    def as_json(self) -> dict:
        """The values for metrics.json, with what they mean in words."""
        kind = "every exchange" if self.every else f"{self.draws} drawn exchanges"
        within = " within folds" if self.within_folds else ""
        if self.approximate:
            within += " (approximate: the spread is widened, as networks share training patients)"
        return {
            "p": self.p, "draws": self.draws, "exact": self.every and not self.approximate,
            "better": {name: p <= BETTER for name, p in self.p.items()},
            "method": f"{kind} of labels among patients{within}, one-sided",
        }  # fmt: skip


def exchange_labels(
    predictions: Predictions, folds: np.ndarray | None = None, repeats: int = 1, seed: int = 0
) -> Exchange | None:
    """Compares AUC and balanced accuracy with what chance gives; None where only one class occurs.

    Args:
        predictions: of held-out records.
        folds: (records,) the fold that each was held out in, of predictions of several networks; those
            of another repeat are other folds.
        repeats: how often the patients were divided into folds. Of several a patient has one label in
            all of them, and exchanges it for that of any other patient.
        seed: of the drawn exchanges.
    """
    within = folds is not None and repeats == 1
    units = _units(predictions, folds if within else None)
    if len(np.unique(units.labels)) < 2:
        return None
    seen = _numbers(units, units.labels[None])
    every = every_exchange(units.labels, units.blocks, DRAWS)
    rng = np.random.default_rng(seed)
    parts = [every] if every is not None else drawn_exchanges(units.labels, units.blocks, DRAWS, rng)
    counted = [_numbers(units, labels) for labels in parts]
    stretch = 1.0 if folds is None else _stretch_of_folds(predictions.patients, folds)
    extra = 0 if every is not None else 1  # the labels that were seen are one of the exchanges
    p = {}
    for name, value in seen.items():
        drawn = np.concatenate([numbers[name] for numbers in counted])
        middle = drawn.mean()
        asked = middle + (value[0] - middle) / stretch
        p[name] = float(((drawn >= asked - ROUNDING).sum() + extra) / (len(drawn) + extra))
    return Exchange(p, len(drawn), every is not None, within, stretch > 1)


def _stretch_of_folds(patients: np.ndarray, folds: np.ndarray) -> float:
    """How much wider numbers over folds vary than exchanges of labels do.

    Networks of different folds share training patients, whose labels an exchange does not learn anew.
    The factor is that of the corrected resampled t (Nadeau and Bengio 2003) for the number of folds that
    hold all patients once: 1 where every network is judged on the same patients.

    Args:
        patients, folds: (records,) whose it is, and the fold it was held out in.
    """
    patient_of = np.unique(patients, return_inverse=True)[1]
    names, fold_of = np.unique(np.asarray(folds).astype(str), return_inverse=True)
    in_folds = np.unique(np.stack([patient_of, fold_of]), axis=1).shape[1]  # patients of each, summed
    count = (patient_of.max() + 1) * len(names) / in_folds
    if count < ALIKE:
        return 1.0
    count = max(count, 2.0)  # test sides that overlap more than those of two folds do
    return math.sqrt(1 + count / (count - 1))


def _units(predictions: Predictions, folds: np.ndarray | None) -> Units:
    patient_of = np.unique(predictions.patients, return_inverse=True)[1]
    fold_of = np.zeros(len(patient_of), int)
    if folds is not None:
        fold_of = np.unique(np.asarray(folds).astype(str), return_inverse=True)[1]
    # A patient who is held out in several folds is a unit in each.
    owner = np.unique(np.stack([patient_of, fold_of]), axis=1, return_inverse=True)[1].ravel()
    unit, several = labelled_units(predictions.truth, owner)
    count, classes = unit.max() + 1, predictions.probabilities.shape[1]
    ranks = np.stack([rankdata(scores) for scores in predictions.probabilities.T], axis=1)
    hits = np.eye(classes)[predictions.predicted]
    labels, blocks = np.zeros(count, int), np.zeros(count, int)
    labels[unit] = predictions.truth
    blocks[unit] = np.where(several, owner + fold_of.max() + 1, fold_of)
    sums = [np.zeros((count, classes)) for _ in range(2)]
    for total, values in zip(sums, (hits, ranks), strict=True):
        np.add.at(total, unit, values)
    return Units(labels, blocks, np.bincount(unit), *sums)


def _numbers(units: Units, labels: np.ndarray) -> dict[str, np.ndarray]:
    """AUC and balanced accuracy of (draws, units) labels: name -> (draws,)."""
    classes = units.hits.shape[1]
    total = units.records.sum()
    areas, recalls = [], []
    for label in range(classes):
        chosen = (labels == label).astype(np.float32)  # (draws, units)
        columns = np.stack([units.records, units.ranks[:, label], units.hits[:, label]], axis=1)
        positive, ranks, hits = (chosen @ columns.astype(np.float32)).T.astype(float)
        negative = total - positive
        with np.errstate(divide="ignore", invalid="ignore"):
            areas.append((ranks - positive * (positive + 1) / 2) / (positive * negative))
            recalls.append(hits / positive)
    auc = areas[1] if classes == 2 else np.nanmean(areas, axis=0)
    return {"auc": auc, "balanced_accuracy": np.nanmean(recalls, axis=0)}
