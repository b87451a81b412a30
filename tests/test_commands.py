"""The commands as a user runs them: train, evaluate, export, write, phantom; exit codes and messages."""

import json
import shutil
from contextlib import chdir
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from refused import error_line
from small import write_raw, write_small

from data_prep.write import main as write
from mri_tf.core.command_line import run_command
from mri_tf.core.errors import InputError
from mri_tf.evaluate.__main__ import WITH_KNOWN, _with_labels, evaluation_name
from mri_tf.evaluate.__main__ import main as evaluate
from mri_tf.evaluate.familiarity import familiarity_of
from mri_tf.explain.__main__ import main as explain
from mri_tf.export.__main__ import main as export
from mri_tf.export.model_card import Card, write_model_card
from mri_tf.export.parity import session_of
from mri_tf.export.source import ExportSource
from mri_tf.metrics import classification_metrics
from mri_tf.splits.leakage import known_records
from mri_tf.store.prepared import Prepared
from mri_tf.store.record import NO_LABEL
from mri_tf.store.run import METRICS, Run, open_finished, open_run
from mri_tf.train.__main__ import main as train


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A working folder in which `train` ran once on raw data: runs/thirds/manual-s0."""
    folder = write_small(tmp_path_factory.mktemp("home"))
    with chdir(folder):
        _runs(train, *FROM_RAW)
    return folder


RUN = Path("runs/thirds/manual-s0")
ON_DATA = ("--task", "thirds.py", "--data", "data/thirds")
FROM_RAW = ("--task", "thirds.py", "--raw", "raw")
QUICK = (*ON_DATA, "--variant", "scratch", "--set", "epochs=1", "--no-export")


def _runs(command, *arguments, code: int = 0) -> None:
    assert run_command(command, [str(argument) for argument in arguments]) == code


def _json(path: Path) -> dict:
    return json.loads(path.read_text())


def test_train_writes_run_numbers_figure_and_model(inside):
    tables = ("run.json", "history.csv", "metrics.json", "predictions.parquet")
    for name in (*tables, "confusion.png", "roc.png", "reliability.png"):
        assert (RUN / name).is_file(), name
    assert (RUN / "features" / "metrics.json").is_file()
    assert not (RUN / "checkpoint.npz").exists()
    assert Path("saved_models/thirds/1/saved_model.pb").is_file()
    with Image.open(RUN / "confusion.png") as picture:
        assert picture.width > 400 and len(picture.getcolors(10**6) or []) > 10
    metrics = _json(RUN / "metrics.json")
    assert metrics["accuracy"]["unit"] == "patients"
    patients = _json(RUN / "run.json")["patients"]
    assert metrics["accuracy"]["n"] == len(patients["test"])


def test_every_held_out_record_is_counted_once(inside):
    run = _json(RUN / "run.json")
    table = pd.read_parquet(RUN / "predictions.parquet")
    assert sorted(table["record_id"]) == sorted(run["sides"]["test"])
    metrics = _json(RUN / "metrics.json")
    assert metrics["records"] == len(table) == np.sum(metrics["confusion"])
    assert np.isclose(metrics["accuracy"]["value"], (table["truth"] == table["predicted"]).mean())


def test_nobody_held_out_was_seen_by_the_feature_network(inside):
    run = _json(RUN / "run.json")["patients"]
    features = _json(RUN / "features" / "run.json")["patients"]
    seen = set(features["train"]) | set(features["validation"])
    assert seen and not seen & (set(run["validation"]) | set(run["test"]))


def test_the_same_command_again_says_already_finished(inside, capsys):
    before = sorted(Path("saved_models/thirds").iterdir())
    _runs(train, *FROM_RAW)
    assert "already finished" in capsys.readouterr().out
    assert sorted(Path("saved_models/thirds").iterdir()) == before


def test_a_training_that_was_stopped_before_its_card_is_finished_by_the_same_command(inside, capsys):
    metrics, versions = _json(RUN / "metrics.json"), sorted(Path("saved_models/thirds").iterdir())
    (RUN / "card.html").unlink()
    (RUN / "metrics.json").write_text(json.dumps({k: v for k, v in metrics.items() if k != "baselines"}))
    _runs(train, *FROM_RAW)
    assert "already finished" not in capsys.readouterr().out
    assert (RUN / "card.html").is_file()
    assert _json(RUN / "metrics.json")["baselines"] == metrics["baselines"]
    assert sorted(Path("saved_models/thirds").iterdir()) == versions


def test_the_model_card_has_the_numbers_of_the_evaluation_and_nobody_s_id(inside):
    card = Path("saved_models/thirds/1/assets.extra/model_card.md").read_text(encoding="utf-8")
    metrics = _json(RUN / "metrics.json")
    for name in ("accuracy", "balanced_accuracy", "kappa"):
        assert f" {_told(metrics[name])} " in card
    assert f"{metrics['majority_accuracy']:.3f} accuracy" in card
    assert all(f"- {note}" in card for note in metrics["note"].split("; "))
    run = _json(RUN / "run.json")
    names = {name for side in (*run["patients"].values(), *run["sides"].values()) for name in side}
    assert not [name for name in names if name in card]


def _told(number: dict) -> str:
    """A number with its interval; with the reason where a network is so good or bad that it has none."""
    if number["low"] is None:
        return f"{number['value']:.3f} (no interval: {number['reason']})"
    return f"{number['value']:.3f} ({number['low']:.3f} to {number['high']:.3f})"


def test_the_model_card_of_a_phantom_says_so_in_its_title_and_limits(inside, tmp_path):
    prepared = Prepared.open(Path("data/thirds"))
    prepared.manifest["synthetic"] = True
    run = open_finished(RUN)
    source = ExportSource((), run, familiarity_of(run), "uint8")
    write_model_card(Card(source, {}, prepared), tmp_path / "card.md")
    card = (tmp_path / "card.md").read_text(encoding="utf-8")
    assert card.startswith("# thirds: trained on a synthetic phantom, no patients\n")
    assert "- trained and tested on a synthetic phantom, no patients: the numbers say nothing" in card


@pytest.mark.parametrize("patients", [10, 2])
def test_the_model_card_tells_intervals_and_why_there_is_none(inside, tmp_path, patients):
    truth, numbers = np.tile(np.arange(3), 10), np.arange(30)
    said = np.where(numbers % 5 == 1, (truth + 1) % 3, truth)
    probabilities = 0.6 * np.eye(3)[said] + 0.4 / 3
    owners, few = numbers * patients // 30, patients == 2
    run = open_run(RUN)
    metrics = classification_metrics(truth, probabilities, said, owners, run.task.class_names)
    planted = Run(tmp_path, run.values)
    (tmp_path / METRICS).write_text(json.dumps(metrics), encoding="utf-8")
    served = ExportSource((), planted, familiarity_of(open_finished(RUN)), "uint8")
    write_model_card(Card(served, {}, Prepared.open(Path("data/thirds"))), tmp_path / "card.md")
    card = (tmp_path / "card.md").read_text(encoding="utf-8")
    for name in ("balanced_accuracy", "kappa"):
        assert (metrics[name]["low"] is None) == few
        assert f" {_told(metrics[name])} " in card
    assert ("too few for an interval" in card) == few


@pytest.mark.slow
def test_export_never_overwrites_a_version(inside):
    first = Path("saved_models/thirds/1/saved_model.pb").read_bytes()
    _runs(export, "--run", RUN)
    assert sorted(path.name for path in Path("saved_models/thirds").iterdir()) == ["1", "2"]
    assert Path("saved_models/thirds/1/saved_model.pb").read_bytes() == first


def test_the_bytes_signature_answers_as_the_prepared_record_does(inside):
    table = pd.read_parquet(RUN / "predictions.parquet").set_index("record_id")
    private = pd.read_csv("data/thirds/sources.private.csv", dtype=str).set_index("record_id")
    records = list(table.index[:5])
    files = [(Path("raw") / private.loc[record, "source"]).read_bytes() for record in records]
    with session_of(Path("saved_models/thirds/1")) as call:
        served = call("image_bytes", {"image_bytes": np.array(files, dtype=object)})
    expected = table.loc[records, [name for name in table.columns if name.startswith("p_")]]
    np.testing.assert_allclose(served["probabilities"], expected, atol=1e-5)


def _prepare(raw: Path, out: Path) -> Path:
    """Writes the prepared set of a raw folder to `out`."""
    _runs(write, "--task", "thirds.py", "--raw", raw, "--out", out)
    return out


def test_other_data_counts_every_record_as_test(inside, tmp_path):
    out = _prepare(write_raw(tmp_path / "raw", patients=3, seed=7), tmp_path / "other-hospital")
    _runs(evaluate, "--run", RUN, "--data", out)
    (file,) = RUN.glob("evaluations/other-hospital-????????/metrics.json")
    metrics = _json(file)
    assert metrics["records"] == 18 and metrics["accuracy"]["n"] == 3


def test_evaluations_of_two_sets_whose_folders_have_one_name_are_kept_apart(inside, tmp_path):
    for seed in (8, 9):
        raw = write_raw(tmp_path / f"raw{seed}", patients=3, seed=seed)
        _runs(evaluate, "--run", RUN, "--data", _prepare(raw, tmp_path / str(seed) / "clinic"))
    first, second = RUN.glob("evaluations/clinic-*")
    assert {first.name, second.name} == {
        evaluation_name(Prepared.open(tmp_path / seed / "clinic")) for seed in ("8", "9")
    }


def test_other_data_with_known_patients_is_counted_without_them_and_with_them(inside, tmp_path, capsys):
    raw = Path(shutil.copytree("raw", tmp_path / "raw"))
    table = pd.read_csv(raw / "manifest.csv")
    table["patient_id"] = "another-" + table["patient_id"]
    table.to_csv(raw / "manifest.csv", index=False)
    flags = ["--run", RUN, "--data", _prepare(raw, tmp_path / "same"), "--out", tmp_path / "numbers"]
    assert run_command(evaluate, list(map(str, flags))) == 1
    assert "of patients whose images the run was trained on: counted without" in capsys.readouterr().out
    folders = tmp_path / "numbers", tmp_path / "numbers" / WITH_KNOWN
    without, both = (_json(folder / METRICS) for folder in folders)
    assert both["records"] == len(table) and 0 < without["records"] < both["records"]
    assert without["note"].startswith("left out: ") and both["note"].startswith("LEAKY: ")
    trained_on = _json(RUN / "run.json")["patients"]["train"]
    seen = pd.read_csv(raw / "manifest.csv")
    only_known = seen[seen["patient_id"].isin([f"another-{name}" for name in trained_on])]
    only_known.to_csv(raw / "manifest.csv", index=False)
    message = error_line(capsys, evaluate, "--run", RUN, "--data", _prepare(raw, tmp_path / "known"))
    assert "images of every patient of the data" in message


def test_features_that_saw_the_held_out_patients_are_refused(inside, capsys):
    run = _json(RUN / "features" / "run.json")["patients"]
    table = pd.read_csv("raw/manifest.csv")
    everybody = sorted(set(table["patient_id"]))
    seen = run["train"][0]
    others = [name for name in everybody if name != seen]
    sides = {"train": others[:6], "validation": others[6:], "test": [seen]}
    Path("sides.json").write_text(json.dumps(sides))
    flags = ("--features", RUN / "features", "--split-file", "sides.json", "--out", "runs/leaky")
    assert seen in error_line(capsys, train, *ON_DATA, *flags)
    assert not Path("runs/leaky").exists()


def test_other_data_with_images_the_feature_network_saw_is_refused(inside):
    run, features = open_finished(RUN), open_finished(RUN / "features")
    assert set(features.values["seen"]["contents"]) <= set(run.values["seen"]["contents"])
    prepared = Prepared.open(Path("data/pools"))
    known = known_records(run, prepared)
    assert known.any() and not known.all()
    assert set(prepared.patients[known]) == set(run.values["seen"]["patients"])


def test_features_of_a_network_that_saw_other_intensities_are_refused(inside, capsys):
    values = ("--set", "normalize.method=range", "--set", "normalize.low=0.0",
              "--set", "normalize.high=255.0")  # fmt: skip
    shifted = ("--features", RUN / "features", "--out", "runs/shifted", *values)
    assert "must have normalize" in error_line(capsys, train, *ON_DATA, *shifted)
    without = ("--features", RUN, "--out", "runs/no-features")
    assert "must have name pools" in error_line(capsys, train, *ON_DATA, *without)
    scratch = ("--variant", "scratch", "--features", RUN / "features")
    assert "train another network first" in error_line(capsys, train, *ON_DATA, *scratch)


def test_a_damaged_record_is_one_line_in_the_middle_of_an_evaluation(inside, tmp_path, capsys):
    out = _prepare(write_raw(tmp_path / "raw", patients=2, seed=9), tmp_path / "damaged")
    shard = out / "records-00000.tfrecord"
    data = bytearray(shard.read_bytes())
    data[len(data) // 2 + 200] ^= 0xFF  # within a record, not its frame
    shard.write_bytes(data)
    assert "checksum" in error_line(capsys, evaluate, "--run", RUN, "--data", out)


def test_a_raw_folder_is_prepared_as_the_runs_data_were_and_evaluated(inside, tmp_path, capsys):
    raw = write_raw(tmp_path / "raw", patients=3, seed=7)
    _runs(evaluate, "--run", RUN, "--raw", raw, "--out", tmp_path / "numbers")
    by_raw = _json(tmp_path / "numbers" / METRICS)
    _runs(evaluate, "--run", RUN, "--data", _prepare(raw, tmp_path / "set"), "--out", tmp_path / "same")
    assert by_raw == _json(tmp_path / "same" / METRICS)
    assert "Give --raw DIR" in error_line(capsys, evaluate, "--run", RUN, "--labels", "x.csv")


def test_a_run_is_evaluated_from_another_folder(inside, tmp_path):
    with chdir(tmp_path):
        _runs(evaluate, "--run", inside / RUN, "--out", "numbers")
    first, again = (_json(folder / "metrics.json") for folder in (RUN, tmp_path / "numbers"))
    assert first["accuracy"] == again["accuracy"]


def test_few_training_samples_a_class_and_never_more_validation(inside):
    _runs(train, *QUICK, "--train-size", "2", "--out", "runs/few")
    sides = _json(Path("runs/few/run.json"))["sides"]
    assert len(sides["train"]) == 6 and len(sides["validation"]) <= 6
    whole = _json(RUN / "run.json")["sides"]
    assert sides["test"] == whole["test"]


@pytest.mark.slow
def test_a_random_split_is_labelled_leaky(inside):
    _runs(train, *QUICK, "--split", "random", "--out", "runs/leaky-split")
    assert "LEAKY" in _json(Path("runs/leaky-split/metrics.json"))["note"]


@pytest.mark.parametrize("main", [evaluate, export, explain])
def test_an_out_that_is_no_folder_is_refused_before_anything_is_read(inside, capsys, main):
    Path("plain.txt").write_text("mine")
    for out in ("plain.txt", "plain.txt/below", "x" * 300):
        line = error_line(capsys, main, "--run", RUN, "--out", out)
        assert "must be a folder where files can be written" in line
    assert Path("plain.txt").read_text() == "mine"


def test_records_without_a_label_are_not_counted(inside, capsys):
    run, prepared = open_run(RUN), Prepared.open(Path("data/thirds"))
    labels, records = prepared.labels.copy(), np.arange(len(prepared))
    labels[3:] = NO_LABEL
    some = SimpleNamespace(labels=labels, folder=prepared.folder)
    assert list(_with_labels(run, some, records)) == [0, 1, 2]
    assert f"{len(records) - 3} records without a label are left out" in capsys.readouterr().out
    labels[:] = NO_LABEL
    with pytest.raises(InputError, match="No record of the prepared set has a label"):
        _with_labels(run, some, records)


def test_an_export_over_a_models_config_that_is_none_writes_no_version(inside, capsys, tmp_path):
    (tmp_path / "models.config").write_bytes(b"\xff\xfe")
    assert "Correct or remove it" in error_line(capsys, export, "--run", RUN, "--out", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["models.config"]


def test_a_prior_shifts_probabilities_and_leaves_decisions_and_the_runs_own_numbers(inside):
    before = (RUN / "metrics.json").read_bytes()
    _runs(evaluate, "--run", RUN, "--prior", "1,0,0")
    (out,) = (RUN / "evaluations").glob("*-prior-1,0,0")
    shifted = pd.read_parquet(out / "predictions.parquet")
    assert np.allclose(shifted[["p_basal", "p_mid", "p_apical"]], [1, 0, 0])
    own = pd.read_parquet(RUN / "predictions.parquet")
    assert list(shifted["predicted"]) == list(own["predicted"])
    assert _json(out / "metrics.json")["prior"] == "1,0,0"
    assert (RUN / "metrics.json").read_bytes() == before


@pytest.mark.slow
def test_a_task_of_float_records_is_exported(inside):
    flags = ("--variant", "scratch", "--out", "runs/floats", "--set", "prep.dtype=float32", "epochs=1")
    _runs(train, *FROM_RAW, *flags)
    assert list(Path("data").glob("thirds-*"))


@pytest.mark.parametrize(
    "arguments, part",
    [
        (["--task", "unknown_task"], "unknown_task"),
        (["--task", "thirds.py"], "--raw DIR or --data DIR"),
        ([*ON_DATA, "--set", "epohcs=3"], "Did you mean epochs?"),
        ([*ON_DATA, "--set", "epochs=many"], "must be a whole number"),
        ([*ON_DATA, "--set", "epochs=True"], "epochs"),
        ([*ON_DATA, "--set", "augment.blur.sigma=1"], "augment"),
        ([*ON_DATA, "--set", "model_args.filters=1"], "model_args"),
        ([*ON_DATA, "--set", "features.epohcs=1"], "epohcs"),
        ([*ON_DATA, "--set", "model_args.dropout=half"], "model_args.dropout must be a number"),
        ([*ON_DATA, "--set", "augment.random_affine.max_degrees=ten"], "max_degrees must be a number"),
        (["--task", "thirds.py", "--raw", "raw", "--set", "prep.slop=2.0"], "Did you mean slope?"),
        ([*ON_DATA, "--variant", "none"], "Known: manual, scratch"),
        (["--task", "thirds.py", "--data", "nowhere"], "manifest.json"),
        (["--task", "thirds.py", "--raw", "nowhere"], "nowhere"),
        (["--task", "thirds.py", "--data", "data/pools"], "of task pools"),
        ([*ON_DATA, "--split", "column"], "split column"),
        ([*ON_DATA, "--seed", "-1"], "--seed"),
        ([*ON_DATA, "--devices", "-2"], "--devices"),
        ([*ON_DATA, "--out", "runs/thirds/manual-s0", "--variant", "scratch"], "Choose another --out"),
        (["--task", "pools.py", "--out", "runs/thirds/manual-s0", "--data", "data/pools"],
         "task thirds"),
        (["--nonsense"], "--help"),
    ],
)  # fmt: skip
def test_wrong_arguments_get_one_line_and_exit_2(inside, capsys, arguments, part):
    before = (RUN / "run.json").read_bytes()
    assert part in error_line(capsys, train, *arguments)
    assert (RUN / "run.json").read_bytes() == before


@pytest.mark.parametrize("main", [evaluate, export])
@pytest.mark.parametrize("arguments", [["--run", "nowhere"], ["--run", "."], []])
def test_evaluate_and_export_refuse_what_is_no_run(inside, capsys, main, arguments):
    error_line(capsys, main, *arguments)


@pytest.fixture
def copied(inside, tmp_path) -> Path:
    """A raw folder with a split column, of which two test images are copies of training images."""
    raw = write_raw(tmp_path / "raw", patients=9, seed=3)
    table = pd.read_csv(raw / "manifest.csv")
    patients = sorted(set(table["patient_id"]))
    side_of = dict(zip(patients, 5 * ["train"] + 2 * ["val"] + 2 * ["Test"], strict=True))
    table["split"] = table["patient_id"].map(side_of)
    of = {name: table[table["patient_id"] == name]["image"].tolist() for name in patients}
    shutil.copy(raw / of[patients[0]][2], raw / of[patients[7]][2])
    with Image.open(raw / of[patients[1]][3]) as image:
        image.point(lambda value: min(255, int(value * 0.8) + 30)).save(raw / of[patients[8]][3])
    table.to_csv(raw / "manifest.csv", index=False)
    shutil.copy("thirds.py", tmp_path)
    return tmp_path


def test_a_split_column_with_copies_of_test_images_in_training_is_refused_dropped_or_labelled(
    copied, capsys, monkeypatch
):
    monkeypatch.chdir(copied)
    flags = ("--task", "thirds.py", "--variant", "scratch", "--raw", "raw", "--no-export", "--set",
             "epochs=1")  # fmt: skip
    message = error_line(capsys, train, *flags, "--out", "refused")
    assert "1 exact and 1 near copies, of 2 of 12 test records" in message
    assert ".png (train) = " in message and not Path("refused").exists()
    _runs(train, *flags, "--out", "kept", "--known-copies", "keep")
    assert _json(Path("kept/metrics.json"))["note"].startswith("KNOWN COPIES: 2 of 12 held-out records")
    assert "KNOWN COPIES" in Path("kept/report.md").read_text()
    _runs(train, *flags, "--out", "dropped", "--known-copies", "drop")
    values = _json(Path("dropped/run.json"))
    assert len(values["patients"]["train"]) == 3 and len(values["sides"]["test"]) == 12
    assert len(values["known_copies"]["dropped"]) == 12
    _runs(train, *flags, "--out", "ours", "--split", "patient")
    assert "KNOWN COPIES" not in _json(Path("ours/metrics.json"))["note"]


def test_a_grid_that_the_network_cannot_halve_is_refused_before_preparing(inside, tmp_path, capsys):
    raw = write_raw(tmp_path / "raw", patients=4)
    odd = Path("thirds.py").read_text().replace("image_shape=(32, 32)", "image_shape=(30, 32)")
    (tmp_path / "thirds.py").write_text(odd)
    shutil.copy("pools.py", tmp_path)
    flags = ("--task", tmp_path / "thirds.py", "--raw", raw, "--out", tmp_path / "run")
    line = error_line(capsys, train, *flags, "--variant", "scratch", alone=True)
    assert "must be divisible by 4" in line
    assert not (tmp_path / "run").exists()


def test_a_single_class_is_refused(inside, tmp_path, capsys):
    raw = write_raw(tmp_path / "raw", patients=6)
    table = pd.read_csv(raw / "manifest.csv")
    table["axial_level"] = "mid"
    table.to_csv(raw / "manifest.csv", index=False)
    shutil.copy("thirds.py", tmp_path)
    arguments = ("--task", tmp_path / "thirds.py", "--variant", "scratch", "--raw", raw, "--out")
    message = error_line(capsys, train, *arguments, tmp_path / "run")
    assert "at least two classes" in message  # and nothing was prepared
