"""TensorFlow Serving's gRPC interface: PredictionService and ModelService."""

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import grpc
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from mri_tf.engines.requests import DEFAULT_SIGNATURE
from mri_tf.serve import inference
from mri_tf.serve.config_files import rules_of
from mri_tf.serve.limits import check_token
from mri_tf.serve.messages import fill_metadata, fill_status
from mri_tf.serve.models import Spec
from mri_tf.serve.protos import arrays_from_protos, fill_proto
from mri_tf.serve.signatures import CLASSIFY, REGRESS, check_names
from mri_tf.serve.status import CODES, ServingError, invalid

GRPC_CODES = {code.value[0]: code for code in grpc.StatusCode}


class _Service:
    """What both services do around a call: token, deadline, errors, metrics."""

    def __init__(self, models, settings, metrics, stopping):
        self._models, self._settings, self._metrics = models, settings, metrics
        self._stopping = stopping

    def _call(self, answer, request, context, name: str, api: str):
        """`answer(request, deadline)`; counted for the model `name` where `api` is given."""
        started, status = time.perf_counter(), "OK"
        try:
            if self._stopping.is_set():
                raise ServingError("UNAVAILABLE", "The server is shutting down")
            metadata = dict(context.invocation_metadata())
            check_token(metadata.get("authorization"), self._settings)
            seconds = self._settings.timeout_s
            if (remaining := context.time_remaining()) is not None:
                seconds = min(remaining, seconds)
            return answer(request, time.monotonic() + seconds)
        except ServingError as error:
            status = error.code
            context.abort(GRPC_CODES[CODES[status][0]], error.message)
        except Exception as error:
            status = "INTERNAL"
            print(f"gRPC: unexpected {type(error).__name__}", file=sys.stderr, flush=True)
            context.abort(grpc.StatusCode.INTERNAL, type(error).__name__)
        finally:
            if api and name in self._models.names:
                self._metrics.requests.add(1, name, status)
                microseconds = (time.perf_counter() - started) * 1e6
                self._metrics.latency.add(microseconds, name, api, "GRPC")


class PredictionService(_Service, prediction_service_pb2_grpc.PredictionServiceServicer):
    """Predict, Classify, Regress, MultiInference and GetModelMetadata."""

    def Predict(self, request, context):
        return self._call(self._predict, request, context, request.model_spec.name, "predict")

    def Classify(self, request, context):
        response = classification_pb2.ClassificationResponse()
        answer = partial(self._on_examples, inference.classify, response)
        return self._call(answer, request, context, request.model_spec.name, "classify")

    def Regress(self, request, context):
        answer = partial(self._on_examples, inference.regress, regression_pb2.RegressionResponse())
        return self._call(answer, request, context, request.model_spec.name, "regress")

    def MultiInference(self, request, context):
        name = request.tasks[0].model_spec.name if request.tasks else ""
        return self._call(self._multi, request, context, name, "multi_inference")

    def GetModelMetadata(self, request, context):
        return self._call(self._metadata, request, context, request.model_spec.name, "")

    def _predict(self, request, deadline):
        name = request.model_spec.signature_name
        missing = ServingError(
            "FAILED_PRECONDITION", f'Serving signature key "{name or DEFAULT_SIGNATURE}" not found.'
        )

        def read(signature):
            check_names(signature, set(request.inputs))
            return arrays_from_protos(request.inputs, self._settings.decompressed_bytes)

        number, signature, outputs = inference.predict(
            self._models, _spec(request), name, read, request.output_filter, missing, deadline
        )
        response = predict_pb2.PredictResponse()
        _fill_spec(response.model_spec, request.model_spec.name, number, signature)
        for alias, array in outputs.items():
            fill_proto(response.outputs[alias], array)
        return response

    def _on_examples(self, call, response, request, deadline):
        spec = _spec(request)
        name = request.model_spec.signature_name
        number, signature, result = call(self._models, spec, name, request.input, deadline)
        _fill_spec(response.model_spec, spec.name, number, signature)
        response.result.CopyFrom(result)
        return response

    def _multi(self, request, deadline):
        if not request.tasks:
            raise invalid("MultiInferenceRequest has no tasks.")
        if len({task.model_spec.name for task in request.tasks}) > 1:
            raise invalid("All ModelSpecs in a MultiInferenceRequest must access the same model name.")
        names = [task.model_spec.signature_name or DEFAULT_SIGNATURE for task in request.tasks]
        for name in names:
            if names.count(name) > 1:
                raise invalid(f"Duplicate evaluation of signature: {name}")
        response = inference_pb2.MultiInferenceResponse()
        calls = {
            CLASSIFY: (inference.classify, "classification_result"),
            REGRESS: (inference.regress, "regression_result"),
        }
        for task, name in zip(request.tasks, names, strict=True):
            if task.method_name not in calls:
                message = f"Unsupported signature method_name: {task.method_name}"
                raise ServingError("UNIMPLEMENTED", message)
            call, field = calls[task.method_name]
            spec = _spec(task)
            number, signature, result = call(self._models, spec, name, request.input, deadline)
            entry = response.results.add()
            _fill_spec(entry.model_spec, spec.name, number, signature)
            getattr(entry, field).CopyFrom(result)
        return response

    def _metadata(self, request, deadline):
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        with self._models.use(_spec(request)) as version:
            fill_metadata(response, version, request.metadata_field)
        return response


class ModelService(_Service, model_service_pb2_grpc.ModelServiceServicer):
    """GetModelStatus, and HandleReloadConfigRequest for versions and labels."""

    def GetModelStatus(self, request, context):
        return self._call(self._status, request, context, request.model_spec.name, "")

    def HandleReloadConfigRequest(self, request, context):
        return self._call(self._reload, request, context, "", "")

    def _status(self, request, deadline):
        response = get_model_status_pb2.GetModelStatusResponse()
        fill_status(response, self._models.states(_spec(request)))
        return response

    def _reload(self, request, deadline):
        if request.config.WhichOneof("config") != "model_config_list":
            raise invalid("ReloadConfigRequest needs a model_config_list")
        self._models.reload(rules_of(request.config))
        return model_management_pb2.ReloadConfigResponse()


def rpc_server(models, settings, metrics, stopping, address: str):
    """A grpc.Server at an address (host:port, port 0 for a free one) and its port; not started.

    Once the event `stopping` is set, new calls are refused, because grpc.Server.stop alone would cut off
    calls that have arrived and not begun. Raises RuntimeError where the address is in use.
    """
    server = grpc.server(
        ThreadPoolExecutor(settings.threads, thread_name_prefix="grpc"),
        maximum_concurrent_rpcs=settings.max_waiting,
        options=[
            ("grpc.max_receive_message_length", settings.body_bytes),
            ("grpc.max_send_message_length", -1),
            ("grpc.so_reuseport", 0),
        ],
    )
    state = models, settings, metrics, stopping
    predictions, status = PredictionService(*state), ModelService(*state)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(predictions, server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(status, server)
    return server, server.add_insecure_port(address)


def _spec(request) -> Spec:
    """The Spec of a request's ModelSpec; raises ServingError."""
    if not request.HasField("model_spec"):
        raise invalid("Missing ModelSpec")
    spec = request.model_spec
    choice = spec.WhichOneof("version_choice")
    number = spec.version.value if choice == "version" else None
    return Spec(spec.name, number, spec.version_label if choice == "version_label" else "")


def _fill_spec(spec, name: str, number: int, signature: str) -> None:
    spec.name, spec.signature_name = name, signature
    spec.version.value = number
