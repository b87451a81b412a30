"""Time of metrics.json's intervals beside scikit-learn in a loop over the same resamples.

    python benchmarks/bootstrap.py [--patients 1000] [--records 17] [--classes 2,5] [--loop 10]

Simulated predictions; both paths give every number of a classifier for each resample of patients.
The loop runs over the first few resamples, its time is extrapolated to all of them, and the two
must agree on these to 1e-9. Peak memory is that of the process, for the first path alone.
"""

import argparse
import os
import resource
import time
import warnings

import numpy as np
from sklearn import metrics as sk

from mri_tf.metrics import classification_metrics
from mri_tf.metrics.classifier import SPECIFICITY, checked, classifier_numbers
from mri_tf.metrics.intervals import RESAMPLES, multiplicities


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--patients", type=int, default=1000)
    parser.add_argument("--records", type=int, default=17, help="records a patient")
    parser.add_argument("--classes", default="2,5", help="numbers of classes, comma between")
    parser.add_argument("--loop", type=int, default=10, help="resamples of the plain loop")
    flags = parser.parse_args()
    rows = []
    cases = [
        (count, simulate(flags.patients, flags.records, count))
        for count in map(int, flags.classes.split(","))
    ]
    for count, data in cases:
        names = tuple(f"class {label}" for label in range(count))
        started = time.perf_counter()
        classification_metrics(*data, names)
        rows.append([count, time.perf_counter() - started, peak_megabytes()])
    for row, (_, data) in zip(rows, cases, strict=True):
        row += plain_loop(data, flags.loop)
    print(f"{RESAMPLES} resamples of {flags.patients} patients x {flags.records} records, "
          f"{len(os.sched_getaffinity(0))} cores")  # fmt: skip
    print("| classes | classification_metrics, s | peak memory, MB | scikit-learn loop, s "
          "(extrapolated) | times faster | largest difference |")  # fmt: skip
    print("|---" * 6 + "|")
    for count, ours, memory, loop, difference in rows:
        print(f"| {count} | {ours:.1f} | {memory:.0f} | {loop:.0f} | {loop / ours:.0f} | "
              f"{difference:.1e} |")  # fmt: skip
    if max(row[-1] for row in rows) > 1e-9:
        raise SystemExit("the two paths differ")


def simulate(patients: int, records: int, classes: int):
    """truth, probabilities, predicted, patients: records of a patient alike, scores partly tied."""
    rng = np.random.default_rng(0)
    patient_of = np.repeat(np.arange(patients), records)
    truth = rng.integers(0, classes, patients * records)
    logits = rng.normal(0, 0.7, (patients, classes))[patient_of]
    logits += rng.normal(0, 1, logits.shape)
    logits[np.arange(len(truth)), truth] += 1.2
    logits = np.round(logits, 2)
    odds = np.exp(logits)
    probabilities = odds / odds.sum(axis=1, keepdims=True)
    return truth, probabilities, probabilities.argmax(axis=1), patient_of


def plain_loop(data, count: int) -> list[float]:
    """[seconds of all resamples at this pace, largest difference on those computed]."""
    given = checked(*data)
    _, patient_of = np.unique(given.patients, return_inverse=True)
    times = multiplicities(patient_of.max() + 1, 0)[: count + 1]
    ours = classifier_numbers(given, times)
    started = time.perf_counter()
    theirs = [plain_numbers(given, row[patient_of]) for row in times]
    seconds = (time.perf_counter() - started) / len(times) * (RESAMPLES + 1)
    missing = set(ours) ^ set(theirs[0])
    if missing:
        raise SystemExit(f"only one path computes {', '.join(sorted(missing))}")
    differences = [
        np.abs(np.asarray(values[name]) - ours[name][row]).max()
        for row, values in enumerate(theirs)
        for name in values
    ]
    return [seconds, float(max(differences))]


def plain_numbers(given, weights) -> dict:
    """Every number of a classifier by scikit-learn, records weighted."""
    truth, probabilities, predicted, _ = given
    classes = probabilities.shape[1]
    labels = list(range(classes))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        precision, recall, f1, _ = sk.precision_recall_fscore_support(
            truth, predicted, labels=labels, sample_weight=weights, zero_division=np.nan
        )
        happened = np.eye(classes)[truth]
        auc = [sk.roc_auc_score(happened[:, k], probabilities[:, k], sample_weight=weights)
               for k in labels]  # fmt: skip
        average_precision = [
            sk.average_precision_score(happened[:, k], probabilities[:, k], sample_weight=weights)
            for k in labels
        ]
        numbers = {
            "accuracy": sk.accuracy_score(truth, predicted, sample_weight=weights),
            "balanced_accuracy": sk.balanced_accuracy_score(truth, predicted, sample_weight=weights),
            "kappa": sk.cohen_kappa_score(truth, predicted, sample_weight=weights),
            "log_loss": sk.log_loss(truth, probabilities, sample_weight=weights, labels=labels),
        }
    if classes == 2:
        alarms, hits, _ = sk.roc_curve(truth, probabilities[:, 1], sample_weight=weights)
        allowed = alarms <= 1 - SPECIFICITY + 1e-12
        numbers["sensitivity_at_specificity"] = hits[allowed].max()
    right = (probabilities.argmax(axis=1) == truth).astype(float)
    errors = ((probabilities - happened) ** 2).sum(axis=1)
    return numbers | {
        "f1_macro": np.mean(f1),
        "auc": auc[-1] if classes == 2 else np.mean(auc),
        "average_precision": average_precision[-1] if classes == 2 else np.mean(average_precision),
        "brier": np.average(errors, weights=weights),
        "ece": plain_calibration_error(probabilities.max(axis=1), right, weights),
        "per_class_precision": precision,
        "per_class_recall": recall,
        "per_class_f1": f1,
        "per_class_auc": np.array(auc),
    }


def plain_calibration_error(confidence, right, weights) -> float:
    error = 0.0
    for low in range(15):
        here = (confidence > low / 15) & (confidence <= (low + 1) / 15) & (weights > 0)
        if here.any():
            share = weights[here].sum() / weights.sum()
            gap = np.average(right[here] - confidence[here], weights=weights[here])
            error += share * abs(gap)
    return error


def peak_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
