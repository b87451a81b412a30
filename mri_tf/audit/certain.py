"""The checks that need no statistics: patients, copies and pre-training on two sides of a split.

They take seconds, so that training makes them before its first epoch.
"""

from dataclasses import replace

import numpy as np

from mri_tf.audit.copies import (
    copies_between_patients,
    copies_on_two_sides,
    copies_under_two_labels,
)
from mri_tf.audit.finding import FOUND, STATUSES, Finding
from mri_tf.audit.pretraining import no_pretraining, pretraining_overlap, seen_by
from mri_tf.audit.sides import ids_alike, patients_on_two_sides, shared_identities
from mri_tf.audit.subject import Before, Subject
from mri_tf.audit.visits import one_patient_in_visits
from mri_tf.splits.known_copies import copies_across, copies_of, tied_by_copies
from mri_tf.splits.sides import units_of
from mri_tf.store.copies import CopyPairs, copies_of_others
from mri_tf.store.prepared import Prepared


def certain_findings(subject: Subject, near: bool = True) -> list[Finding]:
    """All of them, in the order in which they are told.

    Args:
        subject: a set with the sides of a training, or of none.
        near: whether near copies are looked for between this set and those of networks before, whose
            images are read for it.
    """
    prepared, sides = subject.prepared, subject.sides
    between = copies_of(prepared)
    across = None if sides is None else copies_across(prepared, sides)
    findings = [
        patients_on_two_sides(prepared.patients, prepared.groups, sides, prepared.patients_known),
        identity_of_ids(prepared, sides),
        visits_of_ids(prepared, sides),
        shared_identities(prepared.manifest.get("joined")),
        copies_on_two_sides(across, sides, between),
        copies_finding(prepared, between, sides is not None),
    ]
    if subject.labelled:
        findings.append(copies_under_two_labels(prepared.labels, prepared.contents, between))
    findings.append(_pretraining(subject, near))
    return findings


def certain_of_all(subjects: dict[str, Subject], near: bool = True) -> list[Finding]:
    """The same of several trainings: of each check the worst finding, and which trainings have it.

    Args:
        subjects: by the name of the training, at least one. The findings name records of the first
            one's set only.
        near: as of `certain_findings`.
    """
    first = next(iter(subjects.values()))
    of_each = {name: certain_findings(subject, near) for name, subject in subjects.items()}
    mine = {name for name, subject in subjects.items() if subject.prepared is first.prepared}
    checks = range(len(next(iter(of_each.values()))))
    return [_worst({name: found[place] for name, found in of_each.items()}, mine) for place in checks]


def _worst(of_each: dict[str, Finding], mine: set[str]) -> Finding:
    if len({(one.evidence, one.status) for one in of_each.values()}) == 1:
        return next(iter(of_each.values()))
    ranked = {name: (not (one.certain and one.status == FOUND), STATUSES.index(one.status))
              for name, one in of_each.items()}  # fmt: skip
    worst = [name for name, rank in ranked.items() if rank == min(ranked.values())]
    first = of_each[worst[0]]
    evidence = f"in {len(worst)} of {len(of_each)} trainings, such as {worst[0]}: {first.evidence}"
    records = {place for name in worst if name in mine for place in of_each[name].records}
    return replace(first, evidence=evidence, records=tuple(sorted(records)))


def identity_of_ids(prepared: Prepared, sides: list[np.ndarray] | None = None) -> Finding:
    """`ids_alike` of a set; what stands for unknown patients, and pseudonyms, has no spelling."""
    named = prepared.patients_known and not prepared.manifest.get("salt")
    return ids_alike(prepared.patients, sides, pseudonyms=not named)


def visits_of_ids(prepared: Prepared, sides: list[np.ndarray] | None = None) -> Finding:
    """`one_patient_in_visits` of a set."""
    named = prepared.patients_known and not prepared.manifest.get("salt")
    return one_patient_in_visits(prepared.patients, prepared.groups, sides, pseudonyms=not named)


def copies_finding(prepared: Prepared, between: CopyPairs, sides: bool = False) -> Finding:
    """`copies_between_patients` of a set; `between` is of `copies_of`."""
    known = prepared.patients_known
    units = units_of(prepared, "patient") if known else np.arange(len(prepared))
    remaining = len(set(tied_by_copies(prepared, units).tolist()))
    return copies_between_patients(between, len(set(prepared.patients)), remaining, sides)


def _pretraining(subject: Subject, near: bool) -> Finding:
    """Whether the networks before saw whom the last one is judged on."""
    before, sides = list(subject.before), subject.sides
    if derived := subject.prepared.manifest.get("derived"):
        before.append(Before(derived["seen"]))
    if not before or sides is None:
        return no_pretraining(subject.weights)
    prepared = subject.prepared
    held_out = np.concatenate(sides[1:])
    at_hand = [one for one in before if near and one.prepared is not None
               and len(one.prepared.image_shape) == len(prepared.image_shape)]  # fmt: skip
    copies = [copies_of_others(prepared, held_out, one.prepared, one.records) for one in at_hand]
    copied = np.concatenate([held_out[:0], *copies])
    seen = seen_by([one.seen for one in before])
    return pretraining_overlap(prepared.patients, prepared.contents, held_out, seen, copied)
