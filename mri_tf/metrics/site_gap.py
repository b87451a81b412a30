"""How much higher a cross-validation is than leaving one site out: the AUC that rests on the sites.

Of each study the AUC is the mean over its folds, weighted by pairs. The folds differ, so the two cannot
be compared cell by cell. As in `paired`, two questions are answered, and the wider interval counts.
"""

from collections.abc import Sequence

import numpy as np

from mri_tf.metrics.classifier import Predictions, largest_difference
from mri_tf.metrics.intervals import TAIL
from mri_tf.metrics.number import number
from mri_tf.metrics.paired import corrected_error, wider_interval
from mri_tf.metrics.ranking import pairs_of_classes, ranking
from mri_tf.metrics.resamples import multiplicities

BOOTSTRAP, CORRECTED_T = "bootstrap", "corrected resampled t of two studies"


def site_gap(
    crossed: Sequence[Predictions], by_site: Sequence[Predictions], shares: tuple[float, float],
    seed: int = 0, comparisons: int = 1,
) -> dict:  # fmt: skip
    """The AUC of a cross-validation minus that of leaving one site out, as a number with its interval.

    Patients are resampled whole, in both studies alike (whether these trained networks differ). The
    variances between folds of both, each corrected for training sides that share patients (Nadeau and
    Bengio 2003), add up (whether the two ways of splitting differ).

    Args:
        crossed: of each fold of the cross-validation.
        by_site: of each site.
        shares: records of a test side over those of its training side, of either study.
        seed: of the resamples.
        comparisons: of how many variants a gap is asked for, for the adjusted limit.

    Returns:
        A number of metrics.json, with `crossed` and `by_site`, the two AUCs, and `low_adjusted`: the
        lower limit of an interval so wide that those of all comparisons hold at once (Bonferroni).
    """
    patients = np.unique(np.concatenate([one.patients for one in (*crossed, *by_site)]))
    times = multiplicities(len(patients), seed)  # (1 + resamples, patients)
    studies = [_Study(folds, patients, times) for folds in (crossed, by_site)]
    values = [study.mean for study in studies]
    both = {
        "crossed": _defined(values[0][0]), "by_site": _defined(values[1][0]), "low_adjusted": None,
    }  # fmt: skip
    gap = values[0] - values[1]
    if not np.isfinite(gap[0]):
        return number(np.nan, len(patients), reason="no fold of one study has two classes") | both
    drawn = gap[1:][np.isfinite(gap[1:])]
    if len(drawn) < len(times) / 2:
        return number(gap[0], len(patients), reason="most resamples have one class") | both
    freedom, error = min(study.folds for study in studies) - 1, np.nan
    if freedom > 0:
        variance = sum(study.variance(share) for study, share in zip(studies, shares, strict=True))
        error = float(np.sqrt(variance))
    (low, high, of_t), (adjusted, *_) = (
        wider_interval(gap[0], drawn, error, freedom, tail, largest_difference("auc"))
        for tail in (TAIL, TAIL / comparisons)
    )
    method = CORRECTED_T if of_t else BOOTSTRAP
    return number(gap[0], len(patients), (low, high), method) | both | {"low_adjusted": adjusted}


class _Study:
    """The AUC of each fold under each weighting of the patients."""

    def __init__(self, folds: Sequence[Predictions], patients: np.ndarray, times: np.ndarray):
        aucs, pairs = [], []
        for fold in folds:
            names, patient_of = np.unique(fold.patients, return_inverse=True)
            own = times[:, np.searchsorted(patients, names)]
            aucs.append(_auc(fold, patient_of, own))
            pairs.append(float(pairs_of_classes(fold.truth)))
        self.aucs = np.stack(aucs)  # (folds, weightings)
        self.pairs = np.array(pairs)

    @property
    def folds(self) -> int:
        """Those with two classes."""
        return int(np.isfinite(self.aucs[:, 0]).sum())

    @property
    def mean(self) -> np.ndarray:
        """(weightings,) over folds, weighted by their pairs."""
        weights = self.pairs[:, None] * np.isfinite(self.aucs)
        total = weights.sum(axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            return (weights * np.nan_to_num(self.aucs)).sum(axis=0) / total

    def variance(self, share: float) -> float:
        """Of the mean, were the networks trained anew on other patients."""
        known = np.isfinite(self.aucs[:, 0])
        weights = self.pairs[known] / self.pairs[known].sum()
        return corrected_error(self.aucs[known, 0], weights, share)[0] ** 2


def _auc(fold: Predictions, patient_of: np.ndarray, times: np.ndarray) -> np.ndarray:
    """(weightings,) of the last of two classes, else the mean over classes."""
    classes = fold.probabilities.shape[1]
    found = np.stack([
        ranking(fold.probabilities[:, label], fold.truth == label, patient_of, times).auc
        for label in ([1] if classes == 2 else range(classes))
    ])  # fmt: skip
    known = np.isfinite(found)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.nan_to_num(found).sum(axis=0) / known.sum(axis=0)


def _defined(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
