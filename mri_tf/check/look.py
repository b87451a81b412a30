"""Everything that a check looks at in a prepared set and its task, in the order in which it is told."""

import itertools
from dataclasses import dataclass

import numpy as np

from mri_tf.audit.certain import copies_finding, identity_of_ids, visits_of_ids
from mri_tf.audit.copies import copies_under_two_labels
from mri_tf.audit.identity import identity_findings
from mri_tf.audit.sides import shared_identities
from mri_tf.check.cost import cost
from mri_tf.check.few_values import few_values, share_of_few_values
from mri_tf.check.findings import (
    ATTENTION,
    GOOD,
    LEAST_DEVIATION,
    Finding,
    alignment,
    extents,
    from_audit,
    outliers,
    skipped_cases,
)
from mri_tf.check.patients import (
    classes_by_kind_of_picture,
    classes_by_side,
    classes_by_site,
    classes_of_patients,
    expected_auc_interval,
)
from mri_tf.core.errors import InputError
from mri_tf.core.progress import progress
from mri_tf.network.build import check_network
from mri_tf.splits.known_copies import copies_of
from mri_tf.splits.sides import Sides, SplitOptions, choose_sides
from mri_tf.splits.units import answering_records
from mri_tf.store.prepared import PRIVATE, Prepared, read_private
from mri_tf.task import Task
from mri_tf.task.loaded import LoadedTask
from mri_tf.task.spec import PRESENCE


@dataclass(frozen=True)
class Looked:
    """The findings, and the sides that training would have; None where they are refused."""

    findings: list[Finding]
    sides: Sides | None


def look(loaded: LoadedTask, features: Task | None, prepared: Prepared, split: SplitOptions) -> Looked:
    """Looks at a prepared set and its task; nothing is trained but a few steps, to time them.

    Args:
        loaded: the task.
        features: the segmentation task that would be trained before it, if any.
        prepared: its prepared set.
        split: how the patients would be split.
    """
    task = loaded.task
    rows = read_private(prepared.folder / PRIVATE)
    reasons = [row["skipped_because"] for row in rows if row["skipped_because"]]
    read = len({row["source_number"] for row in rows if row["record_id"]})
    findings = [skipped_cases(reasons, read + len(reasons)), _patients(prepared)]
    joined = shared_identities(prepared.manifest.get("joined"))
    findings += from_audit([joined, identity_of_ids(prepared), visits_of_ids(prepared)])
    sides, refused = _sides(prepared, task, split)
    copies = copies_of(prepared)
    findings += refused or from_audit([copies_finding(prepared, copies)])
    if task.kind == "classification":
        if sides:
            findings.append(
                classes_by_side(prepared.labels, prepared.patients, sides.records, task.class_names)
            )
            tested = answering_records(task, prepared, sides.records[2])
            owners = prepared.patients[tested].astype(str)
            findings.append(expected_auc_interval(prepared.labels[tested], owners, task.class_names))
        twice = copies_under_two_labels(prepared.labels, prepared.contents, copies)
        findings += from_audit([twice])
        findings.append(classes_of_patients(prepared.labels, prepared.patients))
        findings.append(
            classes_by_site(prepared.labels, prepared.patients, prepared.sites, task.class_names)
        )
    findings += _measured(prepared, task)
    findings += from_audit(identity_findings(prepared, task.modality))
    findings.append(_network(task, features))
    if sides and not refused and findings[-1].status == GOOD:
        findings.append(cost(task, prepared, sides))
    return Looked(findings, sides)


def _patients(prepared: Prepared) -> Finding:
    counts = prepared.manifest["counts"]
    if not prepared.patients_known:
        return Finding(
            "patients", ATTENTION, f"{counts['records']} records of unknown patients",
            "Images of one patient may be on two sides: put them into folders of patients, or into a "
            "table with patient_id.",
        )  # fmt: skip
    return Finding("patients", GOOD, f"{counts['records']} records of {counts['patients']} patients")


def _sides(
    prepared: Prepared, task: Task, split: SplitOptions
) -> tuple[Sides | None, list[Finding]]:
    """The sides that training would have, or why it would refuse them."""
    try:
        return choose_sides(prepared, task, split), []
    except InputError as error:
        return None, [_refusal("split", error)]


def _refusal(name: str, error: InputError) -> Finding:
    return Finding(name, ATTENTION, error.rule, error.hint, on_terminal=f"received: {error.received}")


def _measured(prepared: Prepared, task: Task) -> list[Finding]:
    """Sizes, spacings and intensities of all records."""
    shapes, spacings, means, deviations, placed, twins, empty, few = [], [], [], [], [], [], [], []
    pictures = []
    channels = [name for name in task.channels if not name.startswith(PRESENCE)]
    places = [task.channels.index(name) for name in channels]
    pairs = list(itertools.combinations(places, 2))
    with progress("looking at records", len(prepared)) as advance:
        for position in range(len(prepared)):
            record = prepared.record(position)
            facts = record.facts
            if "source_shape" in facts:
                affine = np.array(facts["source_affine"]).reshape(4, 4)
                shapes.append(facts["source_shape"])
                spacings.append(np.linalg.norm(affine[:3, :3], axis=0))
            if "picture_size" in facts:
                columns, rows = facts["picture_size"]
                pictures.append(f"{columns} x {rows} {facts['file_format']}")
            placed.append(facts.get("sequences_apart"))
            image = record.own_slice.reshape(-1, len(task.channels)).astype(np.float32)
            # Of single images the channels may be colours, which are the same in grey ones.
            if "source_shape" in facts and any(
                (image[:, a] == image[:, b]).all() and image[:, a].any() for a, b in pairs
            ):
                twins.append(position)
            if record.mask is not None and record.mask.min() == record.mask.max():
                empty.append(position)
            few.append([share_of_few_values(image[:, place]) for place in places])
            means.append(image.mean(axis=0))
            deviations.append(image.std(axis=0))
            advance(position + 1)
    found = []
    if shapes:
        axes = ("x", "y", "z")
        found.append(outliers("sizes", np.array(shapes, float), "voxels", axes))
        found.append(outliers("spacings", np.array(spacings), "mm", axes))
        found.append(extents(np.array(shapes, float) * np.array(spacings)))
    if task.kind == "classification" and len(pictures) == len(prepared):
        found.append(classes_by_kind_of_picture(prepared.labels, prepared.patients, pictures))
    if len(channels) > 1 and shapes:
        found.append(alignment(placed))
    if presence := [name for name in task.channels if name.startswith(PRESENCE)]:
        found.append(_missing(np.array(means), task, presence))
    names = [f"mean of {name}" for name in channels] + [f"SD of {name}" for name in channels]
    values = np.hstack([np.array(means)[:, places], np.array(deviations)[:, places]])
    blank = np.flatnonzero((np.array(deviations)[:, places] == 0).all(axis=1))
    least = LEAST_DEVIATION * float(np.median(np.array(deviations)[:, places]))
    found.append(outliers("intensities", values, "", names, least))
    found += few_values(np.array(few))
    if twins:
        found.append(
            Finding(
                "same images", ATTENTION, f"{len(twins)} records hold the same image in two channels",
                "Look at these files: one of them is a copy of the other.", tuple(twins),
            )
        )  # fmt: skip
    if empty:
        found.append(
            Finding(
                "masks", ATTENTION, f"{len(empty)} records have a mask with one value everywhere",
                "Look at these masks.", tuple(empty),
            )
        )  # fmt: skip
    if len(blank):
        found.append(
            Finding(
                "blank images", ATTENTION, f"{len(blank)} records have one value everywhere",
                "Look at these records.", tuple(int(one) for one in blank),
            )
        )  # fmt: skip
    return found


def _missing(means: np.ndarray, task: Task, presence: list[str]) -> Finding:
    """How many records lack a sequence, by the channels that say which are there.

    `means` is (records, channels): such a channel is 0 everywhere, or 1 with 0 around it.
    """
    lacking = {
        name: np.flatnonzero(means[:, task.channels.index(name)] == 0).tolist() for name in presence
    }
    known = {name.removeprefix(PRESENCE): where for name, where in lacking.items() if where}
    if not known:
        return Finding("sequences", GOOD, "no sequence is missing")
    text = ", ".join(f"{name} in {len(where)} records" for name, where in known.items())
    records = tuple(sorted({position for where in known.values() for position in where}))
    advice = (
        "A missing sequence is stored as zeros, and its channel has_NAME is 0. See whether it is "
        "missing about equally often in every class: if not, a network can learn the class from that."
    )
    return Finding("sequences", ATTENTION, f"missing: {text}", advice, records)


def _network(task: Task, features: Task | None) -> Finding:
    try:
        check_network(task, features)
    except InputError as error:
        return _refusal("network", error)
    shape = " x ".join(map(str, (*task.network_shape, len(task.image_channels))))
    return Finding("network", GOOD, f"{task.model} takes images of {shape}")
