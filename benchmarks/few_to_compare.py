"""How often two networks that are equally good are said to differ, where few patients are tested.

    python benchmarks/few_to_compare.py --repetitions 400

One test side, two classes. The scores of both networks are normal, of a patient and of its records, and
tell the classes alike: not at all, or with an AUC of 0.83 while the two networks' scores correlate by
0.5. Each row is judged with 1 record a patient and with 10 that correlate by 0.5, and says the least and
the largest share of the four in which p <= 0.05, without the rule on the least number of patients
(mri_tf/metrics/too_few.py), which follows from this table.
"""

import argparse
import os
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import numpy as np
from scipy.special import expit

from mri_tf.metrics import Predictions, paired, paired_differences

COUNTS = ((1, 1), (3, 3), (10, 10), (14, 6), (15, 5), (16, 4), (18, 2), (40, 3), (40, 5), (40, 7))
SHOWN = ("auc", "balanced_accuracy", "accuracy", "f1_macro", "log_loss")
SIGNALS = ((0.0, 0.0), (1.35, 0.5))  # distance of the classes in SD, correlation of the two networks
RECORDS, OF_PATIENT = (1, 10), 0.5  # records a patient, and how much of the variance they share


def claims(
    counts: tuple[int, int], signal: tuple[float, float], records: int, seed: int
) -> np.ndarray:
    """(numbers,) whether one data set says that two equal networks differ.

    Args:
        counts: patients of each class.
        signal: one of SIGNALS.
        records: of each patient.
        seed: of the data.
    """
    paired.too_few_to_compare = lambda *_: ""  # in a process of its own
    distance, correlation = signal
    rng = np.random.default_rng([seed, *counts, records, int(10 * distance)])
    labels = np.repeat([0, 1], counts)

    def drawn(*shape: int) -> np.ndarray:
        """(2 networks, *shape) normal numbers that correlate between the networks."""
        common, own = rng.standard_normal(shape), rng.standard_normal((2, *shape))
        return np.sqrt(correlation) * common + np.sqrt(1 - correlation) * own

    noise = np.sqrt(OF_PATIENT) * drawn(len(labels), 1) + np.sqrt(1 - OF_PATIENT) * drawn(
        len(labels), records
    )
    scores = (distance * (labels - 0.5))[:, None] + noise  # (networks, patients, records)
    truth, owner = (np.repeat(one, records) for one in (labels, np.arange(len(labels))))
    answers = []
    for chance in expit(scores.reshape(2, -1)):
        both = np.stack([1 - chance, chance], axis=1)
        answers.append([Predictions(truth, both, both.argmax(axis=1), owner)])
    found = paired_differences(*answers, seed=seed)
    return np.array([(found[name]["p"] or 1.0) <= 0.05 for name in SHOWN])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repetitions", type=int, default=400)
    flags = parser.parse_args()
    print(f"| patients of the classes | {' | '.join(SHOWN)} |\n" + "|---" * (1 + len(SHOWN)) + "|")
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for counts in COUNTS:
            of_designs = [
                np.mean(list(pool.map(partial(claims, counts, signal, records),
                                      range(flags.repetitions), chunksize=20)), axis=0)
                for signal in SIGNALS for records in RECORDS
            ]  # fmt: skip
            least, most = np.min(of_designs, axis=0), np.max(of_designs, axis=0)
            cells = [f"{100 * a:.0f} to {100 * b:.0f} %" for a, b in zip(least, most, strict=True)]
            print(f"| {counts[0]} + {counts[1]} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
