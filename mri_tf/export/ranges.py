"""Ranges of intensities and sizes on the training side, stored in an export to recognise other input."""

import numpy as np

from mri_tf.core.progress import progress
from mri_tf.export.inputs import box_cut, input_arrays
from mri_tf.export.out_of_distribution import SPACING, fit_ranges, image_statistics, source_sizes
from mri_tf.pipeline.batches import report_damage
from mri_tf.pipeline.subset import run_sides
from mri_tf.store.prepared import Prepared
from mri_tf.store.run import Run

MAX_RECORDS = 500  # of a large training side so many, evenly spread


def training_ranges(run: Run, prepared: Prepared) -> dict:
    """`fit_ranges` over the training side's records, read as a served model is given them.

    Sizes are those that every record of the sample knows; `spacing_mm` (rows, columns) where the
    task resamples slices.
    """
    task, training = run.task, run_sides(run, prepared)[0].thinned()
    count = min(len(training), MAX_RECORDS)
    places = np.linspace(0, len(training) - 1, count).round().astype(int)
    sample = training.of(training.records[places])
    statistics, spacings = [], []
    size = min(count, task.batch_size)
    with report_damage(prepared), progress("ranges of the training side", count) as advance:
        for batch in sample.raw_batches(size, box_cut(task)):
            arrays = input_arrays(batch, task)
            statistics.append(image_statistics(arrays["image"].numpy()))
            if SPACING in arrays:
                spacings.append(arrays[SPACING].numpy())
            advance(min(count, size * len(statistics)))
    sizes = _source_sizes(prepared, sample.records)
    if spacings:
        sizes[SPACING] = np.concatenate(spacings)
    return fit_ranges(np.concatenate(statistics), task.channels, sizes)


def _source_sizes(prepared: Prepared, records: np.ndarray) -> dict[str, np.ndarray]:
    """Name -> (records, axes); reads on only while records know their source's size."""
    found: dict[str, list] = {}
    for number, record in enumerate(records):
        own = source_sizes(prepared.record(int(record)).facts)
        found = {name: found.get(name, []) for name in own if number == 0 or name in found}
        if not found:
            return {}
        for name, values in found.items():
            values.append(own[name])
    return {name: np.array(values) for name, values in found.items()}
