"""A SavedModel's signatures as plain values: names, types and shapes of what goes in and comes out."""

from dataclasses import dataclass

import numpy as np

from mri_tf.serve.status import invalid

DEFAULT_SIGNATURE = "serving_default"
PREDICT, CLASSIFY, REGRESS = (
    f"tensorflow/serving/{method}" for method in ("predict", "classify", "regress")
)


@dataclass(frozen=True)
class Slot:
    """One input or output: the graph's tensor, the type as TensorFlow spells it, and the shape.

    `numpy` is the NumPy type (object for strings, None for types without one); in `shape` an open
    axis is -1, and the whole is None where the rank is open.
    """

    tensor: str
    type_name: str
    numpy: np.dtype | None
    shape: tuple[int, ...] | None


@dataclass(frozen=True)
class Signature:
    """A callable of the model; `inputs` and `outputs` are ordered by name."""

    name: str
    method: str
    inputs: dict[str, Slot]
    outputs: dict[str, Slot]


def signature_from_proto(name: str, proto) -> Signature:
    """A SignatureDef of the graph as a Signature."""
    return Signature(name, proto.method_name, _slots(proto.inputs), _slots(proto.outputs))


def _slots(infos) -> dict[str, Slot]:
    import tensorflow as tf

    slots = {}
    for name in sorted(infos):
        info = infos[name]
        if not info.dtype:  # the initialisation that Keras and tf.Module list as a signature
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
    """Raises ServingError unless the arrays are the signature's inputs, in type and shape."""
    given, wanted = set(arrays), set(signature.inputs)
    if given != wanted:
        raise invalid(
            f"input size does not match signature: {len(given)}!={len(wanted)} "
            f"len({{{','.join(sorted(given))}}}) != len({{{','.join(sorted(wanted))}}}). "
            f"Sent extra: {{{','.join(sorted(given - wanted))}}}. "
            f"Missing but required: {{{','.join(sorted(wanted - given))}}}."
        )
    for name, slot in signature.inputs.items():
        array = arrays[name]
        if array.dtype != slot.numpy:
            found = "string" if array.dtype == object else array.dtype.name
            raise invalid(f"input tensor {name} is of type {found}; expected type: {slot.type_name}")
        if not fits(array.shape, slot.shape):
            raise invalid(
                f"input tensor {name} has shape {list(array.shape)}; "
                f"expected shape: {list(slot.shape)} (-1 is any size)"
            )


def check_equal_rows(signature: Signature, arrays: dict[str, np.ndarray]) -> None:
    """Raises ServingError where inputs with an open first axis differ in it; of batching alone."""
    batched = [name for name, slot in signature.inputs.items() if slot.shape and slot.shape[0] == -1]
    if len({arrays[name].shape[0] for name in batched}) > 1:
        raise invalid(
            "Batching input tensors supplied in a given request must have equal 0th-dimension size"
        )


def fits(shape: tuple[int, ...], wanted: tuple[int, ...] | None) -> bool:
    """Whether a shape is one of those that a slot allows."""
    if wanted is None:
        return True
    return len(shape) == len(wanted) and all(
        size in (-1, given) for size, given in zip(wanted, shape, strict=True)
    )
