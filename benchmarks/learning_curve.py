"""How often the interval of a learning curve holds the accuracy that so many patients give.

    python benchmarks/learning_curve.py --repetitions 300

A nearest-mean learner of ten features is cross-validated, or tested on one fifth of the patients, with
three training sizes, in several repeats. For as many patients as the largest size, twice and four times
as many, the true accuracy is that of 400 learners of other patients in closed form. Printed are coverage
(promised: 95 %) and mean width.
"""

import argparse
import os
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import numpy as np
from scipy.special import ndtr

from mri_tf.metrics.learning_curve import drawn_curves, fit_curve, interval_at
from mri_tf.metrics.resamples import multiplicities

FEATURES, PARTS = 10, 5
TIMES = (1, 2, 4)  # as many patients as the largest size has
CASES = (  # patients, repeats, folds that are tested, signal
    (60, 3, 5, 0.3), (40, 3, 5, 0.15), (120, 3, 5, 0.3), (60, 5, 1, 0.3),
)  # fmt: skip


def sizes_of(patients: int) -> tuple[int, ...]:
    """Training patients of each class."""
    return patients // 10, patients // 5, 2 * patients // 5


def sample(patients: int, signal: float, rng) -> tuple[np.ndarray, np.ndarray]:
    """(patients, FEATURES) and labels (patients,)."""
    labels = np.arange(patients) % 2
    shift = signal * (2 * labels - 1)[:, None]
    return rng.normal(size=(patients, FEATURES)) + shift, labels


def learned(features: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(direction, middle) of the nearest mean."""
    means = [features[labels == label].mean(axis=0) for label in (0, 1)]
    return means[1] - means[0], (means[0] + means[1]) / 2


def true_accuracy(patients: int, signal: float, rng) -> float:
    """Of learners of so many patients, for any others."""
    found = []
    for _ in range(400):
        direction, middle = learned(*sample(patients, signal, rng))
        sides = [(sign * signal - middle) @ direction * sign for sign in (-1, 1)]
        found.append(ndtr(np.array(sides) / np.linalg.norm(direction)).mean())
    return float(np.mean(found))


def intervals(case: tuple, seed: int) -> np.ndarray:
    """(TIMES, 2) the limits, of one set of patients."""
    patients, repeats, folds, signal = case
    rng = np.random.default_rng([seed, patients, repeats])
    features, labels = sample(patients, signal, rng)
    sizes, tested, right = [], [], []
    for _ in range(repeats):
        order = rng.permutation(patients)
        part_of = np.empty(patients, int)
        part_of[order[np.argsort(labels[order], kind="stable")]] = np.arange(patients) % PARTS
        for part in range(folds):
            teachers, tests = rng.permutation(np.flatnonzero(part_of != part)), part_of == part
            for size in sizes_of(patients):
                own = np.concatenate([teachers[labels[teachers] == label][:size] for label in (0, 1)])
                direction, middle = learned(features[own], labels[own])
                right.append(((features - middle) @ direction > 0) == labels)
                tested.append(tests)
                sizes.append(2 * size)
    sizes, tested, right = np.array(sizes, float), np.array(tested), np.array(right)
    here = tested.any(axis=0)
    times = multiplicities(int(here.sum()), seed)  # (1 + draws, patients)
    with np.errstate(invalid="ignore"):  # a draw may miss all patients of a cell
        scores = (times @ (right & tested)[:, here].T) / (times @ tested[:, here].T)
    curve, curves = fit_curve(sizes, scores[0]), drawn_curves(sizes, scores[1:])
    return np.array([interval_at(curve, curves, sizes.max() * more) for more in TIMES])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repetitions", type=int, default=300)
    flags = parser.parse_args()
    columns = [f"{more} × the largest size: coverage, width" for more in TIMES]
    print(f"| patients, repeats × folds | {' | '.join(columns)} |\n" + "|---" * 4 + "|")
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for case in CASES:
            patients, repeats, folds, signal = case
            rng = np.random.default_rng(0)
            truth = [true_accuracy(2 * sizes_of(patients)[-1] * more, signal, rng) for more in TIMES]
            found = np.stack(list(pool.map(partial(intervals, case), range(flags.repetitions))))
            low, high = found[..., 0], np.minimum(found[..., 1], 1)
            holds = ((low <= truth) & (truth <= high)).mean(axis=0)
            cells = [f"{100 * share:.0f} %, {width:.2f}"
                     for share, width in zip(holds, (high - low).mean(axis=0), strict=True)]  # fmt: skip
            print(f"| {patients}, {repeats} × {folds} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
