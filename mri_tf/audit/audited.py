"""An audit of a prepared set and its trainings: all findings, in the order in which they are told."""

from dataclasses import dataclass, replace

import numpy as np

from mri_tf.audit.certain import certain_of_all
from mri_tf.audit.finding import CANNOT_TELL, NO_CLASSES, NOT_APPLICABLE, Finding
from mri_tf.audit.identity import identity_findings
from mri_tf.audit.label_candidates import Candidate
from mri_tf.audit.measured import Context, measure
from mri_tf.audit.shortcuts import Labels, shortcut_findings
from mri_tf.audit.subject import Subject
from mri_tf.splits.sides import units_of
from mri_tf.splits.split import split_units
from mri_tf.store.prepared import Prepared
from mri_tf.store.record import NO_LABEL

MOST_PATIENTS = 1000  # whom the probes look at; more would only find what is too weak to matter
BY_CLASS = "class_folders"  # the layout that lists cases class by class


@dataclass(frozen=True)
class Audit:
    """What an audit found in one prepared set.

    Attributes:
        findings: in the order in which they are told.
        prepared: whose records the findings name.
        foreground: how the head or body was found, in words; "" where no image was looked at.
        candidates: in the order in which their labels are to be looked at; none where nobody can tell.
    """

    findings: list[Finding]
    prepared: Prepared
    foreground: str = ""
    candidates: tuple[Candidate, ...] = ()


def audit_trainings(subjects: dict[str, Subject], families: int = 1) -> Audit:
    """A set with the sides of its trainings: certain checks of each; faces, text and the probes once.

    Trainings on other prepared sets than the first one's are checked for certain leaks only.

    Args:
        subjects: by the name of the training, at least one; of a set without trainings it alone.
        families: of tests in the whole audit that share the error rate, the probes included.
    """
    first = next(iter(subjects.values()))
    identity = identity_findings(first.prepared, first.modality)
    return with_probes([*certain_of_all(subjects), *identity], first, families)


def with_probes(findings: list[Finding], subject: Subject, families: int = 1) -> Audit:
    """The findings, and those of all probes where the records have classes; `families` as above."""
    prepared = subject.prepared
    labelled = np.flatnonzero(prepared.labels != NO_LABEL)
    if not subject.labelled or not len(labelled):
        return Audit([*findings, Finding("label from probes", NOT_APPLICABLE, NO_CLASSES)], prepared)
    if not prepared.patients_known:
        # Copies stand for patients; other images of a patient would exchange labels by themselves.
        why = "the patients are not known, so that nobody knows what may exchange labels"
        told = Finding(
            "label from probes", CANNOT_TELL, why,
            what_to_do="Put the images into folders of patients, or into a table with patient_id.",
        )  # fmt: skip
        return Audit([*findings, told], prepared)
    owners = units_of(prepared, "group")
    records = drawn_patients(labelled, owners[labelled], prepared.labels[labelled])
    context = Context(
        subject.modality, prepared.sources(), _why_not_ordered(subject), subject.label_from_position
    )
    measured = measure(prepared, records, context)
    labels = Labels(
        prepared.labels[records], prepared.patients[records], owners[records], prepared.sites[records],
        prepared.class_names,
    )  # fmt: skip
    told = shortcut_findings(measured, labels, families)
    return Audit([*findings, *told], prepared, measured.foreground)


def with_more(audit: Audit, findings: list[Finding]) -> Audit:
    """The audit with further findings of the same set at its end."""
    return replace(audit, findings=[*audit.findings, *findings])


def _why_not_ordered(subject: Subject) -> str:
    """Why the order of the cases is not looked at; "" where it is."""
    if subject.label_from_position:
        return "the label is a position in the stack by definition"
    layout = subject.prepared.manifest.get("layout") or {}
    return "the files lie in a folder for each class" if layout.get("name") == BY_CLASS else ""


def drawn_patients(records: np.ndarray, owners: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The records, or those of MOST_PATIENTS patients with about the same shares of the classes.

    Args:
        records: positions in a set.
        owners: (records,) numbers of what stays whole.
        labels: (records,) class numbers.
    """
    count = len(np.unique(owners))
    if count <= MOST_PATIENTS:
        return records
    share = MOST_PATIENTS / count
    drawn, _ = split_units(owners, labels, (share, 1 - share), seed=0)
    return records[drawn]
