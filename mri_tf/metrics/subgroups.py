"""A classifier's numbers in groups of records: of a site, a scanner, a sex, a band of age or spacing.

Groups with too few patients for a number are kept and say so. Nothing is corrected for the number of
groups: some are better or worse than others by chance.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from mri_tf.metrics.classification import numbers_with_intervals
from mri_tf.metrics.classifier import Predictions
from mri_tf.metrics.within_sites import auc_within, no_number, patients_of_classes

NUMBERS = ("accuracy", "balanced_accuracy", "auc")
MOST_GROUPS = 40  # of one kind; the others together are one group
OTHERS = "others"


def subgroups(
    predictions: Predictions, groups_of: Mapping[str, np.ndarray], class_names: Sequence[str],
    folds: np.ndarray | None = None,
) -> list[dict]:  # fmt: skip
    """The numbers of every group for metrics.json, kinds in their order and groups by name.

    Args:
        predictions: from `checked`.
        groups_of: kind, such as "site" -> (records,) names of groups. A kind with one group tells
            nothing and is left out.
        class_names: in the order of the class numbers.
        folds: (records,) the fold that each was held out in, of predictions of several networks: the
            AUC compares records of the same fold only.

    Returns:
        `{"by", "group", "patients": {class: n}, "records", "numbers": {metric: number}}` of each.
    """
    rows = []
    for by, names in groups_of.items():
        groups = _most_frequent(np.asarray(names).astype(str))
        found = sorted(set(groups.tolist()), key=lambda name: (name == OTHERS, name))
        for group in found if len(found) > 1 else ():
            chosen = groups == group
            own = Predictions(*(column[chosen] for column in predictions))
            rows.append({
                "by": by,
                "group": group,
                "patients": dict(zip(class_names, patients_of_classes(own).tolist(), strict=True)),
                "records": int(chosen.sum()),
                "numbers": _numbers(own, tuple(class_names), None if folds is None else folds[chosen]),
            })  # fmt: skip
    return rows


def _numbers(own: Predictions, class_names: tuple[str, ...], folds: np.ndarray | None) -> dict:
    if few := no_number(own):
        return {name: dict(few) for name in NUMBERS}
    found = numbers_with_intervals(own, class_names)
    numbers = {name: found[name] for name in NUMBERS}
    if folds is not None:
        numbers["auc"] = auc_within(own, np.unique(folds, return_inverse=True)[1])
    return numbers


def _most_frequent(names: np.ndarray) -> np.ndarray:
    """The names, of which the rare ones beyond `MOST_GROUPS` are OTHERS."""
    counts = Counter(names.tolist())
    if len(counts) <= MOST_GROUPS:
        return names
    kept = [name for name, _ in counts.most_common(MOST_GROUPS)]
    return np.where(np.isin(names, kept), names, OTHERS)
