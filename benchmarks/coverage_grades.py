"""How often the intervals of ordinal numbers hold the true value, by simulation with a known truth.

    python benchmarks/coverage_grades.py --repetitions 400

Four grades, a quarter of the patients each. A patient's score is the grade plus normal noise that its
records share in part; probabilities are those of the model that made the scores, and the decision is
the most probable grade. The truth is the value of a very large sample. `benchmarks/coverage.py` does
the same for the other numbers.
"""

import argparse

import numpy as np
from scipy.stats import norm

from mri_tf.metrics.classification import numbers_with_intervals
from mri_tf.metrics.classifier import Predictions, checked
from mri_tf.metrics.cuts import auc_per_cut

GRADES = ("I", "II", "III", "IV")
LARGE = 40_000  # patients whose values are the truth
CELLS = [(patients, records, alike, noise) for patients in (16, 32, 60, 120)
         for records, alike in ((1, 0.0), (10, 0.5)) for noise in (0.3, 0.7, 1.5)]  # fmt: skip


def drawn(patients: int, records: int, alike: float, noise: float, rng) -> Predictions:
    """Predictions of `records` records a patient, whose noise correlates by `alike`."""
    grades = np.repeat(np.arange(len(GRADES)), patients // len(GRADES))
    shared = np.sqrt(alike) * rng.standard_normal((len(grades), 1))
    own = np.sqrt(1 - alike) * rng.standard_normal((len(grades), records))
    scores = (grades[:, None] + noise * (shared + own)).reshape(-1)
    likelihoods = norm.pdf(scores[:, None], np.arange(len(GRADES)), noise)  # (records, grades)
    probabilities = likelihoods / likelihoods.sum(axis=1, keepdims=True)
    owners = np.repeat(np.arange(len(grades)), records)
    truth = np.repeat(grades, records)
    return checked(truth, probabilities, probabilities.argmax(axis=1), owners)


def numbers_of(predictions: Predictions) -> dict[str, dict]:
    """The ordinal numbers of predictions, with intervals."""
    found = numbers_with_intervals(predictions, GRADES, ordered=True)
    areas = {f"AUC, {cut}": area for cut, area in auc_per_cut(predictions, GRADES).items()}
    names = ("mean_absolute_grade_error", "quadratic_kappa")
    return {name: found[name] for name in names} | areas


def simulate(repetitions: int, seed: int) -> str:
    """A table with one line a number: over the cells, how often its interval holds the truth."""
    covered: dict[str, list] = {}
    truths_of = {noise: numbers_of(drawn(LARGE, 1, 0.0, noise, np.random.default_rng(1)))
                 for noise in sorted({cell[-1] for cell in CELLS})}  # fmt: skip
    for cell in CELLS:
        patients, records, _, noise = cell
        truths = truths_of[noise]
        held: dict[str, list] = {name: [] for name in truths}
        for repetition in range(repetitions):
            rng = np.random.default_rng([seed, repetition, patients, records, int(10 * noise)])
            for name, number in numbers_of(drawn(*cell, rng)).items():
                if number["low"] is not None:
                    low, high = number["low"] - 1e-9, number["high"] + 1e-9
                    held[name].append(low <= truths[name]["value"] <= high)
        for name, hits in held.items():
            covered.setdefault(name, []).append(np.mean(hits))
    lines = ["| number | cells | covered: mean, least |", "|---|---|---|"]
    lines += [f"| {name} | {len(shares)} | {100 * np.mean(shares):.1f}, {100 * min(shares):.1f} |"
              for name, shares in covered.items()]  # fmt: skip
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repetitions", type=int, default=400, help="data sets of a cell")
    parser.add_argument("--seed", type=int, default=0)
    flags = parser.parse_args()
    print(simulate(flags.repetitions, flags.seed))


if __name__ == "__main__":
    main()
