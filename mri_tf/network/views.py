"""Test-time augmentation: a classifier's answer averaged over views of its image.

A view is the image as it is, mirrored along one axis, or shifted along one axis (`test_time` of a
task). Calibration, evaluation and exported models use the averaged network; training does not.
"""

from dataclasses import dataclass

import keras
from keras import ops

from mri_tf.task import Task
from mri_tf.task.settings import AXES, views_of


@dataclass(frozen=True)
class View:
    """Which voxels an image takes along one of its axes."""

    axis: int = -1  # counted from the end; that of the channels is -1
    order: tuple[int, ...] = ()  # positions along the axis; empty: the image as it is

    def of(self, image):
        """(batch, ..., *grid, channels) -> the same shape."""
        return ops.take(image, self.order, axis=len(image.shape) + self.axis) if self.order else image


def task_views(task: Task) -> tuple[View, ...]:
    """The views of a task, the unchanged image first; only that one without `test_time`."""
    settings, found = views_of(task), [View()]
    if settings is None:
        return tuple(found)
    grid = task.network_shape
    places = {name: place - len(grid) - 1 for place, name in enumerate(AXES[-len(grid) :])}
    for name in settings.flips:
        size = grid[places[name] + 1]
        found.append(View(places[name], tuple(reversed(range(size)))))
    for axis in places.values() if settings.shift_voxels else ():
        last = grid[axis + 1] - 1
        for step in (settings.shift_voxels, -settings.shift_voxels):
            order = tuple(min(max(place - step, 0), last) for place in range(last + 1))
            found.append(View(axis, order))
    return tuple(found)


def with_views(model: keras.Model, task: Task) -> keras.Model:
    """A network whose outputs are the means over the task's views; the model itself without views.

    Args:
        model: a classifier with any outputs, such as probabilities and features. Its inputs that end
            with the axes of the network's image are changed alike, the slices of patients too; others,
            such as which slices are present, are passed as they are.
        task: of the model.

    Returns:
        A network with the same inputs, and float32 outputs of the same shapes. It calls `model` once a
        view. The layers of `model` are within one layer of it: look them up by name in `model`.
    """
    views = task_views(task)
    if len(views) == 1:
        return model
    return _averaged(model, views, (*task.network_shape, len(task.image_channels)))


def _averaged(model: keras.Model, views: tuple[View, ...], image_shape: tuple[int, ...]) -> keras.Model:
    def input_like(tensor):
        return keras.Input(tensor.shape[1:], name=tensor.name, dtype=tensor.dtype)

    def seen(view):
        is_image = lambda tensor: tuple(tensor.shape[-len(image_shape) :]) == image_shape  # noqa: E731
        return keras.tree.map_structure(lambda one: view.of(one) if is_image(one) else one, given)

    given = keras.tree.map_structure(input_like, model.input)
    # Around the same layers: where `model` is a layer of another network, its calls there stay the last.
    one_pass = keras.Model(model.input, model.output, name="one_pass")
    answers = [one_pass(seen(view)) for view in views]
    averages = keras.tree.map_structure(_mean, *answers)
    return keras.Model(given, averages, name=f"{model.name}_of_views")


def _mean(*answers):
    """Tensors of one shape, such as (batch, classes) -> their float32 mean."""
    return ops.mean(ops.stack([ops.cast(answer, "float32") for answer in answers]), axis=0)


def describe_views(task: Task) -> str:
    """What an answer is averaged over, in words; empty without views."""
    views, settings = task_views(task), views_of(task)
    if len(views) == 1:
        return ""
    parts = ["unchanged", *(f"mirrored along {name}" for name in settings.flips)]
    if settings.shift_voxels:
        axes = ", ".join(AXES[-len(task.network_shape) :])
        distance = f"{settings.shift_voxels} voxel" + "s" * (settings.shift_voxels > 1)
        parts.append(f"shifted by {distance} each way along {axes}")
    return f"{len(views)} views of the image ({'; '.join(parts)})"
