"""Exported classifiers average over the views of a task, and all answers are fitted with it."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from fresh import export_source_of, feed_of
from small import sides_of, write_raw, write_task_files
from trainings import split_of

from data_prep.prepare.prepare import prepare
from mri_tf.calibration.calibrator import calibrator_from_json, fit_calibrator
from mri_tf.core.command_line import run_command
from mri_tf.evaluate.classifier import score_classifier
from mri_tf.evaluate.familiarity import familiarity_of
from mri_tf.explain.__main__ import main as explain
from mri_tf.explain.saliency import grad_cam_in_graph, layer_to_explain, resize_maps
from mri_tf.export.explained import explained_networks
from mri_tf.export.inputs import network_input
from mri_tf.export.parity import session_of
from mri_tf.export.publish import export_run
from mri_tf.export.saved_model import write_saved_model
from mri_tf.network.bags import SLICE_PROBABILITIES
from mri_tf.network.build import load_network
from mri_tf.network.inference import predict_features, predict_records
from mri_tf.network.members import Member
from mri_tf.pipeline.subset import run_sides
from mri_tf.task import Task
from mri_tf.task.files import load_task
from mri_tf.task.overrides import with_values
from mri_tf.train.fit import fit_run
from mri_tf.train.new_run import new_run

MIRRORED = dict(flips=("columns",))
SLICES = dict(
    name="small", class_names=("low", "high"), channels=("t1",), image_shape=(32, 32), model="vgg",
    model_args=dict(conv_filters=2, dense_units=4, blocks=2), test_time=MIRRORED,
)  # fmt: skip
TASKS = {
    "2D": Task(**SLICES),
    "patients": Task(**SLICES, bag=dict(pooling="mean")),
    "3D": Task(
        **SLICES | dict(image_shape=(16, 16, 16), model="grader3d", model_args=dict(filters=2)),
    ),
}


@pytest.fixture(scope="module", params=TASKS)
def served(request, tmp_path_factory):
    """(source, `call(signature, values)` of its export) of a network of fresh weights."""
    source = export_source_of(TASKS[request.param])
    folder = tmp_path_factory.mktemp("views") / "1"
    write_saved_model(source, folder)
    with session_of(folder) as call:
        yield source, call


def reported(source, outputs: list[np.ndarray]) -> np.ndarray:
    calibrator = calibrator_from_json(source.run.values["answers"])
    return calibrator.probabilities(np.mean(outputs, axis=0))


def both_ways(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The images, and their mirror images along columns."""
    return images, images[..., ::-1, :]


def test_the_graph_answers_with_the_mean_over_views(served):
    source, call = served
    feed = feed_of(source.run.task)
    images = network_input({k: tf.constant(v) for k, v in feed.items()}, source.run.task, {}).numpy()
    (network,) = explained_networks(source)
    outputs = [network.predict_on_batch(view) for view in both_ways(images)]
    assert np.abs(outputs[0] - outputs[1]).max() > 1e-3
    answer = call("serving_default", feed)
    np.testing.assert_allclose(answer["probabilities"], reported(source, outputs), atol=1e-5)
    np.testing.assert_allclose(np.exp(answer["logits"]), np.mean(outputs, axis=0), atol=1e-5)


def test_the_graph_explains_the_averaged_answer_on_the_image_as_it_is(served):
    source, call = served
    feed = feed_of(source.run.task)
    images = network_input({k: tf.constant(v) for k, v in feed.items()}, source.run.task, {})
    (network,) = explained_networks(source)
    outputs = [network.predict_on_batch(view) for view in both_ways(images.numpy())]
    likeliest = np.mean(outputs, axis=0).argmax(axis=-1).astype(np.int32)
    answer = call("explain", feed | {"class_index": np.full(len(images), -1, np.int32)})
    np.testing.assert_allclose(answer["probabilities"], reported(source, outputs), atol=1e-5)
    assert answer["class_index"].tolist() == likeliest.tolist()
    maps, _ = grad_cam_in_graph(network, layer_to_explain(network, ""))(images, likeliest)
    maps = resize_maps(maps, source.run.task.network_shape)
    np.testing.assert_allclose(answer["map"], maps, atol=1e-5)


@pytest.mark.parametrize("served", ["patients"], indirect=True)
def test_slices_of_patients_are_averaged_over_views_too(served):
    source, call = served
    task = source.run.task
    feed = {name: np.stack([array, array[::-1]]) for name, array in feed_of(task).items()}
    mask = np.array([[1, 1, 1], [1, 0, 0]], np.float32)
    flat = {name: tf.constant(array.reshape(-1, *array.shape[2:])) for name, array in feed.items()}
    images = network_input(flat, task, {}).numpy().reshape(2, 3, 32, 32, 1)
    outputs = [source.model.predict_on_batch((view, mask)) for view in both_ways(images)]
    slices = {("slices" if name == "image" else name): array for name, array in feed.items()}
    answer = call("slices", slices | {"mask": mask})
    np.testing.assert_allclose(answer["probabilities"], reported(source, outputs), atol=1e-5)
    assert source.model.get_layer(SLICE_PROBABILITIES)  # the network itself stays as it was
    assert answer["slice_probabilities"][1, 1:].tolist() == [[0, 0], [0, 0]]


# ---- a run


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """(run, prepared set): a small network on 32 x 32 slices."""
    home = tmp_path_factory.mktemp("trained")
    file = write_task_files(home)
    task = load_task(file)
    changes = {"epochs": 2, "test_time": dict(flips=("columns",), shift_voxels=2)}
    task = with_values(task, task.variants["scratch"] | changes)
    prepared, _ = prepare(task, file, write_raw(home / "raw", patients=12), home / "data")
    sides = sides_of(task, prepared, split_of(task, prepared, (0.5, 0.25, 0.25)))
    return fit_run(new_run(home / "run", task, prepared, sides, 0), prepared, None, devices=1), prepared


def plain(subset):
    """The same records for a task without views."""
    return dataclasses.replace(subset, task=dataclasses.replace(subset.task, test_time={}))


def averaged(model, subset) -> np.ndarray:
    """The mean over the six views of the fixture, by NumPy's flips and padding."""
    answers = []
    for images, _, _ in subset.eval_batches(64):
        wide = np.pad(images, ((0, 0), (2, 2), (2, 2), (0, 0)), "edge")
        views = [images.numpy(), images.numpy()[:, :, ::-1]]
        views += [wide[:, row : row + 32, column : column + 32]
                  for row, column in ((0, 2), (4, 2), (2, 0), (2, 4))]  # fmt: skip
        answers.append(np.mean([model.predict_on_batch(view) for view in views], axis=0))
    return np.concatenate(answers)


def test_calibration_is_fitted_to_the_averaged_answers(trained):
    run, prepared = trained
    (training, validation, _), model = run_sides(run, prepared), load_network(run)
    outputs = predict_records(model, validation)
    np.testing.assert_allclose(outputs, averaged(model, validation), atol=1e-5)
    about = (validation.labels, validation.patients, run.task, (training.label_counts(),) * 2)
    kept = calibrator_from_json(run.values["answers"])
    assert fit_calibrator(outputs, *about).temperature == pytest.approx(kept.temperature, rel=1e-3)
    unchanged = fit_calibrator(predict_records(model, plain(validation)), *about)
    assert abs(unchanged.temperature / kept.temperature - 1) > 0.01


def test_evaluation_counts_the_averaged_answers(trained):
    run, prepared = trained
    test, model = run_sides(run, prepared)[2], load_network(run)
    _, predictions = score_classifier([Member(run, model)], run, test, None, familiarity_of(run))
    np.testing.assert_allclose(predictions.outputs, averaged(model, test), atol=1e-5)
    assert np.abs(predictions.outputs - predict_records(model, plain(test))).max() > 1e-3


def test_the_distance_of_features_is_fitted_to_averaged_features(trained):
    run, prepared = trained
    (training, _, _), model = run_sides(run, prepared), load_network(run)
    of_views, unchanged = (predict_features(model, side) for side in (training, plain(training)))
    (fitted,) = familiarity_of(run).features.members
    centre = fitted.centre
    np.testing.assert_allclose(centre, of_views.mean(axis=0), atol=1e-4)
    assert np.abs(centre - unchanged.mean(axis=0)).max() > 1e-3


def test_a_run_with_views_is_exported_and_its_card_says_how_many(trained, tmp_path):
    folder = export_run(*trained, tmp_path / "models")  # compares every signature with the run
    card = (folder / "assets.extra" / "model_card.md").read_text(encoding="utf-8")
    assert "Every answer is the mean over 6 views of the image (unchanged; mirrored along col" in card


def test_the_explain_command_reports_the_averaged_probability(trained, tmp_path, capsys):
    run, prepared = trained
    out, test = tmp_path / "maps", run_sides(run, prepared)[2]
    test = test.of(test.records[test.patients == test.patients[0]])
    asked = ["--run", run.folder, "--patients", test.patients[0], "--class", "mid", "--out", out]
    assert run_command(explain, list(map(str, asked))) == 0
    assert "means over 6 views of the image" in capsys.readouterr().out
    table = pd.read_csv(out / "attribution.csv")
    outputs = averaged(load_network(run), test)
    calibrator = calibrator_from_json(run.values["answers"])
    expected = calibrator.probabilities(outputs)[:, 1]
    np.testing.assert_allclose(table["probability"], expected, atol=1e-5)
    decisions = [run.task.class_names[number] for number in calibrator.decisions(outputs)]
    assert table["decision"].tolist() == decisions
