"""Neighbouring slices from a raw folder to an answer: one image for training, report and export."""

import json
from contextlib import chdir
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from asked import probabilities_of
from refused import error_line
from small import write_raw, write_small
from studied import train_folds_here

from mri_tf.core.command_line import run_command
from mri_tf.evaluate.__main__ import main as evaluate
from mri_tf.explain.__main__ import main as explain
from mri_tf.export.reader import load_graph, open_export
from mri_tf.pipeline.batches import batch_function
from mri_tf.pipeline.subset import run_sides
from mri_tf.predict.__main__ import main as predict
from mri_tf.store.prepared import Prepared
from mri_tf.store.run import open_finished
from mri_tf.task.overrides import with_values
from mri_tf.train.__main__ import main as train

STACK = ("prep.slice_column=slice_level", 'prep.stack_columns=("cardiac_phase",)')
CAUTION = "Thirds of a heart are a matter of definition; doubt them."
COMMON = ("--task", "thirds.py", "--raw", "raw", "--set", "context_slices=1", "epochs=1", *STACK,
          f"caution={CAUTION}")  # fmt: skip
SCRATCH = (*COMMON[:2], "--variant", "scratch", *COMMON[2:])
RUN, MODEL = Path("runs/thirds/scratch-s0"), Path("saved_models/thirds/1")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with a run that sees the neighbours of each slice, and its export."""
    folder = write_small(tmp_path_factory.mktemp("context"))
    with chdir(folder):
        assert run_command(train, list(SCRATCH)) == 0
    return folder


@pytest.fixture
def run(inside):
    return open_finished(RUN)


def test_a_record_holds_its_slice_and_the_images_beside_it(run):
    prepared = Prepared.open(run.data_folder)
    assert prepared.image_shape == (32, 32, 3)
    slices = [prepared.record(n) for n in range(6)]  # of one patient, base first
    for number, record in enumerate(slices):
        for place, other in enumerate((max(number - 1, 0), number, min(number + 1, 5))):
            np.testing.assert_array_equal(record.image[..., place], slices[other].own_slice[..., 0])
        assert record.facts["neighbouring_slices"] == [number > 0, number < 5]


def test_all_slices_of_an_image_are_augmented_by_one_draw(run):
    prepared = Prepared.open(run.data_folder)
    task = with_values(run.task, {
        "augment_probability": 1.0, "normalize": dict(method="range", low=0.0, high=255.0),
        "augment": dict(random_affine=dict(max_degrees=40.0), random_contrast=dict(low=0.5, high=2.0)),
    })  # fmt: skip
    (raw,) = run_sides(run, prepared)[0].of(np.arange(4)).raw_batches(4)
    middle = np.repeat(raw["image"][..., 1:2], 3, axis=-1)  # three times the same slice
    stats = np.repeat(raw["intensity_stats"][:, :, 1:2], 3, axis=2)
    raw |= {"image": middle, "intensity_stats": stats, "seed": np.arange(8).reshape(4, 2)}
    image = batch_function(task, training=True)(raw)[0].numpy()
    assert np.abs(image - middle / 255).max() > 0.1
    np.testing.assert_allclose(image[..., 0], image[..., 1], atol=1e-6)
    np.testing.assert_allclose(image[..., 2], image[..., 1], atol=1e-6)


def test_the_baseline_of_the_ends_is_that_of_the_phantom(run):
    # Of six slices the first is basal and the last apical; of the four between them two are mid.
    metrics = json.loads((RUN / "metrics.json").read_text())
    alone = metrics["context"]["neighbours_alone"]
    assert alone["accuracy"]["value"] == pytest.approx(4 / 6)
    assert alone["kappa"]["value"] == pytest.approx(0.5)
    table = pd.read_parquet(RUN / "predictions.parquet")
    level = table.groupby("patient").cumcount()
    inner = table[level.between(1, 4)]
    assert set(inner["neighbouring_slices"]) == {"11"} and table["neighbouring_slices"].iloc[0] == "01"
    without = metrics["context"]["without_ends"]
    assert without["n"] == len(inner) == 8
    right = (inner["truth"] == inner["predicted"]).mean()
    assert without["accuracy"]["value"] == pytest.approx(right)


def test_the_report_has_a_row_without_ends_and_one_of_the_ends_alone(run):
    page = (RUN / "report.md").read_text()
    section = page.partition("## Neighbouring slices")[2].partition("## ")[0]
    assert "1 neighbouring slice on each side" in section
    assert "without the first and last slice of each stack" in section and "no network" in section
    assert "| 0.667 (" in section and "| 0.500 (" in section


def test_a_caution_stands_beside_the_numbers_and_in_the_card(run):
    assert json.loads((RUN / "metrics.json").read_text())["caution"] == CAUTION
    title, first, *_ = (RUN / "report.md").read_text().splitlines()
    assert title.startswith("# thirds") and first == f"- {CAUTION}"
    assert CAUTION in (RUN / "log.txt").read_text()
    limits = (MODEL / "assets.extra" / "model_card.md").read_text().partition("## Limits")[2]
    assert limits.strip().startswith(f"- {CAUTION}")


def test_the_card_says_what_the_channels_are_and_the_graph_takes_them(run):
    card = (MODEL / "assets.extra" / "model_card.md").read_text()
    listed = "cine (slice -1), cine, cine (slice +1)"
    assert f"channels {listed}, prepared grid 32 x 32" in card
    assert f"- channels, in order: {listed}. A slice is seen with 1 neighbouring slice" in card
    assert "`image` float32 (-1, 32, 32, 3)" in card and "image_bytes" not in card
    exported = open_export(MODEL)
    assert load_graph(exported)[1] and exported.task.image_channels[0] == "cine (slice -1)"


def test_the_served_answers_are_those_of_evaluate(run):
    found = probabilities_of(run, Prepared.open(run.data_folder), MODEL)
    for who in ("session", "REST", "gRPC"):
        np.testing.assert_allclose(found[who], found["evaluate"], atol=1e-5, err_msg=who)


def test_predict_from_the_table_says_what_evaluate_said(run, tmp_path):
    out = tmp_path / "answers.csv"
    arguments = ["--model", "saved_models/thirds", "--input", "raw", "--out", str(out), "--explain"]
    assert run_command(predict, arguments) == 0
    answers = pd.read_csv(out).set_index("input")
    table = pd.read_parquet(RUN / "predictions.parquet")
    private = pd.read_csv(run.data_folder / "sources.private.csv").set_index("record_id")
    files = private.loc[table["record_id"], "source"]
    columns = ["p_basal", "p_mid", "p_apical"]
    found = answers.loc[files, columns].to_numpy()
    np.testing.assert_allclose(found, table[columns].to_numpy(), atol=1e-5)
    assert len(list((tmp_path / "answers_maps").glob("*.png"))) == 60


def test_predict_refuses_a_slice_alone_in_one_line(inside, capsys):
    image = next(Path("raw/images").glob("*.png"))
    line = error_line(capsys, predict, "--model", "saved_models/thirds", "--input", image)
    assert "with its neighbours" in line and "patient_id, slice_level, cardiac_phase" in line


def test_other_patients_are_evaluated_with_their_own_neighbours(run, tmp_path):
    raw = write_raw(tmp_path / "others", patients=3, seed=9)
    out = tmp_path / "numbers"
    assert run_command(evaluate, ["--run", str(RUN), "--raw", str(raw), "--out", str(out)]) == 0
    context = json.loads((out / "metrics.json").read_text())["context"]
    assert context["records"] == 18 and context["without_ends"]["n"] == 12
    assert context["neighbours_alone"]["accuracy"]["value"] == pytest.approx(4 / 6)


def test_a_slice_is_explained_on_its_own_grid(run, tmp_path):
    assert run_command(explain, ["--run", str(RUN), "--out", str(tmp_path / "maps")]) == 0
    assert len(list((tmp_path / "maps").glob("*_gradcam.png"))) == 12


def test_features_of_single_slices_are_refused_and_those_with_neighbours_are_used(inside, capsys):
    line = error_line(capsys, train, *COMMON)
    assert "must have context_slices 1" in line and "set features.context_slices" in line
    features = ("features.context_slices=1", "features.epochs=1", *(f"features.{one}" for one in STACK))
    flags = ("feature_bank=1", "--no-export", "--out", "runs/featured")
    assert run_command(train, [*COMMON, *features, *flags]) == 0
    trained = open_finished(Path("runs/featured"))
    assert trained.values["feature_task"]["context_slices"] == 1
    assert "context" in json.loads(Path("runs/featured/metrics.json").read_text())


def test_patients_as_bags_see_neighbours_too_and_say_that_ends_are_not_told_apart(here):
    # The level of a slice is no label of a patient: a table in which it is one.
    raw = write_small(here) / "raw"
    table = pd.read_csv(raw / "manifest.csv")
    number = table["patient_id"].str[-3:].astype(int)
    table["axial_level"] = np.array(["basal", "mid", "apical"])[number % 3]
    table.to_csv(raw / "manifest.csv", index=False)
    assert run_command(train, [*SCRATCH, "bag.pooling=mean"]) == 0
    assert "Not told apart by the ends" in (RUN / "report.md").read_text()
    assert set(json.loads((RUN / "metrics.json").read_text())["context"]) == {"reason"}
    run = open_finished(RUN)
    found = probabilities_of(run, Prepared.open(run.data_folder), MODEL)
    np.testing.assert_allclose(found["session"], found["evaluate"], atol=1e-5)


def test_every_patient_of_a_cross_validation_is_compared_with_the_ends_of_its_own_fold(inside):
    flags = ("--folds", "2", "--workers", "1", "--out", "runs/folds", "--no-export")
    train_folds_here(Path(), (*SCRATCH, *flags))
    metrics = json.loads(Path("runs/folds/metrics.json").read_text())
    context = metrics["context"]
    assert context["records"] == 60 and context["without_ends"]["n"] == 40
    assert context["neighbours_alone"]["accuracy"]["value"] == pytest.approx(4 / 6)
    page = Path("runs/folds/report.md").read_text()
    assert "## Neighbouring slices" in page and f"- {CAUTION}" in page
    table = pd.read_parquet("runs/folds/predictions.parquet")
    assert table["neighbouring_slices"].value_counts().to_dict() == {"11": 40, "01": 10, "10": 10}
    row = json.loads(next(Path("runs/folds").rglob("row.json")).read_text())["row"]
    assert row["kappa_neighbours_alone"] == pytest.approx(0.5) and "accuracy_without_ends" in row
