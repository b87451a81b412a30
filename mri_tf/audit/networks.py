"""The findings that need the networks of a run: what they look at, and whether maps explain it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mri_tf.audit.deep import DEEP
from mri_tf.audit.explanations import explanation_findings, without_maps
from mri_tf.audit.finding import CANNOT_TELL, FAMILIES_OF_A_RUN, NOT_APPLICABLE, Finding
from mri_tf.audit.judged import (
    FEWEST_PATIENTS,
    MOST_MEMBERS,
    Judged,
    judged_networks,
    network_of,
)
from mri_tf.audit.map_checks import check_maps, flip_axis
from mri_tf.audit.region_swaps import NAME, looks_at_findings
from mri_tf.audit.regions import REGIONS
from mri_tf.audit.subject import Subject
from mri_tf.core.errors import InputError
from mri_tf.explain.saliency import has_maps
from mri_tf.splits.sides import units_of
from mri_tf.store.prepared import Prepared
from mri_tf.store.run import FEATURES, RUN_FILE, Run, open_finished, open_run

A_POSITION = "the label is a position in the stack: what surrounds the anatomy tells it by definition"
UNKNOWN = "the patients are not known"


def network_findings(folder: Path, prepared: Prepared, out: Path) -> list[Finding]:
    """All of them, of a run or of a model of several members.

    Args:
        folder: of the run.
        prepared: the set it was trained on.
        out: of the audit, where `--deep` leaves runs on exchanged labels.
    """
    run = open_run(folder)
    if run.task.kind != "classification":
        return _of_all(NOT_APPLICABLE, "the run is a segmentation")
    if not prepared.patients_known:
        return _of_all(CANNOT_TELL, UNKNOWN)
    try:
        judged = judged_networks(run, prepared)
    except InputError as error:
        return _of_all(CANNOT_TELL, error.rule.rstrip("."))
    if run.task.label_from_position:
        looks = [Finding(NAME.format(name), NOT_APPLICABLE, A_POSITION) for name in REGIONS]
    else:
        looks = looks_at_findings(judged)
    return [*looks, *_explanations(judged, exchanged_runs(run, out / DEEP))]


def families_of(trainings: Sequence[Subject]) -> int:
    """How many families of tests share the error rate in the audit of a run.

    They are two where its networks can be asked what they look at, else the probes of the set alone.

    Args:
        trainings: of the run, or of each member of a model.
    """
    first = trainings[0]
    if not first.labelled or first.label_from_position or not first.prepared.patients_known:
        return 1
    owners = units_of(first.prepared, "group")
    held_out = [side for one in trainings[:MOST_MEMBERS] for side in one.sides[1:]]
    donors = np.unique(owners[np.concatenate(held_out)])
    return FAMILIES_OF_A_RUN if len(donors) >= FEWEST_PATIENTS else 1


def exchanged_runs(run: Run, folder: Path) -> list[Run]:
    """Finished runs on exchanged labels below a folder whose network is built as that of a run."""
    found = []
    for path in sorted(folder.rglob(RUN_FILE)):
        if path.parent.name == FEATURES:
            continue
        one = open_run(path.parent)
        same = (one.task.model, one.task.model_args) == (run.task.model, run.task.model_args)
        if one.finished and not one.has_members and same:
            found.append(one)
    return found


def _of_all(status: str, why: str) -> list[Finding]:
    looks = [Finding(NAME.format(name), status, why) for name in REGIONS]
    return [*looks, *without_maps(status, why)]


def _explanations(judged: Sequence[Judged], exchanged: Sequence[Run]) -> list[Finding]:
    first = judged[0]
    if not has_maps(first.model):
        return without_maps(NOT_APPLICABLE, f"the network {first.run.task.model} has no maps")
    records = len(first.held_out)
    if records < FEWEST_PATIENTS:
        why = f"{records} held-out patients, fewer than {FEWEST_PATIENTS}"
        return without_maps(CANNOT_TELL, why, records)
    others = [one.model for one in judged[1:2]]
    on_exchanged = [network_of(open_finished(one.folder)) for one in exchanged[:1]]
    checks = check_maps(first, others, on_exchanged)
    return explanation_findings(checks, flip_axis(first.run.task))
