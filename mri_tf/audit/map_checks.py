"""What happens to the maps of a network when it forgets what it learned, when another training made it,
and when its image is mirrored.

All numbers are of held-out records, one a patient; maps are of the class that the trained network finds
most probable.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from mri_tf.audit.judged import Judged, batch_size
from mri_tf.audit.measured import channel_names, view_of
from mri_tf.core.progress import progress
from mri_tf.explain.attribution import PARTS, Attribution, attribution_shares
from mri_tf.explain.maps import SHELL_VOXELS, Explained, network_affine
from mri_tf.explain.methods import METHODS, Maps
from mri_tf.explain.randomised import Cascade
from mri_tf.explain.saliency import layer_to_explain
from mri_tf.metrics.map_similarity import rank_correlation, structural_similarity
from mri_tf.network.bags import slice_classifier
from mri_tf.network.build import build_run_network
from mri_tf.store.record import Record
from mri_tf.task import Task

JUDGED_SHARE = 1 / 2  # of the layers, from the output on, that are random where a method is judged
STEPS = 4  # of the cascade that are looked at, beside the one that is judged
DRAWS = 3  # of random weights, whose mean is judged
LARGE = 2**20  # values of an image, from which on fewer records are looked at, of one draw and step
OF_LARGE_IMAGES = 8  # records
FLIPS = {"rows": -3, "front_back": -3, "columns": -2, "left_right": -2, "depth": -4, "head_foot": -4}
PART = "part"  # of an image, in which a share of the map lies
SIDEWAYS = "columns"  # the axis that is mirrored where the training mirrored none


@dataclass(frozen=True)
class MethodChecks:
    """How alike the maps of one method are: rank correlations with the map of the trained network.

    Attributes:
        random: (records,) with the last half of the layers random, means over the draws.
        structure: (records,) structural similarity of the same.
        cascade: share of the layers that are random -> mean rank correlation.
        seeds: (records,) of another training of the same task; None where there is none.
        exchanged: (records,) of a network trained on exchanged labels; None where there is none.
        mirrored: (records,) of the mirrored image, mirrored back.
        not_mirrored: (records,) of the mirrored image, not mirrored back.
        enrichment: part of the image -> how many times its share of the volume the map has there.
    """

    random: np.ndarray
    structure: np.ndarray
    cascade: dict[float, float]
    seeds: np.ndarray | None
    exchanged: np.ndarray | None
    mirrored: np.ndarray
    not_mirrored: np.ndarray
    enrichment: dict[str, float]


def flip_axis(task: Task) -> tuple[str, bool]:
    """The axis along which images are mirrored, and whether the training mirrored them along it."""
    flip = task.augment.get("random_flip")
    if flip is None or not task.augment_probability:
        return SIDEWAYS, False
    return flip.get("axis", SIDEWAYS), True


def check_maps(
    judged: Judged, others: Sequence[keras.Model], exchanged: Sequence[keras.Model], seed: int = 0
) -> dict[str, MethodChecks]:
    """The checks of each method of explanation, by its name.

    Args:
        judged: a network for which `has_maps` holds, and its records.
        others: networks of the same task trained with other seeds; the first one is used.
        exchanged: networks of the same task trained on exchanged labels; the first one is used.
        seed: of the fresh weights.
    """
    subset = judged.held_out
    large = np.prod(subset.prepared.image_shape) > LARGE
    if large:
        subset = subset.of(subset.records[:OF_LARGE_IMAGES])
    layer = layer_to_explain(judged.model, "")
    maps = Maps(judged.model, layer)
    fresh = [_fresh(judged, seed + draw) for draw in range(1 if large else DRAWS)]
    cascade = Cascade(judged.model, fresh)
    judged_at = max(1, round(JUDGED_SHARE * cascade.depth))
    steps = [] if large else [step for step in cascade.stages(STEPS) if step != judged_at]
    beside = {"seeds": others, "exchanged": exchanged}
    beside = {name: Maps(models[0], layer) for name, models in beside.items() if models}
    found = {name: _Rows() for name in METHODS}
    axis = FLIPS[flip_axis(subset.task)[0]]
    with progress("checking explanations", len(subset)) as advance:
        done = 0
        for images, _, _ in subset.eval_batches(batch_size(subset)):
            cascade.restore()
            labels = tf.argmax(judged.model.predict_on_batch(images), axis=-1, output_type=tf.int32)
            trained = maps.of(images, labels)
            for record in range(len(images)):
                _add_enrichment(found, trained, judged, (record, int(subset.records[done + record])))
            turned = maps.of(tf.reverse(images, [images.shape.rank + axis]), labels)
            back = {name: np.flip(values, axis + 1) for name, values in turned.items()}
            _compare(found, trained, back, "mirrored")
            _compare(found, trained, turned, "not_mirrored")
            for name, other in beside.items():
                _compare(found, trained, other.of(images, labels), name)
            for count, draw in [(step, 0) for step in steps] + [
                (judged_at, draw) for draw in range(cascade.draws)
            ]:
                cascade.randomise(count, draw)
                changed = maps.of(images, labels)
                _compare(found, trained, changed, (count, draw))
                if (count, draw) == (judged_at, 0):
                    _compare(found, trained, changed, "structure", structural_similarity)
            done += len(images)
            advance(done)
    cascade.restore()
    return {name: _checks(rows, judged_at, cascade.depth) for name, rows in found.items()}


def _fresh(judged: Judged, seed: int) -> keras.Model:
    """The network as it is before training."""
    keras.utils.set_random_seed(seed)
    network = build_run_network(judged.run)
    return slice_classifier(network) if judged.run.task.bag else network


class _Rows:
    """Numbers of one method, a row a record."""

    def __init__(self):
        self.values: dict[object, list[float]] = {}

    def add(self, key: object, value: float) -> None:
        self.values.setdefault(key, []).append(value)

    def of(self, key: object) -> np.ndarray | None:
        return np.array(self.values[key]) if key in self.values else None


def _compare(found, trained, other, key, similarity=rank_correlation) -> None:
    for name, rows in found.items():
        for one, changed in zip(trained[name], other[name], strict=True):
            rows.add(key, similarity(one, changed))


def _checks(rows: _Rows, judged_at: int, depth: int) -> MethodChecks:
    steps = sorted(key for key in rows.values if isinstance(key, tuple) and key[0] != PART)
    random = np.mean([rows.of(key) for key in steps if key[0] == judged_at], axis=0)
    cascade = {count / depth: _mean(rows.of((count, 0))) for count, draw in steps if draw == 0}
    enrichment = {part: _mean(rows.of((PART, part))) for part in PARTS}
    return MethodChecks(
        random, rows.of("structure"), {**cascade, judged_at / depth: _mean(random)},
        rows.of("seeds"), rows.of("exchanged"), rows.of("mirrored"), rows.of("not_mirrored"),
        {part: value for part, value in enrichment.items() if np.isfinite(value)},
    )  # fmt: skip


def _mean(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")


def _add_enrichment(found, trained, judged: Judged, which: tuple[int, int]) -> None:
    """Where the maps of a record lie; `which` is its place in the batch and its position in the set."""
    place, position = which
    subset = judged.held_out
    record: Record = subset.prepared.record(position)
    view, head = view_of(record, channel_names(subset.prepared, record), subset.task.modality)
    inside = head.inside if record.own_slice.ndim == 4 else head.inside[0]
    if not head.ends_in_image:
        inside = np.ones_like(inside)
    mask = record.mask > 0 if record.mask is not None else None
    affine = network_affine(subset.task, record, subset.fitted)
    even = None
    for name, rows in found.items():
        values = trained[name][place]
        lies = Explained(record, np.zeros(0), 0, values, None, affine)
        if even is None:
            even = attribution_shares(
                lies.on_prepared_grid(np.ones_like(values)), inside, mask, SHELL_VOXELS
            )
        shares = attribution_shares(lies.on_prepared_grid(values), inside, mask, SHELL_VOXELS)
        for part in PARTS:
            rows.add((PART, part), Attribution(shares, even).enrichment(part))
