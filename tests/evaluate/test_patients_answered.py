"""A task that answers for patients: prepare, train, evaluate, with and without a feature bank."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from small import write_raw

from mri_tf.core.errors import InputError
from mri_tf.explain.__main__ import main as explain
from mri_tf.export.__main__ import main as export
from mri_tf.export.parity import session_of
from mri_tf.network.bags import SLICE_NETWORK
from mri_tf.network.build import load_network
from mri_tf.pipeline.batches import eval_batches, read_in_order
from mri_tf.splits.sides import SplitOptions, choose_sides
from mri_tf.splits.units import answering_records, bags_of
from mri_tf.store.prepared import Prepared
from mri_tf.store.run import open_finished
from mri_tf.task.files import load_task
from mri_tf.task.overrides import with_values
from mri_tf.train.__main__ import main as train

TASK = """
from mri_tf.task import Task

TASK = Task(
    name="hearts", channels=("cine",), image_shape=(32, 32), class_names=("small", "large"),
    prep=dict(label_column="size"), model="feature_classifier", features_from="pools",
    model_args=dict(conv_filters=4, dense_units=8, repeats=2), bag=dict(pooling="mean"),
    augment=dict(random_affine=dict(max_degrees=10.0)), augment_probability=0.6,
    oversample=True, batch_size=3, epochs=2, learning_rate=1e-2,
    variants=dict(bank=dict(feature_bank=2), attention={"bag.pooling": "attention"}),
)
"""


@pytest.fixture(scope="module")
def hearts(small, tmp_path_factory) -> dict[str, Path]:
    """The short-axis phantom with one label a patient; runs are added by `_run`."""
    home = tmp_path_factory.mktemp("hearts")
    file = small["levels"].with_name("hearts.py")
    file.write_text(TASK, encoding="utf-8")
    raw = write_raw(home / "raw", patients=12)
    table = pd.read_csv(raw / "manifest.csv")
    numbers = table.patient_id.astype("category").cat.codes
    table["size"] = np.where(numbers % 3 == 0, "large", "small")
    table = table[~((numbers == 1) & (table.index % 2 == 0))]  # one patient has fewer slices
    table.to_csv(raw / "manifest.csv", index=False)
    return {"file": file, "raw": raw, "home": home}


def _run(hearts, variant):
    """The finished run of a variant, trained by the first test that asks."""
    folder = hearts["home"] / "runs" / variant
    if variant not in hearts:
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(hearts["home"])
            flags = ["--task", str(hearts["file"]), "--raw", str(hearts["raw"]), "--out", str(folder)]
            flags += ["--variant", variant] if variant != "manual" else []
            assert train([*flags, "--no-export", "--set", "features.epochs=1"]) == 0
        hearts[variant] = folder
    return open_finished(folder)


def _prepared(hearts):
    return Prepared.open(_run(hearts, "manual").data_folder)


ATTENTION = pytest.param("attention", marks=pytest.mark.slow)


@pytest.mark.parametrize("variant", ["manual", pytest.param("bank", marks=pytest.mark.slow), ATTENTION])
def test_predictions_have_one_row_a_held_out_patient(hearts, variant):
    run = _run(hearts, variant)
    table = pd.read_parquet(run.folder / "predictions.parquet")
    assert sorted(table.patient) == run.values["patients"]["test"]
    assert np.allclose(table[["p_small", "p_large"]].sum(axis=1), 1)


def test_the_reported_output_is_the_mean_over_the_patient_s_slices(hearts):
    run, prepared = _run(hearts, "manual"), _prepared(hearts)
    table = pd.read_parquet(run.folder / "predictions.parquet").set_index("patient")
    single = load_network(run).get_layer(SLICE_NETWORK)
    plain = with_values(run.task, {"bag": {}})
    for patient in run.values["patients"]["test"]:
        records = np.flatnonzero(prepared.patients == patient)
        ((image, _, _),) = eval_batches(read_in_order(prepared, records, 64), plain, {})
        wanted = single(image, training=False)[0].numpy().mean(axis=0)
        found = table.loc[patient, ["output_small", "output_large"]].to_numpy(float)
        np.testing.assert_allclose(found, wanted, atol=1e-5)


@pytest.mark.parametrize("variant", ["manual", ATTENTION])
def test_the_export_answers_for_a_patient_s_slices_as_evaluate_does(hearts, variant, tmp_path):
    run, prepared = _run(hearts, variant), _prepared(hearts)
    assert export(["--run", str(run.folder), "--out", str(tmp_path)]) == 0
    table = pd.read_parquet(run.folder / "predictions.parquet").set_index("patient")
    with session_of(tmp_path / "hearts" / "1") as served:
        for patient in run.values["patients"]["test"]:
            own = [prepared.record(n) for n in np.flatnonzero(prepared.patients == patient)]
            padding = np.full((1, 2, 32, 32, 1), 1e6, np.float32)
            images = np.stack([record.image for record in own])[None].astype(np.float32)
            stats = np.stack([record.intensity_stats for record in own])[None].astype(np.float32)
            found = served("slices", {
                "slices": np.concatenate([images, padding], axis=1),
                "mask": np.array([[1.0] * len(own) + [0.0] * 2], np.float32),
                "intensity_stats": np.concatenate([stats, stats[:, :2]], axis=1),
            })  # fmt: skip
            wanted = table.loc[patient, ["p_small", "p_large"]].to_numpy(float)
            np.testing.assert_allclose(found["probabilities"][0], wanted, atol=1e-5)
            assert found["slice_probabilities"].shape == (1, len(own) + 2, 2)


def test_classes_are_counted_in_patients(hearts):
    run = _run(hearts, "manual")
    assert sum(run.values["natural_counts"]) == len(run.values["patients"]["train"])
    assert sum(run.values["training_counts"]) == len(run.values["patients"]["train"])


def test_a_training_size_limits_patients_and_keeps_all_of_their_slices(hearts):
    prepared, task = _prepared(hearts), load_task(hearts["file"])
    sides = choose_sides(prepared, task, SplitOptions("patient", None, 1, 0)).records
    assert sorted(prepared.labels[answering_records(task, prepared, sides[0])]) == [0, 1]
    for bag in bags_of(prepared, sides[0]):
        assert len(bag) == np.sum(prepared.patients == prepared.patients[bag[0]])


def test_patients_with_several_labels_are_refused_before_anything_is_trained(hearts, monkeypatch):
    raw = hearts["home"] / "torn"
    shutil.copytree(hearts["raw"], raw)
    table = pd.read_csv(raw / "manifest.csv")
    table.loc[table.index[0], "size"] = "small" if table["size"].iloc[0] == "large" else "large"
    table.to_csv(raw / "manifest.csv", index=False)
    monkeypatch.chdir(raw)
    with pytest.raises(InputError, match="one label a patient"):
        train(["--task", str(hearts["file"]), "--raw", str(raw), "--no-export"])
    assert not (raw / "runs" / "hearts").exists()


@pytest.mark.slow
def test_every_slice_of_a_held_out_patient_is_explained(hearts, tmp_path):
    run = _run(hearts, "manual")
    assert explain(["--run", str(run.folder), "--out", str(tmp_path / "maps")]) == 0
    table = pd.read_csv(tmp_path / "maps" / "attribution.csv", dtype={"patient": str})
    prepared = _prepared(hearts)
    held_out = np.isin(prepared.patients, run.values["patients"]["test"])
    assert sorted(table.record_id) == sorted(prepared.record_ids[held_out])
    for record in table.record_id:
        assert (tmp_path / "maps" / f"{record}_gradcam.nii.gz").is_file()
        assert (tmp_path / "maps" / f"{record}_gradcam.png").is_file()
