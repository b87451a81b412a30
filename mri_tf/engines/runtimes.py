"""Signatures of a SavedModel as functions of OpenVINO and of ONNX Runtime.

OpenVINO reads TensorFlow's graph in seconds. For ONNX Runtime it is converted by tf2onnx, which takes
up to minutes; so the result is kept in `assets.extra/` beside the model, where TensorFlow Serving does
not look, with a hash of what it was made from.
"""

import contextlib
import hashlib
import logging
import os
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np

from mri_tf.core.exported import ASSETS
from mri_tf.core.system import cores
from mri_tf.engines.requests import DEFAULT_SIGNATURE, SAVED_MODEL

OPSET = 18  # of 2022: older servers can read it
MADE_FROM = "made_from"  # a property of a kept ONNX file
Run = Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]


def open_openvino(folder: Path, functions: dict) -> tuple[dict[str, Run], Callable[[], None]]:
    """Signature name -> function of arrays by name, in OpenVINO; and what keeps the work (nothing).

    Raises many types of errors.
    """
    import openvino
    import tensorflow as tf

    core = openvino.Core()
    # Its own default is half precision where the processor has it.
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads()}
    runs = {}
    for name, function in functions.items():
        # By the reader of files: `convert_model` would do the same, and tell its makers that it did.
        # That reads only the default signature.
        with tempfile.TemporaryDirectory() as scratch:
            if name != DEFAULT_SIGNATURE:
                holder = tf.Module()
                holder.function, holder.held = function, list(function.variables)
                tf.saved_model.save(holder, scratch, signatures={DEFAULT_SIGNATURE: function})
            model = core.read_model(str(folder if name == DEFAULT_SIGNATURE else scratch))
            compiled = core.compile_model(model, "CPU", settings)
        runs[name] = _openvino_run(compiled, set(function.structured_outputs))
    return runs, lambda: None


def _openvino_run(compiled, names: set[str]) -> Run:
    outputs = {port: next(name for name in port.get_names() if name in names)
               for port in compiled.outputs}  # fmt: skip
    request, lock = compiled.create_infer_request(), threading.Lock()

    def run(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        with lock:  # a request works for one caller at a time
            found = request.infer(arrays, share_inputs=True, share_outputs=False)
            return {name: np.array(found[port]) for port, name in outputs.items()}

    return run


def open_onnxruntime(folder: Path, functions: dict) -> tuple[dict[str, Run], Callable[[], None]]:
    """Signature name -> function of arrays by name, in ONNX Runtime; and what keeps converted files.

    Raises many types of errors.
    """
    runs, made = {}, {}
    made_from = _hash_of(folder)
    for name, function in functions.items():
        path = folder / ASSETS / f"{name}.onnx"
        session = _kept_session(path, made_from)
        if session is None:
            model = _converted(function)
            model.metadata_props.add(key=MADE_FROM, value=made_from)
            content = model.SerializeToString()
            session = session_of(content)
            made[path] = content
        runs[name] = onnx_run(session)
    return runs, lambda: [_keep(*item) for item in made.items()]


def session_of(content: bytes):
    """An ONNX model in ONNX Runtime; raises many types of errors for one that it cannot run."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads()
    options.log_severity_level = 3
    # Given as bytes, because the error message for a file would begin with its path.
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def onnx_run(session) -> Run:
    """A session as a function of arrays by name."""
    names = [output.name for output in session.get_outputs()]
    return lambda arrays: dict(zip(names, session.run(names, arrays), strict=True))


def _kept_session(path: Path, made_from: str):
    """The session of a file that was made from the same model; None where there is no such file."""
    try:
        session = session_of(path.read_bytes())
        kept = session.get_modelmeta().custom_metadata_map.get(MADE_FROM)
    except Exception:  # no file, one that was damaged, one of another version of ONNX
        return None
    return session if kept == made_from else None


def _converted(function):
    import tensorflow as tf

    inputs = function.structured_input_signature[1]
    names = list(inputs)
    specs = [tf.TensorSpec(spec.shape, spec.dtype, name=name) for name, spec in inputs.items()]
    return to_onnx(lambda *tensors: function(**dict(zip(names, tensors, strict=True))), specs)


def to_onnx(call: Callable[..., dict], specs: list):
    """A function of tensors as an ONNX model; raises many types for what cannot be converted."""
    import tensorflow as tf
    import tf2onnx

    function = tf.function(call, input_signature=specs, autograph=False)
    logger = logging.getLogger("tf2onnx")
    level = logger.level
    logger.setLevel(logging.CRITICAL)  # the error that is raised replaces its many lines
    try:
        return tf2onnx.convert.from_function(function, input_signature=specs, opset=OPSET)[0]
    finally:
        logger.setLevel(level)


def _hash_of(folder: Path) -> str:
    """SHA-256 of a SavedModel's graph and weights, and of how it is converted."""
    import tf2onnx

    digest = hashlib.sha256(f"{tf2onnx.__version__} {OPSET}".encode())
    for path in [folder / SAVED_MODEL, *sorted((folder / "variables").glob("*"))]:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _keep(path: Path, content: bytes) -> None:
    """Writes a file whole or not at all; a folder that may not be written to goes without."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(exist_ok=True)
        handle, scratch = tempfile.mkstemp(prefix=".partial-", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            os.replace(scratch, path)
        except OSError:
            os.unlink(scratch)
            raise


def threads() -> int:
    """As many threads as TensorFlow takes: TF_NUM_INTRAOP_THREADS, else one for each core."""
    return int(os.environ.get("TF_NUM_INTRAOP_THREADS") or cores())
