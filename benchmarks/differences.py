"""How often equal variants are said to differ, and unequal ones are found, by simulation.

    python benchmarks/differences.py --repetitions 300

Two learners see other features of the same patients. Of equal learners both sets of features tell the
classes equally well, so that neither variant is better when trained on new patients; of unequal ones the
second set is weaker. Each data set goes through the cross-validation of a study and
`paired_differences`. Columns: how often AUC and accuracy are said to differ (p <= 0.05) by the patients
alone, which is about the trained networks, and by the wider of that and the corrected resampled t,
which is about the variants.
"""

import argparse
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.special import expit

from mri_tf.metrics import Predictions, paired_differences

FEATURES, RIDGE = 12, 5.0
PRIMARY = ("auc", "accuracy")


@dataclass(frozen=True)
class Design:
    """A study: patients, records of each, folds and repeats."""

    patients: int
    records: int
    folds: int
    repeats: int


DESIGNS = (Design(60, 1, 5, 1), Design(60, 10, 5, 1), Design(30, 10, 5, 2), Design(60, 1, 5, 3))


def predicted(features: np.ndarray, labels: np.ndarray, train: np.ndarray, test: np.ndarray):
    """Probabilities of the second class of the test records, by ridge regression on the others."""
    target = 2.0 * labels[train] - 1
    seen = features[train]
    gram = seen.T @ seen + RIDGE * len(train) / 100 * np.eye(FEATURES)
    weights = np.linalg.solve(gram, seen.T @ (target - target.mean()))
    return expit(3 * (features[test] @ weights))


def claims(design: Design, weaker: float, seed: int) -> np.ndarray:
    """(2 numbers, 2 ways): whether one data set says that the variants differ."""
    rng = np.random.default_rng([seed, design.patients, design.records, design.repeats])
    labels = np.arange(design.patients) % 2
    both = []
    for strength in (0.3, 0.3 * weaker):
        own = rng.standard_normal((design.patients, 1, FEATURES)) * 0.7
        noise = rng.standard_normal((design.patients, design.records, FEATURES)) * np.sqrt(0.51)
        shift = strength * (2 * labels - 1)[:, None, None]
        both.append((own + noise + shift).reshape(-1, FEATURES))
    owner = np.repeat(np.arange(design.patients), design.records)
    truth = np.repeat(labels, design.records)
    cells = ([], [])
    for _ in range(design.repeats):
        fold_of = np.empty(design.patients, int)
        for label in (0, 1):  # stratified
            members = rng.permutation(np.flatnonzero(labels == label))
            fold_of[members] = np.arange(len(members)) % design.folds
        for fold in range(design.folds):
            test = np.flatnonzero(fold_of[owner] == fold)
            train = np.flatnonzero(fold_of[owner] != fold)
            for features, found in zip(both, cells, strict=True):
                chance = predicted(features, truth, train, test)
                found.append(
                    Predictions(truth[test], np.stack([1 - chance, chance], axis=1),
                                (chance > 0.5).astype(int), owner[test])
                )  # fmt: skip
    result = np.zeros((len(PRIMARY), 2))
    for way, share in enumerate((None, 1 / (design.folds - 1))):
        numbers = paired_differences(*cells, seed=seed, test_share=share)
        result[:, way] = [numbers[name]["p"] <= 0.05 for name in PRIMARY]
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repetitions", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    flags = parser.parse_args()
    print("| patients × records, folds × repeats | variants | AUC: networks | AUC: variants | "
          "accuracy: networks | accuracy: variants |\n" + "|---" * 6 + "|")  # fmt: skip
    seeds = range(flags.seed * 100_000, flags.seed * 100_000 + flags.repetitions)
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for design in DESIGNS:
            for name, weaker in (("equal", 1.0), ("second weaker", 0.4)):
                found = np.mean(list(pool.map(partial(claims, design, weaker), seeds)), axis=0)
                cells = " | ".join(f"{100 * value:.1f} %" for value in found.ravel())
                what = f"{design.patients} × {design.records}, {design.folds} × {design.repeats}"
                print(f"| {what} | {name} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
