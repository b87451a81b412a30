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
from mri_tf.study.method import KEYS, size_text
from mri_tf.tables.sites import site_table, subgroup_table
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


def site_parts(
    predictions: pd.DataFrame, task: Task, plan: Plan, data: StudyData | None, unit: str
) -> dict[str, str]:
    """The AUC within sites of every variant and size, and the subgroups of each, by title.

    Args:
        predictions: of the finished cells, with variant, repeat, fold and train_size.
        task: of the study.
        plan: of the study, with the sites that it holds out, if it does.
        data: of `write_report`; without it there are no subgroups.
        unit: what is counted: patients, or groups of images.
    """
    sites, groups = [], {}
    for (variant, size), table in predictions.groupby(KEYS, dropna=False, sort=False):
        name = variant + ("" if np.isnan(size) else f", {size_text(size)} samples per class")
        found = _numbers(table, task, data)
        found = found if unit == "patients" else counted_as_images(found)
        if found["within"]:
            sites.append(f"**{name}**\n\n{site_table(found['within'])}")
        if found["subgroups"]:
            groups[f"Subgroups: {name}"] = subgroup_table(found["subgroups"])
    parts = {}
    if plan.sites:
        texts = [_held_out(predictions, plan, data), *sites, OTHER_FOLDS]
        parts["Sites, each held out as a whole"] = "\n\n".join(texts)
    elif sites:
        parts["Within sites"] = "\n\n".join([*sites, OTHER_STUDY])
    return parts | groups


def _numbers(table: pd.DataFrame, task: Task, data: StudyData | None) -> dict:
    scored, names = metrics.predictions_of(table, task.class_names), task.class_names
    folds = (table["repeat"].astype(str) + "-" + table["fold"].astype(str)).to_numpy()
    found = {"within": within_sites(scored, table["site"].to_numpy(), names, folds), "subgroups": []}
    if data is not None:
        place = {name: position for position, name in enumerate(data.prepared.record_ids)}
        # A further variant may have a set of its own, whose records are others.
        if set(table["record_id"]) <= set(place):
            records = np.array([place[name] for name in table["record_id"]])
            found["subgroups"] = subgroups(scored, groups_of(data.prepared, records), names, folds)
    return found


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
