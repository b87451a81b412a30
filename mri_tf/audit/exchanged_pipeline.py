"""What the whole pipeline makes of exchanged labels, from which nothing can be learned.

Split, training, calibration and evaluation are repeated on labels that patients have exchanged. If the
images said nothing about the labels, the number that was seen would be as likely as each of these. And
where networks trained on exchanged labels are better than chance, something tells them the labels of
their test side, as one patient on two sides does.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from mri_tf.audit.finding import CANNOT_TELL, FOUND, NOT_FOUND, Finding
from mri_tf.core.metric_names import name_of
from mri_tf.metrics.classifier import LOWER_IS_BETTER

NAME = "whole pipeline on exchanged labels"
FEWEST = 19  # exchanges: with fewer no number has p of 0.05
FEWEST_OF_A_MEAN = 3  # two AUCs of small test sides are often equal, which says nothing of their spread
SIGNIFICANT = 0.05
CHANCE = 0.5  # the AUC of a network that knows nothing
CLEARLY = 0.99  # one-sided, of the mean of the exchanges above chance
LEAKS = (
    "The pipeline leaks: exchanged labels teach nothing about other patients, so something else tells "
    "the labels of the test side. The number of the run is too good."
)
NOT_SHOWN = (
    "The number is not shown to be better than what this pipeline makes of labels that say nothing."
)


@dataclass(frozen=True)
class Exchanged:
    """Numbers of trainings on exchanged labels, beside that of the run.

    Attributes:
        metric: the task's primary metric.
        observed: its value of the run; None where it is undefined.
        values: of each exchange; None where it is undefined.
        aucs: of each exchange; None where it is undefined.
    """

    metric: str
    observed: float | None
    values: Sequence[float | None]
    aucs: Sequence[float | None]


def not_tried(why: str = "") -> Finding:
    """The finding of an audit without --deep, or one that says why it cannot tell."""
    return Finding(
        NAME, CANNOT_TELL, why or "not tried",
        what_to_do="" if why else f"Add --deep, which repeats the training {FEWEST} times.",
    )  # fmt: skip


def exchanged_finding(found: Exchanged) -> Finding:
    """Whether the pipeline leaks, or is not shown to be better than labels that say nothing.

    An exchange without a number counts as one that is as good as the run.
    """
    count, name = len(found.values), name_of(found.metric)
    if found.observed is None:
        return not_tried(f"the run has no {name}")
    p = p_of(found)
    values = np.array([value for value in found.values if value is not None], float)
    lost = count - len(values)
    of_exchanges = f"{count} trainings on exchanged labels"
    reach = f"{values.min():.2f} to {values.max():.2f}" if len(values) else ""
    evidence = (
        f"{name} {found.observed:.2f}; "
        + (f"the mean of {of_exchanges} is {values.mean():.2f} ({reach})" if reach else
           f"none of {of_exchanges} has one")
        + (f", undefined in {lost}" if lost else "")
        + f": p = {p:.2g}"
    )
    aucs = np.array([value for value in found.aucs if value is not None], float)
    if above_chance(aucs):
        return Finding(
            NAME, FOUND,
            f"the pipeline leaks: {evidence}; their AUC is {aucs.mean():.2f}, clearly above {CHANCE}",
            meaning=LEAKS,
            what_to_do="Look for one patient on two sides, under two ids or as copies, and for a split "
            "of records instead of patients.",
        )  # fmt: skip
    if count < FEWEST:
        return not_tried(f"{evidence}; {count} of {FEWEST} trainings are done: --deep continues")
    if p > SIGNIFICANT:
        return Finding(
            NAME, FOUND, f"not shown to be better: {evidence}", meaning=NOT_SHOWN,
            what_to_do="Do not claim that the images tell the label. More patients may show it.",
        )  # fmt: skip
    return Finding(NAME, NOT_FOUND, evidence)


def p_of(found: Exchanged) -> float:
    """(1 + exchanges at least as good as the run) / (1 + exchanges)."""
    sign = -1 if found.metric in LOWER_IS_BETTER else 1
    as_good = [value is None or sign * value >= sign * found.observed - 1e-9 for value in found.values]
    return (1 + sum(as_good)) / (1 + len(as_good))


def above_chance(aucs: np.ndarray) -> bool:
    """Whether the mean of these AUCs lies clearly above chance, by a one-sided t-test at 1 %."""
    count = len(aucs)
    if count < FEWEST_OF_A_MEAN:
        return False
    error = aucs.std(ddof=1) / np.sqrt(count)
    return bool(aucs.mean() - stdtrit(count - 1, CLEARLY) * error > CHANCE)
