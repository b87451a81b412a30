"""How often prediction sets hold the class of new patients, by simulation.

    python benchmarks/prediction_sets.py --repetitions 400

Every patient has one class; its records share half of the variance of their scores. First table: n
patients that chose nothing set the threshold (`fit_conformal`), and the sets are made for one random
record of each of 20,000 new patients. Shown is the mean coverage over draws of the n patients with its
standard error, its SD from draw to draw, the mean number of classes in a set, and whether the mean lies
between 0.90 - 2 SE and 0.90 + 1 / (n + 1) + 0.03.

Second table: a validation side also chooses the best of 40 epochs by log loss and fits temperature
and intercepts. The worst case: all epochs are equally good and err independently. "Same side": the
whole side sets the threshold, too, as this project did before; "reserved": a third of its patients sets
it and chooses nothing (`mri_tf.splits.reserved`), the others choose.
"""

import argparse

import numpy as np
from scipy.special import softmax

from mri_tf.calibration.prediction_sets import fit_conformal, prediction_sets
from mri_tf.calibration.temperature import calibrated, fit_temperature
from mri_tf.splits.reserved import reserve

LEVEL = 0.9
ALIKE = 0.5  # correlation of the scores of a patient's records
NEW, EPOCHS = 20_000, 40
RESERVED, RECORDS, CLASSES = (9, 12, 20, 40, 100), (1, 5, 17), (2, 9)
VALIDATION = (27, 36, 60, 120)


def drawn(truth: np.ndarray, records: int, classes: int, rng: np.random.Generator) -> np.ndarray:
    """(patients x records, classes) outputs for patients of these classes."""
    noise = np.sqrt(ALIKE) * rng.standard_normal((len(truth), 1, classes))
    noise = noise + np.sqrt(1 - ALIKE) * rng.standard_normal((len(truth), records, classes))
    apart = 1.5
    outputs = softmax(apart * (noise + apart * np.eye(classes)[truth][:, None]), axis=-1)
    return outputs.reshape(-1, classes)


def covered(probabilities: np.ndarray, truth: np.ndarray, threshold: float) -> tuple[float, float]:
    """How often the sets hold the class, and how many classes they hold."""
    sets = prediction_sets(probabilities, threshold)
    return float(sets[np.arange(len(truth)), truth].mean()), float(sets.sum(axis=1).mean())


def of_reserved(
    patients: int, records: int, classes: int, repetitions: int, seed: int
) -> np.ndarray:
    """(repetitions, 2) coverage and size where the patients choose nothing else."""
    rng = np.random.default_rng([seed, patients, records, classes])
    new_truth = rng.integers(0, classes, NEW)
    new = drawn(new_truth, 1, classes, rng)
    found = []
    for _ in range(repetitions):
        truth = rng.integers(0, classes, patients)
        outputs, owner = drawn(truth, records, classes, rng), np.repeat(np.arange(patients), records)
        threshold = fit_conformal(outputs, np.repeat(truth, records), owner, LEVEL)
        found.append(covered(new, new_truth, threshold))
    return np.array(found)


def of_chosen_epoch(patients: int, records: int, repetitions: int, seed: int) -> np.ndarray:
    """(repetitions, 2) coverage where the same side chooses, and where a part is reserved."""
    classes, even = 2, np.full(2, 0.5)
    rng = np.random.default_rng([seed, patients, records])
    new_truth = rng.integers(0, classes, NEW)
    new = drawn(new_truth, 1, classes, rng)
    found = []
    for _ in range(repetitions):
        truth = rng.permutation(np.arange(patients) % classes)
        owner, label = np.repeat(np.arange(patients), records), np.repeat(truth, records)
        epochs = [drawn(truth, records, classes, rng) for _ in range(EPOCHS)]
        apart = reserve(np.arange(len(owner)), owner, label).records
        everybody = np.arange(len(owner))
        row = []
        for choosing, setting in (
            (everybody, everybody), (np.setdiff1d(everybody, apart), apart)
        ):  # fmt: skip
            losses = [-np.log(one[choosing, label[choosing]]).mean() for one in epochs]
            best = epochs[int(np.argmin(losses))]
            count = len(np.unique(owner[choosing]))
            evidence = np.full(len(choosing), count / len(choosing))
            fit = fit_temperature(best[choosing], label[choosing], even, even, evidence, owner[choosing])
            scaled, fresh = (
                calibrated(one, fit.temperature, even, even, fit.intercepts)
                for one in (best[setting], new)
            )
            threshold = fit_conformal(scaled, label[setting], owner[setting], LEVEL)
            row.append(covered(fresh, new_truth, threshold)[0])
        found.append(row)
    return np.array(found)


def error_of(values: np.ndarray) -> float:
    return float(values.std(ddof=1) / np.sqrt(len(values)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repetitions", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    flags = parser.parse_args()
    print("| classes | records | patients | coverage | SD | size | within the bounds |")
    print("|---|---|---|---|---|---|---|")
    for classes in CLASSES:
        for records in RECORDS:
            for patients in RESERVED:
                found = of_reserved(patients, records, classes, flags.repetitions, flags.seed)
                mean, error = found[:, 0].mean(), error_of(found[:, 0])
                highest = LEVEL + 1 / (patients + 1) + 0.03
                within = "yes" if LEVEL - 2 * error <= mean <= highest else "no"
                print(f"| {classes} | {records} | {patients} | {mean:.3f} ± {error:.3f} "
                      f"| {found[:, 0].std(ddof=1):.3f} | {found[:, 1].mean():.2f} | {within} |",
                      flush=True)  # fmt: skip
    print("\n| validation patients | records | same side | reserved |\n|---|---|---|---|")
    for patients in VALIDATION:
        for records in (1, 5):
            found = of_chosen_epoch(patients, records, flags.repetitions, flags.seed)
            cells = [f"{one.mean():.3f} ± {error_of(one):.3f}" for one in found.T]
            print(f"| {patients} | {records} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
