"""Sites and subgroups of a study: sections of its report."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from mri_tf import metrics
from mri_tf.audit.site_gap import SITE_STUDY
from mri_tf.evaluate.groups import groups_of
from mri_tf.folds.design import Plan
from mri_tf.metrics.subgroups import subgroups
from mri_tf.metrics.within_sites import FEWEST_OF_CLASS, too_small, within_sites
from mri_tf.splits.leakage import counted_as_images
from mri_tf.store.prepared import Prepared
from mri_tf.study.method import KEYS
from mri_tf.study.pictures import key_of
from mri_tf.tables.sites import site_table, subgroup_table
from mri_tf.tables.study import size_text
from mri_tf.task import Task

OTHER_STUDY = (
    "How much of a cross-validation rests on the sites: run the same command with --leave-one-site-out "
    f"and the folder {SITE_STUDY} in this study's folder as --out; then python -m mri_tf.audit --study "
    "with this study's folder says the difference."
)
OTHER_FOLDS = (
    "How much a cross-validation is above this: run the same command with --folds 5 instead of "
    f"--leave-one-site-out, and another --out. Where this study lies in the folder {SITE_STUDY} of that "
    "one, python -m mri_tf.audit --study with that one's folder says the difference."
)


@dataclass(frozen=True)
class StudyData:
    """What a report knows of the records beside their labels.

    Attributes:
        prepared: the set of the first variant.
        notes: who is in no fold, in sentences.
    """

    prepared: Prepared
    notes: tuple[str, ...] = ()


def site_numbers(
    predictions: pd.DataFrame, task: Task, data: StudyData | None, unit: str
) -> dict[tuple[str, float | None], dict]:
    """`within_sites` and `subgroups` of metrics.json by `key_of` variant and size, each only where there
    is something to tell.

    Args:
        predictions: of the finished cells, with variant, repeat, fold and train_size.
        task: of the study.
        data: of `write_report`; without it there are no subgroups.
        unit: what is counted: patients, or groups of images.
    """
    found, kinds = {}, _kinds(predictions, data)
    for key, table in predictions.groupby(KEYS, dropna=False, sort=False):
        values = {name: value for name, value in _numbers(table, task, kinds).items() if value}
        found[key_of(*key)] = values if unit == "patients" else counted_as_images(values)
    return found


def site_parts(
    numbers_of: dict[tuple[str, float | None], dict], predictions: pd.DataFrame, plan: Plan,
    data: StudyData | None,
) -> dict[str, str]:  # fmt: skip
    """The AUC within sites of every variant and size, and the subgroups of each, by title.

    Args:
        numbers_of: with those of `site_numbers`.
        predictions: of the finished cells.
        plan: of the study, with the sites that it holds out, if it does.
        data: of `write_report`.
    """
    sites, groups = [], {}
    for (variant, size), found in numbers_of.items():
        name = variant + ("" if size is None else f", {size_text(size)} samples per class")
        if "within_sites" in found:
            sites.append(f"**{name}**\n\n{site_table(found['within_sites'])}")
        if "subgroups" in found:
            groups[f"Subgroups: {name}"] = subgroup_table(found["subgroups"])
    parts = {}
    if plan.sites:
        texts = [_held_out(predictions, plan, data), *sites, OTHER_FOLDS]
        parts["Sites, each held out as a whole"] = "\n\n".join(texts)
    elif sites:
        parts["Within sites"] = "\n\n".join([*sites, OTHER_STUDY])
    return parts | groups


def _numbers(table: pd.DataFrame, task: Task, kinds: dict[str, dict[str, str]]) -> dict:
    """The AUC within sites and the subgroups of one variant and size; `kinds` are of `_kinds`."""
    scored, names = metrics.predictions_of(table, task.class_names), task.class_names
    folds = (table["repeat"].astype(str) + "-" + table["fold"].astype(str)).to_numpy()
    groups = {kind: table["record_id"].map(of).to_numpy(str) for kind, of in kinds.items()}
    return {
        "within_sites": within_sites(scored, table["site"].to_numpy(), names, folds),
        "subgroups": subgroups(scored, groups, names, folds),
    }


def _kinds(predictions: pd.DataFrame, data: StudyData | None) -> dict[str, dict[str, str]]:
    """Kind of group -> group of each record id; nothing where the records are not those of the set.

    Every record is read once for all variants and sizes.
    """
    wanted = set(predictions["record_id"])
    if data is None or not wanted <= set(data.prepared.record_ids):
        return {}
    records = np.flatnonzero(np.isin(data.prepared.record_ids, sorted(wanted)))
    names = data.prepared.record_ids[records]
    found = groups_of(data.prepared, records)
    return {kind: dict(zip(names, groups, strict=True)) for kind, groups in found.items()}


def _held_out(predictions: pd.DataFrame, plan: Plan, data: StudyData | None) -> str:
    """Which sites were tested, who was left out, and which are too small to stand alone."""
    one = predictions[["patient", "site", "truth"]].drop_duplicates()
    counts = {site: rows["truth"].value_counts().to_dict() for site, rows in one.groupby("site")}
    small = [site for site in plan.sites if too_small(counts.get(site, {}))]
    lines = [f"Held out, one after the other: {', '.join(plan.sites)}."]
    if small:
        lines.append(
            f"Too small to stand alone (fewer than {FEWEST_OF_CLASS} patients of each of two classes), "
            f"and kept in the mean: {', '.join(small)}."
        )
    notes = data.notes if data else ()
    return "\n".join(f"- {line}" for line in [*lines, *(f"{note}." for note in notes)])
