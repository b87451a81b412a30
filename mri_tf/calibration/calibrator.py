"""From a network's probabilities to those that are reported and served, and to decisions.

Everything here is fitted on the validation side and stored in the run: a temperature, the shares
of the classes that the loss saw and those that are natural, an operating point and the threshold
of the prediction sets. Probabilities and decisions are kept apart: a probability says how likely
a class is where classes are as frequent as in the training side, before oversampling, class
weights and training sizes; a decision is made at the operating point.
"""

from dataclasses import asdict, dataclass

import numpy as np

from mri_tf.calibration.class_balance import class_weights, trained_shares, validation_weights
from mri_tf.calibration.operating_point import OperatingPoint, choose_operating_point, decide
from mri_tf.calibration.prediction_sets import ALL_CLASSES, fit_conformal, prediction_sets
from mri_tf.calibration.temperature import calibrated, fit_temperature
from mri_tf.task import Task

PREDICTION_SET_LEVEL = 0.9


@dataclass(frozen=True)
class Calibrator:
    """How a run's outputs become answers; plain values, stored in run.json as they are."""

    temperature: float
    trained: tuple[float, ...]  # shares of the classes as the loss saw them
    natural: tuple[float, ...]  # shares that the reported probabilities are for
    point: OperatingPoint
    set_threshold: float  # a class is in the prediction set if its probability is at least 1 - this
    reason: str = ""  # why there is no temperature, if so

    def probabilities(self, outputs: np.ndarray, prior: np.ndarray | None = None) -> np.ndarray:
        """(records, classes) calibrated and corrected to the natural shares, or to `prior`."""
        wanted = np.array(self.natural) if prior is None else prior
        return calibrated(outputs, self.temperature, np.array(self.trained), wanted)

    def decisions(self, outputs: np.ndarray) -> np.ndarray:
        """(records,) labels at the operating point; another prior does not move it."""
        return decide(self.probabilities(outputs), self.point)

    def sets(self, outputs: np.ndarray) -> np.ndarray:
        """(records, classes) bool: the classes that cannot be ruled out."""
        return prediction_sets(self.probabilities(outputs), self.set_threshold)


def fit_calibrator(
    outputs: np.ndarray, truth: np.ndarray, patients: np.ndarray, task: Task, counts: tuple
) -> Calibrator:
    """Answers from the validation side: (records, classes) outputs, labels and patients.

    `counts` are the classes' records in the training side, as trained and as natural. Validation
    records weigh as if their classes were as frequent as naturally, and together as much as there
    are patients. Where a training size limited both sides, the shares of the validation side are
    not those of records to come, and prediction sets hold every class.
    """
    trained_counts, natural_counts = (np.asarray(values, dtype=float) for values in counts)
    # A class that was never trained on cannot be reported.
    natural = np.where(trained_counts > 0, natural_counts, 0)
    natural = natural / natural.sum()
    weights = class_weights(trained_counts, task.loss_weights)
    trained = trained_shares(trained_counts, task.oversample, weights)
    known = natural[truth] > 0
    outputs, truth, patients = outputs[known], truth[known], patients[known]
    each = validation_weights(truth, natural, patients)
    fit = fit_temperature(outputs, truth, trained, natural, each)
    probabilities = calibrated(outputs, fit.temperature, trained, natural)
    point = choose_operating_point(probabilities, truth, task.operating_point, natural, each)
    limited = not np.array_equal(trained_counts, natural_counts)
    threshold = ALL_CLASSES
    if not limited:
        threshold = fit_conformal(probabilities, truth, patients, PREDICTION_SET_LEVEL)
    return Calibrator(
        fit.temperature, tuple(trained.tolist()), tuple(natural.tolist()), point, threshold, fit.reason
    )


def to_values(answers: Calibrator) -> dict:
    """For run.json."""
    return asdict(answers)


def from_values(values: dict) -> Calibrator:
    """What `to_values` gave, from JSON."""
    point = OperatingPoint(**values["point"])
    shares = {key: tuple(values[key]) for key in ("trained", "natural")}
    return Calibrator(**{**values, **shares, "point": point})
