"""Fits the correction of sites or scanners to the stored features of a probe's training side."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from mri_tf.core.errors import InputError
from mri_tf.core.hashing import file_hash
from mri_tf.core.words import plural
from mri_tf.metrics.combat import fit_combat
from mri_tf.metrics.logistic import Rows
from mri_tf.network.combat import FILE, correction_of, save_correction
from mri_tf.pipeline.subset import COMBAT_KNOWN, Subset
from mri_tf.store.scanners import batches_of, numbers_of
from mri_tf.task.harmonise import combat_batch
from mri_tf.train.feed import StoredSide

LEAST_PATIENTS = 3  # of a site or scanner whose features are corrected


def known_batches(training: Subset) -> dict[str, int]:
    """Name of each site or scanner whose features are corrected -> its training patients, sorted; none
    where fewer than two have enough patients.

    Raises InputError where the training records do not name two.
    """
    return _known_of(_patients_of_batches(training), combat_batch(training.task))


def _known_of(counts: dict[str, int], kind: str) -> dict[str, int]:
    """Those of `_patients_of_batches` that are corrected; raises InputError where there are not two."""
    if len(counts) < 2:
        raise InputError(
            f"harmonise.method combat needs training records of two {kind}s.",
            f"{plural(len(counts), kind)}" if counts else f"no training record names its {kind}",
            f"Name each record's {kind} in a column {kind} of the table, or set harmonise={{}}.",
        )  # fmt: skip
    known = {name: count for name, count in counts.items() if count >= LEAST_PATIENTS}
    return known if len(known) > 1 else {}


def _patients_of_batches(training: Subset) -> dict[str, int]:
    """Name of each site or scanner -> its training patients, sorted."""
    names = batches_of(training.prepared, training.records, combat_batch(training.task))
    patients = training.prepared.patients[training.records]
    return {name: len(set(patients[names == name])) for name in sorted(set(names) - {""})}


def combat_sentence(known: int, found: int, kind: str) -> str:
    """Says how many of the sites or scanners that were found are corrected, and why others are not."""
    said = f"features of {known} of {plural(found, kind)} on the training side are corrected"
    if known == found:
        return said
    return f"{said}: {found - known} not, as two with {LEAST_PATIENTS} training patients each are needed"


def without_batches(
    sides: tuple[StoredSide, StoredSide], rows: tuple[Rows, Rows], folder: Path
) -> list[Rows]:
    """Both sides with the features corrected by what the images of the training side fit; the correction
    is written into the run's folder."""
    subset = sides[0].source.subset
    kind, counts = combat_batch(subset.task), _patients_of_batches(subset)
    known = list(_known_of(counts, kind))
    numbers = []
    for side in sides:
        records = side.source.wanted // (1 + side.source.copies)
        numbers.append(numbers_of(batches_of(subset.prepared, records, kind), known))
    fitted_on = rows[0].plain & (numbers[0] > 0)
    print(combat_sentence(len(known), len(counts), kind))
    tables = [np.zeros((0, rows[0].features.shape[1]))] * 2
    if known:
        combat = fit_combat(
            rows[0].features[fitted_on], numbers[0][fitted_on] - 1, rows[0].labels[fitted_on]
        )
        tables = [combat.factors, combat.offsets]
    found = correction_of(*tables)
    save_correction(found, folder)
    return [replace(one, features=found.of(one.features, own))
            for one, own in zip(rows, numbers, strict=True)]  # fmt: skip


def fitted_combat(training: Subset, folder: Path) -> dict:
    """What run.json holds of the correction in a run's folder; {} where the task corrects nothing."""
    if not combat_batch(training.task):
        return {}
    known = known_batches(training)
    about = {"batches": list(known), "patients": list(known.values())}
    return {COMBAT_KNOWN: {**about, "sha256": file_hash(folder / FILE)}}
