"""The networks of a finished run, and the records that they are asked about when it is audited.

Held-out records are those of the test and validation side, one a patient, whom one network of a model
of several is asked about; of a locked test side nothing
is used. Neither decided the weights. Nothing that is said of them shows whether an answer was right.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import keras
import numpy as np
import tensorflow as tf

from mri_tf.network.bags import slice_classifier
from mri_tf.network.build import load_network
from mri_tf.pipeline.batches import batch_function
from mri_tf.pipeline.subset import Subset
from mri_tf.splits.sides import units_of
from mri_tf.store.looks import is_closed
from mri_tf.store.prepared import Prepared
from mri_tf.store.record import NO_LABEL, Record
from mri_tf.store.run import Run, open_finished, positions_of

MOST_PATIENTS = 24  # whose records the networks are asked about
FEWEST_PATIENTS = 8
MOST_MEMBERS = 3  # of a model of several
VALUES_AT_ONCE = 2**22  # of the images in a batch


@dataclass(frozen=True)
class Judged:
    """A trained network of single images and the records that it is asked about.

    Attributes:
        run: the finished run that trained it.
        model: of single images, where the task answers for patients too.
        held_out: one record a patient, as the run reads them; without `bag`. Of a further member of a
            model it may be empty.
        training: positions of the training side.
    """

    run: Run
    model: keras.Model
    held_out: Subset
    training: np.ndarray


def judged_networks(run: Run, prepared: Prepared) -> list[Judged]:
    """The network of a run, or those of the first members of a model.

    Raises InputError where a training is not finished or its weights are gone.
    """
    members = [open_finished(one.folder) for one in run.members[:MOST_MEMBERS]]
    positions = [positions_of(one, prepared) for one in members]
    sides = [
        (validation,) if is_closed(run) or is_closed(one) else (test, validation)
        for one, (_, validation, test) in zip(members, positions, strict=True)
    ]
    return [
        Judged(
            one, network_of(one),
            Subset(replace(one.task, bag={}), prepared, chosen, one.values["fitted"]), training,
        )
        for one, chosen, (training, _, _) in zip(
            members, held_out_of_members(prepared, sides), positions, strict=True
        )
    ]  # fmt: skip


def network_of(run: Run) -> keras.Model:
    """The trained network of single images of a finished run."""
    model = load_network(run)
    return slice_classifier(model) if run.task.bag else model


def held_out_of_members(
    prepared: Prepared, sides: Sequence[tuple[np.ndarray, ...]]
) -> list[np.ndarray]:
    """Positions of the records that each member is asked about; no patient is asked about twice.

    Members of a model are validated on patients of other members' test sides.

    Args:
        prepared: the set.
        sides: of each member, those that did not decide its weights.
    """
    owners, found = units_of(prepared, "group"), []
    most = -(-MOST_PATIENTS // len(sides))
    taken = np.zeros(0, owners.dtype)
    for of_member in sides:
        free = tuple(side[~np.isin(owners[side], taken)] for side in of_member)
        found.append(one_a_patient(prepared, free, most))
        taken = np.concatenate([taken, owners[found[-1]]])
    return found


def one_a_patient(
    prepared: Prepared, sides: tuple[np.ndarray, ...], most: int, seed: int = 0
) -> np.ndarray:
    """Positions of one record for each of at most `most` patients: the middle one of its records.

    Classes take turns, so that there are as many patients of each as possible; earlier sides come first.

    Args:
        prepared: the set.
        sides: positions; no patient is on two of them.
        most: patients.
        seed: of their order within a side.
    """
    rng, owners = np.random.default_rng(seed), units_of(prepared, "group")
    middle = []
    for side in sides:
        side = side[prepared.labels[side] != NO_LABEL]
        of_owner = {owner: side[owners[side] == owner] for owner in np.unique(owners[side]).tolist()}
        middle += [of_owner[owner][len(of_owner[owner]) // 2]
                   for owner in rng.permutation(sorted(of_owner)).tolist()]  # fmt: skip
    if not middle:
        return np.zeros(0, np.int64)
    labels, turn = prepared.labels[middle], np.zeros(len(middle), int)
    for label in np.unique(labels):
        turn[labels == label] = np.arange(np.sum(labels == label))
    return np.array(middle, np.int64)[np.argsort(turn, kind="stable")[:most]]


def images_of(records: list[Record], images: np.ndarray, subset: Subset) -> tf.Tensor:
    """(records, *network's grid, channels): what the network is given where records show other images.

    Args:
        records: whose masks and statistics of intensity are used.
        images: (records, *prepared grid, channels) in the place of theirs.
        subset: as the run reads records; without `bag`.
    """
    count = len(records)
    batch = {
        "image": tf.constant(images, tf.float32),
        "label": tf.constant([record.label for record in records], tf.int32),
        "intensity_stats": tf.constant(np.stack([one.intensity_stats for one in records]), tf.float32),
        "spacing_mm": tf.constant([_spacing(record) for record in records], tf.float32),
        "weight": tf.ones(count), "seed": tf.zeros((count, 2), tf.int64), "bag": tf.range(count),
    }  # fmt: skip
    for name in ("mask", "predicted_mask"):
        masks = [getattr(record, name) for record in records]
        if all(mask is not None for mask in masks):
            batch[name] = tf.constant(np.stack(masks), tf.int32)
    cut = subset.cut(training=False)
    batch = cut(batch) if cut else batch
    return batch_function(subset.task, training=False, fitted=subset.fitted)(batch)[0]


def batch_size(subset: Subset) -> int:
    """How many images a network is given at once, so that memory stays flat."""
    values = np.prod((*subset.prepared.image_shape,))
    return int(np.clip(VALUES_AT_ONCE // values, 1, 32))


def _spacing(record: Record) -> np.ndarray:
    """mm along depth, rows and columns as `parse_examples` reads them."""
    return np.linalg.norm(np.asarray(record.affine)[:3, :3], axis=0)[::-1]

