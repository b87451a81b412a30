"""One version of a model: a SavedModel in a session, as TF Serving loads it, and its users.

A session (and not tf.saved_model.load) because a SavedModel can load in the one and fail in the
other: what is answered here is answered by TF Serving.
"""

import threading
import time
from pathlib import Path

import numpy as np

from mri_tf.serve.batching import Batcher
from mri_tf.serve.signatures import Signature, check_equal_rows, signature_from_proto
from mri_tf.serve.status import ServingError, from_tensorflow, invalid

START, LOADING, AVAILABLE, UNLOADING, END = "START", "LOADING", "AVAILABLE", "UNLOADING", "END"
WARMUP = Path("assets.extra") / "tf_serving_warmup_requests"
MAX_WARMUP_RECORDS = 1000
MAX_WARMUP_BYTES = 1 << 31  # of an input: it is the model's own, and no client's


class Version:
    """A version on disk and its state; `use` and `release` keep it loaded while it is at work."""

    def __init__(self, model: str, number: int, folder: Path):
        self.model, self.number, self.folder = model, number, folder
        self.state, self.error = START, None
        self.signatures: dict[str, Signature] = {}
        self.signature_protos = {}
        self._session, self._users, self._batchers = None, 0, {}
        self._changed = threading.Condition()

    def load(self, settings, metrics) -> None:
        """Loads and warms up; the state is AVAILABLE afterwards, or END with `error` set."""
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
            # A copy of the messages, so that the graph's definition is not kept twice.
            for name, proto in loaded.signature_def.items():
                self.signature_protos[name] = type(proto).FromString(proto.SerializeToString())
                self.signatures[name] = signature_from_proto(name, proto)
            self._warm_up()
        except Exception as error:  # whatever a broken folder raises, the server goes on
            self._close()
            self.error = _load_error(error, self.folder)
            self.state = END
            return
        self.state = AVAILABLE

    def use(self) -> bool:
        """Whether it can be used; if so, `release` has to follow."""
        with self._changed:
            if self.state != AVAILABLE:
                return False
            self._users += 1
            return True

    def release(self) -> None:
        with self._changed:
            self._users -= 1
            self._changed.notify_all()

    def unload(self, patience_s: float) -> None:
        """Takes no new user, waits for those at work, and frees the model."""
        end = time.monotonic() + patience_s
        with self._changed:
            if self.state == AVAILABLE:
                self.state = UNLOADING
            while self._users and time.monotonic() < end:
                self._changed.wait(end - time.monotonic())
        self._close()
        self.state = END

    def run(self, signature: Signature, arrays: dict, wanted: tuple[str, ...], deadline: float):
        """Outputs by name, batched with other requests; raises ServingError."""
        if self._settings.max_batch > 1:
            check_equal_rows(signature, arrays)
        batcher = self._batchers.get(signature.name)
        if batcher is None:
            batcher = self._batchers.setdefault(signature.name, self._batcher(signature))
        try:
            return batcher.run(arrays, wanted, deadline)
        except ServingError:
            raise
        except Exception as error:
            raise _run_error(error) from error

    def _batcher(self, signature: Signature) -> Batcher:
        def run(arrays: dict[str, np.ndarray], wanted: tuple[str, ...]) -> dict[str, np.ndarray]:
            started = time.perf_counter()
            outputs = self._session.run(
                {name: signature.outputs[name].tensor for name in wanted},
                {signature.inputs[name].tensor: array for name, array in arrays.items()},
                options=options,
            )
            microseconds = (time.perf_counter() - started) * 1e6
            self._metrics.runtime.add(microseconds, self.model, signature.name, "TF1")
            # A scalar string comes back as bytes, not as an array.
            return {name: _as_array(value) for name, value in outputs.items()}

        import tensorflow as tf

        options = tf.compat.v1.RunOptions(timeout_in_ms=int(self._settings.timeout_s * 1000))
        return Batcher(
            run, self._settings.max_batch, self._settings.max_waiting,
            lambda rows: self._metrics.batches.add(rows, self.model),
        )  # fmt: skip

    def _warm_up(self) -> None:
        import tensorflow as tf
        from tensorflow_serving.apis import prediction_log_pb2

        from mri_tf.serve.examples import serialized
        from mri_tf.serve.protos import array_from_proto

        path = self.folder / WARMUP
        if not path.is_file():
            return
        for number, record in enumerate(tf.compat.v1.io.tf_record_iterator(str(path))):
            if number == MAX_WARMUP_RECORDS:
                break
            log = prediction_log_pb2.PredictionLog.FromString(record)
            kind = log.WhichOneof("log_type")
            if kind == "classify_log":
                request = log.classify_log.request
                arrays = {"inputs": serialized(request.input)}
            elif kind == "predict_log":
                request = log.predict_log.request
                arrays = {
                    name: array_from_proto(proto, name, MAX_WARMUP_BYTES)
                    for name, proto in request.inputs.items()
                }
            else:
                continue
            signature = self.signatures[request.model_spec.signature_name or "serving_default"]
            deadline = time.monotonic() + self._settings.timeout_s
            self.run(signature, arrays, tuple(signature.outputs), deadline)

    def _close(self) -> None:
        if self._session is not None:
            self._session.close()
        self._session, self._batchers = None, {}


def _as_array(value) -> np.ndarray:
    return np.array(value, object) if isinstance(value, bytes) else np.asarray(value)


def _load_error(error: Exception, folder: Path) -> ServingError:
    """Why a version does not load, without the place on disk: clients can ask for its status."""
    import tensorflow as tf

    if isinstance(error, ServingError):
        return error
    known = isinstance(error, tf.errors.OpError)
    found = from_tensorflow(error) if known else ServingError("UNKNOWN", " ".join(str(error).split()))
    for place in (folder, folder.resolve(), folder.parent, folder.parent.parent):
        found.message = found.message.replace(f"{place}/", "").replace(str(place), folder.name)
    return ServingError(found.code, found.message)


def _run_error(error: Exception) -> ServingError:
    import tensorflow as tf

    if isinstance(error, tf.errors.OpError):
        found = from_tensorflow(error)
        for start in ("\n\nOriginal stack trace", "\n\nDetected at node", "\nDetected at node"):
            found.message = found.message.partition(start)[0]
        return found
    if isinstance(error, (ValueError, TypeError)):
        return invalid(" ".join(str(error).split()))
    return ServingError("INTERNAL", type(error).__name__)
