"""Calibration where the truth is known: grey images whose brightness is drawn from two Gaussians.

What a network can know of an image is its brightness, and the probability of a class given that is
Bayes' rule: the best there is to report. The network here is that rule from the start, for the shares
of the classes that its training sees; the commands train it further, as a user trains, and since it
has three numbers and one best place they leave it there on every processor.
"""

import json
from contextlib import chdir
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.special import expit, logit

from data_prep.write import main as write
from mri_tf.core.command_line import run_command
from mri_tf.evaluate.__main__ import main as evaluate
from mri_tf.export.parity import session_of
from mri_tf.metrics.probabilities import calibration_error
from mri_tf.store.prepared import Prepared
from mri_tf.store.run import open_run
from mri_tf.train import fit
from mri_tf.train.__main__ import main as train

HIGH_SHARE, LOW_MEAN, HIGH_MEAN, SD = 0.15, 100, 140, 25
MIDDLE, APART = (LOW_MEAN + HIGH_MEAN) / 2, HIGH_MEAN - LOW_MEAN
SIDE = 32
TASK_FILE = f"""
from mri_tf.task import Task

TASK = Task(
    name="brightness", channels=("grey",), image_shape=({SIDE}, {SIDE}), class_names=("low", "high"),
    normalize=dict(method="range", low=0.0, high=255.0), model="vgg",
    model_args=dict(high_share=0.5), split_fractions=(0.4, 0.2, 0.4),
    batch_size=32, epochs=2, learning_rate=3e-3,
    variants=dict(
        oversampled=dict(oversample=True), weighted=dict(loss_weights="inverse_frequency"),
        natural={{"model_args.high_share": {HIGH_SHARE}}},
    ),
)
"""


def bayes(input_shape: tuple[int, int, int], class_count: int, *, high_share: float = 0.5):
    """Images of 0 to 1 -> Bayes' rule for their mean where `high_share` of them are high."""
    slope, bias = 255 * APART / SD**2, logit(high_share) - APART * MIDDLE / SD**2
    image = keras.Input(input_shape, name="image")
    x = keras.layers.Activation("linear", name="seen")(image)  # what is explained
    x = keras.layers.GlobalAveragePooling2D(name="brightness")(x)
    answer = keras.layers.Dense(class_count, activation="softmax", name="probabilities")
    model = keras.Model(image, answer(x))
    answer.set_weights([np.array([[0.0, slope]]), np.array([0.0, bias])])
    return model


@pytest.fixture(scope="module", autouse=True)
def vgg_is_bayes():
    """A task names a file of mri_tf/models; in this module the one it names gives this network."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mri_tf.models.vgg.vgg", bayes)
        yield


def write_images(folder: Path, count: int, high_share: float, seed: int) -> None:
    """`count` images of count / 2 patients, the class of each drawn by itself; manifest.csv."""
    rng = np.random.default_rng(seed)
    (folder / "images").mkdir(parents=True)
    high = rng.random(count) < high_share
    brightness = rng.normal(np.where(high, HIGH_MEAN, LOW_MEAN), SD)
    for number, mean in enumerate(brightness):
        pixels = np.round(mean + rng.normal(0, 1, (SIDE, SIDE)))
        Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(
            folder / "images" / f"{number:04d}.png"
        )
    names = [f"images/{number:04d}.png" for number in range(count)]
    patients = [f"p{number // 2:04d}" for number in range(count)]
    labels = np.where(high, "high", "low")
    table = {"image": names, "patient_id": patients, "label": labels, "brightness": brightness}
    pd.DataFrame(table).to_csv(folder / "manifest.csv", index=False)


@pytest.fixture(scope="module")
def home(tmp_path_factory, vgg_is_bayes):
    """A working folder with 1000 images, 15 in 100 high, and the network trained on them oversampled."""
    folder = tmp_path_factory.mktemp("known")
    (folder / "brightness.py").write_text(TASK_FILE, encoding="utf-8")
    write_images(folder / "raw", 1000, HIGH_SHARE, seed=0)
    with chdir(folder):
        arguments = ["--task", "brightness.py", "--variant", "oversampled", "--raw", "raw"]
        assert run_command(train, arguments) == 0
    return folder


OVERSAMPLED = Path("runs/brightness/oversampled-s0")


def trained(variant: str) -> Path:
    arguments = ["--task", "brightness.py", "--variant", variant, "--data", "data/brightness"]
    assert run_command(train, [*arguments, "--no-export"]) == 0
    return Path(f"runs/brightness/{variant}-s0")


def told(run: Path) -> pd.DataFrame:
    """The held-out records: is it high, what the network said, what is reported, what is true."""
    table = pd.read_parquet(run / "predictions.parquet").set_index("record_id")
    private = pd.read_csv("data/brightness/sources.private.csv", dtype=str).set_index("record_id")
    raw = pd.read_csv("raw/manifest.csv").set_index("image")
    brightness = raw.loc[private.loc[table.index, "source"], "brightness"].to_numpy()
    return pd.DataFrame({
        "file": private.loc[table.index, "source"],
        "high": table["truth"] == "high",
        "output": table["output_high"].astype(float),
        "reported": table["p_high"],
        "posterior": expit(logit(HIGH_SHARE) + APART * (brightness - MIDDLE) / SD**2),
        "predicted": table["predicted"],
    })  # fmt: skip


def ece(high: pd.Series, said: pd.Series) -> float:
    both = np.stack([1 - said, said], axis=-1)
    nobody = np.zeros(len(high), int)
    return float(calibration_error(high.to_numpy().astype(int), both, nobody, np.ones((1, 1)))[0])


def assert_mended(run: Path) -> None:
    """The calibration error falls to half at most, and so does the distance from the truth."""
    table = told(run)
    assert ece(table["high"], table["output"]) > 0.1  # there is something to mend
    assert ece(table["high"], table["reported"]) <= 0.5 * ece(table["high"], table["output"])
    errors = {
        said: np.abs(table[said] - table["posterior"]).mean() for said in ("output", "reported")
    }
    assert errors["reported"] <= 0.5 * errors["output"]


def test_the_calibration_error_of_an_oversampled_network_falls_to_half_at_most(inside):
    assert_mended(OVERSAMPLED)


@pytest.mark.slow
def test_the_calibration_error_of_a_class_weighted_network_falls_to_half_at_most(inside):
    assert_mended(trained("weighted"))


@pytest.mark.slow
def test_where_nothing_was_resampled_next_to_nothing_is_changed(inside):
    run = trained("natural")
    answers = json.loads((run / "run.json").read_text())["answers"]
    assert answers["trained"] == pytest.approx(answers["natural"])
    table = told(run)  # what is left is the temperature
    assert np.abs(table["reported"] - table["output"]).mean() <= 0.06
    assert ece(table["high"], table["reported"]) <= ece(table["high"], table["output"]) + 0.02


def test_the_numbers_of_metrics_are_of_the_reported_probabilities(inside):
    table = told(OVERSAMPLED)
    metrics = json.loads((OVERSAMPLED / "metrics.json").read_text())
    assert metrics["ece"]["value"] == pytest.approx(ece(table["high"], table["reported"]))
    own = np.where(table["high"], table["reported"], 1 - table["reported"])
    assert metrics["log_loss"]["value"] == pytest.approx(-np.log(own).mean())


def test_the_prior_of_another_place_lowers_the_log_loss_there(inside):
    write_images(inside / "elsewhere", 200, 0.6, seed=1)
    arguments = ["--task", "brightness.py", "--raw", "elsewhere", "--out", "data/elsewhere"]
    assert run_command(write, arguments) == 0
    found = {}
    for prior in ("", "0.4,0.6"):
        arguments = ["--run", str(OVERSAMPLED), "--data", "data/elsewhere", "--out", f"at-{prior}"]
        assert run_command(evaluate, [*arguments, *(["--prior", prior] if prior else [])]) == 0
        found[prior] = json.loads(Path(f"at-{prior}", "metrics.json").read_text())
    assert found["0.4,0.6"]["log_loss"]["value"] < found[""]["log_loss"]["value"] - 0.1
    assert found["0.4,0.6"]["confusion"] == found[""]["confusion"]
    assert found["0.4,0.6"]["auc"] == found[""]["auc"]
    assert found["0.4,0.6"]["class_shares"] == {"low": 0.4, "high": 0.6}
    assert Path("at-0.4,0.6/reliability.png").is_file()  # it has these shares


def test_what_other_shares_do_to_the_numbers_is_said_and_no_reliability_is_drawn(inside, capsys):
    arguments = ["--run", str(OVERSAMPLED), "--prior", "0.1,0.9", "--out", "shifted"]
    assert run_command(evaluate, arguments) == 0
    said = "are for the shares of --prior: low 0.1 (here "
    assert said in capsys.readouterr().out and said in Path("shifted/report.md").read_text()
    assert not Path("shifted/reliability.png").exists()
    assert Path("shifted/decision_curve.png").is_file()


@pytest.mark.parametrize("prior", ["../../x", "0.5", "0.5,-1", "nan,1", "0,0", "inf,1", "0.9,0.3"])
def test_a_prior_that_is_none_is_refused_before_anything_is_written(inside, prior, capsys):
    before = sorted(inside.rglob("*"))
    assert run_command(evaluate, ["--run", str(OVERSAMPLED), f"--prior={prior}"]) == 2
    assert "--prior needs 2 comma-separated class shares" in capsys.readouterr().err
    assert sorted(inside.rglob("*")) == before


def test_one_operating_point_is_in_the_run_the_numbers_and_the_export(inside):
    run = json.loads((OVERSAMPLED / "run.json").read_text())
    metrics = json.loads((OVERSAMPLED / "metrics.json").read_text())
    exported = Path(run["exported"]) / "assets.extra" / "answers.json"
    assert run["answers"]["point"]["value"] > 0.6
    assert metrics["operating_point"] == run["answers"]["point"]
    assert json.loads(exported.read_text()) == run["answers"]


def test_the_export_reports_and_decides_as_the_evaluation_does(inside):
    table = told(OVERSAMPLED)
    images = np.stack([np.asarray(Image.open(Path("raw", file))) for file in table["file"]])
    exported = Path(json.loads((OVERSAMPLED / "run.json").read_text())["exported"])
    feed = {"image": images[..., None].astype(np.float32)}
    with session_of(exported) as call:
        served = call("serving_default", feed)
    np.testing.assert_allclose(served["probabilities"][:, 1], table["reported"], atol=1e-5)
    decided = np.array(["low", "high"])[served["decision"]]
    np.testing.assert_array_equal(decided, table["predicted"])
    assert set(decided) == {"low", "high"}


def test_the_loss_that_chooses_the_weights_counts_classes_as_they_are_drawn(inside, monkeypatch):
    run = open_run(OVERSAMPLED)
    seen = {}

    def watched(model, data, *settings, **timing):
        for _, labels, weights in data.validation:
            for label, weight in zip(labels.numpy(), weights.numpy(), strict=True):
                seen.setdefault(int(label), []).append(float(weight))
        raise KeyboardInterrupt

    monkeypatch.setattr(fit, "train", watched)
    fresh = type(run)(inside / "watched", {**run.values, "state": "running"})
    with pytest.raises(KeyboardInterrupt):
        fit.fit_run(fresh, Prepared.open(run.data_folder), None, devices=1)
    assert len(seen[1]) < 0.3 * len(seen[0])
    assert sum(seen[1]) == pytest.approx(sum(seen[0]))
    reserved = run.values["reserved"]["records"]  # they choose nothing
    assert len(reserved) > 50
    count = len(run.sides["validation"]) - len(reserved)
    assert sum(seen[1]) + sum(seen[0]) == pytest.approx(count)
