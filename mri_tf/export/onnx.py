"""A run as an ONNX file: the `serving_default` of its export, for servers that are not TensorFlow's.

Images in files, `explain` and `classify` do not convert. tf2onnx reports success with operations left
in that nothing can run, so what it wrote is always loaded in ONNX Runtime and compared with the run.
"""

import importlib.util
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf

from mri_tf.core.errors import InputError
from mri_tf.export.saved_model import DEFAULT, ExportSource, signatures

OPSET = 18  # of 2022: what a server of some age reads
MAX_REASON_LENGTH = 300  # characters of another library's reason


def check_onnx() -> None:
    """Raises InputError where mri_tf was installed without the extra `onnx`."""
    missing = [name for name in ("tf2onnx", "onnxruntime") if importlib.util.find_spec(name) is None]
    if missing:
        raise InputError(
            "--format onnx needs the extra `onnx`.", f"an install without {', '.join(missing)}",
            "pip install 'mri_tf[onnx]'",
        )  # fmt: skip


def write_onnx(served: ExportSource, file: Path) -> dict[str, list[tf.TensorSpec]]:
    """Writes the file; returns the one signature and its inputs, by which ONNX Runtime knows them.

    Raises InputError where an operation does not convert; whether ONNX Runtime loads it, and with
    which numbers, is for `onnx_call` to find out.
    """
    import tf2onnx

    call, specs = signatures(served)[DEFAULT]
    function = tf.function(call, input_signature=specs, autograph=False)
    noisy = logging.getLogger("tf2onnx")
    before = noisy.level
    noisy.setLevel(logging.CRITICAL)  # what it could not convert is said in one line, by what follows
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        tf2onnx.convert.from_function(
            function, input_signature=specs, opset=OPSET, output_path=str(file)
        )
    except Exception as error:  # whatever a converter raises, it means one thing
        raise _not_converted(served, error) from None
    finally:
        noisy.setLevel(before)
    return {DEFAULT: specs}


def onnx_call(served: ExportSource, file: Path) -> Callable[[str, dict], dict[str, np.ndarray]]:
    """`call(signature, values)` of an ONNX file, as `parity.session_of` gives of a SavedModel.

    Raises InputError where ONNX Runtime cannot run it.
    """
    import onnxruntime

    try:
        # By its bytes: of a file the reason would begin with its place.
        session = onnxruntime.InferenceSession(file.read_bytes(), providers=["CPUExecutionProvider"])
    except Exception as error:
        raise _not_converted(served, error) from None
    names = [output.name for output in session.get_outputs()]

    def call(signature: str, values: dict) -> dict[str, np.ndarray]:
        try:
            found = session.run(names, values)
        except Exception as error:
            raise _not_converted(served, error) from None
        return dict(zip(names, found, strict=True))

    return call


def _not_converted(served: ExportSource, error: Exception) -> InputError:
    text = " ".join(str(error).split())
    reason = text if len(text) <= MAX_REASON_LENGTH else f"{text[:MAX_REASON_LENGTH]}..."
    return InputError(
        "--format onnx is for networks all of whose operations ONNX Runtime knows.",
        f"{served.run.task.name}: {type(error).__name__}: {reason}",
        "Export it as savedmodel.",
    )
