"""Leave one site out: every site is held out once as a whole, and the other sites train and validate."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mri_tf.core.errors import InputError, first_few
from mri_tf.core.words import plural
from mri_tf.folds.design import Plan
from mri_tf.splits.known_copies import tied_by_copies_elsewhere
from mri_tf.splits.sides import units_of
from mri_tf.splits.split import split_units
from mri_tf.store.prepared import Prepared
from mri_tf.store.record import NO_LABEL
from mri_tf.task import Task
from mri_tf.task.spec import SIDES


@dataclass(frozen=True)
class SiteFolds:
    """The folds of a study that leaves one site out.

    Attributes:
        plan: with the sites in the order of its folds.
        patients: (repeat, fold) -> {side: patients}.
        notes: what is left out where, in sentences without ids.
    """

    plan: Plan
    patients: dict[tuple[int, int], dict[str, list[str]]]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Records:
    """(records,) columns of the records that a study may use."""

    labels: np.ndarray
    patients: np.ndarray
    units: np.ndarray  # numbers of what stays whole: patients with their groups and copies
    sites: np.ndarray  # "" where nobody knows

    def at(self, site: str) -> np.ndarray:
        """(records,) bool: of a unit that was at a site with any of its records."""
        return np.isin(self.units, self.units[self.sites == site])


def site_folds(
    prepared: Prepared, task: Task, plan: Plan, common: set[str], others: Sequence[Prepared] = ()
) -> SiteFolds:
    """Assigns patients to the sides of every fold; a fold tests one site.

    Patients who were at several sites, or share a group or copies with patients of another site, are
    tested in no fold, and left out of training and validation where one of these sites is tested.
    Patients without a site might be of any: they are in no fold. A site without which no patient of
    some class is left for training is not held out.

    Args:
        prepared: the set whose sites, classes and groups are looked at.
        task: its `split_fractions` say how large the validation side is.
        plan: of the study.
        common: the patients that the prepared sets of all variants hold.
        others: the prepared sets of further variants, whose copies stay together too.

    Raises:
        InputError: fewer than two sites can be held out.
    """
    records, notes = _records(prepared, common, others)
    names = sorted(set(records.sites.tolist()) - {""})
    if len(names) < 2:
        raise _no_sites(names)
    tested, kept = {}, []
    for site in names:
        here = records.at(site)
        elsewhere = (records.sites != site) & (records.sites != "")
        of_others = np.isin(records.units, records.units[elsewhere])
        own, rest = here & ~of_others, ~here
        lost = sorted(set(records.labels.tolist()) - set(records.labels[rest].tolist()))
        if not own.any():
            notes.append(f"site {site} is not held out: all its patients were at other sites too")
        elif lost:
            missing = ", ".join(task.class_names[label] for label in lost if label != NO_LABEL)
            notes.append(f"site {site} is not held out: nobody of {missing} is at other sites")
        elif len(np.unique(records.units[rest])) < 2:
            notes.append(f"site {site} is not held out: fewer than two patients are at other sites")
        else:
            tested[site] = (own, rest)
            kept.append(site)
            dropped = len(set(records.patients[here & of_others].tolist()))
            if dropped:
                notes.append(
                    f"{plural(dropped, 'patient')} of site {site} who were at other sites too, or are "
                    f"tied to patients there, are neither trained on nor tested where {site} is tested"
                )
    if len(kept) < 2:
        raise _no_sites(kept, notes)
    train, validation, _ = task.split_fractions
    inner = (train / (train + validation), validation / (train + validation))
    patients = {}
    for repeat in range(plan.repeats):
        for fold, site in enumerate(kept):
            own, rest = (np.flatnonzero(chosen) for chosen in tested[site])
            sides = split_units(
                records.units[rest], records.labels[rest], inner, [plan.seed, repeat, fold]
            )
            by_side = (rest[sides[0]], rest[sides[1]], own)
            patients[repeat, fold] = {
                name: sorted(set(records.patients[side].tolist()))
                for name, side in zip(SIDES, by_side, strict=True)
            }
    return SiteFolds(replace(plan, folds=len(kept), sites=tuple(kept)), patients, tuple(notes))


def without_site(
    values: dict[str, list[str]], features: Prepared, site: str, prepared: Prepared,
    patients: dict[str, list[str]],
) -> dict[str, list[str]]:  # fmt: skip
    """The sides of a pre-training, with all on its test side who may not help where a site is tested.

    These are the patients of the site and, where sites are named, those without one, also where the
    classifier does not know them; and the classifier's patients who are on no side of the fold.

    Args:
        values: {side: patients} of the pre-training.
        features: its set.
        site: that the fold tests.
        prepared: the classifier's set.
        patients: {side: patients} of the fold.

    Raises:
        InputError: nobody is left to train on or to validate.
    """
    units, sites = units_of(features, "group"), features.sites.astype(str)
    left_out = set(prepared.patients.tolist()).difference(*patients.values())
    away = np.isin(features.patients, sorted(left_out)) | (sites == site)
    if (sites != "").any():
        away |= ~np.isin(units, units[sites != ""])
    names = set(features.patients[np.isin(units, units[away])].tolist())
    train, validation, test = (set(values[side]) for side in SIDES)
    sides = (train - names, validation - names, test | (names & (train | validation)))
    if not sides[0] or not sides[1]:
        raise InputError(
            "--leave-one-site-out leaves nobody to pre-train the features on.",
            f"nobody of other sites than {site}",
            "Use a variant without features, or give data of more sites with --features-data.",
        )  # fmt: skip
    return {name: sorted(side) for name, side in zip(SIDES, sides, strict=True)}


def _records(
    prepared: Prepared, common: set[str], others: Sequence[Prepared]
) -> tuple[_Records, list[str]]:
    """The records of units with a known site, and how many patients have none."""
    positions = np.flatnonzero(np.isin(prepared.patients, sorted(common)))
    patients, sites = prepared.patients[positions], prepared.sites[positions].astype(str)
    units = tied_by_copies_elsewhere(patients, units_of(prepared, "group")[positions], others)
    placed = np.isin(units, units[sites != ""])
    notes = []
    if not placed.all():
        count = len(set(patients[~placed].tolist()))
        notes.append(f"{plural(count, 'patient')} without a site in no fold: they might be of any site")
    found = _Records(
        prepared.labels[positions][placed], patients[placed], units[placed], sites[placed]
    )
    return found, notes


def _no_sites(names: Sequence[str], notes: Sequence[str] = ()) -> InputError:
    if notes:
        return InputError(
            "--leave-one-site-out needs two sites that can be held out.", "; ".join(notes),
            "Use --folds K, or prepare data of more sites.",
        )  # fmt: skip
    received = f"only {first_few(names)}" if names else "no record has a site"
    return InputError(
        "--leave-one-site-out needs patients of two sites or more.", received,
        "Use --folds K; or name the sites in a column site of the table and prepare the set again.",
    )  # fmt: skip
