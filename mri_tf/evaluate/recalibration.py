"""What a recalibration on some patients of another hospital would give, tried on its other patients."""

from dataclasses import dataclass

import numpy as np

from mri_tf.calibration.answers import Answers, refitted
from mri_tf.metrics.probabilities import logarithms, squared_errors
from mri_tf.task import Task

SIZES = (10, 20, 50, 100)  # patients to recalibrate on
DRAWS = 50
FEWEST_LEFT = 10  # patients to try it on


@dataclass(frozen=True)
class Answered:
    """The network's outputs for units (records or patients of a bag) with labels."""

    outputs: np.ndarray  # (units, classes) probabilities of the network, or (units, members, classes)
    labels: np.ndarray  # (units,)
    patients: np.ndarray  # (units,) ids

    def of(self, units: np.ndarray) -> "Answered":
        """Some of the units, (units,) bool."""
        return Answered(self.outputs[units], self.labels[units], self.patients[units])


def recalibration_by_size(answered: Answered, calibrator: Answers, task: Task) -> dict:
    """Recalibrates on k patients drawn at random and counts on the others, DRAWS times for each k.

    Temperature, intercepts, class shares and operating point are fitted as on a validation side. No
    patient is counted by what was fitted on it.

    Args:
        answered: all units with labels of the other hospital.
        calibrator: of the run.
        task: of the run.

    Returns:
        `{"draws": DRAWS, "sizes": [{"patients": k, "one_class": draws in which only one class was drawn,
        score: {"as_is": mean, "recalibrated": mean, "low", "high": 95 % of the draws' differences}}]}`,
        with the scores of `_scores`; sizes that leave fewer than FEWEST_LEFT patients are left out.
    """
    patients = np.asarray(answered.patients).astype(str)
    names, rng = np.unique(patients), np.random.default_rng(0)
    sizes = []
    for size in SIZES:
        if len(names) - size < FEWEST_LEFT:
            break
        before, after, one_class = [], [], 0
        for _ in range(DRAWS):
            drawn = np.isin(patients, rng.choice(names, size, replace=False))
            fitted_on, others = answered.of(drawn), answered.of(~drawn)
            new = refitted(
                calibrator, fitted_on.outputs, fitted_on.labels, fitted_on.patients, task
            )
            one_class += len(np.unique(fitted_on.labels)) == 1
            before.append(_scores(others, calibrator))
            after.append(_scores(others, new))
        row = {"patients": size, "one_class": one_class}
        sizes.append(row | _compared(before, after))
    return {"draws": DRAWS, "sizes": sizes}


def _scores(answered: Answered, calibrator: Answers) -> dict[str, float]:
    """Log loss, Brier score, the largest difference of a class's mean probability from its share, and
    balanced accuracy at the operating point."""
    probabilities = calibrator.probabilities(answered.outputs)
    decisions, labels = calibrator.decisions(answered.outputs), answered.labels
    shares = np.bincount(labels, minlength=probabilities.shape[1]) / len(labels)
    recalls = [np.mean(decisions[labels == label] == label) for label in np.unique(labels)]
    return {
        "log_loss": float(logarithms(probabilities)[np.arange(len(labels)), labels].mean()),
        "brier": float(squared_errors(probabilities)[np.arange(len(labels)), labels].mean()),
        "calibration_in_the_large": float(np.abs(probabilities.mean(axis=0) - shares).max()),
        "balanced_accuracy": float(np.mean(recalls)),
    }


def _compared(before: list[dict], after: list[dict]) -> dict:
    compared = {}
    for name in before[0]:
        old, new = (np.array([scores[name] for scores in draws]) for draws in (before, after))
        low, high = np.quantile(new - old, [0.025, 0.975])
        compared[name] = {
            "as_is": float(old.mean()), "recalibrated": float(new.mean()),
            "low": float(low), "high": float(high),
        }  # fmt: skip
    return compared
