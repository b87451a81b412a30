"""Networks, one family a file; a task names the file and `build` makes the network.

Builders see shapes and numbers, never a Task. Their last layer gives probabilities in float32.
"""

import importlib
import inspect
from pathlib import Path

from mri_tf.arguments import check_arguments
from mri_tf.errors import InputError

FOLDER = Path(__file__).resolve().parent


def builder(model: str):
    """`build` of mri_tf/models/<model>.py; raises InputError for a name without one."""
    files = FOLDER.glob("*.py")
    names = sorted(path.stem for path in files if "\ndef build(" in path.read_text(encoding="utf-8"))
    if model not in names:
        raise InputError(
            "model of a task names a file of mri_tf/models.", model, f"Known: {', '.join(names)}."
        )
    return importlib.import_module(f"mri_tf.models.{model}").build


def check_model_args(model: str, model_args: dict, takes_features: bool) -> None:
    """Raises InputError for arguments the builder does not take, before any data is read.

    A file's `check`, where it has one, is asked as well: it sees all arguments, defaults included.
    """
    build = builder(model)
    first = next(iter(inspect.signature(build).parameters))
    if takes_features != (first == "features"):
        raise InputError(
            f"model {model} {'takes' if first == 'features' else 'takes no'} features.",
            f"features_from {'set' if takes_features else 'empty'}",
            "Change model or features_from of the task.",
        )
    check_arguments("model_args", build, model_args)
    check = getattr(inspect.getmodule(build), "check", None)
    if check:
        bound = inspect.signature(build).bind_partial(**model_args)
        bound.apply_defaults()
        check(bound.arguments)


def require_divisible(input_shape: tuple[int, ...], divisor: int) -> None:
    """Raises InputError unless every side of the grid can be halved as often as the network does."""
    if any(side % divisor for side in input_shape[:-1]):
        raise InputError(
            f"image_shape of this model divides by {divisor}.",
            tuple(input_shape[:-1]),
            "Change image_shape in the task.",
        )


def conv3d(x, filters: int, size: int, name: str, regularizer=None):
    """A convolution of `size` voxels a side without bias: (batch, depth, rows, columns, ...) stays.

    In float32 where the kernel is deeper than the volume: there TensorFlow 2.21's gradient of the
    filters is garbage in bfloat16 on a CPU (oneDNN), and ends a training as NaN or, worse, does not.
    """
    from keras import layers

    depth = x.shape[1]
    return layers.Conv3D(
        filters, size, padding="same", use_bias=False, kernel_regularizer=regularizer, name=name,
        dtype="float32" if depth is not None and depth < size else None,
    )(x)  # fmt: skip


def batch_norm(name: str):
    """BatchNorm as every network here has it: statistics over all devices, fit for small sets.

    Keras' momentum of 0.99 needs hundreds of steps before the running statistics mean anything;
    an epoch of a small set has a few dozen.
    """
    from keras import layers

    return layers.BatchNormalization(momentum=0.9, epsilon=1e-5, synchronized=True, name=name)
