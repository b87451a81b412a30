"""Answers the four calls on tensors and examples, for both interfaces alike."""

import time
from collections.abc import Callable

import numpy as np

from mri_tf.serve.examples import serialized
from mri_tf.serve.models import Models, Spec
from mri_tf.serve.signatures import (
    CLASSIFY,
    DEFAULT_SIGNATURE,
    PREDICT,
    REGRESS,
    Signature,
    check_arrays,
)
from mri_tf.serve.status import ServingError, invalid

Found = Callable[[Signature], dict[str, np.ndarray]]


def find_signature(version, name: str, missing: ServingError) -> Signature:
    """A signature of a version by name, empty for the default; raises `missing`."""
    signature = version.signatures.get(name or DEFAULT_SIGNATURE)
    if signature is None:
        raise missing
    return signature


def predict(models: Models, spec: Spec, name: str, read: Found, output_filter, missing, deadline):
    """(version number, signature name, outputs by name) of a predict call.

    `read(signature)` gives the request's arrays, `missing` is raised where there is no such
    signature, `deadline` is on the clock of time.monotonic. Raises ServingError.
    """
    with models.use(spec) as version:
        signature = find_signature(version, name, missing)
        if signature.method not in (PREDICT, CLASSIFY, REGRESS):
            raise ServingError(
                "INTERNAL",
                f"Expected prediction signature method_name to be one of {{{PREDICT}, {CLASSIFY}, "
                f"{REGRESS}}}. Was: {signature.method}",
            )
        arrays = read(signature)
        check_arrays(signature, arrays)
        wanted = _wanted(signature, output_filter)
        outputs = version.run(signature, arrays, wanted, deadline)
        return version.number, signature.name, outputs


def _wanted(signature: Signature, output_filter) -> tuple[str, ...]:
    wanted = tuple(output_filter) or tuple(signature.outputs)
    for name in wanted:
        if name not in signature.outputs:
            raise invalid(
                f"output tensor alias not found in signature: {name} Outputs expected to be in the "
                f"set {{{','.join(signature.outputs)}}}."
            )
    seen = set()
    for name in wanted:
        if name in seen:
            raise invalid(f"duplicate output tensor alias: {name}")
        seen.add(name)
    return wanted


def classify(models: Models, spec: Spec, name: str, request, deadline: float):
    """(version number, signature name, ClassificationResult); raises ServingError."""
    return _on_examples(models, spec, name, request, deadline, CLASSIFY)


def regress(models: Models, spec: Spec, name: str, request, deadline: float):
    """(version number, signature name, RegressionResult); raises ServingError."""
    return _on_examples(models, spec, name, request, deadline, REGRESS)


def _on_examples(models, spec, name, request, deadline, method):
    with models.use(spec) as version:
        missing = invalid(f"No signature was found with the name: {name or DEFAULT_SIGNATURE}")
        signature = find_signature(version, name, missing)
        check_examples_signature(signature, method)
        examples = serialized(request)
        outputs = version.run(signature, {"inputs": examples}, tuple(signature.outputs), deadline)
        result = result_of(method, outputs, len(examples))
        return version.number, signature.name, result


def check_examples_signature(signature: Signature, method: str) -> None:
    """Raises ServingError unless a signature takes examples for classify or regress."""
    kind = "classification" if method == CLASSIFY else "regression"
    if signature.method != method:
        raise invalid(f"Expected {kind} signature method_name to be {method}. Was: {signature.method}")
    if len(signature.inputs) != 1:
        raise invalid("Expected one input Tensor.")
    slot = signature.inputs.get("inputs")
    if slot is None:
        raise ServingError("FAILED_PRECONDITION", f"No {kind} inputs found in SignatureDef")
    if slot.type_name != "string":
        raise ServingError("FAILED_PRECONDITION", f"The {kind} input is not a string Tensor")
    names = set(signature.outputs)
    if method == REGRESS and names != {"outputs"}:
        raise ServingError("FAILED_PRECONDITION", "No regression outputs found in SignatureDef")
    if method == CLASSIFY and (not names or not names <= {"classes", "scores"}):
        raise ServingError(
            "FAILED_PRECONDITION",
            'Expected classification signature outputs to contain at least one of "classes" or '
            '"scores".',
        )


def result_of(method: str, outputs: dict[str, np.ndarray], count: int):
    """The result message of classify or regress from a signature's outputs."""
    from tensorflow_serving.apis import classification_pb2, regression_pb2

    if method == REGRESS:
        values = outputs["outputs"]
        if values.dtype != np.float32 or values.shape not in ((count,), (count, 1)):
            raise invalid(
                "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] of "
                f"DT_FLOAT but got {list(values.shape)}"
            )
        result = regression_pb2.RegressionResult()
        for value in values.reshape(-1).tolist():
            result.regressions.add(value=value)
        return result
    for name, kind in (("classes", np.dtype(object)), ("scores", np.dtype(np.float32))):
        array = outputs.get(name)
        if array is not None and (array.ndim != 2 or len(array) != count or array.dtype != kind):
            raise invalid(f"Expected Tensor shape: [batch_size num_classes] but got {list(array.shape)}")
    if len({array.shape for array in outputs.values()}) > 1:
        raise invalid("Tensors class and score should match in dim_size(1).")
    result = classification_pb2.ClassificationResult()
    labels, scores = outputs.get("classes"), outputs.get("scores")
    for row in range(count):
        entry = result.classifications.add()
        for place in range(next(iter(outputs.values())).shape[1]):
            one = entry.classes.add()
            if labels is not None:
                one.label = labels[row, place].decode("utf-8", "replace")
            if scores is not None:
                one.score = float(scores[row, place])
    return result


def deadline_in(seconds: float) -> float:
    """A deadline on the clock of time.monotonic."""
    return time.monotonic() + seconds
