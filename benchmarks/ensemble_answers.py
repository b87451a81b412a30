"""Whether the answers of a model of several members hold what they say, by simulation.

    python benchmarks/ensemble_answers.py --repetitions 200

The log odds of a perfect single member are normal within each of two classes. A share r of that variance
is the patient's (all members see it), the rest is each member's own noise. What a member puts out is
shifted and scaled by amounts of its own: it is off by a normal shift of SD 0.7 and overconfident by a
factor around 1.5. Five folds, each validated on patients of the next one, as `train --folds` does.
Everything is fitted by the project's functions and counted on 20,000 new patients.

A row holds, of the mean of the five members, calibration slope (median) and intercept of three sets of
answers (`pooled`: ours; `as single`: those of single members, uncorrected; `one split`: one member whose
own validation side fits its answers), the log loss above that of the best answers to the mean of the
members, balanced accuracy at the operating point, and how often sets hold the class; and of single
members what the cross-fitted numbers say less what is true of the same members on new patients.
"""

import argparse
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit
from scipy.stats import norm

from mri_tf.calibration.class_balance import validation_weights
from mri_tf.calibration.correlation import Correlation, fit_correlation
from mri_tf.calibration.cross_conformal import LEVEL
from mri_tf.calibration.cross_fit import cross_fitted
from mri_tf.calibration.member_scale import evidence_of, fit_member_scale
from mri_tf.calibration.operating_point import choose_operating_point, decide
from mri_tf.calibration.pooled import Unseen, fit_pooled
from mri_tf.calibration.temperature import calibrated, fit_temperature

FOLDS, NEW = 5, 20_000
PATIENTS, AUCS, CORRELATIONS, SHARES = (30, 60, 120), (0.65, 0.8, 0.95), (0.3, 0.6, 0.9), (0.5, 0.25)
SHIFT_SD, SCALES = 0.7, (np.log(1.5), 0.3)
CRITERION = "balanced_accuracy"


@dataclass(frozen=True)
class Cell:
    """What is simulated."""

    patients: int
    auc: float
    correlation: float  # of two members within a class
    share: float  # of the second class
    shape: str  # normal, "heavy" (t with 4 degrees of freedom) or "unequal" (one class spreads twice)
    repeats: int


def log_odds(truth: np.ndarray, cell: Cell, members: int, rng: np.random.Generator) -> np.ndarray:
    """(patients, members) of single members; calibrated where the shape is normal."""
    apart = np.sqrt(2) * norm.ppf(cell.auc)  # in SD

    def noise(size: tuple) -> np.ndarray:
        if cell.shape == "heavy":
            return rng.standard_t(4, size) / np.sqrt(2)
        return rng.standard_normal(size)

    own = np.sqrt(cell.correlation) * noise((len(truth), 1))
    own = own + np.sqrt(1 - cell.correlation) * noise((len(truth), members))
    if cell.shape == "unequal":
        own = own * np.where(truth == 1, np.sqrt(1.6), np.sqrt(0.4))[:, None]
    return apart * (own + apart * (truth[:, None] - 0.5))


def outputs_of(evidence: np.ndarray, shifts: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """(patients, members, 2) softmax outputs of members that are off scale."""
    second = expit(scales * evidence + shifts)
    return np.stack([1 - second, second], axis=-1)


def slope_and_intercept(probabilities: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """Of a logistic regression of the class on the log odds; 1 and 0 are perfect."""
    p = np.clip(probabilities[:, 1], 1e-12, 1 - 1e-12)
    x = np.log(p / (1 - p))

    def loss(values: np.ndarray) -> float:
        z = values[0] * x + values[1]
        return float(np.mean(np.logaddexp(0, z) - truth * z))

    found = minimize(loss, [1.0, 0.0], method="BFGS").x
    fixed = minimize(lambda b: loss(np.array([1.0, b[0]])), [0.0], method="BFGS").x
    return float(found[0]), float(fixed[0])


def log_loss(probabilities: np.ndarray, truth: np.ndarray) -> float:
    return float(-np.log(np.maximum(probabilities[np.arange(len(truth)), truth], 1e-15)).mean())


def balanced(decisions: np.ndarray, truth: np.ndarray) -> float:
    return float(np.mean([np.mean(decisions[truth == label] == label) for label in (0, 1)]))


def least_loss(evidence: np.ndarray, truth: np.ndarray) -> float:
    """Of the best slope and intercept for evidence (patients,), fitted to the new patients."""

    def loss(values: np.ndarray) -> float:
        z = values[0] * evidence + values[1]
        return float(np.mean(np.logaddexp(0, z) - truth * z))

    return float(minimize(loss, [1.0, 0.0], method="BFGS").fun)


def once(cell: Cell, rng: np.random.Generator) -> dict[str, float]:
    """One data set, its members, and what its answers do on new patients."""
    truth = rng.permutation((np.arange(cell.patients) < round(cell.share * cell.patients)).astype(int))
    members = FOLDS * cell.repeats
    shifts = rng.normal(0, SHIFT_SD, members)
    scales = np.exp(rng.normal(*SCALES, members))
    outputs = outputs_of(log_odds(truth, cell, members, rng), shifts, scales)
    even = np.full(2, 0.5)  # the loss saw both classes alike
    found_scales, rows = [], []
    for repeat in range(cell.repeats):
        fold_of = stratified_folds(truth, rng)
        for fold in range(FOLDS):
            member = repeat * FOLDS + fold
            test, validation = (np.flatnonzero(fold_of == (fold + step) % FOLDS) for step in (0, 1))
            scale = fit_member_scale(outputs[validation, member], truth[validation], validation, even)
            found_scales.append(scale)
            for side, tested in ((test, True), (validation, False)):
                evidence = evidence_of(outputs[side, member], scale)
                rows += [(record, member, tested, one)
                         for record, one in zip(side, evidence, strict=True)]  # fmt: skip
    records, of_member, tested, evidence = map(np.array, zip(*rows, strict=True))
    unseen = Unseen(evidence, truth[records], records, of_member)
    correlation = fit_correlation(evidence, truth[records], records, records)
    test = unseen.of(tested)
    pooled = fit_pooled(test, tuple(found_scales), correlation, CRITERION, even)
    alike = fit_pooled(test, tuple(found_scales), Correlation(1.0, 0), CRITERION, even)
    new_truth = (np.arange(NEW) < cell.share * NEW).astype(int)
    new = outputs_of(log_odds(new_truth, cell, members, rng), shifts, scales)
    result = {"correlation": correlation.value}
    best = least_loss(np.diff(pooled.evidence(new).mean(axis=1))[:, 0], new_truth)
    for name, answers in (("pooled", pooled), ("as_single", alike)):
        probabilities = answers.probabilities(new)
        result[f"slope {name}"], result[f"intercept {name}"] = slope_and_intercept(
            probabilities, new_truth
        )
        result[f"loss {name}"] = log_loss(probabilities, new_truth) - best
        result[f"balanced {name}"] = balanced(answers.decisions(new), new_truth)
    sets = pooled.sets(new)
    result["coverage"] = float(sets[np.arange(NEW), new_truth].mean())
    result["size"] = float(sets.sum(axis=1).mean())
    result |= one_split(outputs, truth, records, of_member, tested, (new, new_truth, best))
    return result | bias(test, (new, new_truth), pooled, truth)


def one_split(outputs, truth, records, of_member, tested, fresh) -> dict[str, float]:
    """The first member alone, with the answers of its own validation side."""
    new, new_truth, best = fresh
    side = records[(of_member == 0) & ~tested]
    even, natural = np.full(2, 0.5), np.bincount(truth, minlength=2) / len(truth)
    weights = validation_weights(truth[side], natural, side)
    fit = fit_temperature(outputs[side, 0], truth[side], even, natural, weights, side)
    scaled = [calibrated(one[:, 0], fit.temperature, even, natural, fit.intercepts)
              for one in (outputs[side], new)]  # fmt: skip
    point = choose_operating_point(scaled[0], truth[side], CRITERION, natural, weights, side)
    slope, intercept = slope_and_intercept(scaled[1], new_truth)
    return {
        "slope one_split": slope, "intercept one_split": intercept,
        "loss one_split": log_loss(scaled[1], new_truth) - best,
        "balanced one_split": balanced(decide(scaled[1], point), new_truth),
    }  # fmt: skip


def bias(test: Unseen, fresh: tuple, pooled, truth: np.ndarray) -> dict[str, float]:
    """Cross-fitted numbers less the mean of the same members' numbers on new patients, by answers that
    are fitted to all patients."""
    new, new_truth = fresh
    made = cross_fitted(test, test.members, CRITERION, LEVEL)
    of_members = pooled.member_probabilities(new)  # (patients, members, classes)
    count = of_members.shape[1]
    threshold = pooled_point(test, pooled)
    true_loss = np.mean([log_loss(of_members[:, n], new_truth) for n in range(count)])
    true_balanced = np.mean([balanced(decide(of_members[:, n], threshold), new_truth)
                             for n in range(count)])  # fmt: skip
    found = {
        "bias loss": log_loss(made.probabilities, test.truth) - true_loss,
        "bias balanced": balanced(made.decisions, test.truth) - true_balanced,
    }
    if made.sets is not None:
        covered = made.sets[np.arange(len(test.truth)), test.truth].mean()
        found["cross-fitted coverage"] = float(covered)
    return found


def pooled_point(test: Unseen, pooled):
    """The operating point of single members, fitted to all patients."""
    natural = np.array(pooled.natural)
    weights = validation_weights(test.truth, natural, test.patients)
    return choose_operating_point(
        pooled.one.probabilities(test.evidence, natural), test.truth, CRITERION, natural, weights,
        test.patients,
    )  # fmt: skip


def stratified_folds(truth: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(patients,) a fold for each; every class spread evenly."""
    order = np.argsort(truth + rng.random(len(truth)) / 2)
    folds = np.empty(len(truth), int)
    folds[order] = (np.arange(len(truth)) + rng.integers(FOLDS)) % FOLDS
    return folds


def shown(results: list[dict], name: str, digits: int = 2) -> str:
    values = np.array([one[name] for one in results if name in one])
    if not len(values):
        return "none"
    return f"{np.median(values):.{digits}f}" if "slope" in name else f"{values.mean():.{digits}f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repetitions", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--repeats", type=int, default=1, help="assignments of patients to folds")
    flags = parser.parse_args()
    cells = [Cell(n, auc, r, 0.5, "normal", flags.repeats)
             for n in PATIENTS for auc in AUCS for r in CORRELATIONS]  # fmt: skip
    cells += [Cell(60, 0.8, 0.6, 0.25, "normal", flags.repeats)]
    cells += [Cell(n, 0.8, 0.6, share, shape, flags.repeats)
              for n in (60, 120) for share in SHARES for shape in ("heavy", "unequal")]  # fmt: skip
    print("| patients | AUC | r | share | shape | r found | slope: pooled, as single, one split "
          "| intercept | log loss x 1000 above the best | balanced accuracy | coverage (size) "
          "| cross-fitted less true: log loss x 1000, balanced accuracy x 1000, coverage |")  # fmt: skip
    print("|" + "---|" * 12)
    kinds = ("pooled", "as_single", "one_split")
    for cell in cells:
        rng = np.random.default_rng([flags.seed, *map(hash_of, vars(cell).values())])
        found = [once(cell, rng) for _ in range(flags.repetitions)]
        slopes = ", ".join(shown(found, f"slope {kind}") for kind in kinds)
        intercepts = ", ".join(shown(found, f"intercept {kind}") for kind in kinds)
        losses = ", ".join(f"{1000 * np.mean([one[f'loss {kind}'] for one in found]):.0f}"
                           for kind in kinds)  # fmt: skip
        rates = ", ".join(shown(found, f"balanced {kind}", 3) for kind in kinds)
        errors = {name: np.array([1000 * one[name] for one in found])
                  for name in ("bias loss", "bias balanced")}  # fmt: skip
        biases = ", ".join(f"{one.mean():+.0f} ± {one.std() / np.sqrt(len(one)):.0f}"
                           for one in errors.values())  # fmt: skip
        print(f"| {cell.patients} | {cell.auc} | {cell.correlation} | {cell.share} | {cell.shape} "
              f"| {shown(found, 'correlation')} | {slopes} | {intercepts} | {losses} | {rates} "
              f"| {shown(found, 'coverage', 3)} ({shown(found, 'size')}) "
              f"| {biases}, {shown(found, 'cross-fitted coverage', 3)} |", flush=True)  # fmt: skip


def hash_of(value) -> int:
    """A whole number for a seed, the same in every process."""
    return int.from_bytes(str(value).encode(), "little") % 2**32


if __name__ == "__main__":
    main()
