"""A copy of a prepared set whose records have other labels, for trainings on exchanged labels."""

import dataclasses
from collections import Counter
from pathlib import Path

import numpy as np

from data_prep.prepare.shards import ShardWriter, drop_journal
from mri_tf.core.hashing import fingerprint
from mri_tf.core.progress import progress
from mri_tf.store.prepared import MANIFEST, Prepared

RELABELLED = "relabelled"  # in the manifest: the labels are not those of the patients


def relabelled_set(prepared: Prepared, labels: np.ndarray, out: Path) -> Prepared:
    """Writes the copy; it has no sidecar that maps records to files.

    The set appears under `out` when it is complete; an interrupted call is continued by repeating it.

    Args:
        prepared: the set.
        labels: (records,) class number of each record.
        out: a new folder, or that of the same copy.
    """
    out = Path(out).absolute()
    identity = {RELABELLED: fingerprint([prepared.content_fingerprint(), labels.tolist()])}
    if (out / MANIFEST).is_file():
        drop_journal(out)
        return Prepared.open(out)
    writer = ShardWriter(out, identity, lambda source, state: True)
    with progress("labels exchanged in a copy of the set", len(prepared)) as advance:
        for position in range(writer.cases_done, len(prepared)):
            record = dataclasses.replace(prepared.record(position), label=int(labels[position]))
            writer.add([record], [])
            advance(position + 1)
    counts = Counter(labels.tolist())
    per_class = {name: counts[number] for number, name in enumerate(prepared.class_names)}
    manifest = {**prepared.manifest, **identity}
    manifest["counts"] = {**manifest.get("counts", {}), "per_class": per_class}
    writer.finish(manifest, [])
    return Prepared.open(out)
