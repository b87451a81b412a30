"""Whether a part of an image pulls a network towards the class of the patient whom the part is of.

Parts of several patients (donors) are put into the same images, and the network answers. If a part said
nothing of the class, every exchange of the donors' labels would be as likely as what was seen; what the
cut itself does to an answer is the same for all donors.
"""

from typing import NamedTuple

import numpy as np
from scipy.stats import norm

from mri_tf.metrics.label_exchanges import drawn_exchanges, every_exchange

DRAWS = 1999
POWER = 0.8
ROUNDING = 1e-9  # of pulls that are equal
EQUAL = 1e-4  # logits that differ by less are the same answer: networks compute in float32


class Pull(NamedTuple):
    """How far parts pull towards the class of their donor, in logits.

    Attributes:
        pull: mean over pairs of classes: the difference of the two classes' logits with a part of one
            class, less that with a part of the other. 0 without any pull.
        p: one-sided: the share of exchanges of the labels with at least this pull.
        spread: SD of the pull over the exchanges.
        exchanges: how many were counted.
    """

    pull: float
    p: float
    spread: float
    exchanges: int

    def smallest_found(self, level: float) -> float:
        """The smallest pull that a one-sided test at this level finds in 80 % of draws."""
        return float((norm.ppf(1 - level) + norm.ppf(POWER)) * self.spread)


def class_pull(logits: np.ndarray, labels: np.ndarray, blocks: np.ndarray, seed: int = 0) -> Pull | None:
    """Tests the pull of donors' parts; None where all donors give the same, or have one class.

    Args:
        logits: (donors, classes) means over the images that the parts were put into; a constant for all
            classes of a donor changes nothing, so logarithms of probabilities are as good.
        labels: (donors,) class of each donor.
        blocks: (donors,) donors of one block exchange their labels: those of one network.
        seed: of the drawn exchanges.
    """
    present, of_donor = np.unique(labels, return_inverse=True)
    if len(present) < 2:
        return None
    values = logits[:, present] - logits[:, present].mean(axis=1, keepdims=True)
    for block in np.unique(blocks):  # networks differ in how sure they are
        values[blocks == block] -= values[blocks == block].mean(axis=0)
    if np.ptp(values) <= EQUAL:
        return None
    every = every_exchange(of_donor, blocks, DRAWS)
    drawn = [every] if every is not None else [
        of_donor[None], *drawn_exchanges(of_donor, blocks, DRAWS, np.random.default_rng(seed))
    ]  # fmt: skip
    pulls = np.concatenate([_pulls(values, one) for one in drawn])
    seen = float(_pulls(values, of_donor[None])[0])
    p = float((pulls >= seen - ROUNDING).mean())
    return Pull(seen, p, float(pulls.std()), len(pulls))


def _pulls(values: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(exchanges,) pulls of (exchanges, donors) labels."""
    classes = values.shape[1]
    chosen = labels[:, :, None] == np.arange(classes)  # (exchanges, donors, classes)
    sums = np.einsum("enc,nk->eck", chosen.astype(float), values)
    means = sums / chosen.sum(axis=1)[:, :, None]  # by the label of the donor, of each logit
    own = np.trace(means, axis1=1, axis2=2)
    return 2 / classes * (own - (means.sum(axis=(1, 2)) - own) / (classes - 1))
