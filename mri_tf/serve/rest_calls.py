"""What a thread does for a POST request: it reads the body, runs the model and writes the answer."""

import threading
from functools import partial

from starlette.responses import Response

from mri_tf.engines.requests import DEFAULT_SIGNATURE
from mri_tf.serve import inference
from mri_tf.serve.examples import input_from_json
from mri_tf.serve.json_requests import parse_json, signature_of
from mri_tf.serve.json_responses import predictions_json, results_json
from mri_tf.serve.models import Models, Spec
from mri_tf.serve.predict_body import PredictBody
from mri_tf.serve.raw_tensors import (
    MEDIA_TYPE,
    SIGNATURE,
    TENSORS,
    arrays_of,
    tensors_body,
    tensors_header,
)
from mri_tf.serve.status import ServingError, invalid


class Calls:
    """Answers to the bodies of requests; every method raises ServingError."""

    def __init__(self, models: Models):
        self._models = models
        # Parsing holds Python's interpreter lock: threads that parse in turn are faster than threads
        # that take the lock from each other.
        self._parsing = threading.Lock()

    def predict(self, spec: Spec, body: bytes, deadline: float) -> Response:
        """Of a body in JSON."""
        with self._parsing:
            sent = PredictBody(body)
        request_format = ""

        def read(signature):
            nonlocal request_format
            with self._parsing:
                arrays, request_format = sent.tensors(signature.inputs)
            return arrays

        outputs = self._outputs(spec, sent.signature, read, deadline)
        return as_json(predictions_json(outputs, request_format))

    def predict_raw(self, headers, spec: Spec, body: bytes, deadline: float) -> Response:
        """Of a body of arrays as bytes, which `headers` describe; so is the answer."""
        arrays = arrays_of(headers[TENSORS], body)
        name = headers.get(SIGNATURE, "")
        outputs = self._outputs(spec, name, lambda signature: arrays, deadline)
        described = {TENSORS: tensors_header(outputs)}
        return Response(tensors_body(outputs), headers=described, media_type=MEDIA_TYPE)

    def classify(self, spec: Spec, body: bytes, deadline: float) -> Response:
        """Of tf.Examples in JSON."""
        return self._of_examples("classify", spec, body, deadline)

    def regress(self, spec: Spec, body: bytes, deadline: float) -> Response:
        """Of tf.Examples in JSON."""
        return self._of_examples("regress", spec, body, deadline)

    def of(self, verb: str, headers):
        """The method for a request: `call(spec, body, deadline)`."""
        if TENSORS in headers:
            check_raw(verb, headers)
            return partial(self.predict_raw, headers)
        return getattr(self, verb)

    def _outputs(self, spec: Spec, name: str, read, deadline: float) -> dict:
        missing = invalid(
            f'Serving signature name: "{name or DEFAULT_SIGNATURE}" not found in signature def'
        )
        return inference.predict(self._models, spec, name, read, (), missing, deadline)[2]

    def _of_examples(self, verb: str, spec: Spec, body: bytes, deadline: float) -> Response:
        with self._parsing:
            document = parse_json(body)
        call, name = getattr(inference, verb), signature_of(document)
        result = call(self._models, spec, name, input_from_json(document), deadline)[2]
        return as_json(results_json(result, verb))


def check_raw(verb: str, headers) -> None:
    """Raises ServingError where a request with X-Tensors is no predict request of bytes.

    Bytes without X-Tensors are JSON: TensorFlow Serving reads a body as JSON whatever its media type.
    """
    if verb != "predict":
        raise invalid(f"X-Tensors is for predict; {verb} takes JSON")
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != MEDIA_TYPE:
        raise ServingError("INVALID_ARGUMENT", f"X-Tensors needs Content-Type {MEDIA_TYPE}", http=415)


def as_json(text: str, headers: dict | None = None) -> Response:
    """An answer in JSON."""
    return Response(text, headers=headers, media_type="application/json")
