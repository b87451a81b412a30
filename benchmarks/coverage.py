"""How often the intervals of metrics.json hold the true value, by simulation with a known truth.

    python benchmarks/coverage.py --out coverage.csv --minutes 60
    python benchmarks/coverage.py --out coverage.csv --table
    python benchmarks/coverage.py --out uneven.csv --uneven

A cell is a kind of data: classes, patients of each class, records of a patient, how alike they are, and
how well the scores tell the classes. Each of its data sets is drawn, `numbers_with_intervals` counts it
as it counts any test side, and its intervals are held against the truth: the value of a very large
sample. With --uneven patients have unequal numbers of records, and a table by shape is printed, too.
A row of the file is written when a cell is done, so that a killed run goes on where it was.

Columns: how often the interval holds the truth, how often the truth lies below or above it, how often
there is an interval, and its mean width over the central 95 % range of the estimate.
"""

import argparse
import csv
import os
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import astuple, dataclass, fields
from functools import cache
from pathlib import Path

import numpy as np
from scipy.stats import norm

from mri_tf.metrics.classification import numbers_with_intervals
from mri_tf.metrics.classifier import checked, classifier_numbers

NUMBERS = (
    "accuracy", "balanced_accuracy", "kappa", "quadratic_kappa", "f1_macro", "auc", "average_precision",
    "brier", "log_loss", "recall", "precision", "f1",
)  # fmt: skip
OF_LAST_CLASS = ("recall", "precision", "f1")
LARGE = 400_000  # records whose values are the truth
STRIDE = 11  # so that a run that is stopped early has cells of every kind
FIRST, THOROUGH, FEW = 300, 2000, 200  # data sets of a cell; of one with --uneven
UNEVEN = {  # numbers of records of so many patients
    **{f"1 + lognormal, SD {spread}": lambda rng, patients, spread=spread:
       1 + rng.lognormal(2, spread, patients).astype(int) for spread in (1, 1.5)},
    "1, or 30 in 20 %": lambda rng, patients: np.where(rng.random(patients) < 0.2, 30, 1),
}  # fmt: skip
BY_SHAPE = ("accuracy", "recall", "kappa", "auc", "average_precision", "brier", "log_loss")
SHARES = {"50/50": (0.5, 0.5), "75/25": (0.75, 0.25), "90/10": (0.9, 0.1), "even": (1 / 9,) * 9}


@dataclass(frozen=True)
class Cell:
    """A kind of data."""

    shares: str  # of the classes
    patients: int
    records: int | str  # of a patient; or a key of UNEVEN
    alike: float  # correlation of the scores of a patient's records
    auc: float  # of records of different patients

    def counts(self) -> tuple[int, ...]:
        """Patients of each class."""
        shares = np.array(SHARES[self.shares])
        counts = np.floor(shares * self.patients + 1e-9).astype(int)
        counts[: self.patients - counts.sum()] += 1
        return tuple(int(count) for count in counts)


def cells() -> list[Cell]:
    """Every cell with four patients of each class."""
    found = []
    for shares in SHARES:
        for patients in (8, 10, 20, 30, 60, 150):
            for auc in (0.5, 0.75, 0.9, 0.986):
                for records, alike in ((1, 0.0), (10, 0.0), (10, 0.5), (10, 0.9)):
                    cell = Cell(shares, patients, records, alike, auc)
                    if min(cell.counts()) >= 4:
                        found.append(cell)
    return found


def uneven_cells() -> list[Cell]:
    """Cells whose patients have unequal numbers of records, redrawn for each data set."""
    return [Cell("50/50", patients, records, alike, auc) for records in UNEVEN for patients in (20, 40)
            for alike in (0.5, 0.9, 1.0) for auc in (0.75, 0.9)]  # fmt: skip


def thorough(every: list[Cell]) -> list[Cell]:
    """24 of the cells, spread over all, that are simulated more often."""
    return every[:: max(1, len(every) // 24)][:24]


def drawn(cell: Cell, counts: tuple[int, ...], rng: np.random.Generator) -> tuple:
    """(truth, probabilities, predicted, patients) of one data set.

    A patient has one class and a part of the scores that all its records share. Scores are normal, one
    for the positive class of two, one a class of more; probabilities follow from them by Bayes' rule.
    """
    labels = np.repeat(np.arange(len(counts)), counts)
    patients, classes = len(labels), len(counts)
    apart = np.sqrt(2) * norm.ppf(cell.auc)
    scores = 1 if classes == 2 else classes
    uneven = UNEVEN.get(cell.records)
    records = uneven(rng, patients) if uneven else np.full(patients, cell.records)
    owners = np.repeat(np.arange(patients), records)
    part = rng.standard_normal((patients, scores)) * np.sqrt(cell.alike)
    score = part[owners] + rng.standard_normal((len(owners), scores)) * np.sqrt(1 - cell.alike)
    truth = labels[owners]
    prior = np.log(np.array(SHARES[cell.shares]))
    slope = max(apart, 1.0)  # without a signal the network is overconfident
    if classes == 2:
        flat = score[:, 0] + apart * truth
        logits = np.stack([np.zeros_like(flat), slope * (flat - apart / 2)], axis=1) + prior
        predicted = (flat > apart / 2).astype(int)
    else:
        score[np.arange(len(owners)), truth] += apart
        logits, predicted = slope * score + prior, score.argmax(axis=1)
    logits -= logits.max(axis=1, keepdims=True)
    probabilities = np.exp(logits)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    return truth, probabilities, predicted, owners


@cache
def truths(one_each: Cell) -> dict[str, float]:
    """The numbers of a very large sample with the same shares of patients, of one record each."""
    counts = np.array(one_each.counts())
    many = tuple((counts * (LARGE // counts.sum())).tolist())
    truth, probabilities, predicted, _ = drawn(one_each, many, np.random.default_rng(1))
    whole = checked(truth, probabilities, predicted, np.zeros(len(truth)))
    values = classifier_numbers(whole, np.ones((1, 1), int), ordered=True)
    found = {name: float(value[0]) for name, value in values.items() if value.ndim == 1}
    return found | {name: float(values[f"per_class_{name}"][0, -1]) for name in OF_LAST_CLASS}


def simulated(cell: Cell, repetitions: int, seed: int) -> list[tuple]:
    """Rows of the file for one cell."""
    truth = truths(Cell(cell.shares, cell.patients, 1, 0.0, cell.auc))
    names = tuple(f"c{label}" for label in range(len(cell.counts())))
    numbers: dict[str, list[tuple]] = {name: [] for name in NUMBERS}
    for repetition in range(repetitions):
        rng = np.random.default_rng([seed, repetition, *map(ord, repr(cell))])
        made = checked(*drawn(cell, cell.counts(), rng))
        found = numbers_with_intervals(made, names, ordered=True)
        of_class = found["per_class"][names[-1]]
        for name in NUMBERS:
            number = of_class[name] if name in OF_LAST_CLASS else found[name]
            numbers[name].append((number["value"], number["low"], number["high"]))
    return [(*astuple(cell), repetitions, name, *_counted(np.array(numbers[name], float), truth[name]))
            for name in NUMBERS]  # fmt: skip


def _counted(numbers: np.ndarray, truth: float) -> tuple[float, ...]:
    """(covered, truth below, truth above, given, width over range, truth, mean) of (sets, 3) numbers."""
    value, low, high = numbers[np.isfinite(numbers[:, 0])].T
    given = np.isfinite(low)
    below, above = (truth < low[given] - 1e-9).mean(), (truth > high[given] + 1e-9).mean()
    central = np.quantile(value, 0.975) - np.quantile(value, 0.025)
    width = (high - low)[given].mean() / central if central > 0 else np.inf
    rounded = (1 - below - above, below, above, given.mean(), width, truth, value.mean())
    return tuple(round(float(one), 4) for one in rounded)


HEADER = (
    [field.name for field in fields(Cell)]
    + ["repetitions", "number", "covered", "below", "above", "given", "width", "truth", "mean"]
)  # fmt: skip


def simulate(draws: dict[Cell, int], out: Path, minutes: float, seed: int, processes: int) -> None:
    """Simulates every cell, with its number of draws, that the file does not have until time is over."""
    every = list(draws)
    done = {tuple(row[name] for name in HEADER[:5]) for row in rows_of(out)}
    spread = sorted(range(len(every)), key=lambda number: (number % STRIDE, number))
    todo = [every[number] for number in spread if tuple(map(str, astuple(every[number]))) not in done]
    ends = time.monotonic() + 60 * minutes
    if not out.exists():
        out.write_text(",".join(HEADER) + "\n", encoding="utf-8")
    with ProcessPoolExecutor(processes) as pool:
        waiting = {pool.submit(_in_time, cell, draws[cell], seed, ends) for cell in todo}
        for number, future in enumerate(as_completed(waiting), 1):
            with out.open("a", encoding="utf-8", newline="") as file:
                csv.writer(file).writerows(future.result())
            print(f"\r{number} of {len(todo)} cells", end="", flush=True)
    left = len(draws) - len({tuple(row[name] for name in HEADER[:5]) for row in rows_of(out)})
    print(f"\n{left} of {len(draws)} cells are left" + ("; run it again" if left else ""))


def _in_time(cell: Cell, repetitions: int, seed: int, ends: float) -> list[tuple]:
    return simulated(cell, repetitions, seed) if time.monotonic() < ends else []


def rows_of(out: Path) -> list[dict]:
    if not out.exists():
        return []
    with out.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def table(out: Path) -> str:
    """One line a number: how many of its cells hold what is asked for."""
    lines = [
        "| number | cells | covered: mean, least | cells ≥ 93 % | a tail > 5 % | given | "
        "width ≤ 1.3, median width |", "|---" * 7 + "|",
    ]  # fmt: skip
    rows = rows_of(out)
    for name in NUMBERS:
        of_number = [row for row in rows if row["number"] == name]
        covered, below, above, given, width = (
            np.array([float(row[key]) for row in of_number])
            for key in ("covered", "below", "above", "given", "width")
        )
        tails = int((np.maximum(below, above) > 0.05).sum())
        lines.append(
            f"| {name} | {len(of_number)} | {100 * covered.mean():.1f}, {100 * covered.min():.1f} | "
            f"{100 * (covered >= 0.93).mean():.0f} % | {tails} | {100 * given.min():.0f} % | "
            f"{100 * (width <= 1.3).mean():.0f} %, {np.median(width):.2f} |"
        )
    return "\n".join(lines)


def table_by_shape(out: Path) -> str:
    """One line for the records and the number of patients: coverage of each number, mean and least."""
    lines = [f"| records | patients | {' | '.join(BY_SHAPE)} |", "|---" * (len(BY_SHAPE) + 2) + "|"]
    covered: dict[tuple, list[float]] = {}  # of each cell, in %
    for row in rows_of(out):
        shape = row["records"], row["patients"], row["number"]
        covered.setdefault(shape, []).append(100 * float(row["covered"]))
    for records, patients in dict.fromkeys(shape[:2] for shape in covered):
        of_numbers = [covered[records, patients, name] for name in BY_SHAPE]
        both = " | ".join(f"{np.mean(one):.1f}, {min(one):.1f}" for one in of_numbers)
        lines.append(f"| {records} | {patients} | {both} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("coverage.csv"), help="file of the rows")
    parser.add_argument("--minutes", type=float, default=60, help="no cell begins after these")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--table", action="store_true", help="prints the table of a file")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--uneven", action="store_true", help="unequal numbers of records")
    flags = parser.parse_args()
    if not flags.table:
        draws = dict.fromkeys(uneven_cells(), FEW) if flags.uneven else (
            dict.fromkeys(cells(), FIRST) | dict.fromkeys(thorough(cells()), THOROUGH)
        )  # fmt: skip
        simulate(draws, flags.out, flags.minutes, flags.seed, flags.processes)
    print(table(flags.out))
    if flags.uneven:
        print(table_by_shape(flags.out))


if __name__ == "__main__":
    main()
