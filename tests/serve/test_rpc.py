"""gRPC by the protocol's rules, one test a rule; what TF Serving answers is the oracle."""

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    predict_pb2,
    regression_pb2,
)

CODE = grpc.StatusCode


def _spec(request, model="many", signature="", version=None, label=""):
    request.model_spec.name, request.model_spec.signature_name = model, signature
    if version is not None:
        request.model_spec.version.value = version
    if label:
        request.model_spec.version_label = label
    return request


def _request(inputs, **where):
    request = _spec(predict_pb2.PredictRequest(), **where)
    for name, value in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    return request


def _x(*values):
    return {"x": np.float32(values)}


def _arrays(response) -> dict:
    return {name: tf.make_ndarray(proto) for name, proto in response.outputs.items()}


def _refused(call, request, code=CODE.INVALID_ARGUMENT, text="", **options):
    with pytest.raises(grpc.RpcError) as caught:
        call(request, **options)
    assert caught.value.code() == code, caught.value
    assert text in caught.value.details()


def test_predict_answers_tensors_and_says_who_answered(client):
    response = client.prediction.Predict(_request(_x(1, 2)))
    np.testing.assert_array_equal(_arrays(response)["y"], np.float32([2.5, 3]))
    assert response.model_spec.name == "many"
    assert response.model_spec.version.value == 2
    assert response.model_spec.signature_name == "serving_default"


@pytest.mark.parametrize("where, value", [(dict(version=1), 1.5), (dict(label="canary"), 2.5)])
def test_a_version_is_named_by_number_or_label(client, where, value):
    assert _arrays(client.prediction.Predict(_request(_x(1), **where)))["y"] == value


@pytest.mark.parametrize(
    "where, code, text",
    [
        (dict(model="other"), CODE.NOT_FOUND, "Servable not found for request: Latest(other)"),
        (dict(version=7), CODE.NOT_FOUND, "Specific(many, 7)"),
        (dict(label="other"), CODE.INVALID_ARGUMENT, "Unrecognized servable version label: other"),
        (dict(model=""), CODE.INVALID_ARGUMENT, "ModelSpec has no name specified."),
        (dict(signature="other"), CODE.FAILED_PRECONDITION, 'signature key "other" not found.'),
        (dict(model="../many"), CODE.NOT_FOUND, "Latest(../many)"),
    ],
)  # fmt: skip
def test_a_spec_that_names_nothing_is_refused(client, where, code, text):
    _refused(client.prediction.Predict, _request(_x(1), **where), code, text)


def test_a_request_has_a_model_spec(client):
    _refused(client.prediction.Predict, predict_pb2.PredictRequest(), text="Missing ModelSpec")


def test_an_output_filter_chooses_the_outputs(client):
    request = _request({"a": np.float32([1]), "b": np.float32([2])}, signature="sum")
    assert set(_arrays(client.prediction.Predict(request))) == {"total", "difference"}
    request.output_filter.append("total")
    assert set(_arrays(client.prediction.Predict(request))) == {"total"}


@pytest.mark.parametrize(
    "names, text",
    [(["other"], "output tensor alias not found in signature: other"),
     (["y", "y"], "duplicate output tensor alias: y"),
     (["y"] * 300_000, "duplicate output tensor")],  # each compared with each would take hours
    ids=["other", "twice", "many times"],
)  # fmt: skip
def test_an_output_filter_names_outputs_once_and_is_refused_at_once(client, names, text):
    request = _request(_x(1))
    request.output_filter.extend(names)
    _refused(client.prediction.Predict, request, text=text)


@pytest.mark.parametrize(
    "signature, inputs, text",
    [
        ("sum", {"a": np.float32([1, 2]), "b": np.float32([1])}, "equal 0th-dimension"),
        ("sum", {"a": np.float32([1]), "c": np.float32([1])},
         "Sent extra: {c}. Missing but required: {b}."),
        ("", {"x": np.int32([1])}, "is of type int32; expected type: float"),
        ("rows", {"x": np.zeros((2, 3), np.float32)}, "shape [2, 3]"),
    ],
    ids=["rows", "names", "type", "shape"],
)  # fmt: skip
def test_inputs_have_the_names_types_and_shapes_of_the_signature(client, signature, inputs, text):
    _refused(client.prediction.Predict, _request(inputs, signature=signature), text=text)


def test_every_type_comes_back_as_it_went_in(client):
    inputs = {
        "d": np.float64([0.1, -1e300]), "i8": np.int8([-128, 127]), "u8": np.uint8([0, 255]),
        "i32": np.int32([-(2**31), 1]), "i64": np.int64([2**63 - 1, 0]),
        "flag": np.array([True, False]),
    }  # fmt: skip
    found = _arrays(client.prediction.Predict(_request(inputs, signature="types")))
    for name, value in inputs.items():
        assert found[name].dtype == value.dtype
        np.testing.assert_array_equal(found[name], value)


def test_half_and_bytes_come_back_as_they_went_in(client):
    found = _arrays(client.prediction.Predict(_request({"h": np.float16([1.5])}, signature="half")))
    assert found["h"].dtype == np.float16 and found["h"] == 1.5
    data = np.array([b"\xff\x00", b""], object)
    found = _arrays(client.prediction.Predict(_request({"text": data}, signature="strings")))
    assert found["copy"].tolist() == data.tolist() and found["length"].tolist() == [2, 0]


def test_answers_have_their_values_in_the_value_fields(client):
    response = client.prediction.Predict(_request(_x(1, 2)))
    assert list(response.outputs["y"].float_val) == [2.5, 3.0]
    assert not response.outputs["y"].tensor_content


def test_one_value_fills_a_whole_shape(client):
    request = _request({})
    request.inputs["x"].CopyFrom(tf.make_tensor_proto(1.0, shape=[4]))
    assert len(request.inputs["x"].float_val) == 1
    np.testing.assert_array_equal(_arrays(client.prediction.Predict(request))["y"], [2.5] * 4)


def test_no_rows_give_no_rows(client):
    assert _arrays(client.prediction.Predict(_request(_x())))["y"].shape == (0,)


@pytest.mark.parametrize(
    "change",
    [
        lambda proto: setattr(proto, "tensor_content", b"\0" * 7),
        lambda proto: setattr(proto.tensor_shape.dim[0], "size", -2),
        lambda proto: setattr(proto, "dtype", 0),
        lambda proto: setattr(proto, "dtype", 20),  # DT_RESOURCE
        lambda proto: setattr(proto.tensor_shape, "unknown_rank", True),
    ],
    ids=["bytes", "negative", "no type", "other type", "unknown rank"],
)
def test_a_tensor_that_is_none_is_a_parsing_error(client, change):
    request = _request(_x(1, 2))
    change(request.inputs["x"])
    _refused(client.prediction.Predict, request, text="tensor parsing error: x")


def _examples(request, *values):
    for value in values:
        example = request.input.example_list.examples.add()
        example.features.feature["x"].float_list.value.append(value)
    return request


def test_classify_answers_classes(client):
    request = _spec(classification_pb2.ClassificationRequest(), signature="classify")
    response = client.prediction.Classify(_examples(request, 0.25, 1.0))
    found = [[(c.label, c.score) for c in one.classes] for one in response.result.classifications]
    assert found == [[("low", 0.75), ("high", 0.25)], [("low", 0.0), ("high", 1.0)]]
    assert response.model_spec.version.value == 2


def test_regress_answers_values(client):
    request = _spec(regression_pb2.RegressionRequest(), signature="regress")
    response = client.prediction.Regress(_examples(request, 0.25))
    assert [one.value for one in response.result.regressions] == [2.5]


def test_classify_needs_a_classify_signature_and_examples(client):
    request = _examples(_spec(classification_pb2.ClassificationRequest()), 1.0)
    _refused(client.prediction.Classify, request, text="Was: tensorflow/serving/predict")
    empty = _spec(classification_pb2.ClassificationRequest(), signature="classify")
    _refused(client.prediction.Classify, empty, text="Input is empty.")


def _multi(*tasks):
    request = _examples(inference_pb2.MultiInferenceRequest(), 0.25)
    for signature, method in tasks:
        task = request.tasks.add(method_name=f"tensorflow/serving/{method}")
        _spec(task, signature=signature)
    return request


def test_multi_inference_answers_each_of_its_tasks(client):
    request = _multi(("classify", "classify"), ("regress", "regress"))
    first, second = client.prediction.MultiInference(request).results
    assert first.classification_result.classifications[0].classes[1].score == 0.25
    assert second.regression_result.regressions[0].value == 2.5
    assert (first.model_spec.signature_name, second.model_spec.signature_name) == (
        "classify", "regress",
    )  # fmt: skip


@pytest.mark.parametrize(
    "tasks, code",
    [((("regress", "regress"), ("regress", "regress")), CODE.INVALID_ARGUMENT),
     ((("regress", "predict"),), CODE.UNIMPLEMENTED), ((), CODE.INVALID_ARGUMENT)],
)  # fmt: skip
def test_multi_inference_refuses_repeated_and_other_tasks(client, tasks, code):
    _refused(client.prediction.MultiInference, _multi(*tasks), code)


def test_metadata_holds_the_signatures(client):
    request = _spec(get_model_metadata_pb2.GetModelMetadataRequest(), label="stable")
    request.metadata_field.append("signature_def")
    response = client.prediction.GetModelMetadata(request)
    assert response.model_spec.version.value == 1
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert response.metadata["signature_def"].Unpack(signatures)
    assert "serving_default" in signatures.signature_def


@pytest.mark.parametrize("fields", [[], ["other"]])
def test_metadata_has_one_field(client, fields):
    request = _spec(get_model_metadata_pb2.GetModelMetadataRequest())
    request.metadata_field.extend(fields)
    _refused(client.prediction.GetModelMetadata, request)


def test_status_lists_the_versions(client):
    request = _spec(get_model_status_pb2.GetModelStatusRequest())
    found = client.status.GetModelStatus(request).model_version_status
    assert [(one.version, one.State.Name(one.state)) for one in found] == [
        (2, "AVAILABLE"), (1, "AVAILABLE"),
    ]  # fmt: skip


def test_status_of_what_is_not_there_is_not_found(client):
    request = _spec(get_model_status_pb2.GetModelStatusRequest(), model="other")
    _refused(client.status.GetModelStatus, request, CODE.NOT_FOUND)


@pytest.mark.parametrize(
    "model, version, code",
    [("../../etc", 1, CODE.INVALID_ARGUMENT), ("many", 9, CODE.FAILED_PRECONDITION)],
)
def test_a_reload_names_models_and_versions_that_are_there(client, model, version, code):
    request = model_management_pb2.ReloadConfigRequest()
    one = request.config.model_config_list.config.add(name=model, base_path="/etc")
    one.version_labels["stable"] = version
    _refused(client.status.HandleReloadConfigRequest, request, code)


def test_a_deadline_that_passes_is_told(client):
    request = _request(_x(1), signature="slow")
    _refused(client.prediction.Predict, request, CODE.DEADLINE_EXCEEDED, timeout=0.05)
