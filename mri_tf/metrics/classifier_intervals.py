"""The interval of every number of a classifier; the methods are in `intervals`."""

from collections.abc import Callable

import numpy as np

from mri_tf.metrics import counts, probabilities
from mri_tf.metrics.classifier import LARGEST, SPECIFICITY, Predictions
from mri_tf.metrics.effective_number import variance_of_mean
from mri_tf.metrics.intervals import (
    NORMAL,
    Interval,
    bounded_interval,
    error_of_mean,
    f1_interval,
    kappa_interval,
    loss_interval,
    mean_interval_of_parts,
    share_interval,
)
from mri_tf.metrics.ranking import Placements, placements, ranking
from mri_tf.metrics.ranking_intervals import (
    auc_interval,
    average_precision_interval,
    interval_at_specificity,
    mean_average_precision_interval,
)

NO_VARIANCE = 1e-24  # of a mean loss: rounding alone
MANY = 50  # patients of a class, from which on its average precision is not biased


def count_intervals(by_patient: np.ndarray, ordered: bool) -> dict:
    """The intervals of the numbers that come from decisions.

    Args:
        by_patient: (patients, true class, predicted class) counts; two patients at least.
        ordered: adds quadratic_kappa and, of more than two classes, mean_absolute_grade_error.

    Returns:
        name -> Interval, and `per_class_...` -> a list of one for each class; None where the number is
        undefined.
    """
    classes = range(by_patient.shape[1])
    total = by_patient.sum(axis=0)
    hits = np.diagonal(by_patient, axis1=1, axis2=2)  # (patients, classes)
    true, predicted = by_patient.sum(axis=2), by_patient.sum(axis=1)  # (patients, classes)
    recall = [_share(hits[:, label], true[:, label]) for label in classes]
    found = {
        "accuracy": _share(hits.sum(axis=1), true.sum(axis=1)),
        "per_class_recall": recall,
        "per_class_precision": [_share(hits[:, label], predicted[:, label]) for label in classes],
        "per_class_f1": [_f1(hits[:, label], (true + predicted - hits)[:, label]) for label in classes],
        "balanced_accuracy": _balanced(recall, hits, true),
        "f1_macro": _by_leaving_out(by_patient, counts.f1_macro),
        "kappa": _kappa(by_patient, counts.kappa, 1 - np.eye(len(total))),
    }
    if ordered:
        rank = np.arange(len(total))
        costs = (rank[:, None] - rank) ** 2 / max(len(total) - 1, 1) ** 2
        found["quadratic_kappa"] = _kappa(by_patient, counts.quadratic_kappa, costs)
        if len(total) > 2:
            found["mean_absolute_grade_error"] = _grade_error(by_patient)
    return found


def ranking_intervals(predictions: Predictions, values: dict[str, np.ndarray]) -> dict:
    """The intervals of the numbers that come from the order of the probabilities.

    With two classes those of the last one, otherwise of the mean over classes, each against the rest.

    Args:
        predictions: from `checked`, of two patients at least.
        values: the numbers, by name.
    """
    class_count = predictions.probabilities.shape[1]
    patient_of = np.unique(predictions.patients, return_inverse=True)[1]
    ranked: list[Placements | None] = []
    for label, scores in enumerate(predictions.probabilities.T):
        positive = predictions.truth == label
        ranked.append(placements(scores, positive) if 0 < positive.sum() < len(positive) else None)
    auc = [one and auc_interval(one, patient_of) for one in ranked]
    if class_count == 2:
        if ranked[1] is None:
            return {"per_class_auc": auc}
        average = average_precision_interval(float(values["average_precision"]), ranked[1], patient_of)
        return {
            "per_class_auc": auc, "auc": auc[1], "average_precision": average,
            "sensitivity_at_specificity": interval_at_specificity(
                predictions.probabilities[:, 1], predictions.truth == 1, patient_of, SPECIFICITY
            ),
        }  # fmt: skip
    there = [label for label, one in enumerate(ranked) if one]
    if not there:
        return {"per_class_auc": auc}
    errors = np.stack([ranked[label].errors_by_patient(patient_of).sum(axis=1) for label in there], 1)
    averages = [
        average_precision_interval(float(values["per_class_average_precision"][label]), ranked[label],
                                   patient_of)
        for label in there
    ]  # fmt: skip
    return {
        "per_class_auc": auc,
        "auc": mean_interval_of_parts(
            np.array([ranked[label].area for label in there]), [auc[label] for label in there],
            errors, NORMAL * error_of_mean(errors),
        ),
        "average_precision": mean_average_precision_interval(
            values["per_class_average_precision"][there], averages,
            _without_each(predictions, patient_of, there),
        ),
    }  # fmt: skip


def _without_each(
    predictions: Predictions, patient_of: np.ndarray, labels: list[int]
) -> np.ndarray | None:
    """(1 + patients,) mean average precision of the classes: of all patients, then without each.

    None where every class has MANY patients: then one more or less changes nothing.
    """
    patients = int(patient_of.max()) + 1
    fewest = min(len(np.unique(patient_of[predictions.truth == label])) for label in labels)
    if fewest >= MANY:
        return None
    times = np.concatenate([np.ones((1, patients), int), 1 - np.eye(patients, dtype=int)])
    found = np.stack([
        ranking(predictions.probabilities[:, label], predictions.truth == label, patient_of, times)
        .average_precision for label in labels
    ], axis=1)  # fmt: skip
    return np.where(np.isfinite(found), found, found[0]).mean(axis=1)


def probability_intervals(predictions: Predictions) -> dict[str, Interval | None]:
    """The intervals of the Brier score and the log loss.

    None where nothing tells how they vary: all patients have the same loss, and the probabilities
    predict no other, such as those of 0 and 1.
    """
    patient_of = np.unique(predictions.patients, return_inverse=True)[1]
    records = np.bincount(patient_of)
    found = {}
    for name, losses_if in (
        ("brier", probabilities.squared_errors), ("log_loss", probabilities.logarithms)
    ):  # fmt: skip
        if_class = losses_if(predictions.probabilities)  # (records, classes)
        losses = np.take_along_axis(if_class, predictions.truth[:, None], axis=1)[:, 0]
        expected = (predictions.probabilities * if_class).sum(axis=1)
        variances = (predictions.probabilities * if_class**2).sum(axis=1) - expected**2
        sums = np.bincount(patient_of, weights=losses)
        predicted = _predicted_variance(losses - expected, expected, variances, patient_of)
        if max(predicted, variance_of_mean(sums, records)) < NO_VARIANCE:
            found[name] = None
            continue
        interval = loss_interval(sums, records, float(expected.mean()), predicted)
        found[name] = interval._replace(high=min(interval.high, LARGEST[name]))
    return found


def _predicted_variance(
    errors: np.ndarray, expected: np.ndarray, variances: np.ndarray, patient_of: np.ndarray
) -> float:
    """The variance of a mean loss if the probabilities are right; errors of a patient may be alike."""
    records, squares = np.bincount(patient_of), (errors**2).sum()
    alike = (np.bincount(patient_of, weights=errors) ** 2).sum() / squares if squares > 0 else 1.0
    of_cases = variance_of_mean(np.bincount(patient_of, weights=expected), records)
    return float(of_cases + np.clip(alike, 1, records.max()) * variances.sum() / len(errors) ** 2)


def _share(hits: np.ndarray, records: np.ndarray) -> Interval | None:
    counted = records > 0
    return share_interval(hits[counted], records[counted]) if counted.any() else None


def _f1(hits: np.ndarray, either: np.ndarray) -> Interval | None:
    return f1_interval(hits, either) if either.any() else None


def _balanced(recall: list[Interval | None], hits: np.ndarray, true: np.ndarray) -> Interval:
    """Of the mean recall of the classes that occur; those of one patient may vary together."""
    there = [label for label, interval in enumerate(recall) if interval]
    hits, true = hits[:, there], true[:, there]
    shares = hits.sum(axis=0) / true.sum(axis=0)
    errors = (hits - shares * true) / true.sum(axis=0)
    least = NORMAL * error_of_mean(errors)
    return mean_interval_of_parts(shares, [recall[label] for label in there], errors, least)


def _by_leaving_out(by_patient: np.ndarray, measure: Callable[[np.ndarray], np.ndarray]) -> Interval:
    total = by_patient.sum(axis=0)
    values = measure(np.concatenate([total[None], total - by_patient]))
    without = np.where(np.isfinite(values[1:]), values[1:], values[0])
    records = by_patient.sum(axis=(1, 2))
    return bounded_interval(float(values[0]), without, _with_errors(by_patient), records)


def _kappa(
    by_patient: np.ndarray, measure: Callable[[np.ndarray], np.ndarray], costs: np.ndarray
) -> Interval | None:
    total = by_patient.sum(axis=0)
    value = float(measure(total))
    if not np.isfinite(value):
        return None
    shares = total / total.sum()
    by_chance = float(shares.sum(axis=1) @ costs @ shares.sum(axis=0))
    without, records = measure(total - by_patient), by_patient.sum(axis=(1, 2))
    return kappa_interval(value, without, _with_errors(by_patient), records, by_chance)


def _grade_error(by_patient: np.ndarray) -> Interval:
    """Of the mean error in grades: as a share of the largest possible one it lies between 0 and 1."""
    largest = by_patient.shape[1] - 1
    low, high, method = _by_leaving_out(
        by_patient, lambda confusions: counts.mean_absolute_grade_error(confusions) / largest
    )
    return Interval(low * largest, high * largest, method)


def _with_errors(by_patient: np.ndarray) -> int:
    """Patients with a wrong record."""
    return int((by_patient.sum(axis=(1, 2)) > np.trace(by_patient, axis1=1, axis2=2)).sum())
