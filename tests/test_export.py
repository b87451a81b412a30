"""What an exported model answers, and what lies beside it: one small classifier of 2D slices."""

import json
from pathlib import Path

import numpy as np
import pytest
from small import LEVELS_FILE, STRUCTURES_FILE, sides_of, write_raw

from data_prep.prepare import prepare
from mri_tf.assemble import load_network
from mri_tf.data.pipeline import walk
from mri_tf.export import export_run
from mri_tf.fitting import fit_run, new_run, positions_of
from mri_tf.out_of_distribution import reasons
from mri_tf.parity import session_of
from mri_tf.record_arrays import arrays_of, serialized_examples
from mri_tf.served_assets import exported_version
from mri_tf.splits import split_units, tie_together
from mri_tf.task import with_values
from mri_tf.tasks import load_task


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """(run, prepared set, folder of the export): a small network on 32 x 32 slices, one epoch."""
    home = tmp_path_factory.mktemp("export")
    (home / "pools.py").write_text(STRUCTURES_FILE, encoding="utf-8")
    file = home / "thirds.py"
    file.write_text(LEVELS_FILE, encoding="utf-8")
    task = load_task(file)
    task = with_values(
        with_values(task, task.variants["scratch"]),
        {"epochs": 1, "model": "backbone_classifier",
         "model_args": dict(weights="none", cut_after="stack0", intensities="zscore")},
    )  # fmt: skip
    prepared, skipped = prepare(task, file, write_raw(home / "raw", patients=12), home / "data")
    assert not skipped
    units = tie_together(prepared.patients, prepared.groups)
    sides = sides_of(task, prepared, split_units(units, prepared.labels, (0.5, 0.25, 0.25), seed=0))
    run = fit_run(new_run(home / "run", task, prepared, sides, 0), prepared, None, devices=1)
    return run, prepared, export_run(run, prepared, home / "saved_models")


@pytest.fixture(scope="module")
def served(exported):
    """`call(signature, values)` of the export, loaded as TF Serving does."""
    with session_of(exported[2]) as call:
        yield call


@pytest.fixture(scope="module")
def feed(exported) -> dict[str, np.ndarray]:
    """The arrays of the held-out records."""
    run, prepared, _ = exported
    (batch,) = walk(prepared, positions_of(run, prepared)[2], 64)
    return {name: array.numpy() for name, array in arrays_of(batch, run.task).items()}


def _asset(exported, name: str):
    return json.loads((exported[2] / "assets.extra" / name).read_text(encoding="utf-8"))


# ---- out of distribution


def test_records_like_the_training_s_are_inside_and_what_is_no_heart_is_outside(served, feed):
    assert served("serving_default", feed)["out_of_distribution"].mean() < 0.2
    rng = np.random.default_rng(0)
    image = feed["image"]
    noise = rng.permuted(image.reshape(len(image), -1), axis=1).reshape(image.shape)
    for wrong in (10 * image, np.full_like(image, 90), noise, np.full_like(image, np.nan)):
        flags = served("serving_default", feed | {"image": wrong})["out_of_distribution"]
        assert flags.dtype == np.int32 and flags.tolist() == [1] * len(image)


def test_the_ranges_beside_the_model_say_in_words_what_the_graph_says(exported, served, feed):
    ranges = _asset(exported, "ranges.json")
    gains = np.random.default_rng(0).uniform(0.2, 4, len(feed["image"]))
    images = (feed["image"] * gains[:, None, None, None]).astype(np.float32)
    flags = served("serving_default", feed | {"image": images})["out_of_distribution"]
    assert flags.tolist() == [int(bool(reasons(image, ranges))) for image in images]
    assert 0 < flags.sum() < len(flags)


def test_the_ranges_are_those_of_the_training_side_and_of_nobody_else(exported):
    from mri_tf.out_of_distribution import fit_ranges, image_statistics

    run, prepared, _ = exported

    def fitted(records):
        images = np.stack([prepared.record(int(place)).image for place in records])
        return fit_ranges(image_statistics(images), run.task.channels, {})

    training = positions_of(run, prepared)[0]
    found = _asset(exported, "ranges.json")
    assert found["records"] == len(training)
    everybody = fitted(np.arange(len(prepared)))
    for name, limits in fitted(training)["intensity"]["cine"].items():
        assert found["intensity"]["cine"][name] == pytest.approx(limits, rel=1e-6)
    assert everybody["intensity"] != found["intensity"]


# ---- classify


def test_classify_names_every_class_with_the_probability_of_predict(exported, served, feed):
    answer = served("classify", {"inputs": serialized_examples(feed)})
    names = [name.encode() for name in exported[0].task.class_names]
    assert answer["classes"].tolist() == [names] * len(feed["image"])
    probabilities = served("serving_default", feed)["probabilities"]
    np.testing.assert_allclose(answer["scores"], probabilities, atol=1e-6)
    assert set(answer) == {"classes", "scores"}  # TF Serving knows no third


def test_only_classify_has_the_method_name_of_classify(exported):
    from tensorflow.core.protobuf import saved_model_pb2

    path = exported[2] / "saved_model.pb"
    (graph,) = saved_model_pb2.SavedModel.FromString(path.read_bytes()).meta_graphs
    for name, signature in graph.signature_def.items():
        if name != "__saved_model_init_op":
            method = "classify" if name == "classify" else "predict"
            assert signature.method_name == f"tensorflow/serving/{method}", name


# ---- explain


def test_the_served_map_is_that_of_explain(exported, served, feed):
    from mri_tf.explaining import explain_record
    from mri_tf.saliency import check_layer, guided_copy

    run, prepared, _ = exported
    model = load_network(run)
    networks, layer = (model, guided_copy(model)), check_layer(model, "")
    records = positions_of(run, prepared)[2]
    largest = []
    for label in (None, 0, 1, 2):
        asked = np.full(len(records), -1 if label is None else label, np.int32)
        found = served("explain", feed | {"class_index": asked})
        assert found["map"].shape == (len(records), 32, 32)
        for place in (0, 3):
            own = explain_record(networks, run, prepared, int(records[place]), layer, label)
            np.testing.assert_allclose(found["map"][place], own.cam, atol=1e-5)
            assert found["class_index"][place] == own.label
        largest.append(found["map"].max())
    assert max(largest) > 0.01  # maps of nothing would be equal too


def test_each_row_of_a_batch_is_explained_for_its_own_class(served, feed):
    two = {name: array[[0, 0, 0]] for name, array in feed.items()}
    found = served("explain", two | {"class_index": np.array([0, 1, 2], np.int32)})
    for label in range(3):
        alone = {name: array[:1] for name, array in feed.items()}
        one = served("explain", alone | {"class_index": np.array([label], np.int32)})
        np.testing.assert_allclose(found["map"][label], one["map"][0], atol=1e-6)


def test_a_class_that_is_not_there_is_refused_by_the_graph(served, feed):
    import tensorflow as tf

    asked = np.full(len(feed["image"]), 3, np.int32)
    with pytest.raises(tf.errors.InvalidArgumentError, match="class_index is less than 3"):
        served("explain", feed | {"class_index": asked})


# ---- what lies beside


def test_an_export_is_found_again_by_its_weights(exported, tmp_path):
    run, _, folder = exported
    weights = run.values["weights_sha256"]
    assert exported_version(folder.parent, weights) == 1
    assert exported_version(folder.parent, "0" * 64) is None
    assert exported_version(tmp_path / "none", weights) is None
    facts = _asset(exported, "export.json")
    assert facts["signatures"] == ["serving_default", "image_bytes", "classify", "explain"]
    assert facts["task"] == "thirds" and facts["versions"].keys() == {"mri_tf", "tensorflow", "keras"}


def test_nothing_beside_the_model_names_a_patient_or_a_place(exported):
    run, prepared, folder = exported
    places = {str(Path.home()), str(folder.parent), str(prepared.folder)}
    words = {*prepared.record_ids, *prepared.patients} | places
    for path in folder.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert not [word for word in words if word.encode() in data], path.name


def test_the_model_card_has_the_run_s_numbers_with_intervals_and_counts_patients(exported):
    from mri_tf.model_card import write_model_card

    run, prepared, folder = exported
    card = (folder / "assets.extra" / "model_card.md").read_text(encoding="utf-8")
    assert "Not evaluated" in card  # exported before it was counted
    for name in ("serving_default", "image_bytes", "classify", "explain"):
        assert f"- `{name}` takes " in card
    patients = {side: len(names) for side, names in run.values["patients"].items()}
    assert f"| train      | {patients['train']:8d} | {len(run.sides['train']):7d} |" in card
    assert "Not a medical device" in card and "{" not in card and "None" not in card


def test_warm_up_asks_every_signature_and_the_server_answers_before_it_serves(exported):
    import tensorflow as tf
    from tensorflow_serving.apis import prediction_log_pb2

    path = exported[2] / "assets.extra" / "tf_serving_warmup_requests"
    logs = [
        prediction_log_pb2.PredictionLog.FromString(one)
        for one in tf.compat.v1.io.tf_record_iterator(str(path))
    ]
    asked = [getattr(log, log.WhichOneof("log_type")).request.model_spec for log in logs]
    assert [spec.signature_name for spec in asked] == _asset(exported, "export.json")["signatures"]
    assert {spec.name for spec in asked} == {"thirds"}
