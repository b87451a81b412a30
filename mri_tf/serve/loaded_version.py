"""One version of a model: a SavedModel in a session, and the requests that use it.

It is loaded into a session, not by tf.saved_model.load, because TensorFlow Serving does so and a
SavedModel may load in one way and fail in the other.
"""

import sys
import threading
import time
from pathlib import Path

import numpy as np

from mri_tf.core.exported import ASSETS
from mri_tf.engines.choose import open_engine
from mri_tf.engines.requests import DEFAULT_SIGNATURE, WARM_UP
from mri_tf.serve.batching import Batcher
from mri_tf.serve.signatures import Signature, check_equal_rows, signature_from_proto
from mri_tf.serve.status import ServingError, from_tensorflow, invalid

START, LOADING, AVAILABLE, UNLOADING, END = "START", "LOADING", "AVAILABLE", "UNLOADING", "END"
MAX_WARMUP_RECORDS = 1000
MAX_WARMUP_BYTES = 1 << 31  # of the inputs of a request; it comes with the model, not from a client


class Version:
    """A version on disk and its state; it stays loaded between `use` and `release`."""

    def __init__(self, model: str, number: int, folder: Path):
        self.model, self.number, self.folder = model, number, folder
        self.state, self.error = START, None
        self.signatures: dict[str, Signature] = {}
        self.signature_protos = {}
        self._session, self._users, self._batchers = None, 0, {}
        self._engine_runs = {}  # signatures that another engine than TensorFlow answers
        self._changed = threading.Condition()

    def load(self, settings, metrics) -> None:
        """Loads and warms up; afterwards the state is AVAILABLE, or END with `error` set."""
        import tensorflow as tf

        self.state = LOADING
        self._settings, self._metrics = settings, metrics
        try:
            graph = tf.Graph()
            options = tf.compat.v1.ConfigProto(allow_soft_placement=True)
            options.gpu_options.allow_growth = True
            self._session = tf.compat.v1.Session(graph=graph, config=options)
            with graph.as_default():
                loaded = tf.compat.v1.saved_model.load(self._session, ["serve"], str(self.folder))
            # Copies, so that the graph's definition is not kept in memory with them.
            for name, proto in loaded.signature_def.items():
                self.signature_protos[name] = type(proto).FromString(proto.SerializeToString())
                self.signatures[name] = signature_from_proto(name, proto)
            self._engine_runs = open_engine(
                settings.engine, self.folder, self._call_tensorflow, self._say
            )
            self._warm_up()
        except Exception as error:  # a broken folder may raise anything; the server goes on
            self._close()
            self.error = _load_error(error, self.folder)
            self.state = END
            return
        self.state = AVAILABLE

    def use(self) -> bool:
        """Whether it can be used; if so, the caller must call `release` afterwards."""
        with self._changed:
            if self.state != AVAILABLE:
                return False
            self._users += 1
            return True

    def release(self) -> None:
        with self._changed:
            self._users -= 1
            self._changed.notify_all()

    def unload(self, timeout_s: float) -> None:
        """Accepts no more requests, waits for those at work, and frees the model."""
        deadline = time.monotonic() + timeout_s
        with self._changed:
            if self.state == AVAILABLE:
                self.state = UNLOADING
            while self._users and time.monotonic() < deadline:
                self._changed.wait(deadline - time.monotonic())
        self._close()
        self.state = END

    def run(self, signature: Signature, arrays: dict, output_names: tuple[str, ...], deadline: float):
        """The outputs by name of arrays by name, batched with other requests; raises ServingError."""
        if self._settings.max_batch > 1:
            check_equal_rows(signature, arrays)
        batcher = self._batchers.get(signature.name)
        if batcher is None:
            batcher = self._batchers.setdefault(signature.name, self._batcher(signature))
        try:
            return batcher.run(arrays, output_names, deadline)
        except ServingError:
            raise
        except Exception as error:
            raise _run_error(error) from error

    def _batcher(self, signature: Signature) -> Batcher:
        def run(arrays: dict[str, np.ndarray], output_names: tuple[str, ...]) -> dict[str, np.ndarray]:
            started = time.perf_counter()
            if of_engine is not None:
                found = of_engine(arrays)
                outputs = {name: found[name] for name in output_names}
            else:
                outputs = self._run_session(signature, arrays, output_names)
            microseconds = (time.perf_counter() - started) * 1e6
            runtime = "TF1" if of_engine is None else self._settings.engine
            self._metrics.runtime.add(microseconds, self.model, signature.name, runtime)
            return outputs

        of_engine = self._engine_runs.get(signature.name)
        return Batcher(
            run, self._settings.max_batch, self._settings.max_waiting,
            lambda rows: self._metrics.batches.add(rows, self.model),
        )  # fmt: skip

    def _run_session(
        self, signature: Signature, arrays: dict[str, np.ndarray], output_names: tuple[str, ...]
    ) -> dict[str, np.ndarray]:
        import tensorflow as tf

        outputs = self._session.run(
            {name: signature.outputs[name].tensor for name in output_names},
            {signature.inputs[name].tensor: array for name, array in arrays.items()},
            options=tf.compat.v1.RunOptions(timeout_in_ms=int(self._settings.timeout_s * 1000)),
        )
        return {  # a scalar string comes back as bytes, not as an array
            name: np.array(value, object) if isinstance(value, bytes) else np.asarray(value)
            for name, value in outputs.items()
        }

    def _call_tensorflow(self, name: str, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        signature = self.signatures[name]
        return self._run_session(signature, arrays, tuple(signature.outputs))

    def _say(self, line: str) -> None:
        print(f"{self.model} version {self.number}: {line}", file=sys.stderr, flush=True)

    def _warm_up(self) -> None:
        """Runs the requests that TensorFlow Serving's warm-up file holds, if there is one."""
        import tensorflow as tf
        from tensorflow_serving.apis import prediction_log_pb2

        from mri_tf.serve.examples import serialized
        from mri_tf.serve.protos import arrays_from_protos

        path = self.folder / ASSETS / WARM_UP
        if not path.is_file():
            return
        for number, record in enumerate(tf.compat.v1.io.tf_record_iterator(str(path))):
            if number == MAX_WARMUP_RECORDS:
                break
            log = prediction_log_pb2.PredictionLog.FromString(record)
            kind = log.WhichOneof("log_type")
            if kind not in ("classify_log", "predict_log"):
                continue
            request = getattr(log, kind).request
            if kind == "classify_log":
                arrays = {"inputs": serialized(request.input)}
            else:
                arrays = arrays_from_protos(request.inputs, MAX_WARMUP_BYTES)
            signature = self.signatures[request.model_spec.signature_name or DEFAULT_SIGNATURE]
            deadline = time.monotonic() + self._settings.timeout_s
            self.run(signature, arrays, tuple(signature.outputs), deadline)

    def _close(self) -> None:
        if self._session is not None:
            self._session.close()
        self._session, self._batchers, self._engine_runs = None, {}, {}


def _load_error(error: Exception, folder: Path) -> ServingError:
    """Why a version does not load, without its path on disk, because clients can read it."""
    import tensorflow as tf

    if isinstance(error, ServingError):
        return error
    is_known = isinstance(error, tf.errors.OpError)
    text = " ".join(str(error).split())
    reason = from_tensorflow(error) if is_known else ServingError("UNKNOWN", text)
    for path in (folder, folder.resolve(), folder.parent, folder.parent.parent):
        reason.message = reason.message.replace(f"{path}/", "").replace(str(path), folder.name)
    return ServingError(reason.code, reason.message)


def _run_error(error: Exception) -> ServingError:
    """Why a run failed, without TensorFlow's stack trace."""
    import tensorflow as tf

    if isinstance(error, tf.errors.OpError):
        reason = from_tensorflow(error)
        for start in ("\n\nOriginal stack trace", "\n\nDetected at node", "\nDetected at node"):
            reason.message = reason.message.partition(start)[0]
        return reason
    if isinstance(error, (ValueError, TypeError)):
        return invalid(" ".join(str(error).split()))
    return ServingError("INTERNAL", type(error).__name__)
