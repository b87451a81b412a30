"""What every baseline says of the units that a network is judged on, one split after the other."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from mri_tf.audit.baseline_fit import Answers, Learned, fitted_answers, majority
from mri_tf.audit.covariates import Column, design
from mri_tf.audit.measured import VOLUME_OF_MASK
from mri_tf.audit.set_features import AGE_AND_SEX, NAMES, OTHERS, SetFeatures
from mri_tf.splits.units import answering_records, bags_of
from mri_tf.store.prepared import Prepared
from mri_tf.store.record import NO_LABEL
from mri_tf.task import Task

MAJORITY = "majority"


@dataclass(frozen=True)
class SplitAnswers:
    """The answers of all baselines on one split.

    Attributes:
        record_ids: (units,) of the records that units are named by, as in predictions.parquet.
        answers: name of a baseline -> its answers for these units.
        covariates: of age, sex and all further covariates together; None where there are none.
        share: held-out units over those that the network was fitted to.
    """

    record_ids: np.ndarray
    answers: dict[str, Answers] = field(repr=False)
    covariates: Answers | None
    share: float


def split_answers(
    measured: SetFeatures, prepared: Prepared, task: Task, sides: Sequence[np.ndarray]
) -> SplitAnswers:
    """Fits every baseline to the training and validation side and asks it about the test side.

    Args:
        measured: of the set.
        prepared: the set.
        task: what one answer is about, and how operating points are chosen.
        sides: positions of the training, validation and test side.
    """
    training, validation, test = (side[prepared.labels[side] != NO_LABEL] for side in sides)
    learned_records = np.concatenate([training, validation])
    units, tested = (answering_records(task, prepared, side) for side in (learned_records, test))
    learned = Learned(
        prepared.labels[units], prepared.patients[units].astype(str), len(task.class_names),
        task.operating_point,
    )  # fmt: skip
    found = {MAJORITY: majority(learned, len(tested))}
    for name, features in measured.images.items():
        own = [_of_units(features, prepared, task, side, name == VOLUME_OF_MASK)
               for side in (learned_records, test)]  # fmt: skip
        found[name] = fitted_answers(learned, *own)
    for name, columns in measured.covariates.items():
        if columns:
            found[name] = _of_columns(columns, learned, units, tested)
    both = [one for name in (AGE_AND_SEX, OTHERS) for one in measured.covariates[name]]
    together = _of_columns(both, learned, units, tested) if both else None
    fitted_to = len(answering_records(task, prepared, training))
    ordered = {name: found[name] for name in (MAJORITY, *NAMES) if name in found}
    return SplitAnswers(prepared.record_ids[tested], ordered, together, len(tested) / fitted_to)


def _of_columns(
    columns: list[Column], learned: Learned, units: np.ndarray, tested: np.ndarray
) -> Answers:
    features = design(columns, units)
    return fitted_answers(learned, features[units], features[tested])


def _of_units(
    features: np.ndarray, prepared: Prepared, task: Task, side: np.ndarray, volume: bool
) -> np.ndarray:
    """(units, n) of a side: of a patient with all slices their mean, of logarithms of volumes the sum of
    the volumes."""
    if not task.bag:
        return features[side]
    bags = bags_of(prepared, side)
    if volume:
        return np.array([np.log1p(np.expm1(features[bag]).sum(axis=0)) for bag in bags])
    return np.array([features[bag].mean(axis=0) for bag in bags])
