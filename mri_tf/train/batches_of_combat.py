"""Fits the correction of sites or scanners to the stored features of a probe's training side."""

from dataclasses import replace
from pathlib import Path

from mri_tf.core.errors import InputError
from mri_tf.core.hashing import file_hash
from mri_tf.core.words import plural
from mri_tf.metrics.combat import fit_combat
from mri_tf.metrics.logistic import Rows
from mri_tf.network.combat import FILE, correction_of, save_correction
from mri_tf.pipeline.subset import COMBAT_KNOWN, Subset
from mri_tf.store.scanners import batches_of, numbers_of
from mri_tf.task.settings import combat_batch
from mri_tf.train.feed import StoredSide

LEAST_PATIENTS = 3  # of a site or scanner whose features are corrected


def known_batches(training: Subset) -> dict[str, int]:
    """Name of each site or scanner whose features are corrected -> its training patients, sorted.

    Raises InputError where there are not two.
    """
    kind = combat_batch(training.task)
    names = batches_of(training.prepared, training.records, kind)
    patients = training.prepared.patients[training.records]
    counts = {name: len(set(patients[names == name])) for name in sorted(set(names) - {""})}
    known = {name: count for name, count in counts.items() if count >= LEAST_PATIENTS}
    if len(known) < 2:
        found = f"{plural(len(counts), kind)} on the training side"
        raise InputError(
            f"harmonise.method combat needs two {kind}s of {LEAST_PATIENTS} training patients or more.",
            f"{found}, {len(known)} with as many" if counts else f"no training record names its {kind}",
            f"Name each record's {kind} in a column {kind} of the table, or set harmonise={{}}.",
        )  # fmt: skip
    return known


def without_batches(
    sides: tuple[StoredSide, StoredSide], rows: tuple[Rows, Rows], folder: Path
) -> list[Rows]:
    """Both sides with the features corrected by what the images of the training side fit; the correction
    is written into the run's folder."""
    subset = sides[0].source.subset
    kind, known = combat_batch(subset.task), list(known_batches(subset))
    numbers = []
    for side in sides:
        records = side.source.wanted // (1 + side.source.copies)
        numbers.append(numbers_of(batches_of(subset.prepared, records, kind), known))
    fitted_on = rows[0].plain & (numbers[0] > 0)
    combat = fit_combat(
        rows[0].features[fitted_on], numbers[0][fitted_on] - 1, rows[0].labels[fitted_on]
    )
    found = correction_of(combat.factors, combat.offsets)
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
