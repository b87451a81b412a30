"""The outputs of an exported classifier of 2D slices, and the files beside its graph."""

import dataclasses
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from fresh import export_source_of, with_drawn_weights
from PIL import Image
from serving_models import Client, running
from small import sides_of, write_raw, write_task_files
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import classification_pb2, prediction_log_pb2
from trainings import split_of

from data_prep.prepare.prepare import prepare
from mri_tf.calibration import false_alarms
from mri_tf.calibration.familiar_images import familiar_from_json, familiar_scores
from mri_tf.calibration.mean_distance import mean_distances
from mri_tf.core.command_line import run_command
from mri_tf.evaluate.familiarity import familiarity_of, fit_familiarity
from mri_tf.explain.maps import explain_record, explainer_of
from mri_tf.explain.saliency import layer_to_explain
from mri_tf.export.__main__ import main as export
from mri_tf.export.assets import exported_version
from mri_tf.export.inputs import input_arrays, network_input, serialized_examples
from mri_tf.export.parity import session_of
from mri_tf.export.publish import export_run
from mri_tf.export.saved_model import signatures
from mri_tf.export.warm_up import write_warm_up
from mri_tf.network.build import load_network
from mri_tf.network.penultimate import with_features
from mri_tf.pipeline.batches import read_in_order
from mri_tf.pipeline.image_statistics import statistics_of
from mri_tf.pipeline.subset import run_sides, subset_of
from mri_tf.serve.models import Spec
from mri_tf.store.run import positions_of
from mri_tf.task import Task
from mri_tf.task.files import load_task
from mri_tf.task.overrides import with_values
from mri_tf.train.fit import fit_run
from mri_tf.train.new_run import new_run

TASK = Task(
    name="small", channels=("t1",), image_shape=(32, 32), model="vgg", class_names=("low", "high"),
    model_args=dict(conv_filters=2, dense_units=4, blocks=2), normalize=dict(method="zscore"),
)  # fmt: skip


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """(run, prepared set, folder of the export): a small network on 32 x 32 slices, drawn weights."""
    home = tmp_path_factory.mktemp("export")
    file = write_task_files(home)
    task = load_task(file)
    task = with_values(
        with_values(task, task.variants["scratch"]),
        {"epochs": 1, "model": "backbone_classifier",
         "model_args": dict(weights="none", cut_after="stack0", intensities="zscore")},
    )  # fmt: skip
    prepared, skipped = prepare(task, file, write_raw(home / "raw", patients=12), home / "data")
    assert not skipped
    sides = sides_of(task, prepared, split_of(task, prepared, (0.5, 0.25, 0.25)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(false_alarms, "FEWEST", 2)
        run = fit_run(new_run(home / "run", task, prepared, sides, 0), prepared, None, devices=1)
        run = with_drawn_weights(run)
        return run, prepared, export_run(run, prepared, home / "saved_models")


@pytest.fixture(scope="module")
def call(exported):
    """`call(signature, values)` of the export, loaded as TF Serving loads it."""
    with session_of(exported[2]) as run_signature:
        yield run_signature


@pytest.fixture(scope="module")
def feed(exported) -> dict[str, np.ndarray]:
    """The arrays of the held-out records."""
    run, prepared, _ = exported
    (batch,) = read_in_order(prepared, positions_of(run, prepared)[2], 64)
    return {name: array.numpy() for name, array in input_arrays(batch, run.task).items()}


@pytest.fixture(scope="module")
def client(exported):
    """A client of a server of the export, which has replayed the warm-up requests."""
    with running(exported[2].parent.parent) as server:
        caller = Client(server)
        yield caller
        caller.close()


def _asset(exported, name: str):
    return json.loads((exported[2] / "assets.extra" / name).read_text(encoding="utf-8"))


def _posted(client, verb: str, body: dict) -> dict:
    answer = client.post(f"/v1/models/thirds:{verb}", body)
    assert answer.status_code == 200, answer.text
    return answer.json()


# ---- out of distribution


def test_held_out_records_are_familiar_and_distorted_images_are_not(call, feed):
    flags = call("serving_default", feed)["out_of_distribution"]
    assert flags.mean() < 0.6  # 2 of 7 are expected, as six patients were trained on
    rng = np.random.default_rng(0)
    image = feed["image"]
    noise = rng.permuted(image.reshape(len(image), -1), axis=1).reshape(image.shape)
    for wrong in (10 * image, np.full_like(image, 90), noise, np.full_like(image, np.nan)):
        flags = call("serving_default", feed | {"image": wrong})["out_of_distribution"]
        assert flags.dtype == np.int32 and flags.tolist() == [1] * len(image)


def test_the_graph_scores_images_as_evaluate_and_predict_do(exported, call, feed):
    run, _, _ = exported
    familiar = familiar_from_json(_asset(exported, "familiar.json")["images"])
    gains = np.random.default_rng(0).uniform(0.2, 4, len(feed["image"]))
    images = (feed["image"] * gains[:, None, None, None]).astype(np.float32)
    answer = call("serving_default", feed | {"image": images})
    scores = familiar_scores(statistics_of(images, None, [{}] * len(images)), familiar)
    np.testing.assert_allclose(answer["out_of_distribution_score"], scores, rtol=1e-3)
    flags = answer["out_of_distribution"]
    assert flags.tolist() == (scores > familiar.graph_limits.records.value).astype(int).tolist()
    assert 0 < flags.sum() < len(flags)


def test_the_graph_measures_features_as_evaluate_does(exported, call, feed):
    run, prepared, _ = exported
    fitted = familiarity_of(run).features
    _, features = with_features(load_network(run))(
        network_input(feed, run.task, run.values["fitted"])
    )
    answer = call("serving_default", feed)
    distances = mean_distances([features.numpy()], fitted)
    np.testing.assert_allclose(answer["feature_distance"], distances, rtol=1e-3)
    wanted = (distances > fitted.limit.value).astype(int)
    assert answer["feature_out_of_distribution"].tolist() == wanted.tolist()


def test_what_is_familiar_is_fitted_on_the_training_side_alone(exported):
    run, prepared, _ = exported
    training, validation, test = run_sides(run, prepared)
    kept, model = _asset(exported, "familiar.json")["images"], load_network(run)
    assert kept["records"] == len(training)
    again = fit_familiarity(training, validation, model).images
    assert kept["centre"] == pytest.approx(list(again.centre), nan_ok=True)
    assert kept["centre"] != pytest.approx(list(fit_familiarity(test, validation, model).images.centre))


def test_a_run_of_few_patients_exports_flags_that_cannot_tell(exported, feed, tmp_path):
    run, prepared, _ = exported
    few = run.save(familiar=None)  # as an earlier version left it: fitted anew
    try:
        folder = export_run(few, prepared, tmp_path / "models")
    finally:
        run.save()
    with session_of(folder) as call:
        answer = call("serving_default", feed)
    assert set(answer["out_of_distribution"].tolist()) == {-1}
    assert set(answer["feature_out_of_distribution"].tolist()) == {-1}
    assert np.isfinite(answer["out_of_distribution_score"]).all()


# ---- classify


def test_classify_gives_every_class_the_probability_of_serving_default(exported, call, feed):
    answer = call("classify", {"inputs": serialized_examples(feed)})
    names = [name.encode() for name in exported[0].task.class_names]
    assert answer["classes"].tolist() == [names] * len(feed["image"])
    probabilities = call("serving_default", feed)["probabilities"]
    np.testing.assert_allclose(answer["scores"], probabilities, atol=1e-6)
    assert set(answer) == {"classes", "scores"}  # TF Serving refuses a third


def test_only_classify_has_the_method_name_of_classify(exported):
    path = exported[2] / "saved_model.pb"
    (graph,) = saved_model_pb2.SavedModel.FromString(path.read_bytes()).meta_graphs
    for name, signature in graph.signature_def.items():
        if name != "__saved_model_init_op":
            method = "classify" if name == "classify" else "predict"
            assert signature.method_name == f"tensorflow/serving/{method}", name


def test_classify_is_answered_over_rest_and_grpc(client, call, feed):
    expected = call("serving_default", feed)["probabilities"][:2]
    names = ["basal", "mid", "apical"]
    examples = [
        {name: array[place].ravel().tolist() for name, array in feed.items()} for place in range(2)
    ]
    body = {"signature_name": "classify", "examples": examples}
    results = _posted(client, "classify", body)["results"]
    for row, scores in zip(results, expected, strict=True):
        assert [label for label, _ in row] == names
        np.testing.assert_allclose([score for _, score in row], scores, atol=1e-5)
    request = classification_pb2.ClassificationRequest()
    request.model_spec.name, request.model_spec.signature_name = "thirds", "classify"
    for one in serialized_examples(feed)[:2]:
        example = tf.train.Example.FromString(one)
        request.input.example_list.examples.add().CopyFrom(example)
    result = client.prediction.Classify(request, timeout=30).result
    for row, scores in zip(result.classifications, expected, strict=True):
        assert [one.label for one in row.classes] == names
        np.testing.assert_allclose([one.score for one in row.classes], scores, atol=1e-5)


def test_an_example_without_an_array_gets_an_error_that_names_it(client, feed):
    body = {"signature_name": "classify", "examples": [{"image": feed["image"][0].ravel().tolist()}]}
    answer = client.post("/v1/models/thirds:classify", body)
    assert answer.status_code == 400 and "intensity_stats" in answer.json()["error"]


# ---- explain


def test_the_exported_map_is_that_of_the_explain_command(exported, call, feed):
    run, prepared, _ = exported
    model = load_network(run)
    explainer = explainer_of(model, run.task, layer_to_explain(model, ""), run.values["fitted"])
    records = positions_of(run, prepared)[2]
    largest = []
    for label in (None, 0, 1, 2):
        classes = np.full(len(records), -1 if label is None else label, np.int32)
        outputs = call("explain", feed | {"class_index": classes})
        assert outputs["map"].shape == (len(records), 32, 32)
        subset = subset_of(run, prepared, records)
        for row in (0, 3):
            expected = explain_record(explainer, subset, int(records[row]), label)
            np.testing.assert_allclose(outputs["map"][row], expected.cam, atol=1e-5)
            assert outputs["class_index"][row] == expected.label
        largest.append(outputs["map"].max())
    assert max(largest) > 0.01  # maps of zeros would be equal too


def test_each_row_of_a_batch_is_explained_for_its_own_class(call, feed):
    batch = {name: array[[0, 0, 0]] for name, array in feed.items()}
    maps = call("explain", batch | {"class_index": np.array([0, 1, 2], np.int32)})["map"]
    assert len({map_.tobytes() for map_ in maps}) > 1
    first = {name: array[:1] for name, array in feed.items()}
    for label in range(3):
        alone = call("explain", first | {"class_index": np.array([label], np.int32)})
        np.testing.assert_allclose(maps[label], alone["map"][0], atol=1e-6)


def test_explain_is_answered_over_rest(client, call, feed):
    row = {name: array[0].tolist() for name, array in feed.items()} | {"class_index": -1}
    body = {"signature_name": "explain", "instances": [row]}
    (prediction,) = _posted(client, "predict", body)["predictions"]
    first = {name: array[:1] for name, array in feed.items()}
    expected = call("explain", first | {"class_index": np.array([-1], np.int32)})
    for name in ("map", "probabilities"):
        np.testing.assert_allclose(prediction[name], expected[name][0], atol=1e-5)
    assert prediction["class_index"] == expected["class_index"][0]


def test_the_graph_refuses_a_class_that_does_not_exist(call, feed):
    classes = np.full(len(feed["image"]), 3, np.int32)
    with pytest.raises(tf.errors.InvalidArgumentError, match="class_index must be less than 3"):
        call("explain", feed | {"class_index": classes})


# ---- the files beside the graph


def test_an_export_is_found_again_by_its_weights(exported, tmp_path):
    run, _, folder = exported
    weights = run.values["weights_sha256"]
    assert exported_version(folder.parent, weights) == 1
    assert exported_version(folder.parent, "0" * 64) is None
    assert exported_version(tmp_path / "none", weights) is None
    facts = _asset(exported, "export.json")
    assert facts["signatures"] == ["serving_default", "image_bytes", "classify", "explain"]
    assert facts["task"] == "thirds" and facts["versions"].keys() == {"mri_tf", "tensorflow", "keras"}


def test_weights_are_stored_once(exported):
    run, _, folder = exported
    (stored,) = (folder / "variables").glob("*.data-*")
    assert stored.stat().st_size < 1.1 * 4 * run.values["parameters"]


def test_no_exported_file_names_a_patient_or_a_folder(exported):
    run, prepared, folder = exported
    places = {str(Path.home()), str(folder.parent), str(prepared.folder)}
    words = {*prepared.record_ids, *prepared.patients} | places
    for path in folder.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert not [word for word in words if word.encode() in data], path.name


def test_the_model_card_of_a_run_without_evaluation_describes_inputs_and_counts_patients(exported):
    run, prepared, folder = exported
    card = (folder / "assets.extra" / "model_card.md").read_text(encoding="utf-8")
    assert "Not evaluated" in card
    for name in ("serving_default", "image_bytes", "classify", "explain"):
        assert f"- `{name}` takes " in card
    assert "- `intensity_stats`: (2, channels, 2): of each channel mean and SD" in card
    patients = {side: len(names) for side, names in run.values["patients"].items()}
    assert f"| train      | {patients['train']:8d} | {len(run.sides['train']):7d} |" in card
    assert "Not a medical device" in card and "{" not in card and "None" not in card


def test_there_is_a_warm_up_request_for_every_signature(exported):
    path = exported[2] / "assets.extra" / "tf_serving_warmup_requests"
    logs = [
        prediction_log_pb2.PredictionLog.FromString(one)
        for one in tf.compat.v1.io.tf_record_iterator(str(path))
    ]
    specs = [getattr(log, log.WhichOneof("log_type")).request.model_spec for log in logs]
    assert [spec.signature_name for spec in specs] == _asset(exported, "export.json")["signatures"]
    assert {spec.name for spec in specs} == {"thirds"}


def test_an_install_without_the_server_exports_without_warm_up_and_says_so(tmp_path, monkeypatch):
    five = dataclasses.replace(TASK, channels=tuple("abcde"))  # more than a PNG holds
    source = export_source_of(five)
    specs = {name: specs for name, (_, specs) in signatures(source).items()}
    assert write_warm_up(source, specs, tmp_path / "requests") == ""
    assert (tmp_path / "requests").stat().st_size < 25_000  # three images of 20 kB, one of them whole
    monkeypatch.setitem(sys.modules, "tensorflow_serving.apis", None)
    assert "mri_tf[serve]" in write_warm_up(source, specs, tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_a_version_whose_warm_up_fails_is_not_served(exported, tmp_path):
    """So a server replays the requests, and one that starts has answered them."""
    folder = tmp_path / "thirds" / "1"
    shutil.copytree(exported[2], folder)
    log = prediction_log_pb2.PredictionLog()
    request = log.classify_log.request
    request.model_spec.signature_name = "classify"
    request.input.example_list.examples.add()  # without the arrays
    with tf.io.TFRecordWriter(str(folder / "assets.extra" / "tf_serving_warmup_requests")) as writer:
        writer.write(log.SerializeToString())
    with running(tmp_path) as server:
        (state,) = server.models.states(Spec("thirds", None, ""))
        assert state.error is not None and "image" in state.error.message


# ---- ONNX


def test_a_run_is_exported_as_onnx_by_the_command(exported, tmp_path, monkeypatch, capsys):
    run, prepared, _ = exported
    monkeypatch.chdir(tmp_path)
    arguments = ["--run", str(run.folder), "--format", "onnx"]
    assert run_command(export, arguments) == 0
    printed = capsys.readouterr().out
    assert "ONNX Runtime differ from the run's by at most" in printed
    folder = tmp_path / "onnx_models" / "thirds" / "1"
    assert sorted(path.name for path in folder.iterdir()) == ["assets.extra", "model.onnx"]
    assert not (tmp_path / "onnx_models" / "models.config").exists()
    facts = json.loads((folder / "assets.extra" / "export.json").read_text())
    assert facts["signatures"] == ["serving_default"]


def test_a_folder_of_saved_models_takes_no_onnx_file(exported, capsys):
    run, _, folder = exported
    arguments = ["--run", str(run.folder), "--out", str(folder.parent.parent), "--format", "onnx"]
    assert run_command(export, arguments) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()[-1:]
    assert "already holds versions" in line and "format savedmodel" in line and "Received:" in line
    assert [path.name for path in folder.parent.iterdir()] == ["1"]


@pytest.mark.parametrize("columns", [("image",), ("t1", "t2", "flair")])
def test_bytes_of_one_file_are_taken_only_where_one_file_holds_all_channels(columns, tmp_path):
    raw, file = tmp_path / "raw", tmp_path / "colours.py"
    raw.mkdir()
    rows = [["patient_id", "label", *columns]]
    for number in range(4):
        names = [f"{number}_{column}.png" for column in columns]
        for name in names:
            pixels = np.full((32, 32) if len(columns) == 3 else (32, 32, 3), 9 * number, np.uint8)
            Image.fromarray(pixels).save(raw / name)
        rows.append([f"P{number}", ("low", "high")[number % 2], *names])
    (raw / "cases.csv").write_text("\n".join(map(",".join, rows)), encoding="utf-8")
    task = dataclasses.replace(TASK, name="colours", channels=("t1", "t2", "flair"))
    file.write_text(f"from mri_tf.task import Task\nTASK = {task!r}\n", encoding="utf-8")
    prepared, _ = prepare(load_task(file), file, raw, tmp_path / "data")
    assert prepared.separate_channels == (len(columns) == 3)
    source = dataclasses.replace(
        export_source_of(task), separate_channels=prepared.separate_channels
    )
    assert ("image_bytes" in signatures(source)) == (len(columns) == 1)
