"""The same held-out records answered by evaluate, a session, REST and gRPC."""

from pathlib import Path

import numpy as np
import tensorflow as tf
from serving_models import Client, running

from mri_tf.export.graph import reported
from mri_tf.export.inputs import input_arrays, network_input
from mri_tf.export.parity import PARITY_RECORDS, session_of
from mri_tf.network.inference import predict_whole
from mri_tf.network.members import load_members, predict_members
from mri_tf.pipeline.bags import pad_slices, present_slices
from mri_tf.pipeline.batches import read_bags_in_order, read_in_order
from mri_tf.pipeline.field_of_view import box_cut
from mri_tf.pipeline.subset import subset_of
from mri_tf.splits.units import bags_of, select_slices
from mri_tf.store.run import positions_of

VOLUMES = 2  # as JSON they take seconds


def probabilities_of(run, prepared, exported: Path) -> dict[str, np.ndarray]:
    """Who was asked -> probabilities of up to 20 held-out records (of 2 volumes), or of their patients;
    of a model of several members without a test side, of records of its folds.

    `exported` is `<models>/<task>/<version>`; all that is in `<models>` is served.
    """
    most = PARITY_RECORDS if len(run.task.image_shape) == 2 else VOLUMES
    sides = positions_of(run, prepared)
    records = (sides[2] if len(sides[2]) else sides[0])[:most]
    signature, feed, outputs = _asked(run, prepared, records)
    with session_of(exported) as call:
        found = {"session": call(signature, feed)["probabilities"]}
    with running(exported.parent.parent, body_bytes=1 << 28, decompressed_bytes=1 << 28) as server:
        client = Client(server)
        try:
            found["REST"] = _over_rest(client, run.task.name, signature, feed)
            found["gRPC"] = _over_grpc(client, run.task.name, signature, feed)
        finally:
            client.close()
    return found | {"evaluate": reported(run, outputs)}


def _asked(run, prepared, records) -> tuple[str, dict[str, np.ndarray], np.ndarray]:
    """The signature, its inputs, and what evaluate's network gives for the same records."""
    task, members, fitted = run.task, load_members(run), run.values["fitted"]
    subset = subset_of(run, prepared, records)
    if task.bag:
        outputs, _ = predict_members(run, members, subset)
        bags = bags_of(prepared, select_slices(task, prepared, records, fitted))
        (batch,) = read_bags_in_order(prepared, bags, len(bags), cut=box_cut(task))
        count = tf.shape(batch["weight"], tf.int64)[0]
        feed = {
            "slices" if name == "image" else name: pad_slices(array, batch["bag"], count).numpy()
            for name, array in input_arrays(batch, task).items()
        }
        return "slices", feed | {"mask": present_slices(batch["bag"], count).numpy()}, outputs
    (batch,) = read_in_order(prepared, records, len(records), cut=box_cut(task))
    arrays = input_arrays(batch, task)
    if task.kind == "segmentation":
        outputs = predict_whole(members[0].model, task, network_input(arrays, task, fitted))
    else:
        outputs, _ = predict_members(run, members, subset)
    return "serving_default", {name: array.numpy() for name, array in arrays.items()}, outputs


def _over_rest(client: Client, name: str, signature: str, feed: dict) -> np.ndarray:
    inputs = {key: array.tolist() for key, array in feed.items()}
    body = {"signature_name": signature, "inputs": inputs}
    answer = client.post(f"/v1/models/{name}:predict", body)
    assert answer.status_code == 200, answer.text[:300]
    return np.array(answer.json()["outputs"]["probabilities"])


def _over_grpc(client: Client, name: str, signature: str, feed: dict) -> np.ndarray:
    from tensorflow_serving.apis import predict_pb2

    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = name, signature
    for key, array in feed.items():
        request.inputs[key].CopyFrom(tf.make_tensor_proto(array))
    request.output_filter.append("probabilities")
    answer = client.prediction.Predict(request, timeout=60)
    return tf.make_ndarray(answer.outputs["probabilities"])
