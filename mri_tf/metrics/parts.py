"""Numbers by a part of the classes' names: accuracy of T1 pictures, and whether the tumour is right."""

import numpy as np

from mri_tf.metrics.bootstrap import multiplicities
from mri_tf.metrics.counts import ratio
from mri_tf.metrics.proportions import proportion


def part_metrics(
    truth: np.ndarray,
    predicted: np.ndarray,
    patients: np.ndarray,
    class_parts: dict[str, tuple[str, ...]],
    seed: int = 0,
) -> dict:
    """{part: {"agreement": number, "accuracy": {value: number}, "records": {value: count}}}.

    `truth` and `predicted` are (records,) class numbers; `class_parts` name a value a class.
    `accuracy` is that of the whole class among the records whose true class has the value;
    `agreement` the share of all records whose predicted class has the true one's value, whatever
    the rest of its name.
    """
    found = {}
    for part, names in class_parts.items():
        true_value, said_value = (np.array(names)[labels] for labels in (truth, predicted))
        values = list(dict.fromkeys(names))
        found[part] = {
            "agreement": _share(true_value == said_value, patients, seed),
            "accuracy": {
                value: _share((truth == predicted)[true_value == value],
                              patients[true_value == value], seed)
                for value in values
            },
            "records": {value: int(np.sum(true_value == value)) for value in values},
        }  # fmt: skip
    return found


def _share(right: np.ndarray, patients: np.ndarray, seed: int) -> dict:
    names, patient_of = np.unique(np.asarray(patients).astype(str), return_inverse=True)
    hits = np.bincount(patient_of, weights=right, minlength=len(names))
    counts = np.bincount(patient_of, minlength=len(names))
    drawn = np.full(1, np.nan)
    if len(names):
        times = multiplicities(len(names), seed)
        drawn = ratio(times @ hits, times @ counts)
    return proportion(hits, counts, bool((counts == 1).all()), drawn, "no record")
