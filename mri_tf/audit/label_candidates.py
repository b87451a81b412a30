"""Records whose label networks doubt that never saw them, in the order in which to look at them.

The order is that of confident learning (mri_tf/metrics/label_quality.py); copies of one image under two
labels come first, as one of theirs is wrong for certain. It is an order to look in, and no test.
"""

from dataclasses import dataclass, replace

import numpy as np

from mri_tf.audit.copies import torn_copies
from mri_tf.audit.finding import CANNOT_TELL, FOUND, NO_CLASSES, NOT_APPLICABLE, NOT_FOUND, Finding
from mri_tf.audit.held_out import HeldOut, Units, units_of_labels
from mri_tf.core.words import plural, printed_name
from mri_tf.metrics.classifier import checked
from mri_tf.metrics.exchange import BETTER, exchange_labels
from mri_tf.metrics.label_quality import (
    contradicted,
    expected_wrong,
    normalized_margin,
    order_of_doubt,
    self_confidence,
)
from mri_tf.metrics.number import ONE_CLASS
from mri_tf.splits.known_copies import copies_of
from mri_tf.store.prepared import Prepared

NAME = "label candidates"
FEWEST = 10  # units of each class: a class threshold is a mean over them
REPEATS = 3  # of the folds, from which on chance in training is averaged out
HOW = ("Train with python -m mri_tf.train --task TASK --data DATA --folds 5 --fold-repeats 3, and audit "
       "that run.")  # fmt: skip
LOOK = ("Look at the records of label_candidates.csv from the top, and correct what is wrong in the "
        "source; then train again.")  # fmt: skip
MEANING = (
    "Such a label is wrong, or the case is a rare or unclear one, or the networks are wrong: this is an "
    "order to look in, and no test."
)


@dataclass(frozen=True)
class Candidate:
    """A patient or record in the order in which labels are to be looked at.

    Attributes:
        record: position of the record that stands for it, of several the most doubted one.
        records: how many have this label together.
        given: number of the class that the label names.
        probable: number of the most probable class.
        confidence: probability of the given class, from 0 to 1.
        margin: the same minus the largest other one, brought to 0 to 1.
        contradicted: whether networks are confident of another class.
        copies: positions of records that show the same image under another label.
    """

    record: int
    records: int
    given: int
    probable: int
    confidence: float
    margin: float
    contradicted: bool
    copies: tuple[int, ...] = ()


def label_candidates(found: HeldOut | None, prepared: Prepared) -> tuple[Finding, list[Candidate]]:
    """The finding, and the whole set in order of doubt; no order where it would say nothing.

    Args:
        found: what networks said of records that they did not see; None where nobody can know.
        prepared: the set.
    """
    if not (prepared.labels >= 0).any():
        return Finding(NAME, NOT_APPLICABLE, NO_CLASSES), []
    if found is None:
        why = "no network answered for all records without having seen them: there is one split, or none"
        return Finding(NAME, CANNOT_TELL, why, what_to_do=HOW), []
    units = units_of_labels(found, prepared)
    patients = len(np.unique(units.patients))
    if why := _why_not(units, prepared.class_names, int(found.times.max())):
        return Finding(NAME, CANNOT_TELL, why, n=patients), []
    repeats = int(found.times.min())
    ranked = ranking(units, prepared)
    doubted = [one for one in ranked if one.contradicted]
    copies = [one for one in ranked if one.copies]
    count = f"{len(units.labels)} {units.noun}"
    asked = f"networks that never saw their patients ({plural(repeats, 'answer')} for each)"
    finding = Finding(
        NAME, NOT_FOUND, f"no label of {count} is contradicted by {asked}", n=patients,
        what_to_do=_more_repeats(repeats),
    )  # fmt: skip
    if doubted:
        wrong = round(expected_wrong(units.labels, units.probabilities))
        finding = replace(
            finding, status=FOUND, meaning=MEANING,
            evidence=f"{len(doubted)} labels of {count} are contradicted by {asked}; confident learning "
            f"expects about {wrong} wrong ones",
            records=tuple(sorted(one.record for one in doubted)),
            what_to_do=f"{LOOK} {_more_repeats(repeats)}".strip(),
        )  # fmt: skip
    if copies:
        told = f"{finding.evidence}; {len(copies)} copies under two labels come first"
        finding = replace(finding, evidence=told)
    return finding, ranked


def ranking(units: Units, prepared: Prepared) -> list[Candidate]:
    """All units, those with copies under another label first, then in order of doubt."""
    labels, probabilities = units.labels, units.probabilities
    margins = normalized_margin(labels, probabilities)
    confidences = self_confidence(labels, probabilities)
    doubted = contradicted(labels, probabilities)
    torn = torn_copies(prepared.labels, prepared.contents, copies_of(prepared))
    found = []
    for unit in order_of_doubt(labels, probabilities).tolist():
        own = units.records[unit]
        copied = [record for record in own.tolist() if record in torn]
        found.append(Candidate(
            copied[0] if copied else int(own[0]), len(own), int(labels[unit]),
            int(probabilities[unit].argmax()), float(confidences[unit]), float(margins[unit]),
            bool(doubted[unit]), tuple(sorted({one for record in copied for one in torn[record]})),
        ))  # fmt: skip
    return sorted(found, key=lambda one: not one.copies)  # stable: within both the order of doubt


def _why_not(units: Units, class_names: tuple[str, ...], repeats: int) -> str:
    """Why these networks cannot doubt a label; "" where they can. `repeats`: answers for a record."""
    counts = np.bincount(units.labels, minlength=len(class_names))
    few = [f"{counts[label]} of {printed_name(class_names[label])}" for label in np.flatnonzero(counts)
           if counts[label] < FEWEST]  # fmt: skip
    if few:
        return f"{', '.join(few)}: fewer than {FEWEST} {units.noun} of a class"
    arrays = units.probabilities / units.probabilities.sum(axis=1, keepdims=True)
    made = checked(units.labels, arrays, arrays.argmax(axis=1), units.patients)
    test = exchange_labels(made, units.folds, repeats)
    if test is None:
        return ONE_CLASS
    if test.p["auc"] > BETTER:
        return (
            f"the networks are not better than chance (p = {test.p['auc']:.2g} of the AUC), so that "
            "they can doubt no label"
        )
    return ""


def _more_repeats(repeats: int) -> str:
    if repeats >= REPEATS:
        return ""
    return (
        f"With fewer than {REPEATS} repeats of the folds a part of this order is chance in training: "
        "train with --fold-repeats 3 (of a study --repeats 3)."
    )
