"""Makes derived sets: prepared sets with the mask that a segmentation network predicts for each record.

The box around a tumour needs a mask, and a new patient only has the predicted one. So boxes are cut
around manual masks in training, and in validation and test around masks predicted for patients that the
segmentation network never saw.
"""

import dataclasses
from pathlib import Path

import numpy as np

from data_prep.prepare.shards import ShardWriter, drop_journal
from mri_tf.core.errors import InputError
from mri_tf.core.progress import progress
from mri_tf.network.build import load_network
from mri_tf.network.inference import predict_whole
from mri_tf.pipeline.histogram_matching import matched_and_normalised
from mri_tf.store.prepared import MANIFEST, PRIVATE, Prepared, read_private
from mri_tf.store.run import Run
from mri_tf.task import Task


def _check_fits(run: Run, prepared: Prepared) -> None:
    """Raises InputError unless the run is a segmentation that takes these records."""
    task = run.task
    if task.kind != "segmentation":
        raise InputError(
            "Masks can only be predicted by the run of a segmentation task.",
            f"{run.folder}, a run of {task.name}", "Choose another run.",
        )  # fmt: skip
    shape, wanted = (*task.image_shape, len(task.image_channels)), task.image_channels
    channels = tuple(prepared.manifest["channels"])
    if prepared.image_shape != shape or channels != wanted:
        raise InputError(
            f"The prepared set does not fit the run of {task.name}, which takes images of shape {shape} "
            f"with the channels {', '.join(wanted)}.",
            f"{prepared.folder} with shape {prepared.image_shape}, channels {', '.join(channels)}",
            "Prepare the set with the same grid and channels.",
        )
    needed, found = (_intensities(one) for one in (task, prepared))
    if needed != found:
        raise InputError(
            f"The run of {task.name} takes records of {needed}.", f"{prepared.folder} with {found}",
            "Train both networks with the same normalize.",
        )  # fmt: skip


def _intensities(of: Task | Prepared) -> str:
    """What preparation makes of intensities."""
    if of.by_white_matter:
        return "z-scores by white matter"
    return "z-scores inside the brain" if of.standardised else "intensities"


def derive_set(run: Run, prepared: Prepared, out: Path) -> Prepared:
    """Writes a copy of a prepared set in which each record has a predicted mask.

    The set appears under `out` when it is complete. An interrupted call continues where it stopped; a
    complete set of the same run and data is returned unchanged.

    Args:
        run: a finished run of a segmentation task.
        prepared: the set to copy.
        out: a new folder.

    Raises:
        InputError: the run does not fit the set, or `out` holds other files.
    """
    _check_fits(run, prepared)
    identity = {key: prepared.manifest.get(key) for key in ("task", "prep", "layout", "sources", "salt")}
    derived = {
        "task": run.task.name,
        "weights": run.values["weights_sha256"],
        "data": prepared.content_fingerprint(),
        "seen": run.values["seen"],
    }
    out = Path(out).absolute()
    if (out / MANIFEST).is_file():
        drop_journal(out)
        existing = Prepared.open(out)
        if existing.manifest.get("derived") == derived:
            return existing
    if out.exists() and any(out.iterdir()):
        raise InputError(
            "The output folder already holds other files.",
            f"{out}, not a derived set of this run and data", "Choose another --out folder.",
        )  # fmt: skip
    writer = ShardWriter(out, {**identity, "derived": derived}, lambda source, state: True)
    model = load_network(run)
    with progress(f"masks of {run.task.name}", len(prepared)) as advance:
        for position in range(writer.cases_done, len(prepared)):
            record = prepared.record(position)
            predicted = _predicted(model, run, record)
            writer.add([dataclasses.replace(record, predicted_mask=predicted)], [])
            advance(position + 1)
    if out.exists():
        out.rmdir()
    manifest = {**prepared.manifest, "derived": derived}
    writer.finish(manifest, read_private(prepared.folder / PRIVATE))
    return Prepared.open(out)


def _predicted(model, run: Run, record) -> np.ndarray:
    """(depth, rows, columns) uint8: 1 where any label but background is the most probable."""
    images = np.asarray(record.image, np.float32)[None]
    stats, fitted = record.intensity_stats[None], run.values["fitted"]
    inputs = matched_and_normalised(images, stats, run.task, fitted)
    return (predict_whole(model, run.task, inputs)[0].argmax(axis=-1) > 0).astype(np.uint8)
