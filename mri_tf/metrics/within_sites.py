"""AUC within sites: a record is only compared with records of the same site.

What differs between sites (scanner, preparation, which patients are sent there) cannot help then. Of
predictions of several networks, records are compared within site and fold: networks of different folds
are on different scales. The mean of Wilcoxon statistics over strata, weighted by their pairs, is that of
van Elteren (1960) with weights for an AUC.
"""

from collections.abc import Sequence

import numpy as np

from mri_tf.metrics.classifier import Predictions
from mri_tf.metrics.intervals import NORMAL, Interval, error_of_mean, mean_interval_of_parts
from mri_tf.metrics.number import ONE_CLASS, joined, number, number_over_patients
from mri_tf.metrics.ranking import Placements, within_strata
from mri_tf.metrics.ranking_intervals import auc_interval
from mri_tf.metrics.too_few import too_few_of_classes, too_few_within

NO_PAIR = "no two patients of different classes were held out by the same network"
FEWEST = 4  # patients of a group that has numbers
FEWEST_SITES, FEWEST_OF_CLASS = 3, 4  # for a statement about sites, patients of each class


def within_sites(
    predictions: Predictions, sites: np.ndarray, class_names: Sequence[str],
    folds: np.ndarray | None = None,
) -> dict:  # fmt: skip
    """The AUC within sites for metrics.json; nothing where fewer than two sites are named.

    Args:
        predictions: from `checked`.
        sites: (records,) names; empty where nobody knows.
        class_names: in the order of the class numbers.
        folds: (records,) the fold that each was held out in, of predictions of several networks.

    Returns:
        `{"auc": number, "sites": [{"site", "patients": {class: n}, "auc": number}],
        "reason"}`: `auc` is the mean over sites, weighted by pairs, those included that
        have too few patients for a number of their own; `reason` says why the sites are too
        few or too small for a statement about them, and is empty where they are not.
    """
    sites = np.asarray(sites).astype(str)
    names = sorted(set(sites.tolist()) - {""})
    if len(names) < 2:
        return {}
    folds = np.zeros(len(sites), int) if folds is None else np.asarray(folds).astype(str)
    fold_of = np.unique(folds, return_inverse=True)[1]
    strata = np.unique(np.stack([np.unique(sites, return_inverse=True)[1], fold_of]), axis=1,
                       return_inverse=True)[1].ravel()  # fmt: skip
    known = sites != ""
    unknown = int((~known).sum())
    auc = auc_within(_of(predictions, known), strata[known])
    if unknown:
        auc["reason"] = joined(auc.get("reason", ""), f"{unknown} records without a site are left out")
    rows = []
    for name in names:
        own = _of(predictions, sites == name)
        counts = dict(zip(class_names, patients_of_classes(own).tolist(), strict=True))
        few = no_number(own)
        rows.append({"site": name, "patients": counts,
                     "auc": few or auc_within(own, strata[sites == name])})  # fmt: skip
    return {"auc": auc, "sites": rows, "reason": too_few_sites([row["patients"] for row in rows])}


def too_few_sites(patients: Sequence[dict[str, int]]) -> str:
    """Why nothing can be said about sites with so many patients of each class; "" where it can.

    At least three sites are needed that have four patients of each of two classes.
    """
    large = sum(not too_small(counts) for counts in patients)
    if large >= FEWEST_SITES:
        return ""
    return (
        f"{large} of {len(patients)} sites have {FEWEST_OF_CLASS} patients of each of two classes, and "
        f"{FEWEST_SITES} such sites are needed"
    )


def no_number(predictions: Predictions) -> dict | None:
    """The number of a group with too few patients for one; None where they are enough.

    What one or two patients were answered tells nothing about a group, and something about them.
    """
    patients = len(np.unique(predictions.patients))
    if patients >= FEWEST:
        return None
    count = "1 patient is" if patients == 1 else f"{patients} patients are"
    return number(np.nan, patients, reason=f"{count} too few for a number")


def too_small(patients: dict[str, int]) -> bool:
    """Whether a site has too few patients to stand alone: fewer than four of each of two classes."""
    return sum(count >= FEWEST_OF_CLASS for count in patients.values()) < 2


def auc_within(predictions: Predictions, strata: np.ndarray) -> dict:
    """The AUC, records compared within strata, weighted by pairs; of one stratum the usual AUC.

    With two classes it is that of the last one, otherwise the mean over classes, each against the rest
    within strata.

    Args:
        predictions: from `checked`.
        strata: (records,) numbers.
    """
    classes = predictions.probabilities.shape[1]
    patient_of = np.unique(predictions.patients, return_inverse=True)[1]
    found = [
        _OfClass.of(predictions.probabilities[:, label], predictions.truth == label, patient_of, strata)
        for label in ([1] if classes == 2 else range(classes))
    ]
    found = [one for one in found if one]
    if not found:
        several = len(np.unique(predictions.truth)) > 1
        count = len(np.unique(patient_of))
        return number(np.nan, count, reason=NO_PAIR if several else ONE_CLASS)
    counted = np.any([one.kept for one in found], axis=0)
    few = _too_few(predictions, strata, counted) or _of_one_patient(found)
    value = float(np.mean([one.placements.area for one in found]))
    patients = len(np.unique(patient_of[counted]))
    if few:
        return number(value, patients, reason=few)
    return number_over_patients(value, patients, lambda: _interval(found), ONE_CLASS)


class _OfClass:
    """A class against the rest within strata; `kept` are the records of strata with both."""

    def __init__(
        self, placements: Placements, kept: np.ndarray, patient_of: np.ndarray, strata: np.ndarray
    ):
        self.placements, self.kept = placements, kept
        self.patients = int(patient_of.max()) + 1
        self.patient_of, self.strata = patient_of[kept], strata[kept]

    @classmethod
    def of(
        cls, scores: np.ndarray, positive: np.ndarray, patient_of: np.ndarray, strata: np.ndarray
    ) -> "_OfClass | None":
        """None where no stratum has both."""
        found = within_strata(scores, positive, strata)
        return None if found is None else cls(*found, patient_of, strata)

    @property
    def interval(self) -> Interval:
        several = len(np.unique(self.strata)) > 1
        return auc_interval(self.placements, self.patient_of, self.strata if several else None)

    @property
    def errors(self) -> np.ndarray:
        """(patients,) what each adds to the error of the area."""
        errors = self.placements.errors_by_patient(self.patient_of).sum(axis=1)
        return np.pad(errors, (0, self.patients - len(errors)))


def _interval(found: list[_OfClass]) -> Interval:
    if len(found) == 1:
        return found[0].interval
    errors = np.stack([one.errors for one in found], axis=1)
    return mean_interval_of_parts(
        np.array([one.placements.area for one in found]), [one.interval for one in found], errors,
        NORMAL * error_of_mean(errors),
    )  # fmt: skip


def _too_few(predictions: Predictions, strata: np.ndarray, counted: np.ndarray) -> str:
    """Why there is no interval; "" where there is one."""
    has_class = [
        _has_class(_of(predictions, counted & (strata == stratum)))
        for stratum in np.unique(strata[counted])
    ]
    return too_few_of_classes(has_class[0]) if len(has_class) == 1 else too_few_within(has_class)


def _of_one_patient(found: list[_OfClass]) -> str:
    """Why a mean over classes has no interval: nothing tells how the area of one of them varies."""
    alone = sum(len(np.unique(one.patient_of)) < 2 for one in found)
    if not alone:
        return ""
    classes = "1 class is" if alone == 1 else f"{alone} classes are"
    return f"{classes} compared with others within one patient alone"


def _has_class(predictions: Predictions) -> np.ndarray:
    """(patients, classes) bool: of which classes a patient has records."""
    patient_of = np.unique(predictions.patients, return_inverse=True)[1]
    has = np.zeros((patient_of.max(initial=-1) + 1, predictions.probabilities.shape[1]), bool)
    has[patient_of, predictions.truth] = True
    return has


def patients_of_classes(predictions: Predictions) -> np.ndarray:
    """(classes,) patients with records of each class."""
    return _has_class(predictions).sum(axis=0)


def _of(predictions: Predictions, chosen: np.ndarray) -> Predictions:
    return Predictions(*(column[chosen] for column in predictions))
