"""What ways to calibrate a network lose on new patients, by simulation with known truth.

    python benchmarks/calibration.py --out calibration.csv --minutes 60
    python benchmarks/calibration.py --out calibration.csv --table brier

A validation side of few patients fits the calibration; 2,000 new records of the same kind are then given
probabilities. Printed is by how much they are worse than those of the best temperature and intercepts on
the new records themselves: in log loss or Brier score x 1000, or, for `shift`, the mean distance of the
mean probability of the last class from its share, x 1000. Means over prevalences (50/50, 75/25, 90/10;
of four classes even and 55/25/15/5) and over 1 or 10 records a patient, whose scores correlate by 0.5;
+- is the standard error over data sets. A row of the file is written when a cell is done, so that a
killed run goes on where it was. Shapes of scores:

calibrated    normal, probabilities of an AUC of 0.90 that are right
weak          the same of an AUC of 0.69
overconfident the logits of the first times 3
skewed        gamma scores: a long tail towards the other class
heavy         Student's t with 3 degrees of freedom
unequal       the last class spreads twice as wide
compressed    logits of the first times 0.03: all outputs near 0.5
near 0.9      logits of the second times 0.05, plus 2.2: all outputs near 0.9
shifted       those of the first plus a normal number of SD 1.5 a data set, as networks of few patients
four          four classes, calibrated
four, shifted the same plus such numbers, one a class

Ways: "none", the network's outputs; "temperature", one temperature, which this project used before;
"Platt", temperature and intercepts without any prior; "rule", what `fit_temperature` does.
"""

import argparse
import csv
import time
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import minimize, minimize_scalar
from scipy.special import log_softmax, softmax
from scipy.stats import gamma, norm, t

from mri_tf.calibration.class_balance import validation_weights
from mri_tf.calibration.temperature import SMALLEST, TemperatureFit, calibrated, fit_temperature

PATIENTS, RECORDS = (8, 10, 20, 30, 60, 150), (1, 10)
ALIKE = 0.5  # correlation of the scores of a patient's records
NEW = 2000  # patients that are given probabilities, one record each
STRIDE = 7  # so that a run that is stopped early has cells of every kind
TWO, FOUR = ((0.5, 0.5), (0.75, 0.25), (0.9, 0.1)), ((0.25,) * 4, (0.55, 0.25, 0.15, 0.05))
SHAPES = {
    "calibrated": TWO, "weak": TWO, "overconfident": TWO, "skewed": TWO, "heavy": TWO, "unequal": TWO,
    "compressed": TWO, "near 0.9": TWO, "shifted": TWO, "four": FOUR, "four, shifted": FOUR,
}  # fmt: skip
WAYS = ("none", "temperature", "Platt", "rule")
NUMBERS = ("log_loss", "brier", "shift")


@dataclass(frozen=True)
class Cell:
    """A kind of data."""

    shape: str
    prevalence: int  # position among those of the shape
    patients: int
    records: int

    @property
    def shares(self) -> np.ndarray:
        return np.array(SHAPES[self.shape][self.prevalence])


@dataclass(frozen=True)
class Data:
    """Records of a network: (records, classes) outputs, (records,) labels and patients."""

    outputs: np.ndarray
    truth: np.ndarray
    patients: np.ndarray


def drawn(cell: Cell, patients: int, records: int, rng: np.random.Generator) -> tuple:
    """Logits, labels and patients; every class has its share of the patients, but one at least."""
    shares = cell.shares
    counts = np.maximum(1, np.round(shares * patients).astype(int))
    labels = np.repeat(np.arange(len(shares)), counts)
    alike = ALIKE if records > 1 else 0.0
    columns = len(shares) if len(shares) > 2 else 1
    noise = np.sqrt(alike) * rng.standard_normal((len(labels), 1, columns))
    noise = noise + np.sqrt(1 - alike) * rng.standard_normal((len(labels), records, columns))
    if columns > 1:
        logits = 2.0 * (noise + 2.0 * np.eye(columns)[labels][:, None]) + np.log(shares)
    else:
        odds = _log_odds(cell.shape, labels[:, None], noise[..., 0], np.log(shares[1] / shares[0]))
        logits = np.stack([np.zeros_like(odds), odds], axis=-1)
    patient = np.repeat(np.arange(len(labels)), records)
    return logits.reshape(len(patient), -1), np.repeat(labels, records), patient


def _log_odds(shape: str, label: np.ndarray, noise: np.ndarray, prior: float) -> np.ndarray:
    sign = 2 * label - 1
    if shape == "skewed":
        return 0.8 * sign * (3 - gamma.ppf(norm.cdf(noise), 2.0, scale=1.2)) + prior
    if shape == "heavy":
        return 1.6 * (0.8 * sign + t.ppf(norm.cdf(noise), 3)) + prior
    if shape == "unequal":
        return 1.5 * (0.75 * sign + noise * (1 + label)) + prior
    apart = 0.7 if shape in ("weak", "near 0.9") else 1.8
    odds = apart * (sign * apart / 2 + noise) + prior
    factor = {"overconfident": 3.0, "compressed": 0.03, "near 0.9": 0.05}.get(shape, 1.0)
    return factor * odds + (2.2 if shape == "near 0.9" else 0.0)


def temperature_alone(side: Data, shares: np.ndarray, weights: np.ndarray) -> TemperatureFit:
    """The rule that this one replaces."""
    logits, rows = np.log(side.outputs), np.arange(len(side.truth))

    def loss(log_temperature: float) -> float:
        scale = np.exp(-log_temperature)
        log_p = log_softmax(scale * logits, axis=-1)
        any_class = np.average(log_p @ shares, weights=weights)
        return -(weights @ log_p[rows, side.truth]) - 0.5 * any_class + scale - 1 + log_temperature

    found = minimize_scalar(loss, bounds=np.log((0.05, 20.0)), method="bounded")
    return TemperatureFit(float(np.exp(found.x)), (0.0,) * len(shares))


def platt(side: Data, weights: np.ndarray) -> TemperatureFit:
    """Temperature and intercepts of the least log loss (a separable side is stopped by the bounds)."""
    logits = np.log(side.outputs)
    truth = np.eye(logits.shape[1])[side.truth]

    def loss(values: np.ndarray) -> tuple[float, np.ndarray]:
        log_p = log_softmax(values[0] * logits + values[1:], axis=-1)
        error = weights[:, None] * (np.exp(log_p) - truth)
        value = -(weights[:, None] * truth * log_p).sum()
        return value, np.append((error * logits).sum(), error.sum(axis=0))

    spread = max((logits - logits.mean(axis=0)).std(), 1e-6)
    bounds = [(0.01, 10 / spread)] + [(None, None)] * logits.shape[1]
    start = np.append(1.0, np.zeros(logits.shape[1]))
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    return TemperatureFit(float(1 / found[0]), tuple(found[1:]))


def numbers(new: Data, fit: TemperatureFit, shares: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(log loss, Brier score, shift) on new records."""
    probabilities = calibrated(new.outputs, fit.temperature, shares, shares, fit.intercepts)
    of_truth = np.maximum(probabilities[np.arange(len(new.truth)), new.truth], SMALLEST)
    squares = ((probabilities - np.eye(len(shares))[new.truth]) ** 2).sum(axis=1)
    shift = abs(np.average(probabilities[:, -1], weights=weights) - shares[-1])
    log_loss, brier = (np.average(one, weights=weights) for one in (-np.log(of_truth), squares))
    return np.array([log_loss, brier, shift])


def simulated(cell: Cell, repetitions: int, seed: int) -> np.ndarray:
    """(repetitions, ways, numbers) above the best possible."""
    place = list(SHAPES).index(cell.shape)
    key = [seed, place, cell.prevalence, cell.patients, cell.records]
    new_logits, new_truth, new_patients = drawn(cell, NEW, 1, np.random.default_rng([*key, 1]))
    new_weights, shares, rows = validation_weights(new_truth, cell.shares), cell.shares, []
    # The best intercepts take a shift away, so that the best is the same for every data set.
    new = Data(softmax(new_logits, axis=-1), new_truth, new_patients)
    best = numbers(new, platt(new, new_weights), shares, new_weights)
    for repetition in range(repetitions):
        rng = np.random.default_rng([*key, 0, repetition])
        shift = 1.5 * rng.standard_normal(len(shares)) if "shifted" in cell.shape else 0.0
        if cell.shape == "shifted":
            shift *= [0, 1]
        logits, truth, patients = drawn(cell, cell.patients, cell.records, rng)
        side = Data(softmax(logits + shift, axis=-1), truth, patients)
        new = Data(softmax(new_logits + shift, axis=-1), new_truth, new_patients)
        weights = validation_weights(truth, shares, patients)
        fits = (
            TemperatureFit(1.0, (0.0,) * len(shares)), temperature_alone(side, shares, weights),
            platt(side, weights),
            fit_temperature(side.outputs, truth, shares, shares, weights, patients),
        )  # fmt: skip
        rows.append([numbers(new, fit, shares, new_weights) - best for fit in fits])
    return np.array(rows)


def add_cells(path: Path, repetitions: int, seed: int, minutes: float) -> None:
    """Simulates cells that the file lacks and appends a row for each data set and number."""
    end = time.monotonic() + 60 * minutes
    done = set()
    if path.is_file():
        done = {tuple(row[:4]) for row in rows_of(path)}
    cells = [
        Cell(shape, prevalence, patients, records)
        for patients in PATIENTS for records in RECORDS for shape, found in SHAPES.items()
        for prevalence in range(len(found))
    ]  # fmt: skip
    for cell in [one for start in range(STRIDE) for one in cells[start::STRIDE]]:
        if tuple(map(str, astuple(cell))) in done:
            continue
        if time.monotonic() > end:
            break
        values = simulated(cell, repetitions, seed)
        with path.open("a", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(
                [*astuple(cell), number, *np.round(values[row, :, column], 6)]
                for row in range(repetitions) for column, number in enumerate(NUMBERS)
            )  # fmt: skip
        print(*astuple(cell), flush=True)


def rows_of(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def print_table(path: Path, number: str) -> None:
    """One line for each shape and number of patients."""
    rows = [row for row in rows_of(path) if row[4] == number]
    print(f"| shape | patients | {' | '.join(WAYS)} | temperature - rule |")
    print("|---" * (3 + len(WAYS)) + "|")
    for shape in (*SHAPES, "mean"):
        for patients in PATIENTS:
            found = [
                row[5:] for row in rows if row[2] == str(patients) and shape in ("mean", row[0])
            ]
            if not found:
                continue
            values = 1000 * np.array(found, float)
            gained = values[:, WAYS.index("temperature")] - values[:, WAYS.index("rule")]
            error = lambda one: one.std(ddof=1) / np.sqrt(len(one))  # noqa: E731
            cells = [f"{one.mean():.1f} ± {error(one):.1f}" for one in values.T]
            print(f"| {shape} | {patients} | {' | '.join(cells)} "
                  f"| {gained.mean():+.1f} ± {error(gained):.1f} |")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="file of the data sets' numbers")
    parser.add_argument("--repetitions", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=60, help="after which no cell is begun")
    parser.add_argument("--table", choices=NUMBERS, help="only print the table of what is done")
    flags = parser.parse_args()
    if not flags.table:
        add_cells(flags.out, flags.repetitions, flags.seed, flags.minutes)
    print_table(flags.out, flags.table or "log_loss")


if __name__ == "__main__":
    main()
