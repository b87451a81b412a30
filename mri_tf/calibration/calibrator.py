"""From a network's outputs to calibrated probabilities, decisions and prediction sets.

Everything is fitted on the validation side and stored in the run: prediction sets on patients of it that
choose nothing, all else on the others. A probability is for records whose classes are as frequent as on
the training side, before oversampling, class weights and --train-size; a decision is made at the
operating point.
"""

from dataclasses import dataclass, replace

import numpy as np

from mri_tf.calibration.class_balance import (
    class_counts,
    class_shares,
    class_weights,
    trained_shares,
    validation_weights,
)
from mri_tf.calibration.operating_point import OperatingPoint, choose_operating_point, decide
from mri_tf.calibration.prediction_sets import (
    ALL_CLASSES,
    LEVEL,
    fit_conformal,
    prediction_sets,
)
from mri_tf.calibration.temperature import calibrated, fit_temperature
from mri_tf.task import Task

NOT_RESERVED = "no patients were reserved for them"
UNTRAINED = "reserved patients are of classes that were never trained on, which no set can hold"
GUARANTEE = (
    "for a random record of a new patient from the same source, on average over draws of the patients "
    "that they are fitted on; not for each class, and not for another hospital"
)


@dataclass(frozen=True)
class Calibrator:
    """How a run's outputs become answers: plain values of run.json."""

    temperature: float
    trained: tuple[float, ...]  # shares of the classes as the loss saw them
    natural: tuple[float, ...]  # shares that the reported probabilities are for
    point: OperatingPoint
    # Prediction sets hold the classes of probability 1 - set_threshold or more; ALL_CLASSES: no sets.
    set_threshold: float
    reason: str = ""  # why no temperature could be fitted
    intercepts: tuple[float, ...] = ()  # beside the temperature; none, as in earlier versions: zeros
    set_patients: int = 0  # on whom prediction sets were fitted, and nothing else; 0 in earlier versions
    set_reason: str = ""  # why there are no prediction sets

    def __post_init__(self):
        if not self.intercepts:
            object.__setattr__(self, "intercepts", (0.0,) * len(self.trained))

    @property
    def has_sets(self) -> bool:
        """Whether prediction sets say anything."""
        return self.set_threshold < ALL_CLASSES

    @property
    def guarantee(self) -> str:
        """What prediction sets promise."""
        return GUARANTEE

    @property
    def why_no_sets(self) -> str:
        """Why there are no prediction sets; "" where there are."""
        return "" if self.has_sets else self.set_reason or "too few patients were there to fit them"

    def probabilities(self, outputs: np.ndarray, prior: np.ndarray | None = None) -> np.ndarray:
        """(records, classes) calibrated, for the natural class shares or those of `prior`."""
        expected = np.array(self.natural) if prior is None else prior
        trained = np.array(self.trained)
        return calibrated(outputs, self.temperature, trained, expected, self.intercepts)

    def decisions(self, outputs: np.ndarray) -> np.ndarray:
        """(records,) labels at the operating point, whatever prior the probabilities are for."""
        return decide(self.probabilities(outputs), self.point)

    def sets(self, outputs: np.ndarray) -> np.ndarray:
        """(records, classes) bool: the classes not ruled out; every one without `has_sets`."""
        return prediction_sets(self.probabilities(outputs), self.set_threshold)


def fit_calibrator(
    outputs: np.ndarray, truth: np.ndarray, patients: np.ndarray, task: Task, counts: tuple
) -> Calibrator:
    """Fits temperature and intercepts and the operating point on the validation side.

    Its records are weighed to the natural class shares; the records of a patient count as many as they
    are worth (`independent_records`).
    There are no prediction sets yet: see `with_prediction_sets`.

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
    return _fitted(outputs, truth, patients, task, (trained, natural))


def recalibrated(
    answers: Calibrator, outputs: np.ndarray, truth: np.ndarray, patients: np.ndarray, task: Task
) -> Calibrator:
    """The same network's answers, fitted anew to patients of another source.

    Class shares are those of the patients, with the run's own counted like one more patient. There are
    no prediction sets.

    Args:
        answers: of the run.
        outputs, truth, patients, task: as in `fit_calibrator`, of the other source.
    """
    trained, before = np.array(answers.trained), np.array(answers.natural)
    seen = class_shares(class_counts(truth, len(before))) * len(np.unique(np.asarray(patients, str)))
    natural = np.where(before > 0, seen + before, 0)
    return _fitted(outputs, truth, patients, task, (trained, natural / natural.sum()))


def _fitted(
    outputs: np.ndarray, truth: np.ndarray, patients: np.ndarray, task: Task, shares: tuple
) -> Calibrator:
    """The answers for shares of the classes: as the loss saw them, and of records to come."""
    trained, natural = shares
    known = natural[truth] > 0
    outputs, truth, patients = outputs[known], truth[known], patients[known]
    evidence = validation_weights(truth, natural, patients)
    fit = fit_temperature(outputs, truth, trained, natural, evidence, patients)
    probabilities = calibrated(outputs, fit.temperature, trained, natural, fit.intercepts)
    point = choose_operating_point(
        probabilities, truth, task.operating_point, natural, evidence, patients
    )
    shares = tuple(trained.tolist()), tuple(natural.tolist())
    return Calibrator(
        fit.temperature, *shares, point, ALL_CLASSES, fit.reason, fit.intercepts, set_reason=NOT_RESERVED
    )


def with_prediction_sets(
    answers: Calibrator, outputs: np.ndarray, truth: np.ndarray, patients: np.ndarray
) -> Calibrator:
    """The same answers with prediction sets that are fitted on patients who chose nothing.

    Args:
        answers: of `fit_calibrator`, on other patients.
        outputs: (records, classes) softmax outputs of the patients' records.
        truth: (records,) labels; those of a class that was never trained on are in no set.
        patients: (records,) ids.
    """
    probabilities = answers.probabilities(outputs)
    threshold = fit_conformal(probabilities, truth, patients, LEVEL)
    count, reason = len(np.unique(np.asarray(patients, str))), ""
    if threshold >= ALL_CLASSES:
        untrained = np.array(answers.natural)[truth] == 0
        reason = UNTRAINED if untrained.any() else "too few patients were reserved for them"
    return replace(answers, set_threshold=threshold, set_patients=count, set_reason=reason)


def without_prediction_sets(answers: Calibrator, reason: str) -> Calibrator:
    """The same answers, and why they have no prediction sets."""
    return replace(answers, set_reason=reason)


def calibrator_from_json(values: dict) -> Calibrator:
    """The calibrator of the values in run.json."""
    point = OperatingPoint(**values["point"])
    lists = {key: tuple(values.get(key, ())) for key in ("trained", "natural", "intercepts")}
    return Calibrator(**{**values, **lists, "point": point})
