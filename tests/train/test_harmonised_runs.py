"""Runs that match histograms or correct features: trained, evaluated, exported and asked alike."""

import json
from contextlib import chdir
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from refused import error_line
from two_scanners import change_images_of, write_two_scanners

from mri_tf.core.command_line import run_command
from mri_tf.network.build import load_network
from mri_tf.network.inference import predict_with_features
from mri_tf.pipeline.subset import run_sides
from mri_tf.predict.__main__ import main as predict
from mri_tf.store.prepared import PRIVATE, Prepared, read_private
from mri_tf.store.run import open_finished
from mri_tf.train.__main__ import main as train

CLASSES = ("basal", "mid", "apical")
COMMON = ("--task", "thirds.py", "--variant", "scratch", "--raw", "raw", "--no-card")
NYUL = ("epochs=1", "harmonise={'method':'nyul'}")
PROBE = (
    "model=frozen_probe", "model_args={'weights':'none','cut_after':'stack0','intensities':'zscore'}"
)  # fmt: skip
COMBAT = (*PROBE, "harmonise={'method':'combat','batch':'scanner'}")
SETTINGS = {"nyul": NYUL, "combat": COMBAT}


def train_one(out: str, *values: str, more: tuple = ()) -> int:
    return run_command(train, [*COMMON, "--out", out, *more, "--set", *values])


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """A folder with a finished and exported run of each method, the export in a folder of its own."""
    folder = write_two_scanners(tmp_path_factory.mktemp("harmonised"))
    with chdir(folder):
        for name, values in SETTINGS.items():
            assert train_one(name, *values) == 0
            Path("saved_models").rename(f"models-{name}")
    return folder


def asked(home: Path, name: str) -> tuple[pd.DataFrame, list[dict]]:
    """predictions.parquet of a run, and the answers of its export for the same files."""
    run = open_finished(home / name)
    table = pd.read_parquet(run.folder / "predictions.parquet").set_index("record_id")
    model = ("--model", f"models-{name}/thirds")
    assert predict([*model, "--input", "raw/manifest.csv", "--out", f"{name}.json"]) == 0
    answers = json.loads(Path(f"{name}.json").read_text())["answers"]
    places = {row["record_id"]: row["source"] for row in read_private(run.data_folder / PRIVATE)}
    of_input = {Path(row["input"]).name: row for row in answers}
    return table, [of_input[Path(places[record]).name] for record in table.index]


@pytest.mark.parametrize("name", SETTINGS)
def test_predict_answers_for_new_files_as_evaluate_for_the_records(inside, name):
    table, rows = asked(inside, name)
    found = np.array([[row["probabilities"][one] for one in CLASSES] for row in rows])
    np.testing.assert_allclose(found, table[[f"p_{one}" for one in CLASSES]], atol=1e-5)


def test_evaluate_and_predict_say_how_many_are_of_a_scanner_that_nobody_was_trained_on(inside, capsys):
    table, rows = asked(inside, "combat")
    said = "the features of 6 of 84 inputs were not corrected, because their scanner is not named or"
    assert said in capsys.readouterr().err
    metrics = json.loads(Path("combat/metrics.json").read_text())
    assert metrics["features_corrected"] == {"by": "scanner", "corrected": 12, "not_corrected": 6}
    assert "6 of 18 records are of no scanner that the training knew" in metrics["note"]
    assert sum(row["features_corrected"] for row in rows) == 12


def test_features_of_a_known_scanner_are_corrected_and_those_of_another_are_not(inside):
    run = open_finished(Path("combat"))
    network, test = load_network(run), run_sides(run, Prepared.open(run.data_folder))[2]
    own, features = predict_with_features(network, test)
    correction = network.correction
    network.correction = None
    plain, as_they_are = predict_with_features(network, test)
    unknown = test.combat_numbers == 0
    assert unknown.sum() == 6
    np.testing.assert_allclose(features[unknown], as_they_are[unknown], atol=1e-5)
    layer = network.get_layer("standardised")
    mean, sd = np.array(layer.mean), np.array(layer.sd)
    wanted = (correction.of(as_they_are * sd + mean, test.combat_numbers) - mean) / sd
    np.testing.assert_allclose(features, wanted, atol=1e-3)
    assert np.abs(own - plain)[~unknown].max() > 1e-4


def test_the_scanners_are_further_apart_before_the_correction_than_after_it(inside):
    run = open_finished(Path("combat"))
    network, training = load_network(run), run_sides(run, Prepared.open(run.data_folder))[0]
    distances = []
    for correction in (None, network.correction):
        network.correction = correction
        _, features = predict_with_features(network, training)
        first = training.combat_numbers == 1
        distances.append(np.abs(features[first].mean(axis=0) - features[~first].mean(axis=0)).mean())
    assert distances[1] < 0.2 * distances[0]


def test_neither_run_nor_export_names_a_scanner(inside):
    for file in (Path("combat/run.json"), *Path("models-combat").rglob("fitted.json")):
        values = json.loads(file.read_text())
        known = values.get("fitted", values)["combat"]
        assert len(known["batches"]) == 2 and known["patients"] == [4, 4]
        assert not {"A", "B"} & set(known["batches"])


@pytest.mark.slow
@pytest.mark.parametrize("name", SETTINGS)
def test_what_is_fitted_does_not_change_with_the_test_side(home, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    change_images_of(write_two_scanners(tmp_path), "test")
    assert train_one(name, *SETTINGS[name], more=("--no-export",)) == 0
    runs = [open_finished(folder / name) for folder in (home, tmp_path)]
    assert runs[0].values["data"] != runs[1].values["data"]
    fitted = [json.loads(json.dumps(run.values["fitted"])) for run in runs]
    if name == "combat":
        tables = [load_network(run).correction for run in runs]
        np.testing.assert_array_equal(tables[0].factors, tables[1].factors)
        np.testing.assert_array_equal(tables[0].offsets, tables[1].offsets)
        for one in fitted:
            del one["combat"]["sha256"]
    assert fitted[0] == fitted[1]


REFUSED = {
    "a method that does not exist": (("harmonise={'method':'zscore'}",), "must be nyul or combat"),
    "white_stripe": (("harmonise={'method':'white_stripe'}",), "normalize=dict(method="),
    "combat of nothing": ((*PROBE, "harmonise={'method':'combat'}"), "harmonise.batch must be site"),
    "combat of a trained network": (("harmonise={'method':'combat','batch':'site'}",), "frozen network"),
    "nyul of a part": (("harmonise={'method':'nyul'}", "spacing={'grid':(32,32)}"), "whole images"),
    "nyul with a batch": (("harmonise={'method':'nyul','batch':'site'}",), "only for method combat"),
    "nyul of CT": (("harmonise={'method':'nyul'}", "modality=CT"), "not for CT"),
}


@pytest.mark.parametrize("values, message", REFUSED.values(), ids=REFUSED)
def test_settings_that_do_not_fit_are_refused_in_one_line(inside, capsys, values, message):
    assert message in error_line(capsys, train, *COMMON, "--out", "refused", "--set", *values)


def test_scanners_of_few_training_patients_are_not_corrected_and_that_is_said(inside, capsys):
    values = ("--task", "thirds.py", "--variant", "scratch", "--data", "data/thirds", "--no-export",
              "--no-card", "--no-baselines", "--out", "few", "--split-file", "few.json", "--set",
              *COMBAT)  # fmt: skip
    sides = open_finished(Path("combat")).values["patients"]
    kept = {**sides, "train": sides["train"][:5]}  # 3 of scanner A, 2 of B
    Path("few.json").write_text(json.dumps(kept))
    assert run_command(train, list(values)) == 0
    said = "features of 0 of 2 scanners on the training side are corrected: 2 not, as two with 3"
    assert said in capsys.readouterr().out
    counts = json.loads(Path("few/metrics.json").read_text())["features_corrected"]
    assert counts["corrected"] == 0 and counts["not_corrected"] == 18


def test_records_that_name_no_scanner_or_a_single_one_are_refused(inside, capsys):
    data = Path("data/thirds")
    none = ("--task", "thirds.py", "--variant", "scratch", "--data", str(data), "--out", "none", "--set")
    sites = "harmonise={'method':'combat','batch':'site'}"
    manifest = json.loads((data / "manifest.json").read_text())
    for names, message in ((["", ""], "no training record names its site"),
                           (["", "SA"], "Received: 1 site.")):  # fmt: skip
        changed = json.loads(json.dumps(manifest))
        changed["index"]["site"] = [names[site == "SA"] for site in manifest["index"]["site"]]
        (data / "manifest.json").write_text(json.dumps(changed))
        try:
            line = error_line(capsys, train, *none, *PROBE, sites)
        finally:
            (data / "manifest.json").write_text(json.dumps(manifest))
        assert message in line and "needs training records of two sites" in line
