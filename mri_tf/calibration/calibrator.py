"""From a network's outputs to calibrated probabilities, decisions and prediction sets.

Everything is fitted on the validation side and stored in the run. A probability is for records whose
classes are as frequent as on the training side, before oversampling, class weights and --train-size;
a decision is made at the operating point.
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
    """How a run's outputs become answers: plain values of run.json."""

    temperature: float
    trained: tuple[float, ...]  # shares of the classes as the loss saw them
    natural: tuple[float, ...]  # shares that the reported probabilities are for
    point: OperatingPoint
    set_threshold: float  # prediction sets hold the classes of probability 1 - set_threshold or more
    reason: str = ""  # why no temperature could be fitted
    intercepts: tuple[float, ...] = ()  # beside the temperature; empty: none, as in earlier versions

    def probabilities(self, outputs: np.ndarray, prior: np.ndarray | None = None) -> np.ndarray:
        """(records, classes) calibrated, for the natural class shares or those of `prior`."""
        expected = np.array(self.natural) if prior is None else prior
        trained = np.array(self.trained)
        return calibrated(outputs, self.temperature, trained, expected, self.intercepts)

    def decisions(self, outputs: np.ndarray) -> np.ndarray:
        """(records,) labels at the operating point, whatever prior the probabilities are for."""
        return decide(self.probabilities(outputs), self.point)

    def sets(self, outputs: np.ndarray) -> np.ndarray:
        """(records, classes) bool: the classes that cannot be ruled out."""
        return prediction_sets(self.probabilities(outputs), self.set_threshold)


def fit_calibrator(
    outputs: np.ndarray, truth: np.ndarray, patients: np.ndarray, task: Task, counts: tuple
) -> Calibrator:
    """Fits temperature and intercepts, operating point and prediction sets on the validation side.

    Its records are weighed to the natural class shares, and together as much as there are patients.
    Where --train-size limited the sides, prediction sets hold every class: the shares of the validation
    side are then not those of records to come.

    Args:
        outputs: (records, classes) softmax outputs of the validation records.
        truth: (records,) labels.
        patients: (records,) patient ids.
        task: its loss weights, oversampling and operating point are used.
        counts: records of each class on the training side: as trained, and before a limit (natural).
    """
    trained_counts, natural_counts = (np.asarray(values, dtype=float) for values in counts)
    # A class that was never trained on cannot be reported.
    natural = np.where(trained_counts > 0, natural_counts, 0)
    natural = natural / natural.sum()
    weights = class_weights(trained_counts, task.loss_weights)
    trained = trained_shares(trained_counts, task.oversample, weights)
    known = natural[truth] > 0
    outputs, truth, patients = outputs[known], truth[known], patients[known]
    evidence = validation_weights(truth, natural, patients)
    fit = fit_temperature(outputs, truth, trained, natural, evidence, patients)
    probabilities = calibrated(outputs, fit.temperature, trained, natural, fit.intercepts)
    point = choose_operating_point(
        probabilities, truth, task.operating_point, natural, evidence, patients
    )
    limited = not np.array_equal(trained_counts, natural_counts)
    threshold = ALL_CLASSES
    if not limited:
        threshold = fit_conformal(probabilities, truth, patients, PREDICTION_SET_LEVEL)
    return Calibrator(
        fit.temperature, tuple(trained.tolist()), tuple(natural.tolist()), point, threshold, fit.reason,
        fit.intercepts,
    )  # fmt: skip


def calibrator_to_json(answers: Calibrator) -> dict:
    """The values that run.json holds."""
    return asdict(answers)


def calibrator_from_json(values: dict) -> Calibrator:
    """The calibrator of the values in run.json."""
    point = OperatingPoint(**values["point"])
    lists = {key: tuple(values.get(key, ())) for key in ("trained", "natural", "intercepts")}
    return Calibrator(**{**values, **lists, "point": point})
