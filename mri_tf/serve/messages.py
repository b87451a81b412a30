"""Status and metadata of models as protocol buffers and as JSON."""

import json

from mri_tf.serve.status import CODES, invalid


def fill_status(response, versions) -> None:
    """Writes the states of versions into a GetModelStatusResponse."""
    for version in versions:
        entry = response.model_version_status.add()
        entry.version = version.number
        entry.state = entry.State.Value(version.state)
        entry.status.SetInParent()
        if version.error is not None:
            entry.status.error_code = CODES[version.error.code][0]
            entry.status.error_message = version.error.message


def fill_metadata(response, version, fields) -> None:
    """Writes a version's signatures into a GetModelMetadataResponse; raises ServingError."""
    if not fields:
        raise invalid("GetModelMetadataRequest must specify at least one metadata_field")
    for field in fields:
        if field != "signature_def":
            raise invalid(f"Metadata field {field} is not supported")
    response.model_spec.name = version.model
    response.model_spec.version.value = version.number
    response.metadata["signature_def"].Pack(_signature_map(version))


def _signature_map(version):
    from tensorflow_serving.apis import get_model_metadata_pb2

    signatures = get_model_metadata_pb2.SignatureDefMap()
    for name, proto in version.signature_protos.items():
        signatures.signature_def[name].CopyFrom(proto)
    return signatures


def status_json(versions) -> str:
    """The answer of `GET /v1/models/NAME`."""
    from tensorflow_serving.apis import get_model_status_pb2

    response = get_model_status_pb2.GetModelStatusResponse()
    fill_status(response, versions)
    return _json(response)


def metadata_json(version) -> str:
    """The answer of `GET /v1/models/NAME/metadata`."""
    from tensorflow_serving.apis import get_model_metadata_pb2

    response = get_model_metadata_pb2.GetModelMetadataResponse()
    fill_metadata(response, version, ["signature_def"])
    document = {
        "model_spec": json.loads(_json(response.model_spec)),
        "metadata": {"signature_def": json.loads(_json(_signature_map(version)))},
    }
    return json.dumps(document, indent=1)


def _json(message) -> str:
    from google.protobuf import json_format

    return json_format.MessageToJson(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True, indent=1
    )
