"""Grad-CAM maps of records: made on the network's grid, placed on the prepared and original grids."""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from data_prep.io.nifti import write_nifti
from data_prep.ops.brain_mask import brain_mask
from data_prep.ops.resample import resample_like, volume_of_grid
from data_prep.volume import source_volume
from mri_tf.explain.attribution import Attribution, attribution_shares
from mri_tf.explain.saliency import (
    grad_cam_in_graph,
    guided_backpropagation,
    guided_copy,
    resize_maps,
    zoom_maps,
    zoom_step,
)
from mri_tf.network.views import with_views
from mri_tf.pipeline.boxes import cube_around
from mri_tf.pipeline.subset import Subset
from mri_tf.store.record import Record
from mri_tf.task import Task
from mri_tf.task.settings import box_of, spacing_of

SHELL_VOXELS = 3.0  # of the brain's border, on the prepared grid


@dataclass(frozen=True)
class Explained:
    """The maps of one record on the network's grid, and where that lies."""

    record: Record
    # (classes,) the network's probabilities, averaged over the task's views, or (members, classes)
    outputs: np.ndarray
    label: int  # the class that is explained
    cam: np.ndarray  # (depth, rows, columns) or (rows, columns), raw
    guided: np.ndarray | None  # the same grid: the largest absolute gradient of the channels
    affine: np.ndarray  # (column, row, depth) of that grid -> RAS mm
    seen: np.ndarray | None = None  # (*grid, channels) what the network was given, normalised

    def on_prepared_grid(self, values: np.ndarray) -> np.ndarray:
        """A map on the grid of its record's prepared image, 0 where the network saw nothing."""
        image = self.record.own_slice[..., 0]
        if image.shape == values.shape and np.array_equal(self.affine, self.record.affine):
            return values
        volume, into = (one if one.ndim == 3 else one[None] for one in (values, image))
        reference = volume_of_grid(into, self.record.affine)
        placed = _grid_of(resample_like(volume_of_grid(volume, self.affine), reference).array)
        return placed if image.ndim == 3 else placed[0]


@dataclass(frozen=True)
class Explainer:
    """What one network is explained with.

    Attributes:
        answer: the network of single images, averaged over the task's views.
        cam: of `grad_cam_in_graph`.
        guided: the `guided_copy` of the network.
        fitted: what its run fitted for reading records.
    """

    answer: keras.Model
    cam: Callable
    guided: keras.Model
    fitted: dict


def explainer_of(model: keras.Model, task: Task, layer: str, fitted: dict) -> Explainer:
    """An explainer of a network of single images, at a layer of it."""
    answer = with_views(model, dataclasses.replace(task, bag={}))
    return Explainer(answer, grad_cam_in_graph(model, layer), guided_copy(model), fitted)


def explain_record(
    explainer: Explainer, subset: Subset, position: int, label: int | None
) -> Explained:
    """Grad-CAM and guided backpropagation of one record, for a class or the most probable one.

    Outputs, and the most probable class, are averaged over the task's views; the maps are those of the
    image as it is.
    """
    image = _image_of(subset, position)
    outputs = explainer.answer.predict_on_batch(image)[0]
    chosen = int(np.argmax(outputs)) if label is None else label
    return _explained(explainer, subset, position, image, (outputs, chosen))


def _explained(
    explainer: Explainer, subset: Subset, position: int, image: tf.Tensor,
    answered: tuple[np.ndarray, int],
) -> Explained:  # fmt: skip
    """The maps of a record whose image and (outputs, class to explain) are known."""
    task, (outputs, chosen) = subset.task, answered
    labels = tf.constant([chosen])
    cam, _ = explainer.cam(image, labels)
    gradients = guided_backpropagation(explainer.guided, image, labels)
    record = subset.prepared.record(position)
    return Explained(
        record, outputs, chosen,
        resize_maps(cam, task.network_shape).numpy()[0],
        tf.reduce_max(tf.abs(gradients), axis=-1).numpy()[0],
        network_affine(task, record, subset.fitted),
        image.numpy()[0],
    )  # fmt: skip


def explain_with_members(
    explainers: Sequence[Explainer], subset: Subset, position: int,
    label: int | Callable[[np.ndarray], int],
) -> Explained:  # fmt: skip
    """The mean of the members' maps of one record, for the same class.

    Args:
        explainers: of the members.
        subset: as the run of the model reads records; the maps lie on its grid.
        position: of the record.
        label: the class, or a function that chooses it from outputs (members, classes).
    """
    subsets = [dataclasses.replace(subset, fitted=member.fitted) for member in explainers]
    images = [_image_of(own, position) for own in subsets]
    outputs = np.stack([member.answer.predict_on_batch(image)[0]
                        for member, image in zip(explainers, images, strict=True)])  # fmt: skip
    chosen = label if isinstance(label, int) else label(outputs)
    maps = [_explained(member, own, position, image, (outputs, chosen))
            for member, own, image in zip(explainers, subsets, images, strict=True)]  # fmt: skip
    steps = [zoom_step(member.fitted, subset.fitted) for member in explainers]
    cam, guided = (
        np.mean([zoom_maps(tf.constant(values[None]), step).numpy()[0]
                 for values, step in zip(kind, steps, strict=True)], axis=0)
        for kind in ([one.cam for one in maps], [one.guided for one in maps])
    )  # fmt: skip
    affine = network_affine(subset.task, maps[0].record, subset.fitted)
    return dataclasses.replace(maps[0], cam=cam, guided=guided, affine=affine)


def _image_of(subset: Subset, position: int) -> tf.Tensor:
    """(1, *grid, channels) what a network of single images is given of one record."""
    task = dataclasses.replace(subset.task, bag={})
    single = dataclasses.replace(subset, task=task, records=np.array([position]))
    return next(iter(single.eval_batches(1)))[0]


def attribution_of(found: Explained, values: np.ndarray | None = None) -> Attribution:
    """Where a map lies on the prepared grid of a 3D record: tumour, brain, its border, outside.

    `values` is a map on the network's grid, Grad-CAM unless given. A map that is the same everywhere is
    so on the network's grid: where that is a box, it is 0 beyond.

    The border is counted in voxels: a prepared grid may stretch axes of nominal spacing. Of a record
    without a mask nothing is said of the tumour.
    """
    image = found.record.image[..., 0]
    inside = _grid_of(brain_mask(volume_of_grid(image, found.record.affine)).inside)
    tumour = found.record.mask > 0 if found.record.mask is not None else None
    shares, even = (
        attribution_shares(found.on_prepared_grid(one), inside, tumour, SHELL_VOXELS)
        for one in (found.cam if values is None else values, np.ones_like(found.cam))
    )
    if tumour is None:
        shares, even = ({part: share for part, share in of.items() if part != "tumour"}
                        for of in (shares, even))  # fmt: skip
    return Attribution(shares, even)


def write_map(values: np.ndarray, found: Explained, path: Path) -> None:
    """A map as NIfTI in the patient's source grid and affine, or on its own grid in 2D."""
    source = source_volume(found.record.facts) if values.ndim == 3 else None
    volume, codes = volume_of_grid(values if values.ndim == 3 else values[None], found.affine), "RAS"
    if source is not None:
        reference, codes = source
        volume = resample_like(volume, reference)
    volume = dataclasses.replace(volume, array=volume.array.astype(np.float32))
    write_nifti(path, volume, codes)


def network_affine(task: Task, record: Record, fitted: dict) -> np.ndarray:
    """(column, row, depth) of what the network sees of a record -> RAS mm."""
    if task.spacing:
        return _spaced_affine(task, record, fitted["pixel_mm"])
    box = box_of(task)
    if box is None:
        return record.affine
    brain = box.around == "brain"
    around = np.any(record.image != 0, axis=-1) if brain else record.predicted_mask
    centre, side = cube_around(around.astype(np.int32), box.margin_voxels)
    step = float(side) / max(box.grid)
    to_prepared = np.eye(4)
    for axis in range(3):  # column, row, depth
        place, count = float(centre[2 - axis]), box.grid[2 - axis]
        to_prepared[axis, axis] = step
        to_prepared[axis, 3] = place - (count - 1) / 2 * step
    return record.affine @ to_prepared


def _spaced_affine(task: Task, record: Record, median_mm: float) -> np.ndarray:
    """Of a slice that was resampled about its mask, as `pipeline.spacing.spaced_slices` does."""
    spacing = spacing_of(task)
    to_prepared = np.eye(4)
    for axis, along in ((0, 1), (1, 0)):  # of the affine (column, row), and of the mask
        filled = np.flatnonzero(record.mask.any(axis=1 - along))
        if not len(filled):
            filled = np.arange(record.mask.shape[along])
        step = spacing.medians * median_mm / record.spacing_mm[1 + along]
        to_prepared[axis, axis] = step
        middle = (filled[0] + filled[-1]) / 2
        to_prepared[axis, 3] = middle - (spacing.grid[along] - 1) / 2 * step
    return record.affine @ to_prepared


def _grid_of(array: np.ndarray) -> np.ndarray:
    """(x, y, z) in RAS, made by `volume_of_grid`, as (depth, rows, columns) again."""
    return np.flip(np.moveaxis(array, (0, 2), (2, 0)), axis=(0, 1, 2))
