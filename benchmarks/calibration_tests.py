"""How often the tests of calibration's intercept and slope reject, by simulation with known truth.

    python benchmarks/calibration_tests.py --repetitions 400

Shares of p <= 0.05 in percent: among right probabilities, where it is to be 5 at most, and among wrong
ones of two kinds: too extreme ones (true slope 0.5) and ones that are too low (true intercept 1).
"errors" is the t test by the patients' errors alone (Liang and Zeger 1986), which this project used
before; "drawn" is `recalibration`, which has no p for the slope of separated classes: that counts as not
rejected. "covered" is how often the interval of the intercept holds 0 where it is true. Data:

0.98 and 0.02   four of five patients have the first probability, the others the second
+-5             half of the patients have each logit
SD 1, SD 2      normal logits
x 10            so many records a patient, whose logits differ by SD 0.4 more; `alike` is the correlation
                of the normal numbers that draw their events, 1 for "one class a patient"
"""

import argparse
from dataclasses import dataclass

import numpy as np
from scipy.special import expit
from scipy.stats import norm
from scipy.stats import t as student

from mri_tf.metrics.calibrated import _fit, recalibration

WITHIN = 0.4  # SD of the logits of a patient's records
TRUTHS = {"right": (0.0, 1.0), "slope 0.5": (0.0, 0.5), "intercept 1": (1.0, 1.0)}  # intercept, slope
NUMBERS = ("intercept", "slope")


@dataclass(frozen=True)
class Setting:
    """A kind of data; `logits` is an SD, or the logits that patients have in turn."""

    name: str
    patients: int
    logits: float | tuple[float, ...]
    records: int = 1
    alike: float = 0.0


CONFIDENT = (float(np.log(49)),) * 4 + (-float(np.log(49)),)
SETTINGS = (
    Setting("0.98 and 0.02", 20, CONFIDENT), Setting("± 5", 20, (5.0, -5.0)),
    Setting("SD 1", 10, 1.0), Setting("SD 1", 30, 1.0), Setting("SD 2", 30, 2.0),
    Setting("SD 1", 60, 1.0), Setting("SD 2", 60, 2.0),
    Setting("one class a patient, SD 1", 20, 1.0, 10, 1.0),
    Setting("alike 0.5, SD 0.5", 20, 0.5, 10, 0.5), Setting("alike 0, SD 1", 20, 1.0, 10, 0.0),
)  # fmt: skip


def drawn(setting: Setting, truth: tuple[float, float], rng: np.random.Generator) -> tuple:
    """(probability, happened, patients, logits) of records."""
    count, owners = setting.patients, np.repeat(np.arange(setting.patients), setting.records)
    if isinstance(setting.logits, tuple):
        logits = np.resize(setting.logits, count)[owners]
    else:
        logits = setting.logits * rng.standard_normal(count)[owners]
    if setting.records > 1:
        logits = logits + WITHIN * rng.standard_normal(len(owners))
    shared, own = rng.standard_normal(count)[owners], rng.standard_normal(len(owners))
    chance = norm.cdf(np.sqrt(setting.alike) * shared + np.sqrt(1 - setting.alike) * own)
    intercept, slope = truth
    return expit(logits), chance < expit(intercept + slope * logits), owners, logits


def by_errors(happened: np.ndarray, patients: np.ndarray, logits: np.ndarray) -> list[float]:
    """The p-values of intercept and slope by the patients' errors alone."""
    event = happened.astype(float)
    shifted = expit(logits + _fit(np.ones((len(event), 1)), event, logits)[0])
    weight = shifted * (1 - shifted)
    centred = logits - (weight * logits).sum() / weight.sum()
    p = []
    for scores in (event - expit(logits), (event - shifted) * centred):
        sums = np.bincount(patients, weights=scores)
        error = np.sqrt(len(sums) / (len(sums) - 1) * (sums**2).sum())
        p.append(2 * student.sf(abs(sums.sum()) / error, len(sums) - 1) if error > 0 else 1.0)
    return p


def simulated(setting: Setting, truth: tuple[float, float], repetitions: int, seed: int) -> np.ndarray:
    """(5,) percent: rejected by errors and by draws, each of intercept and slope; intercept covered."""
    rng, rows = np.random.default_rng(seed), []
    while len(rows) < repetitions:
        probability, happened, patients, logits = drawn(setting, truth, rng)
        if happened.all() or not happened.any():
            continue  # nothing is tested
        found = recalibration(probability, happened, patients)
        rejected = [p <= 0.05 for p in by_errors(happened, patients, logits)]
        rejected += [found[name].get("p", 1) <= 0.05 for name in NUMBERS]
        intercept = found["intercept"]
        rows.append([*rejected, intercept["low"] <= truth[0] <= intercept["high"]])
    return 100 * np.mean(rows, axis=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repetitions", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    flags = parser.parse_args()
    print("| patients x records, logits | truth | intercept: errors | drawn | slope: errors | drawn "
          "| intercept covered |")  # fmt: skip
    print("|---" * 7 + "|")
    for setting in SETTINGS:
        for name, truth in TRUTHS.items():
            found = simulated(setting, truth, flags.repetitions, flags.seed)
            order = [f"{found[place]:.0f}" for place in (0, 2, 1, 3)]
            covered = f"{found[4]:.0f}" if name == "right" else "–"
            print(f"| {setting.patients} x {setting.records}, {setting.name} | {name} "
                  f"| {' | '.join(order)} | {covered} |", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
