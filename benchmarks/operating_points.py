"""What rules for the threshold of two classes lose, by simulation.

    python benchmarks/operating_points.py --repetitions 400
    python benchmarks/operating_points.py --repetitions 400 --calibrated intercepts --mean

Scores of a validation side of n patients (one record each) choose a threshold; it decides very many new
scores of the same kind. Printed is the balanced accuracy, in points, that is lost to the best threshold:
mean over the score shapes and prevalences, with its standard error over the data sets. Half of the data
sets are on scale; of the others all logits are shifted by a normal number of mean 0 and SD 1.5, as
networks that were trained on few patients are. Shapes:

normal        equal spreads, probabilities on scale
unequal       the positive class spreads twice as wide
skewed        gamma scores: a long tail towards the other class
overlapping   weak scores, on scale
compressed    logits multiplied by 0.3 and shifted by 0.8: off scale
overconfident logits multiplied by 3
mixture       a third of the positive class looks like the negative one

Rules: "prior", Bayes' threshold alone; "previous", the maximum with a tolerance of one record of the
rarer class, of equal values the nearest to Bayes' threshold, which this project used before;
"midpoint", midway between the medians of the classes; "rule", what `choose_operating_point` does. With
--calibrated the validation side first fits temperature and intercepts, as a run does, or a temperature
alone, as this project did before.
"""

import argparse

import numpy as np
from calibration import Data, temperature_alone
from scipy.special import expit, logit

from mri_tf.calibration.operating_point import choose_operating_point
from mri_tf.calibration.temperature import calibrated, fit_temperature
from mri_tf.calibration.thresholds import midpoint_of_medians

SHIFT_SD = 1.5  # of the logits of every second data set
NEW = 20_000  # scores of each class on which a threshold is judged
PATIENTS = (10, 20, 40, 60, 150)
PREVALENCES = (0.5, 0.3)
RULES = ("prior", "previous", "midpoint", "rule")
FEWEST = 4  # patients of each class


def logits_of(shape: str, label: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """Logits of one class at even shares."""
    sign = 2 * label - 1
    if shape == "unequal":
        return 1.5 * rng.normal(0.75 * sign, 2.0 if label else 1.0, count)
    if shape == "skewed":
        return sign * (3.0 - rng.gamma(2.0, 1.2, count))
    if shape == "overlapping":
        return 0.8 * rng.normal(0.4 * sign, 1.0, count)
    if shape == "mixture" and label:
        turned = np.where(rng.random(count) < 1 / 3, -1, 1)
        return 2.0 * rng.normal(turned, 1.0)
    values = 2.0 * rng.normal(sign, 1.0, count)
    return {"compressed": 0.3 * values + 0.8, "overconfident": 3 * values}.get(shape, values)


SHAPES = ("normal", "unequal", "skewed", "overlapping", "compressed", "overconfident", "mixture")


def previous_threshold(scores: np.ndarray, truth: np.ndarray, prior: float) -> float:
    """The rule that this one replaces."""
    edges = np.concatenate([[0], np.unique(scores), [1]])
    thresholds = np.append((edges[1:] + edges[:-1]) / 2, prior)
    thresholds = thresholds[np.argsort(np.abs(thresholds - prior), kind="stable")]
    values = balanced(scores[truth == 0], scores[truth == 1], thresholds)
    step = 1 / (2 * np.bincount(truth).min())
    return float(thresholds[np.argmax(values >= values.max() - step - 1e-12)])


def balanced(negative: np.ndarray, positive: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """(thresholds,) balanced accuracy; above a threshold is positive."""
    called = np.searchsorted(np.sort(negative), thresholds, side="right") / len(negative)
    missed = np.searchsorted(np.sort(positive), thresholds, side="right") / len(positive)
    return (called + 1 - missed) / 2


def losses(
    shape: str, patients: int, prevalence: float, seed: int, calibrate: str
) -> np.ndarray | None:
    """(rules,) points that one data set loses; None where a class has fewer than FEWEST patients."""
    number = SHAPES.index(shape)
    rng = np.random.default_rng([seed, number, patients, int(100 * prevalence)])
    truth = (np.arange(patients) < round(prevalence * patients)).astype(int)
    if min(np.bincount(truth)) < FEWEST:
        return None
    shift = logit(prevalence) + (SHIFT_SD * rng.standard_normal() if seed % 2 else 0.0)
    scores = np.empty(patients)
    for label in (0, 1):
        of_label = truth == label
        scores[of_label] = expit(logits_of(shape, label, int(of_label.sum()), rng) + shift)
    fresh = [np.sort(expit(logits_of(shape, label, NEW, rng) + shift)) for label in (0, 1)]
    prior = np.array([1 - prevalence, prevalence])
    if calibrate:
        fit = fit_temperature(_both(scores), truth, prior, prior)
        if calibrate == "temperature":
            side = Data(_both(scores), truth, np.arange(patients))
            fit = temperature_alone(side, prior, np.ones(patients))
        scores, *fresh = (
            calibrated(_both(one), fit.temperature, prior, prior, fit.intercepts)[:, 1]
            for one in (scores, *fresh)
        )
    point = choose_operating_point(_both(scores), truth, "balanced_accuracy", prior)
    tried = np.quantile(np.concatenate(fresh), np.linspace(0, 1, 2001))
    best = balanced(*fresh, tried).max()
    thresholds = np.array([
        prevalence, previous_threshold(scores, truth, prevalence),
        midpoint_of_medians(scores, truth, np.arange(patients)), point.threshold,
    ])  # fmt: skip
    return 100 * (best - balanced(*fresh, thresholds))


def _both(scores: np.ndarray) -> np.ndarray:
    """(records, 2) probabilities of both classes."""
    return np.stack([1 - scores, scores], axis=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repetitions", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--calibrated", choices=("", "temperature", "intercepts"), default="")
    parser.add_argument("--mean", action="store_true", help="only the mean over all shapes")
    flags = parser.parse_args()
    print(f"| shape | patients | {' | '.join(RULES)} | previous - rule |")
    print("|---" * (3 + len(RULES)) + "|")
    for shape in ("mean",) if flags.mean else (*SHAPES, "mean"):
        for patients in PATIENTS:
            found = [
                losses(one, patients, prevalence, flags.seed + number, flags.calibrated)
                for one in (SHAPES if shape == "mean" else (shape,))
                for prevalence in PREVALENCES
                for number in range(flags.repetitions if shape != "mean" else flags.repetitions // 4)
            ]
            values = np.array([one for one in found if one is not None])
            if not len(values):
                continue
            errors = values.std(axis=0, ddof=1) / np.sqrt(len(values))
            gained = values[:, RULES.index("previous")] - values[:, RULES.index("rule")]
            cells = [f"{mean:.2f} ± {error:.2f}"
                     for mean, error in zip(values.mean(axis=0), errors, strict=True)]  # fmt: skip
            error = gained.std(ddof=1) / np.sqrt(len(gained))
            print(f"| {shape} | {patients} | {' | '.join(cells)} | {gained.mean():+.2f} ± {error:.2f} |",
                  flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
