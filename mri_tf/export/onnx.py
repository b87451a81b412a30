"""Writes a run as an ONNX file with its `serving_default` signature, for servers other than TF Serving.

`image_bytes`, `explain` and `classify` do not convert. tf2onnx may report success although ONNX Runtime
cannot run an operation, so the file is always loaded in ONNX Runtime and compared with the run.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf

from mri_tf.core.errors import InputError, install_hint
from mri_tf.engines.choose import ONNXRUNTIME, missing_packages
from mri_tf.engines.requests import DEFAULT_SIGNATURE
from mri_tf.engines.runtimes import onnx_run, session_of, to_onnx
from mri_tf.export.saved_model import signatures
from mri_tf.export.source import ExportSource

MAX_REASON_LENGTH = 300  # characters of another library's error message


def check_onnx() -> None:
    """Raises InputError where tf2onnx or ONNX Runtime is not installed."""
    missing = missing_packages(ONNXRUNTIME)
    if missing:
        raise InputError(
            "--format onnx needs tf2onnx and ONNX Runtime.",
            f"an installation without {', '.join(missing)}", install_hint("onnx"),
        )  # fmt: skip


def write_onnx(source: ExportSource, file: Path) -> dict[str, list[tf.TensorSpec]]:
    """Writes the file; returns its one signature with its inputs.

    Raises InputError where an operation does not convert. Whether ONNX Runtime can run the file is
    shown by `onnx_call`.
    """
    call, specs = signatures(source)[DEFAULT_SIGNATURE]
    try:
        content = to_onnx(call, specs).SerializeToString()
    except Exception as error:  # tf2onnx raises many types for an operation it cannot convert
        raise _not_converted(source, error) from None
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return {DEFAULT_SIGNATURE: specs}


def onnx_call(source: ExportSource, file: Path) -> Callable[[str, dict], dict[str, np.ndarray]]:
    """Loads an ONNX file in ONNX Runtime; returns `call(signature, values)`, which gives its outputs.

    Both raise InputError where ONNX Runtime cannot run the file.
    """
    try:
        run = onnx_run(session_of(file.read_bytes()))
    except Exception as error:
        raise _not_converted(source, error) from None

    def call(signature: str, values: dict) -> dict[str, np.ndarray]:
        try:
            return run(values)
        except Exception as error:
            raise _not_converted(source, error) from None

    return call


def _not_converted(source: ExportSource, error: Exception) -> InputError:
    text = " ".join(str(error).split())
    reason = text if len(text) <= MAX_REASON_LENGTH else f"{text[:MAX_REASON_LENGTH]}..."
    return InputError(
        "The network has an operation that cannot be converted to ONNX or run by ONNX Runtime.",
        f"{source.run.task.name}: {type(error).__name__}: {reason}",
        "Export it with --format savedmodel.",
    )
