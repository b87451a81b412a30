"""Answers predict, classify and regress calls, for both interfaces."""

from collections.abc import Callable

import numpy as np

from mri_tf.engines.requests import DEFAULT_SIGNATURE
from mri_tf.serve.examples import serialized
from mri_tf.serve.models import Models, Spec
from mri_tf.serve.signatures import (
    CLASSIFY,
    PREDICT,
    REGRESS,
    Signature,
    check_arrays,
)
from mri_tf.serve.status import ServingError, invalid

ReadArrays = Callable[[Signature], dict[str, np.ndarray]]


def predict(models: Models, spec: Spec, name: str, read: ReadArrays, output_filter, missing, deadline):
    """Answers a predict call.

    Args:
        models, spec: the models that are served, and which of them the request is for.
        name: of the signature, "" for the default one.
        read: `read(signature)` returns the request's arrays by name.
        output_filter: names of the outputs to compute, empty for all.
        missing: the ServingError to raise where there is no such signature.
        deadline: on the clock of time.monotonic.

    Returns:
        (version number, signature name, outputs by name). Raises ServingError.
    """
    with models.use(spec) as version:
        signature = _find_signature(version, name, missing)
        if signature.method not in (PREDICT, CLASSIFY, REGRESS):
            raise ServingError(
                "INTERNAL",
                f"Expected prediction signature method_name to be one of {{{PREDICT}, {CLASSIFY}, "
                f"{REGRESS}}}. Was: {signature.method}",
            )
        arrays = read(signature)
        check_arrays(signature, arrays)
        outputs = version.run(signature, arrays, _output_names(signature, output_filter), deadline)
        return version.number, signature.name, outputs


def _find_signature(version, name: str, missing: ServingError) -> Signature:
    signature = version.signatures.get(name or DEFAULT_SIGNATURE)
    if signature is None:
        raise missing
    return signature


def _output_names(signature: Signature, output_filter) -> tuple[str, ...]:
    """The outputs to compute; raises ServingError for unknown and repeated names."""
    names = tuple(output_filter) or tuple(signature.outputs)
    for name in names:
        if name not in signature.outputs:
            raise invalid(
                f"output tensor alias not found in signature: {name} Outputs expected to be in the "
                f"set {{{','.join(signature.outputs)}}}."
            )
    before = set()  # a set, because a request may repeat a name very often
    for name in names:
        if name in before:
            raise invalid(f"duplicate output tensor alias: {name}")
        before.add(name)
    return names


def classify(models: Models, spec: Spec, name: str, request, deadline: float):
    """(version number, signature name, ClassificationResult) for an Input proto; else as `predict`."""
    return _on_examples(models, spec, name, request, deadline, CLASSIFY)


def regress(models: Models, spec: Spec, name: str, request, deadline: float):
    """(version number, signature name, RegressionResult) for an Input proto; else as `predict`."""
    return _on_examples(models, spec, name, request, deadline, REGRESS)


def _on_examples(models, spec, name, request, deadline, method):
    with models.use(spec) as version:
        missing = invalid(f"No signature was found with the name: {name or DEFAULT_SIGNATURE}")
        signature = _find_signature(version, name, missing)
        _check_examples_signature(signature, method)
        examples = serialized(request)
        outputs = version.run(signature, {"inputs": examples}, tuple(signature.outputs), deadline)
        return version.number, signature.name, _result_of(method, outputs, len(examples))


def _check_examples_signature(signature: Signature, method: str) -> None:
    """Raises ServingError unless a signature takes tf.Examples for classify or regress."""
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


def _result_of(method: str, outputs: dict[str, np.ndarray], count: int):
    """The result proto of classify or regress for `count` examples; raises ServingError."""
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
        for column in range(next(iter(outputs.values())).shape[1]):
            class_ = entry.classes.add()
            if labels is not None:
                class_.label = labels[row, column].decode("utf-8", "replace")
            if scores is not None:
                class_.score = float(scores[row, column])
    return result
