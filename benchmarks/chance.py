"""How often a network without a signal is said to be better than chance, by simulation.

    python benchmarks/chance.py --repetitions 400

Held-out side: scores of patients with no signal, their records alike. Folds: the learners of
differences.py are cross-validated on features without a signal, once or in three repeats, and the
predictions of all folds are pooled; patients exchange labels, of one repeat within folds, which is
approximate, as the networks share training patients. Printed is how often AUC and balanced accuracy are
said to be better than chance (promised: 2.5 %), and how often a signal (AUC about 0.75) is found.
"""

import argparse
import os
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import numpy as np
from differences import FEATURES, predicted
from scipy.special import expit

from mri_tf.metrics.classifier import checked
from mri_tf.metrics.exchange import BETTER, exchange_labels

SIDES = ((8, 1), (8, 10), (20, 1), (20, 10), (60, 10))  # patients, records of each
FOLDS = 5
REPEATS = {"held-out": 1, "folds": 1, "3 × folds": 3}


def claims(kind: str, patients: int, records: int, signal: float, seed: int) -> np.ndarray:
    """(2,) whether AUC and balanced accuracy are said to be better than chance."""
    rng = np.random.default_rng([seed, patients, records, [*REPEATS].index(kind), int(100 * signal)])
    labels, owner = np.arange(patients) % 2, np.repeat(np.arange(patients), records)
    truth = labels[owner]
    fold_of, times = None, REPEATS[kind]
    if kind == "held-out":
        own = rng.standard_normal(patients)[owner]
        scores = 0.7 * own + 0.7 * rng.standard_normal(len(owner)) + signal * truth
        chance = expit(scores - signal / 2)
    else:
        own = 0.7 * rng.standard_normal((patients, 1, FEATURES))
        noise = np.sqrt(0.51) * rng.standard_normal((patients, records, FEATURES))
        shift = 0.3 * signal * (2 * labels - 1)[:, None, None]
        features = (own + noise + shift).reshape(-1, FEATURES)
        drawn = [(rng.permutation(patients) % FOLDS)[owner] for _ in range(times)]
        chance = np.empty((times, len(owner)))
        for repeat, folds in enumerate(drawn):
            for fold in range(FOLDS):
                test = np.flatnonzero(folds == fold)
                chance[repeat, test] = predicted(features, truth, np.flatnonzero(folds != fold), test)
        fold_of = np.concatenate([folds + FOLDS * repeat for repeat, folds in enumerate(drawn)])
        chance, truth, owner = chance.ravel(), np.tile(truth, times), np.tile(owner, times)
    made = checked(truth, np.stack([1 - chance, chance], axis=1), (chance > 0.5).astype(int), owner)
    found = exchange_labels(made, fold_of, times, seed)
    return np.array([p <= BETTER for p in found.p.values()], float)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repetitions", type=int, default=400)
    flags = parser.parse_args()
    print("| predictions | patients × records | signal | AUC | balanced accuracy |\n" + "|---" * 5 + "|")
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for kind in REPEATS:
            for patients, records in SIDES if kind == "held-out" else SIDES[2:]:
                for signal in (0.0, 1.0):
                    one = partial(claims, kind, patients, records, signal)
                    found = np.mean(list(pool.map(one, range(flags.repetitions))), axis=0)
                    cells = " | ".join(f"{100 * share:.1f} %" for share in found)
                    has = "yes" if signal else "none"
                    print(f"| {kind} | {patients} × {records} | {has} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
