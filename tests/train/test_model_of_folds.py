"""The folds of train --folds as one model: exported, served, explained and evaluated."""

import json
from contextlib import chdir
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from asked import probabilities_of
from refused import error_line
from small import name_test_side, write_raw, write_small
from studied import train_folds_here

from mri_tf.calibration.answers import answers_from_json
from mri_tf.core.command_line import run_command
from mri_tf.evaluate.__main__ import main as evaluate
from mri_tf.explain.__main__ import main as explain
from mri_tf.export.__main__ import main as export
from mri_tf.export.reader import load_graph, open_export
from mri_tf.network.inference import predict_records
from mri_tf.network.members import load_members
from mri_tf.pipeline.subset import subset_of
from mri_tf.predict.__main__ import main as predict
from mri_tf.store.prepared import Prepared
from mri_tf.store.run import open_finished
from mri_tf.train.__main__ import main as train

COMMAND = ("--task", "thirds.py", "--variant", "scratch", "--raw", "raw", "--folds", "3",
           "--workers", "1", "--set", "epochs=2")  # fmt: skip
RUN, MODEL = Path("runs/thirds/scratch-3folds-s0"), Path("saved_models/thirds/1")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with a model of three folds of `scratch`, two patients of a split column apart."""
    folder = write_small(tmp_path_factory.mktemp("model"))
    name_test_side(folder / "raw")
    return train_folds_here(folder, COMMAND)


@pytest.fixture
def inside(home):
    with chdir(home):
        yield home


@pytest.fixture
def run(inside):
    return open_finished(RUN)


def test_patients_of_the_split_column_are_in_no_fold_and_are_tested_once(run):
    apart = set(run.values["patients"]["test"])
    assert len(apart) == 2
    for member in run.members:
        assert not apart & set().union(*member.values["patients"].values())
    numbers = json.loads((RUN / "test" / "metrics.json").read_text())
    assert numbers["accuracy"]["n"] == 2 and numbers["test_looks"]["look"] == 1
    assert run.values["test_looks"] == 1
    folds = json.loads((RUN / "metrics.json").read_text())
    assert folds["accuracy"]["n"] == 8 and "not measured by these numbers" in folds["note"]


def test_the_served_answer_is_that_of_the_mean_of_the_members(run):
    prepared = Prepared.open(run.data_folder)
    found = probabilities_of(run, prepared, MODEL)
    for who in ("session", "REST", "gRPC"):
        np.testing.assert_allclose(found[who], found["evaluate"], atol=1e-5, err_msg=who)


def test_members_disagreement_and_sets_are_outputs(run):
    prepared = Prepared.open(run.data_folder)
    subset = subset_of(run, prepared, np.arange(10))
    outputs = np.stack([predict_records(one.model, subset) for one in load_members(run)], axis=1)
    answers = answers_from_json(run.values["answers"])
    call, _ = load_graph(open_export(MODEL))
    images = np.stack([prepared.record(n).image for n in range(10)]).astype(np.float32)
    stats = np.stack([prepared.record(n).intensity_stats for n in range(10)]).astype(np.float32)
    served = call("serving_default", {"image": images, "intensity_stats": stats})
    np.testing.assert_allclose(served["disagreement"], answers.disagreement(outputs), atol=1e-5)
    np.testing.assert_array_equal(served["decision"], answers.decisions(outputs))
    assert ("prediction_set" in served) == answers.has_sets


def test_card_and_report_say_that_the_numbers_are_of_single_members(run):
    card = (MODEL / "assets.extra" / "model_card.md").read_text()
    assert "3 networks that answer together" in card and "of single members" in card
    assert "on the test side, which no member saw: AUC" in card
    assert "MB, those of one member" in card and "correlation of two members" in card
    report = (RUN / "report.md").read_text()
    assert "## The networks of the folds" in report
    assert "A fold is decided at a point that the other folds chose" in report
    exported = json.loads((MODEL / "assets.extra" / "export.json").read_text())
    cost = exported["cost"]
    assert exported["members"] == cost["members"] == 3
    assert cost["megabytes"] > cost["megabytes_of_one"]


def test_predict_names_the_disagreement_of_the_members(inside):
    out = Path("answers.csv")
    source = sorted(Path("raw/images").iterdir())[0]
    assert run_command(predict, ["--model", "saved_models/thirds", "--input", str(source),
                                 "--out", str(out)]) == 0  # fmt: skip
    table = pd.read_csv(out)
    assert {"disagreement_basal", "disagreement_mid", "p_basal", "decision"} <= set(table)
    assert (table["disagreement_basal"] >= 0).all()


def test_one_member_can_be_exported_and_answers_as_a_single_network(inside, capsys):
    assert run_command(export, ["--run", str(RUN), "--members", "1", "--out", "one"]) == 0
    call, _ = load_graph(open_export(Path("one/thirds")))
    prepared = Prepared.open(open_finished(RUN).data_folder)
    record = prepared.record(0)
    served = call("serving_default", {"image": record.image[None].astype(np.float32),
                                      "intensity_stats": record.intensity_stats[None]})  # fmt: skip
    assert "disagreement" not in served  # one network disagrees with nobody
    assert "1 of the" in capsys.readouterr().out
    assert "1 networks" not in Path("one/thirds/1/assets.extra/model_card.md").read_text()


def test_more_members_than_there_are_and_members_of_one_network_are_refused(inside, capsys):
    assert "--members 4 of 3" in error_line(capsys, export, "--run", str(RUN), "--members", "4")
    line = error_line(capsys, export, "--run", str(RUN / "fold-0"), "--members", "1")
    assert "a run of one network" in line


def test_a_model_of_members_is_exported_as_onnx(inside, capsys):
    pytest.importorskip("tf2onnx")
    assert run_command(export, ["--run", str(RUN), "--format", "onnx", "--out", "onnx"]) == 0
    assert "differ from the run's by at most" in capsys.readouterr().out


def test_its_maps_are_the_mean_of_the_members_maps(inside):
    assert run_command(explain, ["--run", str(RUN), "--class", "mid", "--out", "all"]) == 0
    prepared = Prepared.open(open_finished(RUN).data_folder)
    patients = open_finished(RUN).values["patients"]["test"]
    first = next(name for name, patient in zip(prepared.record_ids, prepared.patients, strict=True)
                 if patient in patients)  # fmt: skip
    table = pd.read_csv("all/attribution.csv")
    assert first in set(table["record_id"]) and (table["explained"] == "mid").all()
    call, names = load_graph(open_export(MODEL))
    record = prepared.record(list(prepared.record_ids).index(first))
    feed = {"image": record.image[None].astype(np.float32), "class_index": np.array([1], np.int32),
            "intensity_stats": record.intensity_stats[None]}  # fmt: skip
    served = call("explain", feed)["map"][0]
    row = table[table["record_id"] == first].iloc[0]
    assert served.max() == pytest.approx(row["map_max"], rel=1e-3)


def test_other_patients_are_evaluated_with_the_model_of_all_members(inside, capsys):
    write_raw(Path("other"), patients=6, seed=5)
    assert run_command(evaluate, ["--run", str(RUN), "--raw", "other"]) == 0
    (file,) = RUN.glob("evaluations/*/metrics.json")
    numbers = json.loads(file.read_text())
    assert numbers["accuracy"]["n"] == 6 and "recalibration" in numbers
    assert {"images", "features"} <= set(numbers["out_of_distribution"])


def test_the_same_command_again_exports_nothing_more(inside, capsys, monkeypatch):
    monkeypatch.setattr("mri_tf.folds.cell.run_module", lambda *_: pytest.fail("trained again"))
    assert run_command(train, list(COMMAND)) == 0
    assert "already exported" in capsys.readouterr().out
    assert not Path("saved_models/thirds/2").exists()


def test_weights_of_a_member_that_changed_are_refused(inside, capsys):
    file = RUN / "fold-1" / "weights.weights.h5"
    kept = file.read_bytes()
    try:
        file.write_bytes(kept + b"x")
        assert "missing or damaged" in error_line(capsys, evaluate, "--run", str(RUN))
    finally:
        file.write_bytes(kept)
