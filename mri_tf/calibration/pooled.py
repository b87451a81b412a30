"""Answers of a model of several members, fitted on what members said of patients that they never saw.

Every patient of a cross-validation was left out by some members. What these said is pooled on a common
scale (`member_scale`). The mean of all members lies closer to the mean of its class than the answer of
one member does, since the members' own noise cancels; so it deserves a steeper slope than the pooled
answers of single members show. How much steeper follows from how alike two members answer for a patient
that neither has seen (`correlation`).
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import softmax

from mri_tf.calibration.class_balance import class_shares, validation_weights
from mri_tf.calibration.correlation import Correlation, as_mean_of
from mri_tf.calibration.cross_conformal import HeldOut, fits_sets, held_out_scores, in_sets
from mri_tf.calibration.member_scale import MemberScale, evidence_of
from mri_tf.calibration.operating_point import OperatingPoint, choose_operating_point, decide
from mri_tf.calibration.prediction_sets import LEVEL
from mri_tf.calibration.temperature import Evidence, fit_slope

ONE_CLASS = "only one class among the patients, so that nothing could be fitted"
FEW_FOR_SETS = "too few patients were there to fit them"
CROSS_GUARANTEE = (
    "for a random record of a new patient from the same source, on average; every member is compared "
    "with the patients that it left out (cross-conformal), which promises about "
    f"{2 * LEVEL - 1:.0%} and gave 91 to 99% in simulation; not for each class, and not for another "
    "hospital"
)


@dataclass(frozen=True)
class Curve:
    """From evidence to probabilities: softmax(slope x evidence + intercepts + log class shares)."""

    slope: float
    intercepts: tuple[float, ...]  # (classes,) with sum 0

    def probabilities(self, evidence: np.ndarray, shares: np.ndarray) -> np.ndarray:
        """(..., classes) of evidence (..., classes), for class shares (classes,)."""
        with np.errstate(divide="ignore"):
            constants = np.array(self.intercepts) + np.log(class_shares(shares))
        return softmax(self.slope * np.asarray(evidence, float) + constants, axis=-1)


@dataclass(frozen=True)
class PooledAnswers:
    """How the outputs of several members become one answer: plain values of run.json.

    It is used as a `Calibrator` is; outputs are (records, members, classes).
    """

    scales: tuple[MemberScale, ...]  # (members,)
    one: Curve  # of one member
    mean: Curve  # of the mean of all members
    natural: tuple[float, ...]  # class shares that the reported probabilities are for
    trained: tuple[float, ...]  # class shares that the members' losses saw, mean of the members
    correlation: Correlation
    point: OperatingPoint
    held_out: tuple[HeldOut, ...]  # (members,) the scores of prediction sets
    set_patients: int  # whose scores these are
    reason: str = ""  # why no slope could be fitted

    @property
    def temperature(self) -> float:
        """What the mean of the members' evidence is divided by."""
        return 1 / self.mean.slope

    @property
    def intercepts(self) -> tuple[float, ...]:
        """Beside that temperature."""
        return self.mean.intercepts

    @property
    def has_sets(self) -> bool:
        """Whether prediction sets say anything."""
        return fits_sets(self.set_patients)

    @property
    def guarantee(self) -> str:
        """What prediction sets promise."""
        return CROSS_GUARANTEE

    @property
    def why_no_sets(self) -> str:
        """Why there are no prediction sets; "" where there are."""
        return "" if self.has_sets else FEW_FOR_SETS

    def evidence(self, outputs: np.ndarray) -> np.ndarray:
        """(records, members, classes) of softmax outputs of the same shape."""
        of_members = [evidence_of(outputs[:, n], scale) for n, scale in enumerate(self.scales)]
        return np.stack(of_members, axis=1)

    def probabilities(self, outputs: np.ndarray, prior: np.ndarray | None = None) -> np.ndarray:
        """(records, classes) calibrated, for the natural class shares or those of `prior`."""
        shares = np.array(self.natural) if prior is None else prior
        return self.mean.probabilities(self.evidence(outputs).mean(axis=1), shares)

    def member_probabilities(self, outputs: np.ndarray) -> np.ndarray:
        """(records, members, classes): what each member says, calibrated as one member."""
        return self.one.probabilities(self.evidence(outputs), np.array(self.natural))

    def disagreement(self, outputs: np.ndarray) -> np.ndarray:
        """(records, classes): the SD of the members' calibrated probabilities."""
        return self.member_probabilities(outputs).std(axis=1)

    def decisions(self, outputs: np.ndarray) -> np.ndarray:
        """(records,) labels at the operating point, whatever prior the probabilities are for."""
        return decide(self.probabilities(outputs), self.point)

    def sets(self, outputs: np.ndarray) -> np.ndarray:
        """(records, classes) bool: the classes not ruled out; every one without `has_sets`."""
        return in_sets(self.member_probabilities(outputs), self.held_out)


@dataclass(frozen=True)
class Unseen:
    """What members said of records of patients that they were not trained on; a row each.

    Attributes:
        evidence: (rows, classes) on the common scale.
        truth: (rows,) labels.
        patients: (rows,) ids.
        members: (rows,) number of the member.
    """

    evidence: np.ndarray
    truth: np.ndarray
    patients: np.ndarray
    members: np.ndarray

    def of(self, rows: np.ndarray) -> "Unseen":
        """Some of the rows, (rows,) bool."""
        return Unseen(*(values[rows] for values in vars(self).values()))


@dataclass(frozen=True)
class Fitted:
    """The curve and the operating point of evidence that is like the one they were fitted on."""

    curve: Curve
    natural: np.ndarray  # (classes,)
    point: OperatingPoint
    reason: str = ""

    def probabilities(self, evidence: np.ndarray) -> np.ndarray:
        """(rows, classes) of evidence (rows, classes)."""
        return self.curve.probabilities(evidence, self.natural)


def fit_evidence(
    unseen: Unseen, criterion: str | dict, natural: np.ndarray | None = None
) -> Fitted:
    """Fits slope, intercepts and operating point to the evidence of patients that nothing chose.

    All rows of a class weigh the same; what they are worth together follows from how alike the errors
    for a patient's records are (`independent_records`).

    Args:
        unseen: of the side that each member was tested on.
        criterion: of the operating point, as `choose_operating_point` takes it.
        natural: (classes,) shares of records to come; None for those of the rows.
    """
    classes = unseen.evidence.shape[1]
    if natural is None:
        natural = class_shares(np.bincount(unseen.truth, minlength=classes))
    weights = validation_weights(unseen.truth, natural, unseen.patients)
    possible = natural > 0
    intercepts, slope, reason = np.zeros(classes), 1.0, ONE_CLASS
    if len(np.unique(unseen.truth)) > 1:
        labels = (np.cumsum(possible) - 1)[unseen.truth]
        evidence = Evidence(labels, weights, natural[possible], unseen.patients)
        slope, intercepts[possible] = fit_slope(unseen.evidence[:, possible], evidence)
        reason = ""
    curve = Curve(float(slope), tuple(intercepts.tolist()))
    probabilities = curve.probabilities(unseen.evidence, natural)
    point = choose_operating_point(
        probabilities, unseen.truth, criterion, natural, weights, unseen.patients
    )
    return Fitted(curve, natural, point, reason)


def fit_pooled(
    tested: Unseen, scales: tuple[MemberScale, ...], correlation: Correlation, criterion: str | dict,
    trained: np.ndarray, used: int = 0,
) -> PooledAnswers:  # fmt: skip
    """Fits the answers of a model of several members.

    Curves and operating point rest on the rows of all members, prediction sets on those of the members
    in the model.

    Those of the mean of the members are fitted to the pooled evidence of single members, drawn towards
    the means of the classes as far as a mean of so many members lies closer to them (`as_mean_of`). For
    normal evidence of one variance this multiplies the slope by 1 / (r + (1 - r) / members), r the
    correlation, and leaves sensitivity and specificity of the operating point at what was asked for.

    Args:
        tested: rows of the sides that all members were tested on; their member numbers are positions in
            `scales`.
        scales: of all members.
        correlation: of two members' evidence for a patient.
        criterion: of the operating point.
        trained: (classes,) class shares that the members' losses saw, mean of the members.
        used: how many members the model has, the first ones; 0 for all.
    """
    used = used or len(scales)
    one = fit_evidence(tested, criterion)
    drawn = as_mean_of(used, tested.evidence, tested.truth, tested.patients, correlation)
    mean = fit_evidence(replace(tested, evidence=drawn), criterion)
    scores = 1 - one.probabilities(tested.evidence)[np.arange(len(tested.truth)), tested.truth]
    own = tested.members < used
    patients, members = tested.patients[own].astype(str), tested.members[own]
    held_out = held_out_scores(scores[own], patients, members, used)
    shares = (tuple(np.asarray(values).tolist()) for values in (one.natural, trained))
    return PooledAnswers(
        scales[:used], one.curve, mean.curve, *shares, correlation, mean.point, held_out,
        len(np.unique(patients)), one.reason,
    )  # fmt: skip


def recalibrated_mean(
    answers: PooledAnswers, outputs: np.ndarray, truth: np.ndarray, patients: np.ndarray,
    criterion: str | dict,
) -> PooledAnswers:  # fmt: skip
    """The same members' answers, fitted anew to patients of another source; without prediction sets.

    Class shares are those of the patients, with the model's own counted like one more patient. Patients
    of one class alone leave the slope as it was.

    Arguments: as in `calibrator.recalibrated`, the outputs (records, members, classes).
    """
    evidence, before = answers.evidence(outputs).mean(axis=1), np.array(answers.natural)
    seen = class_shares(np.bincount(truth, minlength=len(before)))
    mixed = seen * len(np.unique(np.asarray(patients, str))) + before
    natural = class_shares(np.where(np.array(answers.trained) > 0, mixed, 0))
    known = natural[truth] > 0
    rows = Unseen(evidence, truth, np.asarray(patients), np.zeros(len(truth), int)).of(known)
    fitted = fit_evidence(rows, criterion, natural)
    curve = answers.mean if fitted.reason else fitted.curve
    return replace(
        answers, mean=curve, natural=tuple(natural.tolist()), point=fitted.point, set_patients=0,
        reason=fitted.reason,
    )  # fmt: skip


def pooled_from_json(values: dict) -> PooledAnswers:
    """The answers of the values in run.json."""
    scales = tuple(MemberScale(**scale) for scale in values["scales"])
    held_out = tuple(HeldOut(**scores) for scores in values["held_out"])
    curves = {
        name: Curve(values[name]["slope"], tuple(values[name]["intercepts"])) for name in ("one", "mean")
    }
    shares = {name: tuple(values[name]) for name in ("natural", "trained")}
    return PooledAnswers(
        **{
            **values, **curves, **shares, "scales": scales, "held_out": held_out,
            "correlation": Correlation(**values["correlation"]),
            "point": OperatingPoint(**values["point"]),
        }
    )  # fmt: skip
