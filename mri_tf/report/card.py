"""A card from its sections: of a run, of a model of several members, of a study."""

from dataclasses import fields, is_dataclass, replace
from pathlib import Path

from mri_tf.core.files import write_atomic
from mri_tf.core.words import plural
from mri_tf.report.about_data import data, split
from mri_tf.report.about_model import model
from mri_tf.report.audited import audit
from mri_tf.report.blocks import Figure, Picture, Section
from mri_tf.report.checklist import checklist
from mri_tf.report.examples import explanations, failures
from mri_tf.report.flow import flow
from mri_tf.report.groups import baselines, subgroups
from mri_tf.report.limits import limits, more_patients
from mri_tf.report.material import (
    MEMBERS,
    STUDY,
    Material,
    material_of_run,
    material_of_study,
)
from mri_tf.report.options import Options
from mri_tf.report.page import page
from mri_tf.report.performance import performance
from mri_tf.report.probabilities import probabilities
from mri_tf.report.reproduce import reproduce, task_values
from mri_tf.report.segmented import overlap, worst_volumes
from mri_tf.report.small_cells import numbers_without_small_counts, without_small_counts
from mri_tf.report.verdict import audit_status, audit_verdict, question_of, verdict
from mri_tf.store.run import CARD

OF_CLASSIFIERS = (
    verdict, flow, data, split, model, performance, probabilities, subgroups, baselines, audit,
    explanations, failures, more_patients, limits, reproduce,
)  # fmt: skip
OF_SEGMENTATIONS = (
    verdict, flow, data, split, model, overlap, audit, worst_volumes, limits, reproduce,
)  # fmt: skip


def card_of_run(folder: Path, out: Path | None = None, options: Options | None = None) -> Path:
    """Writes the card of a run into its folder, or elsewhere; returns the path.

    Raises InputError for a folder without a finished run.
    """
    return write_card(material_of_run(folder), out or Path(folder) / CARD, options or Options())


def card_of_study(folder: Path, out: Path | None = None, options: Options | None = None) -> Path:
    """Writes the card of a study into its folder, or elsewhere; returns the path.

    Raises InputError for a folder without a finished cell.
    """
    return write_card(material_of_study(folder), out or Path(folder) / CARD, options or Options())


def sections_of(material: Material, options: Options) -> list[Section]:
    """All sections of a card in their order."""
    makers = OF_CLASSIFIERS if material.is_classifier else OF_SEGMENTATIONS
    sections = [make(material, options) for make in makers]
    sections.append(checklist({one.name for one in sections}, material.kind))
    if options.smallest_cell:
        sections = [_hidden(one, options.smallest_cell) for one in sections]
    return sections


def write_card(material: Material, out: Path, options: Options) -> Path:
    """Writes the page of the material; returns its path."""
    name = material.task.name
    what = {STUDY: "study", MEMBERS: "cross-validated model"}.get(material.kind, "run")
    text = page(
        f"Card of {name}", f"A {what} of mri_tf: {_said(material)}.", sections_of(material, options),
        _embedded(material, options),
    )  # fmt: skip
    write_atomic(out, text.encode())
    return out


def _said(material: Material) -> str:
    if material.kind == STUDY:
        return f"{plural(len(material.runs), 'training')}, {plural(len(material.judged), 'variant')}"
    if material.kind == MEMBERS:
        return f"{len(material.runs)} networks, {material.run.values['split']}"
    return f"one network, split by {material.run.values['split']}"


def _embedded(material: Material, options: Options) -> dict:
    """The numbers behind the page, for programs."""
    values = {
        "kind": material.kind,
        "question": question_of(material),
        "audit": {"verdict": audit_verdict(material), "sentence": audit_status(material)},
        "task": task_values(material.run),
        "numbers": {one.name or "run": one.metrics for one in material.judged},
        "test": material.test or None,
        "findings": material.findings,
        "versions": material.run.values["versions"],
        "code": material.runs[0].values.get("code"),
        "data": material.run.values["data"],
        "weights_sha256": material.run.values.get("weights_sha256"),
        "counts": material.prepared.manifest.get("counts") if material.prepared else None,
    }
    if not options.smallest_cell:
        return values
    return numbers_without_small_counts(values, options.smallest_cell)


def _hidden(block, smallest: int):
    """A section or block without small counts in its texts."""
    if isinstance(block, Figure):
        return replace(block, caption=without_small_counts(block.caption, smallest))
    if isinstance(block, Picture):
        alt, caption = (without_small_counts(text, smallest) for text in (block.alt, block.caption))
        return replace(block, alt=alt, caption=caption)
    if isinstance(block, str):
        return without_small_counts(block, smallest)
    if isinstance(block, tuple):
        return tuple(_hidden(inner, smallest) for inner in block)
    if is_dataclass(block):
        values = {one.name: getattr(block, one.name) for one in fields(block)}
        return replace(block, **{name: _hidden(value, smallest) for name, value in values.items()})
    return block
