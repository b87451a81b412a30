"""Derived sets: a prepared set with what a segmentation network says of each study beside its mask.

A tumour's box needs a mask, and a new patient has none but the network's. So training cuts around
the manual mask, validation and test around the predicted one, and nobody whom the network was
trained on may be in either.
"""

import dataclasses
from pathlib import Path

import numpy as np

from data_prep.prepare.provenance import read_private
from data_prep.prepare.shards import ShardWriter, drop_journal
from mri_tf.core.errors import InputError
from mri_tf.core.progress import progress
from mri_tf.network.build import load_network
from mri_tf.network.inference import predict_whole
from mri_tf.pipeline.normalize import normalize
from mri_tf.store.prepared import MANIFEST, PRIVATE, Prepared
from mri_tf.store.run import Run


def check_segments(run: Run, prepared: Prepared) -> None:
    """Raises InputError unless the run is a segmentation that takes these records."""
    task = run.task
    if task.kind != "segmentation":
        raise InputError(
            "Masks are predicted by a segmentation run.", f"{run.folder} of {task.name}",
            "Name a run of a segmentation task.",
        )  # fmt: skip
    shape = (*task.image_shape, len(task.channels))
    if prepared.image_shape != shape or tuple(prepared.manifest["channels"]) != task.channels:
        raise InputError(
            f"A run of {task.name} takes records of {shape}, channels {', '.join(task.channels)}.",
            f"{prepared.folder} with {prepared.image_shape}, "
            f"{', '.join(prepared.manifest['channels'])}",
            "Prepare both sets alike.",
        )


def derive_set(run: Run, prepared: Prepared, out: Path) -> Prepared:
    """Writes the set with predicted masks, or continues; nothing under `out` until it is whole."""
    check_segments(run, prepared)
    identity = {
        key: prepared.manifest.get(key) for key in ("task", "prep", "layout", "sources", "salt")
    }
    derived = {
        "task": run.task.name,
        "weights": run.values["weights_sha256"],
        "data": prepared.content_fingerprint(),
        "seen": run.values["seen"],
    }
    out = Path(out).absolute()
    if (out / MANIFEST).is_file():
        drop_journal(out)
        found = Prepared.open(out)
        if found.manifest.get("derived") == derived:
            return found
    if out.exists() and any(out.iterdir()):
        raise InputError(
            "A derived set is written into a new folder.", f"{out}, of another run or data",
            "Name another --out.",
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
    inputs = normalize(images, record.intensity_stats[None], run.task.normalize)
    return (predict_whole(model, run.task, inputs)[0].argmax(axis=-1) > 0).astype(np.uint8)
