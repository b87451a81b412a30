"""A frozen probe: trained, evaluated and exported like any network, and equal to scikit-learn's."""

import json
from contextlib import chdir
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from small import write_small

from mri_tf.core.command_line import run_command
from mri_tf.network.build import load_network
from mri_tf.network.inference import predict_records
from mri_tf.pipeline.subset import run_sides
from mri_tf.store.prepared import Prepared
from mri_tf.store.run import open_finished
from mri_tf.train.__main__ import main as train

ARGUMENTS = "model_args={'weights':'none','cut_after':'stack0','intensities':'zscore'}"
PROBE = ("model=frozen_probe", ARGUMENTS)
COMMAND = ("--task", "thirds.py", "--variant", "scratch", "--raw", "raw", "--set", *PROBE)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with one finished and exported probe, `run`, fitted without augmented copies."""
    folder = write_small(tmp_path_factory.mktemp("probe"))
    with chdir(folder):
        assert run_command(train, [*COMMAND, "--out", "run"]) == 0
    return folder


@pytest.fixture
def run(home):
    with chdir(home):
        yield open_finished(Path("run"))


def _sides(run):
    return run_sides(run, Prepared.open(run.data_folder))


def test_its_answers_are_those_of_a_logistic_regression_on_the_features_of_the_encoder(run):
    network, (training, _, test) = load_network(run), _sides(run)
    read = network.get_layer("standardised")._inbound_nodes[0].input_tensors[0]
    encoder = keras.Model(network.input, read)
    features = [
        np.concatenate([encoder(image).numpy() for image, _, _ in side.eval_batches(16)])
        for side in (training, test)
    ]
    counts = np.bincount(training.labels)
    weights = np.sqrt(counts.sum() / counts)[training.labels]
    mean = np.average(features[0], axis=0, weights=weights)
    sd = np.sqrt(np.average((features[0] - mean) ** 2, axis=0, weights=weights))
    strength = pd.read_csv(run.folder / "history.csv").strength[0]
    model = LogisticRegression(C=1 / (strength * weights.sum()), tol=1e-7, max_iter=5000)
    model.fit((features[0] - mean) / sd, training.labels, sample_weight=weights)
    wanted = softmax(model.decision_function((features[1] - mean) / sd), axis=1)
    np.testing.assert_allclose(predict_records(network, test), wanted, atol=0.01)


def test_it_is_a_run_like_any_other_and_is_exported(home, run):
    assert run.values["epochs_trained"] == run.values["best_epoch"] == 1
    assert not (run.folder / ".banks").exists()
    metrics = json.loads((run.folder / "metrics.json").read_text())
    assert metrics["auc"]["value"] > 0.5
    assert (home / "saved_models" / "thirds" / "1" / "saved_model.pb").is_file()


def test_the_same_seed_gives_the_same_weights_and_copies_change_them(home, run):
    with chdir(home):
        for name, more in (("again", ()), ("copies", ("feature_bank=2",))):
            arguments = [*COMMAND, *more, "--out", name, "--no-export"]
            assert run_command(train, arguments) == 0
        weights = [load_network(open_finished(Path(name))).get_weights()[-2]
                   for name in ("run", "again", "copies")]  # fmt: skip
    np.testing.assert_array_equal(weights[0], weights[1])
    assert np.abs(weights[0] - weights[2]).max() > 1e-4
