"""The requests on which an engine is compared with TensorFlow."""

from pathlib import Path

import numpy as np

from mri_tf.core.exported import ASSETS

SAVED_MODEL = "saved_model.pb"  # the file of the graph in the folder of a version
DEFAULT_SIGNATURE = "serving_default"  # of a SavedModel, where a request names none
WARM_UP = "tf_serving_warmup_requests"  # the name that TensorFlow Serving looks for in ASSETS
NOISE = 0.1  # SD, as a share of the value where that is above 1


def requests_of(folder: Path, signature: str, function) -> list[dict[str, np.ndarray]]:
    """Arrays by name: the signature's warm-up request of the export, and the same with noise.

    A warm-up request is an even image, on which borders and normalisation may not show. An export
    without one works in windows, where each answer takes long, or was made without the extra `serve`:
    then it is one request of noise.

    Args:
        folder: the version's folder.
        signature: its name.
        function: the signature of the loaded SavedModel, whose axes of any length get length 1.
    """
    rng = np.random.default_rng(0)
    even = _warm_up(folder / ASSETS / WARM_UP, signature)
    if even is not None:
        return [even, {name: _with_noise(array, rng) for name, array in even.items()}]
    return [
        {
            name: _with_noise(np.ones([1 if n is None else n for n in spec.shape], _kind(spec)), rng)
            for name, spec in function.structured_input_signature[1].items()
        }
    ]


def _kind(spec) -> np.dtype:
    return np.dtype(spec.dtype.as_numpy_dtype)


def _with_noise(array: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    if array.dtype.kind != "f":
        return array
    size = NOISE * np.maximum(np.abs(array), 1)
    return (array + size * rng.normal(size=array.shape)).astype(array.dtype)


def _warm_up(path: Path, signature: str) -> dict[str, np.ndarray] | None:
    """The first request for a signature in the warm-up file; None where there is none."""
    import tensorflow as tf

    try:
        from tensorflow_serving.apis import prediction_log_pb2
    except ImportError:
        return None
    if not path.is_file():
        return None
    for record in tf.compat.v1.io.tf_record_iterator(str(path)):
        request = prediction_log_pb2.PredictionLog.FromString(record).predict_log.request
        if request.model_spec.signature_name == signature:
            return {name: tf.make_ndarray(proto) for name, proto in request.inputs.items()}
    return None
