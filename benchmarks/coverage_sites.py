"""How often the interval of the AUC within sites holds the true value, by simulation with a known truth.

    python benchmarks/coverage_sites.py --repetitions 400

Scores are normal; those of a site move together by a normal number of SD 1, which the AUC within sites
must not see. Records of a patient correlate by 0.7. Prints a Markdown table: how often the interval
holds the truth, and how often the truth lies below or above it; nominal are 95, 2.5 and 2.5 %.
"""

import argparse

import numpy as np
from scipy.stats import norm

from mri_tf.metrics.classifier import Predictions, checked
from mri_tf.metrics.within_sites import within_sites
from mri_tf.tables import markdown

ALIKE = 0.7
AUCS = (0.5, 0.75, 0.9, 0.97)
# Name -> (negative, positive) patients of each site, records of a patient.
SHAPES = {
    "5 sites of 8 and 8": ([(8, 8)] * 5, 1),
    "3 sites of 4 and 4": ([(4, 4)] * 3, 1),
    "10 sites of 2 and 3": ([(2, 3)] * 10, 1),
    "5 unequal sites": ([(9, 11), (3, 10), (6, 2), (7, 8), (10, 11)], 1),
    "20 sites of 1 and 1": ([(1, 1)] * 20, 1),
    "5 sites of 4 and 4, 6 records": ([(4, 4)] * 5, 6),
    "10 sites of 1 and 2, 6 records": ([(1, 2)] * 10, 6),
}


def drawn(shape: str, auc: float, rng: np.random.Generator) -> tuple[Predictions, np.ndarray]:
    """Predictions of a draw, and the site of each record."""
    sizes, records = SHAPES[shape]
    label = np.concatenate([np.repeat([0, 1], counts) for counts in sizes])  # (patients,)
    site = np.repeat(np.arange(len(sizes)), [sum(counts) for counts in sizes])
    alike = ALIKE if records > 1 else 0.0
    middle = norm.ppf(auc) * np.sqrt(2) * label + rng.normal(size=len(sizes))[site]
    middle = middle + np.sqrt(alike) * rng.normal(size=len(label))
    scores = middle[:, None] + np.sqrt(1 - alike) * rng.normal(size=(len(label), records))
    chances = norm.cdf(scores.ravel() / 4)
    both = np.stack([1 - chances, chances], axis=1)
    of_records = [np.repeat(column, records) for column in (label, np.arange(len(label)), site)]
    made = checked(of_records[0], both, both.argmax(axis=1), of_records[1])
    return made, of_records[2].astype(str)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    flags = parser.parse_args()
    rows, rng = [], np.random.default_rng(flags.seed)
    for shape in SHAPES:
        for auc in AUCS:
            given = [within_sites(*_with_names(drawn(shape, auc, rng)))["auc"]
                     for _ in range(flags.repetitions)]  # fmt: skip
            below = np.mean([auc < number["low"] for number in given])
            above = np.mean([auc > number["high"] for number in given])
            width = np.mean([number["high"] - number["low"] for number in given])
            shares = [f"{100 * share:.1f}" for share in (1 - below - above, below, above)]
            rows.append([shape, auc, *shares, f"{width:.2f}"])
    columns = ["patients", "true AUC", "covered %", "truth below %", "truth above %", "width"]
    print(markdown(rows, columns))


def _with_names(pair: tuple[Predictions, np.ndarray]) -> tuple:
    return (*pair, ("a", "b"))


if __name__ == "__main__":
    main()
