"""A network beside its baselines, and what its images add to the covariates: values of metrics.json."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from mri_tf.audit.baselines import MAJORITY, SplitAnswers
from mri_tf.audit.set_features import AGE_AND_SEX, NAMES, OTHERS
from mri_tf.metrics.classification import numbers_with_intervals
from mri_tf.metrics.classifier import Predictions, classifier_numbers, predictions_of
from mri_tf.metrics.late_fusion import folds_within, fused, standard_logits
from mri_tf.metrics.number import number
from mri_tf.metrics.paired import paired_differences
from mri_tf.metrics.ranking import pairs_of_classes
from mri_tf.task import Task

SHOWN = ("accuracy", "balanced_accuracy", "kappa", "f1_macro", "auc", "quadratic_kappa",
         "mean_absolute_grade_error")  # fmt: skip
NO_WEIGHTS = "a class has one held-out patient, or all of its patients in one split"
WITHIN = "mean of the folds, weighted by their pairs of records of different classes"


class Cell(NamedTuple):
    """A split, and the network's answers for its units.

    Attributes:
        baselines: what these answered.
        table: rows of the network's predictions.parquet.
        repeat: splits of one repeat hold out different patients.
    """

    baselines: SplitAnswers
    table: pd.DataFrame
    repeat: int = 0


def compared_values(cells: Sequence[Cell], missing: dict[str, str], task: Task) -> dict:
    """`baselines` and `added_value` of metrics.json.

    Args:
        cells: at least one.
        missing: name of a baseline -> why there is none.
        task: its class names are those of the tables.
    """
    pairs = [_common(cell, task) for cell in cells]
    networks = [network for network, _ in pairs]
    share = float(np.mean([cell.baselines.share for cell in cells]))
    found = []
    for name in (MAJORITY, *NAMES):
        if name in missing or name not in cells[0].baselines.answers:
            reason = missing.get(name, "it could not be counted")
            found.append({"name": name, "numbers": {}, "difference": {}, "reason": reason})
            continue
        own = [
            _answered(network, cell.baselines.answers[name], rows)
            for cell, (network, rows) in zip(cells, pairs, strict=True)
        ]
        found.append({
            "name": name, "numbers": numbers_of(own, task),
            "difference": differences_of(networks, own, task, share), "reason": "",
        })  # fmt: skip
    return {"baselines": found, "added_value": _added_value(cells, pairs, missing, task)}


def added_value(
    covariates: Sequence[Predictions], networks: Sequence[Predictions], repeats: Sequence[int],
    task: Task, share: float,
) -> dict:  # fmt: skip
    """What images add to covariates: the AUC of both together less that of the covariates.

    Both are made one answer by late fusion. The weights for a split come from the other splits of its
    repeat; of a repeat with one split from other patients of it.

    Args:
        covariates: their answers for each split.
        networks: the network's for the same units.
        repeats: of each split.
        task: names of the classes.
        share: of `paired_differences`: held-out units over those that were learned from.
    """
    both = _fused(covariates, networks, np.asarray(repeats))
    if any(np.isnan(one.probabilities).any() for one in both):
        return not_known(NO_WEIGHTS, numbers_of(networks, task)["auc"])
    difference = differences_of(both, covariates, task, share)["auc"]
    numbers = {name: numbers_of(one, task)["auc"] for name, one in
               (("covariates", covariates), ("image", networks), ("both", both))}  # fmt: skip
    return {
        "metric": "auc", **numbers, "difference": difference,
        "shown": difference["low"] is not None and difference["low"] > 0,
        "reason": difference.get("reason", "") if difference["low"] is None else "",
    }  # fmt: skip


def numbers_of(cells: Sequence[Predictions], task: Task) -> dict[str, dict]:
    """Numbers over all splits together, with their intervals; of several splits the AUC is the mean
    within them, as networks and baselines of different splits are on different scales."""
    whole = Predictions(*(np.concatenate(parts) for parts in zip(*cells, strict=True)))
    numbers = numbers_with_intervals(whole, task.class_names, task.ordered)
    kept = {name: numbers[name] for name in SHOWN if name in numbers}
    if len(cells) == 1:
        return kept
    areas, weights = [], []
    for one in cells:
        area = classifier_numbers(one, np.ones((1, len(np.unique(one.patients))), int))["auc"][0]
        if np.isfinite(area):
            areas.append(area)
            weights.append(pairs_of_classes(one.truth))
    value = np.average(areas, weights=weights) if areas else np.nan
    return kept | {"auc": number(value, numbers["auc"]["n"], reason=WITHIN)}


def differences_of(
    first: Sequence[Predictions], second: Sequence[Predictions], task: Task, share: float
) -> dict[str, dict]:
    """First minus second by name: numbers with `p`, `better`, `question` of `paired_differences`."""
    found = paired_differences(
        list(first), list(second), ordered=task.ordered, test_share=share if len(first) > 1 else None
    )
    return {name: _as_number(found[name]) for name in SHOWN if name in found}


def _as_number(found: dict) -> dict:
    value = np.nan if found["difference"] is None else found["difference"]
    limits = None if found["low"] is None else (found["low"], found["high"])
    made = number(value, found["n"], limits, found["method"], found.get("reason", ""), found["unit"])
    return made | {"p": found["p"], "better": found["better"], "question": found["question"]}


def _common(cell: Cell, task: Task) -> tuple[Predictions, np.ndarray]:
    """The network's answers for units that the baselines answered for too, and their places there."""
    table = cell.table.drop_duplicates("record_id").set_index("record_id")
    names = cell.baselines.record_ids
    rows = np.flatnonzero(np.isin(names, table.index.to_numpy()))
    if not len(rows):
        raise ValueError(
            "The baselines and the network answer for different records. "
            f"Received: {len(names)} and {len(table)} records, none of them the same."
        )
    return predictions_of(table.loc[names[rows]], task.class_names), rows


def _answered(network: Predictions, answers, rows: np.ndarray) -> Predictions:
    """What a baseline says of the units of a network's answers."""
    return network._replace(
        probabilities=answers.probabilities[rows], predicted=answers.decisions[rows]
    )


def _added_value(
    cells: Sequence[Cell], pairs: Sequence, missing: dict[str, str], task: Task
) -> dict:
    networks = [network for network, _ in pairs]
    if any(cell.baselines.covariates is None for cell in cells):
        why = "; ".join(missing.get(name, "") for name in (AGE_AND_SEX, OTHERS))
        return not_known(f"no covariates: {why}", numbers_of(networks, task)["auc"])
    covariates = [
        _answered(network, cell.baselines.covariates, rows)
        for cell, (network, rows) in zip(cells, pairs, strict=True)
    ]
    share = float(np.mean([cell.baselines.share for cell in cells]))
    return added_value(covariates, networks, [cell.repeat for cell in cells], task, share)


def not_known(reason: str, image: dict | None = None) -> dict:
    """`added_value` where it could not be counted."""
    none = number(np.nan, 0, reason=reason)
    return {"metric": "auc", "covariates": none, "image": image or none, "both": none,
            "difference": none, "shown": False, "reason": reason}  # fmt: skip


def _fused(
    covariates: Sequence[Predictions], networks: Sequence[Predictions], repeats: np.ndarray
) -> list[Predictions]:
    """Both as one answer, split by split; decisions are the most probable class. The probabilities are
    NaN where no weights could be fitted."""
    found: list[Predictions | None] = [None] * len(networks)
    for repeat in np.unique(repeats):
        own = np.flatnonzero(repeats == repeat)
        parts = [np.concatenate(values) for values in zip(*(networks[place] for place in own),
                                                          strict=True)]  # fmt: skip
        whole = Predictions(*parts)
        known, image = (
            np.concatenate([standard_logits(answers[place].probabilities) for place in own])
            for answers in (covariates, networks)
        )
        sizes = [len(networks[place].truth) for place in own]
        folds = np.repeat(np.arange(len(own)), sizes)
        if len(own) == 1:
            folds = folds_within(whole.truth, whole.patients)
        made = fused(known, image, whole.truth, whole.patients, folds)
        for place, part in zip(own, np.split(made, np.cumsum(sizes)[:-1]), strict=True):
            found[place] = networks[place]._replace(
                probabilities=part, predicted=part.argmax(axis=1)
            )
    return found
