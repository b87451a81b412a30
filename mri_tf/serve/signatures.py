"""The signatures of a SavedModel: names, types and shapes of inputs and outputs."""

from dataclasses import dataclass

import numpy as np

from mri_tf.serve.status import invalid

PREDICT, CLASSIFY, REGRESS = (
    f"tensorflow/serving/{method}" for method in ("predict", "classify", "regress")
)


@dataclass(frozen=True)
class Slot:
    """One input or output of a signature."""

    tensor: str  # its name in the graph
    type_name: str  # as TensorFlow Serving spells it: float, double, string ...
    numpy: np.dtype | None  # object for strings; None for types that NumPy lacks
    shape: tuple[int, ...] | None  # -1 is an axis of any size; None is any shape


@dataclass(frozen=True)
class Signature:
    """A function of the model; `inputs` and `outputs` are sorted by name."""

    name: str
    method: str
    inputs: dict[str, Slot]
    outputs: dict[str, Slot]


def signature_from_proto(name: str, proto) -> Signature:
    """The Signature of a SignatureDef."""
    return Signature(name, proto.method_name, _slots(proto.inputs), _slots(proto.outputs))


def _slots(infos) -> dict[str, Slot]:
    import tensorflow as tf

    slots = {}
    for name in sorted(infos):
        info = infos[name]
        if not info.dtype:  # Keras and tf.Module list their initialisation as a signature, too
            slots[name] = Slot(info.name, "invalid", None, None)
            continue
        dtype = tf.as_dtype(info.dtype)
        type_name = {"float32": "float", "float64": "double", "float16": "half"}.get(dtype.name)
        sizes = None if info.tensor_shape.unknown_rank else info.tensor_shape.dim
        slots[name] = Slot(
            tensor=info.name,
            type_name=type_name or dtype.name,
            numpy=np.dtype(dtype.as_numpy_dtype) if dtype.is_numpy_compatible else None,
            shape=None if sizes is None else tuple(size.size for size in sizes),
        )
    return slots


def check_arrays(signature: Signature, arrays: dict[str, np.ndarray]) -> None:
    """Raises ServingError unless the arrays are the signature's inputs, by name, type and shape."""
    check_names(signature, set(arrays))
    for name, slot in signature.inputs.items():
        array = arrays[name]
        if array.dtype != slot.numpy:
            type_name = "string" if array.dtype == object else array.dtype.name
            raise invalid(f"input tensor {name} is of type {type_name}; expected type: {slot.type_name}")
        if not _fits(array.shape, slot.shape):
            raise invalid(
                f"input tensor {name} has shape {list(array.shape)}; "
                f"expected shape: {list(slot.shape)} (-1 is any size)"
            )


def check_names(signature: Signature, sent: set[str]) -> None:
    """Raises ServingError unless these are the names of the signature's inputs."""
    required = set(signature.inputs)
    if sent != required:
        raise invalid(
            f"input size does not match signature: {len(sent)}!={len(required)} "
            f"len({{{','.join(sorted(sent))}}}) != len({{{','.join(sorted(required))}}}). "
            f"Sent extra: {{{','.join(sorted(sent - required))}}}. "
            f"Missing but required: {{{','.join(sorted(required - sent))}}}."
        )


def check_equal_rows(signature: Signature, arrays: dict[str, np.ndarray]) -> None:
    """Raises ServingError where inputs have unequal numbers of rows, which batching cannot join."""
    batched = [name for name, slot in signature.inputs.items() if slot.shape and slot.shape[0] == -1]
    if len({arrays[name].shape[0] for name in batched}) > 1:
        raise invalid(
            "Batching input tensors supplied in a given request must have equal 0th-dimension size"
        )


def _fits(shape: tuple[int, ...], allowed: tuple[int, ...] | None) -> bool:
    """Whether a shape is one that a slot allows."""
    if allowed is None:
        return True
    return len(shape) == len(allowed) and all(
        limit in (-1, size) for limit, size in zip(allowed, shape, strict=True)
    )
