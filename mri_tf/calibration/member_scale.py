"""Puts the logits of the members of one model on a common scale, so that they can be averaged.

Members of a cross-validation are trained on different patients: one answers near 0.5, another near 0.9.
Each gets a centre and a factor from its own validation side. What is left is its *evidence*: about 0 for
every class where a record says nothing, whatever the class shares that the member was trained on.
"""

from dataclasses import dataclass

import numpy as np

from mri_tf.calibration.class_balance import class_shares
from mri_tf.calibration.standardise import fit_standard
from mri_tf.calibration.temperature import centred, logits_of


@dataclass(frozen=True)
class MemberScale:
    """Where the logits of one member lie, and how far they spread.

    Attributes:
        centre: (classes,) its logits, with mean 0, for a record that says nothing; 0 for a class that it
            was not trained on.
        factor: what the difference from the centre is multiplied by.
        trained: (classes,) whether it was trained on records of the class.
    """

    centre: tuple[float, ...]
    factor: float
    trained: tuple[bool, ...]

    def __post_init__(self):
        object.__setattr__(self, "centre", tuple(map(float, self.centre)))
        object.__setattr__(self, "trained", tuple(map(bool, self.trained)))


def fit_member_scale(
    outputs: np.ndarray, truth: np.ndarray, patients: np.ndarray, trained: np.ndarray
) -> MemberScale:
    """Fits centre and factor to records that the member was not trained on.

    The centre lies between the logarithm of the class shares that the loss saw and the mean of the
    logits; near the first where chance explains the distance (`fit_standard`).

    Args:
        outputs: (records, classes) softmax outputs of the validation side.
        truth: (records,) labels.
        patients: (records,) ids.
        trained: (classes,) shares that the loss saw, see `trained_shares`.
    """
    possible = np.asarray(trained) > 0
    saw = centred(np.log(class_shares(trained)[possible]))
    used = possible[truth]
    centre, factor = saw, 1.0
    if used.any() and len(np.unique(truth[used])) > 1:
        logits = centred(logits_of(outputs[used][:, possible]))  # (records, possible classes)
        labels = (np.cumsum(possible) - 1)[truth[used]]  # among the possible classes
        standard = fit_standard(logits, labels, np.asarray(patients)[used], saw)
        centre = standard.moved * standard.centre + (1 - standard.moved) * saw
        factor = standard.factor
    whole = np.zeros(len(possible))
    whole[possible] = centre
    return MemberScale(tuple(whole), factor, tuple(possible))


def evidence_of(outputs: np.ndarray, scale: MemberScale) -> np.ndarray:
    """What a member's softmax outputs (records, classes) say, on the common scale.

    A member says no more against a class that it was never trained on than against the class that it
    holds least likely: the other members decide about it.

    Returns:
        (records, classes), each row with mean 0 over the classes that the member was trained on.
    """
    possible = np.array(scale.trained)
    logits = logits_of(outputs)
    logits = logits - logits[:, possible].mean(axis=1, keepdims=True)
    found = scale.factor * (logits - np.array(scale.centre))
    lowest = found[:, possible].min(axis=1, keepdims=True)
    return np.where(possible, found, lowest)
