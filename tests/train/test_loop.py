"""Training: repeats to the bit, continues after a kill to the bit, keeps the best, stops at NaN."""

import json
import math
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from types import SimpleNamespace

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from small import sides_of
from trainings import assert_equal_weights, split_of, stopped_at

from data_prep.prepare.prepare import prepare
from mri_tf.core.errors import InputError, RunFailed
from mri_tf.network.build import PreparingModel, load_network
from mri_tf.network.inference import predict_records
from mri_tf.pipeline.batches import batch_function, training_batches
from mri_tf.pipeline.epoch_plan import TrainingPlan
from mri_tf.pipeline.subset import subset_of
from mri_tf.store.continued import start_or_continue
from mri_tf.store.run import Run, locked, open_finished, positions_of
from mri_tf.task.files import load_task
from mri_tf.task.overrides import with_values
from mri_tf.train import devices, feed, fit, loop
from mri_tf.train.checkpoint import TrainingState
from mri_tf.train.fit import fit_run
from mri_tf.train.loop import Checkpoints, Schedule
from mri_tf.train.new_run import new_run


@pytest.fixture(scope="module")
def pools(small):
    """(task, prepared set) of the segmentation of the blood pool."""
    file = small["levels"].with_name("pools.py")
    prepared, _ = prepare(load_task(file), file, small["raw"], small["home"] / "pools-for-training")
    return load_task(file), prepared


def _run(folder, pools, seed=0, **values):
    task, prepared = pools
    task = with_values(task, values)
    sides = sides_of(task, prepared, split_of(task, prepared))
    return new_run(folder, task, prepared, sides, seed), prepared


def _fit(folder, pools, seed=0, **values):
    run, prepared = _run(folder, pools, seed, **values)
    return fit_run(run, prepared, None, devices=1, checkpoints=Checkpoints(0))


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory, pools):
    return _fit(tmp_path_factory.mktemp("whole") / "run", pools)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_weights_to_the_bit(tmp_path, pools, uninterrupted):
    assert_equal_weights(uninterrupted, _fit(tmp_path / "again", pools))


@pytest.mark.slow
def test_another_seed_gives_other_weights(tmp_path, pools, uninterrupted):
    other = _fit(tmp_path / "other", pools, seed=1)
    pairs = zip(*(load_network(run).get_weights() for run in (uninterrupted, other)), strict=True)
    assert any(np.any(one != two) for one, two in pairs)


@pytest.mark.parametrize(
    "epoch, step",
    [(1, 0), pytest.param(0, 2, marks=pytest.mark.slow), pytest.param(2, 3, marks=pytest.mark.slow)],
)
def test_a_training_stopped_in_the_middle_continues_to_equal_weights(
    tmp_path, pools, uninterrupted, epoch, step
):
    with stopped_at(epoch, step):
        _fit(tmp_path / "run", pools)
    assert (tmp_path / "run" / "checkpoint.npz").is_file() == (epoch > 0)
    continued = _fit(tmp_path / "run", pools)
    assert_equal_weights(uninterrupted, continued)
    histories = [(run.folder / "history.csv").read_text() for run in (uninterrupted, continued)]
    assert histories[0] == histories[1]


@pytest.mark.slow
def test_a_training_killed_by_the_system_continues_to_equal_weights(tmp_path, pools, uninterrupted):
    script = textwrap.dedent("""
        import sys
        from pathlib import Path
        import numpy as np
        from mri_tf.train.fit import fit_run
        from mri_tf.train.loop import Checkpoints
        from mri_tf.store.prepared import Prepared
        from mri_tf.store.run import open_run
        run = open_run(Path(sys.argv[1]))
        fit_run(run, Prepared.open(run.data_folder), None, 1, checkpoints=Checkpoints(0))
    """)
    folder = tmp_path / "run"
    run, prepared = _run(folder, pools)
    run.save()
    command = [sys.executable, "-c", script, str(folder)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not (folder / "checkpoint.npz").is_file() and time.monotonic() < deadline:
        assert process.poll() is None, "it ended before it could be killed"
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert (folder / "checkpoint.npz").is_file()
    assert json.loads((folder / "run.json").read_text())["state"] == "running"
    subprocess.run(command, stderr=subprocess.DEVNULL, check=True)
    assert_equal_weights(uninterrupted, open_finished(folder))


def test_a_finished_run_is_not_trained_again(pools, uninterrupted):
    before = uninterrupted.weights.stat().st_mtime_ns
    run, prepared = _run(uninterrupted.folder, pools)
    assert fit_run(run, prepared, None, devices=1).finished
    assert uninterrupted.weights.stat().st_mtime_ns == before


def test_the_weights_kept_are_those_of_the_best_validation_loss(uninterrupted):
    rows = (uninterrupted.folder / "history.csv").read_text().splitlines()[1:]
    losses = [float(row.split(",")[2]) for row in rows]
    assert uninterrupted.values["best_epoch"] == 1 + int(np.argmin(losses))


def test_training_stops_when_the_patience_runs_out(tmp_path, pools):
    # One bias that next to nothing moves, behind BatchNorm that is frozen: every epoch is as good.
    nothing = {"learning_rate": 1e-30, "fine_tune": dict(train="score_1/bias", optimizer="sgd")}
    run = _fit(tmp_path / "run", pools, epochs=30, patience=2, **nothing)
    assert (run.values["best_epoch"], run.values["epochs_trained"]) == (1, 3)


BUDGET = dict(epochs=1, steps=13, choose_epoch="budget", average=0.9)
BUDGET |= dict(schedule="cosine", warm_up=3, clip_norm=1.0)


def test_a_budget_of_steps_is_trained_to_its_end_and_the_last_weights_are_kept(tmp_path, pools):
    run, _ = _run(tmp_path / "run", pools)
    each = -(-len(run.values["sides"]["train"]) // run.task.batch_size)
    whole = _fit(tmp_path / "run", pools, **BUDGET)
    assert whole.values["epochs_trained"] == whole.values["best_epoch"] == -(-13 // each)
    history = pd.read_csv(whole.folder / "history.csv")
    rates = history["learning_rate_adam"]
    assert rates.is_monotonic_decreasing and rates.iloc[-1] == pytest.approx(0, abs=1e-9)
    assert history["val_loss"].notna().iloc[-1]
    with stopped_at(1, 0):
        _fit(tmp_path / "stopped", pools, **BUDGET)
    assert_equal_weights(whole, _fit(tmp_path / "stopped", pools, **BUDGET))


def test_a_budget_is_validated_a_few_times_and_at_its_end():
    budget = Schedule(epochs=23, patience=0, seed=0, identity="", choose="budget")
    assert budget.validated == [7, 15, 23]
    assert Schedule(epochs=3, patience=0, seed=0, identity="", choose="budget").validated == [1, 2, 3]
    assert Schedule(epochs=4, patience=0, seed=0, identity="").validated == [1, 2, 3, 4]


@pytest.fixture(scope="module")
def thirds(small):
    """(task, prepared set) of the classification, by a network without pre-training."""
    file = small["levels"]
    task = with_values(load_task(file), load_task(file).variants["scratch"])
    prepared, _ = prepare(task, file, small["raw"], small["home"] / "thirds-for-training")
    return task, prepared


BY_ACCURACY = dict(choose_epoch="accuracy", epochs=6, batch_size=8)


def test_the_first_epoch_of_the_highest_accuracy_is_kept_and_survives_a_stop(tmp_path, thirds):
    whole = _fit(tmp_path / "whole", thirds, **BY_ACCURACY)
    history = pd.read_csv(whole.folder / "history.csv")
    accuracies = history["val_accuracy"].to_numpy()
    assert whole.values["best_epoch"] == 1 + int(np.argmax(accuracies))
    prepared = thirds[1]
    validation = subset_of(whole, prepared, positions_of(whole, prepared)[1])
    outputs = predict_records(load_network(whole), validation)
    kept = np.mean(outputs.argmax(axis=1) == validation.labels)
    assert kept == pytest.approx(accuracies.max())
    for epoch in (2, 5):
        with stopped_at(epoch, 1):
            _fit(tmp_path / str(epoch), thirds, **BY_ACCURACY)
        continued = _fit(tmp_path / str(epoch), thirds, **BY_ACCURACY)
        assert_equal_weights(whole, continued)
        assert (continued.folder / "history.csv").read_text() == (
            (whole.folder / "history.csv").read_text()
        )


def test_a_training_on_mixed_images_that_was_stopped_continues_to_equal_weights(tmp_path, thirds):
    mixed = BY_ACCURACY | {
        "epochs": 3, "augment_probability": 1.0, "augment": {"mixup": {"alpha": 1.0}},
    }  # fmt: skip
    whole = _fit(tmp_path / "whole", thirds, **mixed)
    with stopped_at(1, 0):
        _fit(tmp_path / "run", thirds, **mixed)
    assert_equal_weights(whole, _fit(tmp_path / "run", thirds, **mixed))
    unmixed = _fit(tmp_path / "unmixed", thirds, **mixed | {"augment": {}})
    losses = [pd.read_csv(run.folder / "history.csv")["loss"] for run in (whole, unmixed)]
    assert (losses[0] > losses[1] + 0.01).any()


def test_patience_waits_for_a_higher_accuracy(tmp_path, thirds):
    nothing = {"learning_rate": 1e-30, "fine_tune": dict(optimizer="sgd")}
    values = BY_ACCURACY | nothing | dict(epochs=30, patience=2)
    run = _fit(tmp_path / "run", thirds, **values)
    assert (run.values["best_epoch"], run.values["epochs_trained"]) == (1, 3)


@pytest.mark.parametrize(
    "rows, kept",
    [
        ([(0.5, 1.0), (0.7, 2.0), (0.7, 0.1), (0.6, 0.1)], [0, 1]),  # not for a lower loss
        ([(0.5, 1.0), (0.5 + 1e-7, 1.0), (0.75, 1.0)], [0, 2]),  # a matter of rounding is no gain
        ([(0.9, math.nan), (0.4, 1.0), (0.95, math.inf), (0.5, 1.0)], [1, 3]),
        ([(0.0, 1.0)], [0]),
    ],
)
def test_which_epochs_are_kept_by_their_accuracy(tmp_path, rows, kept):
    schedule = Schedule(epochs=9, patience=0, seed=0, identity="", choose="accuracy")
    state = TrainingState()
    keeper = loop._KeepState(state, [], tmp_path / "checkpoint", schedule, Checkpoints(1e9))
    keeper.pace = SimpleNamespace(next_epoch_seconds=0.0)
    found = []
    for epoch, (accuracy, loss) in enumerate(rows):
        keeper.weights_now = lambda epoch=epoch: found.append(epoch) or [np.array(epoch)]
        keeper.on_epoch_end(epoch, {"loss": 1.0, "val_loss": loss, "val_accuracy": accuracy})
    assert found == kept and state.best_epoch == kept[-1]


def test_the_accuracy_of_a_segmentation_chooses_no_epoch(pools):
    with pytest.raises(InputError, match="says little"):
        with_values(pools[0], {"choose_epoch": "accuracy"})


def test_patience_begins_after_the_warm_up(tmp_path, pools):
    nothing = {"learning_rate": 1e-30, "fine_tune": dict(train="score_1/bias", optimizer="sgd")}
    run, _ = _run(tmp_path / "run", pools)
    each = -(-len(run.values["sides"]["train"]) // run.task.batch_size)
    run = _fit(tmp_path / "run", pools, epochs=30, patience=2, warm_up=3 * each, **nothing)
    assert (run.values["best_epoch"], run.values["epochs_trained"]) == (1, 5)


def test_a_loss_that_is_no_number_names_epoch_step_and_records(tmp_path, pools, monkeypatch):
    real = feed.batch_function

    def poisoned(task, training, fitted):
        make = real(task, training, fitted)

        def prepare_batch(batch):
            image, target, weight = make(batch)
            return image * float("nan") if training else image, target, weight

        return prepare_batch

    monkeypatch.setattr(feed, "batch_function", poisoned)
    with pytest.raises(RunFailed) as failure:
        _fit(tmp_path / "run", pools)
    run, prepared = _run(tmp_path / "run", pools)
    message = str(failure.value)
    assert "epoch 1, step 1" in message
    assert sum(name in message for name in prepared.record_ids) in (7, 8)  # the batch's records


def test_a_truncated_checkpoint_is_refused_in_one_line(tmp_path, pools):
    run, prepared = _run(tmp_path / "run", pools)
    run.save()
    (tmp_path / "run" / "checkpoint.npz").write_bytes(b"PK\x03\x04 torn")
    with pytest.raises(InputError, match="checkpoint.npz, damaged"):
        fit_run(run, prepared, None, devices=1)


def test_damaged_weights_are_refused(tmp_path, pools, uninterrupted):
    shutil.copytree(uninterrupted.folder, tmp_path / "copy")
    weights = tmp_path / "copy" / "weights.weights.h5"
    os.truncate(weights, weights.stat().st_size // 2)
    with pytest.raises(InputError, match="damaged"):
        open_finished(tmp_path / "copy")


def test_a_run_folder_of_another_task_or_setting_is_refused(pools, uninterrupted):
    run, prepared = _run(uninterrupted.folder, pools, learning_rate=0.5)
    with pytest.raises(InputError, match="with learning_rate 0.01, not 0.5"):
        fit_run(run, prepared, None, devices=1)
    run, prepared = _run(uninterrupted.folder, pools, seed=1)
    with pytest.raises(InputError, match="with another seed"):
        fit_run(run, prepared, None, devices=1)


def test_a_run_of_before_a_field_of_the_task_came_is_the_same_run(pools, uninterrupted):
    values = uninterrupted.values | {"task": dict(uninterrupted.values["task"])}
    del values["task"]["steps"]
    assert Run(uninterrupted.folder, values).identity() == uninterrupted.identity()


def test_a_run_continues_in_the_precision_it_began_with(tmp_path, pools, monkeypatch):
    chosen = []
    monkeypatch.setattr(devices, "bfloat16_is_faster", lambda: chosen.append(1) or len(chosen) > 1)
    values = {"precision": "auto", "epochs": 1}
    first = _fit(tmp_path / "run", pools, **values)
    assert first.precision == first.values["precision"] == "float32" and first.task.precision == "auto"
    again, _ = _run(tmp_path / "run", pools, **values)
    assert again.precision == "mixed_bfloat16"  # what this machine would begin with now
    assert start_or_continue(again).precision == "float32"
    assert devices.precision_here("mixed_float16") == "mixed_float16"


def test_files_of_no_run_are_not_overwritten(tmp_path, pools):
    run, prepared = _run(tmp_path, pools)
    (tmp_path / "report.md").write_text("mine")
    with pytest.raises(InputError, match="of no run. Received: .*report.md"):
        fit_run(run, prepared, None, devices=1)
    assert (tmp_path / "report.md").read_text() == "mine" and not run.weights.exists()


def test_a_batch_is_the_same_made_in_the_pipeline_or_in_the_train_step(pools):
    class Recorder(PreparingModel):
        """A model whose train step hands out the batch it would train on."""

        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
            self.seen = (x, y, sample_weight)
            raise StopIteration

    task, prepared = pools
    plan = TrainingPlan(np.arange(len(prepared)), prepared.labels, 8, seed=3)
    make = batch_function(task, training=True)
    in_pipeline = next(iter(training_batches(prepared, plan, 0, task, {}).map(make)))
    image = keras.Input((32, 32, 1))
    recorder = Recorder(image, keras.layers.Identity()(image))
    recorder.compile(loss="mse", run_eagerly=True)
    recorder.prepare = make
    with pytest.raises(StopIteration):
        recorder.train_step(next(iter(training_batches(prepared, plan, 0, task, {}))))
    for one, other in zip(in_pipeline, recorder.seen, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-5)
    assert not np.array_equal(in_pipeline[0], tf.zeros_like(in_pipeline[0]))


@pytest.mark.slow
def test_training_on_the_device_gives_the_losses_of_training_from_the_pipeline(
    tmp_path, pools, monkeypatch
):
    slow = {"epochs": 1, "learning_rate": 1e-5}  # Adam's steps blow up the last bit's differences
    in_pipeline = _fit(tmp_path / "one", pools, **slow)
    monkeypatch.setattr(fit, "has_accelerator", lambda: True)
    on_device = _fit(tmp_path / "other", pools, **slow)
    losses = [
        np.loadtxt(run.folder / "history.csv", delimiter=",", skiprows=1)
        for run in (in_pipeline, on_device)
    ]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)


def test_a_second_process_is_kept_out_of_a_run_folder(tmp_path):
    folder = tmp_path / "run"
    with locked(folder), pytest.raises(InputError, match="Another process is using"), locked(folder):
        pass
