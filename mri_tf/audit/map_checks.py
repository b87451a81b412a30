"""What happens to the maps of a network when it forgets what it learned, when another training made it,
and when its image is mirrored.

All numbers are of held-out records, one a patient; maps are of the class that the trained network finds
most probable.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import keras
import numpy as np
import tensorflow as tf

from mri_tf.audit.foreground import foreground
from mri_tf.audit.judged import Judged, batch_size
from mri_tf.audit.measured import channel_names, view_of
from mri_tf.core.progress import progress
from mri_tf.explain.attribution import PARTS, Attribution, attribution_shares
from mri_tf.explain.maps import SHELL_VOXELS, Explained, network_affine
from mri_tf.explain.methods import METHODS, Maps
from mri_tf.explain.randomised import Cascade
from mri_tf.explain.saliency import layer_to_explain
from mri_tf.metrics.map_similarity import mean_of_known, rank_correlation, structural_similarity
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

    They are of the voxels inside the head or body where that ends in the image: outside of it gradients
    are small in any network, so that all maps of an image are alike where the air is counted too.

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
    cascade = Cascade(
        judged.model, [_fresh(judged, seed + draw) for draw in range(1 if large else DRAWS)]
    )
    judged_at = max(1, round(JUDGED_SHARE * cascade.depth))
    asked = _Asked(
        replace(judged, held_out=subset), Maps(judged.model, layer), cascade, judged_at,
        [] if large else [step for step in cascade.stages(STEPS) if step != judged_at],
        {name: Maps(models[0], layer) for name, models in
         (("seeds", others), ("exchanged", exchanged)) if models},
    )  # fmt: skip
    found, done = {name: _Rows() for name in METHODS}, 0
    with progress("checking explanations", len(subset)) as advance:
        for images, _, _ in subset.eval_batches(batch_size(subset)):
            asked.add(found, images, subset.records[done : done + len(images)])
            done += len(images)
            advance(done)
    cascade.restore()
    return {name: _checks(rows, judged_at, cascade.depth) for name, rows in found.items()}


@dataclass(frozen=True)
class _Asked:
    """What the maps of a batch of images are made with.

    Attributes:
        judged: the network and its records.
        maps: of its network, whose weights `cascade` changes.
        cascade: of the network.
        judged_at: groups of layers that are random where methods are judged.
        steps: other numbers of groups.
        beside: "seeds" and "exchanged" -> maps of the other network.
    """

    judged: Judged
    maps: Maps
    cascade: Cascade
    judged_at: int
    steps: list[int]
    beside: dict[str, Maps]

    def add(self, found: dict[str, "_Rows"], images: tf.Tensor, records: np.ndarray) -> None:
        """Adds what is found of (batch, *grid, channels) images at these positions."""
        self.cascade.restore()
        outputs = self.judged.model.predict_on_batch(images)
        labels = tf.argmax(outputs, axis=-1, output_type=tf.int32)
        trained, inside = self.maps.of(images, labels), _heads(images.numpy())
        axis = FLIPS[flip_axis(self.judged.held_out.task)[0]]
        turned = self.maps.of(tf.reverse(images, [images.shape.rank + axis]), labels)
        back = {name: np.flip(values, axis + 1) for name, values in turned.items()}
        changed = {"mirrored": back, "not_mirrored": turned}
        changed |= {name: other.of(images, labels) for name, other in self.beside.items()}
        draws = [(self.judged_at, draw) for draw in range(self.cascade.draws)]
        for count, draw in [*((step, 0) for step in self.steps), *draws]:
            self.cascade.randomise(count, draw)
            changed[count, draw] = self.maps.of(images, labels)
        for name, rows in found.items():
            for key, maps in changed.items():
                for one, other, where in zip(trained[name], maps[name], inside, strict=True):
                    rows.add(key, rank_correlation(one, other, where))
            for one, other in zip(trained[name], changed[self.judged_at, 0][name], strict=True):
                rows.add("structure", structural_similarity(one, other))
        for place, position in enumerate(records.tolist()):
            of_record = {name: values[place] for name, values in trained.items()}
            _add_enrichment(found, of_record, self.judged, position)


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


def _heads(images: np.ndarray) -> list[np.ndarray]:
    """(*grid) bool of each image that a network is given: the head or body, or everything."""
    found = []
    for image in images:
        grey = image[..., 0] if image.ndim == 4 else image[None, ..., 0]
        head = foreground(grey, modality="")
        inside = head.inside if head.ends_in_image else np.ones_like(head.inside)
        found.append(inside.reshape(image.shape[:-1]))
    return found


def _checks(rows: _Rows, judged_at: int, depth: int) -> MethodChecks:
    steps = sorted(key for key in rows.values if isinstance(key, tuple) and key[0] != PART)
    random = np.mean([rows.of(key) for key in steps if key[0] == judged_at], axis=0)
    cascade = {count / depth: mean_of_known(rows.of((count, 0))) for count, draw in steps if draw == 0}
    enrichment = {part: mean_of_known(rows.of((PART, part))) for part in PARTS}
    return MethodChecks(
        random, rows.of("structure"), {**cascade, judged_at / depth: mean_of_known(random)},
        rows.of("seeds"), rows.of("exchanged"), rows.of("mirrored"), rows.of("not_mirrored"),
        {part: value for part, value in enrichment.items() if np.isfinite(value)},
    )  # fmt: skip


def _add_enrichment(
    found: dict[str, "_Rows"], maps: dict[str, np.ndarray], judged: Judged, position: int
) -> None:
    """Adds where the maps of the record at a position lie on its prepared grid."""
    subset = judged.held_out
    record: Record = subset.prepared.record(position)
    _, head = view_of(record, channel_names(subset.prepared, record), subset.task.modality)
    inside = head.inside if head.ends_in_image else np.ones_like(head.inside)
    inside = inside.reshape(record.image.shape[:-1])
    mask = record.mask > 0 if record.mask is not None else None
    affine = network_affine(subset.task, record, subset.fitted)

    def shares(values: np.ndarray) -> dict[str, float]:
        placed = Explained(record, np.zeros(0), 0, values, None, affine).on_prepared_grid(values)
        return attribution_shares(placed, inside, mask, SHELL_VOXELS)

    even = shares(np.ones(subset.task.network_shape, np.float32))
    for name, rows in found.items():
        lies = Attribution(shares(maps[name]), even)
        for part in PARTS:
            rows.add((PART, part), lies.enrichment(part))
