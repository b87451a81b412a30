"""Opens the engine that runs an exported model, after comparing its answers with TensorFlow's."""

import importlib.util
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from mri_tf.core.command_flags import ENGINES
from mri_tf.core.errors import InputError, install_hint
from mri_tf.engines.requests import DEFAULT_SIGNATURE, requests_of

TENSORFLOW, ONNXRUNTIME, OPENVINO, AUTO = ENGINES
PACKAGES = {ONNXRUNTIME: ("tf2onnx", "onnxruntime"), OPENVINO: ("openvino",)}
EXTRAS = {ONNXRUNTIME: "onnx", OPENVINO: "openvino"}
# Those that are worth another runtime, and that have no text, no gradient and no parsing in them.
CONVERTED = (DEFAULT_SIGNATURE, "slices")
EQUAL = 1e-4  # largest difference of a number from TensorFlow's; of those above 1 as a share of it
MAX_REASON_LENGTH = 300  # characters of another library's error message
Run = Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]
CallTensorFlow = Callable[[str, dict[str, np.ndarray]], dict[str, np.ndarray]]


def check_engine(engine: str) -> None:
    """Raises InputError where the packages of an engine are not installed."""
    missing = missing_packages(engine)
    if missing:
        raise InputError(
            f"--engine {engine} needs packages that are not installed.",
            f"missing {', '.join(missing)}", install_hint(EXTRAS[engine]),
        )  # fmt: skip


def missing_packages(engine: str) -> list[str]:
    """The packages of an engine that are not installed; none for tensorflow and auto."""
    return [name for name in PACKAGES.get(engine, ()) if importlib.util.find_spec(name) is None]


def open_engine(engine: str, folder: Path, call: CallTensorFlow, say: Callable) -> dict[str, Run]:
    """The signatures of an exported model that another engine than TensorFlow answers.

    Args:
        engine: one of ENGINES. "auto" takes the first of OpenVINO and ONNX Runtime that is installed,
            gives TensorFlow's answers and is faster; `say(line)` tells which, or why it is none.
        folder: the version's folder, with saved_model.pb.
        call: `call(signature, arrays)` gives the outputs of TensorFlow by name.

    Returns:
        Signature name -> function from arrays by name to outputs by name. Empty: TensorFlow answers.

    Raises:
        InputError: the engine that was asked for cannot run the model, or gives other answers.
    """
    if engine == TENSORFLOW:
        return {}
    if engine != AUTO:
        runs, _ = _compared(engine, folder, call)
        return runs
    reasons = []
    for candidate in (OPENVINO, ONNXRUNTIME):
        if missing_packages(candidate):
            reasons.append(f"{candidate} is not installed")
            continue
        try:
            runs, ratio = _compared(candidate, folder, call)
        except InputError as error:
            reasons.append(f"{candidate}: {error.received}")
            continue
        if ratio > 1:
            say(f"{candidate} answers, {ratio:.1f} times as fast as TensorFlow")
            return runs
        reasons.append(f"{candidate} is slower ({ratio:.1f} times as fast)")
    say(f"TensorFlow answers: {'; '.join(reasons)}")
    return {}


def _compared(engine: str, folder: Path, call: CallTensorFlow) -> tuple[dict[str, Run], float]:
    """The signatures in another engine, and how many times as fast as TensorFlow it answers."""
    import tensorflow as tf

    from mri_tf.engines import runtimes

    try:
        loaded = tf.saved_model.load(str(folder))  # it holds the variables of the functions
        functions = {n: loaded.signatures[n] for n in CONVERTED if n in loaded.signatures}
        opened, keep = getattr(runtimes, f"open_{engine}")(folder, functions)
    except InputError:
        raise
    except Exception as error:  # converters raise many types for what they cannot convert
        raise _refused(engine, f"{type(error).__name__}: {error}") from None
    spent = {TENSORFLOW: 0.0, engine: 0.0}
    for name, run in opened.items():
        for arrays in requests_of(folder, name, functions[name]):
            try:
                found, seconds = _timed(lambda run=run, arrays=arrays: run(arrays))
            except Exception as error:
                raise _refused(engine, f"{name}: {type(error).__name__}: {error}") from None
            wanted, of_tensorflow = _timed(lambda n=name, arrays=arrays: call(n, arrays))
            if reason := difference(wanted, found):
                raise _refused(engine, f"{name}: {reason}")
            spent[engine] += seconds
            spent[TENSORFLOW] += of_tensorflow
    keep()
    return opened, spent[TENSORFLOW] / max(spent[engine], 1e-9)


def _timed(answer: Callable[[], dict]) -> tuple[dict, float]:
    """An answer, and the seconds of the second of two; of the only one where it takes 2 s or longer."""
    started = time.perf_counter()
    outputs = answer()
    seconds = time.perf_counter() - started
    if seconds < 2:  # the first one also makes plans and takes memory
        started = time.perf_counter()
        outputs = answer()
        seconds = time.perf_counter() - started
    return outputs, seconds


def difference(wanted: dict[str, np.ndarray], found: dict[str, np.ndarray]) -> str:
    """Says how outputs differ from TensorFlow's by more than EQUAL; "" where they do not."""
    if wanted.keys() != found.keys():
        return f"it gives {', '.join(sorted(found))} and not {', '.join(sorted(wanted))}"
    for name, values in wanted.items():
        other = found[name]
        if other.shape != values.shape:
            return f"{name} has shape {other.shape} and not {values.shape}"
        exact, near = values.astype(np.float64), other.astype(np.float64)
        with np.errstate(invalid="ignore"):  # infinity less infinity
            gap = np.abs(near - exact) / np.maximum(np.abs(exact), 1)
        gap = np.where((near == exact) | (np.isnan(near) & np.isnan(exact)), 0, gap)
        if not np.all(gap <= EQUAL):
            return f"{name} differs from TensorFlow's by {np.max(gap):.1g}; allowed is {EQUAL:g}"
    return ""


def _refused(engine: str, reason: str) -> InputError:
    text = " ".join(reason.split())
    text = text if len(text) <= MAX_REASON_LENGTH else f"{text[:MAX_REASON_LENGTH]}..."
    return InputError(
        f"The engine {engine} cannot answer for this model.", text,
        "Leave out --engine, or give --engine auto.",
    )  # fmt: skip
