"""Trainings under --max-minutes end at an epoch's checkpoint and go on to the weights of a whole run."""

from contextlib import chdir
from pathlib import Path

import pytest
from small import sides_of, write_small
from stopwatch import Stopwatch
from trainings import assert_equal_weights, split_of

from data_prep.prepare.prepare import prepare
from mri_tf.core.command_line import run_command
from mri_tf.core.deadline import Deadline
from mri_tf.core.errors import OutOfTime
from mri_tf.store.run import open_finished
from mri_tf.task.files import load_task
from mri_tf.task.overrides import with_values
from mri_tf.train import loop
from mri_tf.train.__main__ import main as train
from mri_tf.train.fit import fit_run
from mri_tf.train.loop import Checkpoints
from mri_tf.train.new_run import new_run

SECONDS = 60.0  # of an epoch, by the clock of these tests
SELDOM = 1e9  # seconds between checkpoints: only where a training ends
BUDGET = dict(epochs=1, steps=13, choose_epoch="budget", average=0.9, schedule="cosine")


@pytest.fixture(scope="module")
def pools(small):
    """(task, prepared set) of the segmentation of the blood pool."""
    file = small["levels"].with_name("pools.py")
    prepared, _ = prepare(load_task(file), file, small["raw"], small["home"] / "pools-in-time")
    return load_task(file), prepared


@pytest.fixture
def clock(monkeypatch) -> Stopwatch:
    """Moves on by a minute in each epoch."""
    clock, begin = Stopwatch(), loop._StopAtNaN.on_epoch_begin

    def wait(self, epoch, logs=None):
        begin(self, epoch, logs)
        self.late = True

    def step(self, batch, logs=None):
        clock.wait(SECONDS * self.late)
        self.late = False

    monkeypatch.setattr(loop._StopAtNaN, "on_epoch_begin", wait)
    monkeypatch.setattr(loop._StopAtNaN, "on_train_batch_end", step)
    return clock


def _fit(folder, pools, deadline=None, **values):
    task, prepared = pools
    task = with_values(task, values)
    run = new_run(folder, task, prepared, sides_of(task, prepared, split_of(task, prepared)), 0)
    checkpoints = Checkpoints(SELDOM, deadline) if deadline else Checkpoints(SELDOM)
    return fit_run(run, prepared, None, 1, checkpoints)


@pytest.mark.parametrize(
    "values", [{}, pytest.param(BUDGET, marks=pytest.mark.slow)], ids=["epochs", "averaged budget"]
)
def test_it_stops_after_the_epoch_that_fits_and_continues_to_equal_weights(
    tmp_path, pools, clock, values
):
    whole = _fit(tmp_path / "whole", pools, **values)
    with pytest.raises(OutOfTime, match=r"2 of \d epochs of pools are done, and the next would take 60"):
        _fit(tmp_path / "run", pools, Deadline(2.5, clock), **values)
    assert (tmp_path / "run" / "checkpoint.npz").is_file()
    assert_equal_weights(whole, _fit(tmp_path / "run", pools, Deadline(9, clock), **values))
    histories = [(tmp_path / name / "history.csv").read_text() for name in ("whole", "run")]
    assert histories[0] == histories[1]


@pytest.mark.slow
def test_however_short_the_time_is_every_command_trains_an_epoch(tmp_path, pools, clock):
    for epoch in (1, 2):
        with pytest.raises(OutOfTime, match=f"{epoch} of 3 epochs of pools are done. The same"):
            _fit(tmp_path, pools, Deadline(1e-9, clock))
    assert _fit(tmp_path, pools, Deadline(1e-9, clock)).values["epochs_trained"] == 3


def test_a_training_does_not_begin_when_the_command_has_used_its_time_before(tmp_path, pools, clock):
    deadline = Deadline(1, clock)
    deadline.got_on = True
    clock.wait(61)
    with pytest.raises(OutOfTime, match="the training of pools comes next"):
        _fit(tmp_path, pools, deadline)
    assert not (tmp_path / "checkpoint.npz").exists()


@pytest.mark.slow
def test_the_command_stops_in_the_features_and_in_the_training_and_ends_as_a_whole_one(
    tmp_path, capsys
):
    write_small(tmp_path)
    flags = ("--task", "thirds.py", "--no-export", "--set", "epochs=2", "features.epochs=2")
    parts = ("--out", "parts/run", "--data", "data/thirds", "--max-minutes", "0.0001")
    ends = []
    with chdir(tmp_path):
        assert run_command(train, [*flags, "--raw", "raw", "--out", "whole/run"]) == 0
        capsys.readouterr()
        while (code := run_command(train, [*flags, *parts])) == 1:
            assert not Path("parts/run/metrics.json").exists() and len(ends) < 9
            ends.append(capsys.readouterr().err.strip().splitlines()[-1])
        assert code == 0
        runs = [open_finished(Path(name, "run")) for name in ("whole", "parts")]
        assert_equal_weights(*runs)
        texts = [(run.folder / "metrics.json").read_text() for run in runs]
        log = Path("parts/run/log.txt").read_text()
    assert texts[0] == texts[1]
    said = ("1 of 2 epochs of pools are done", "the training of thirds comes next",
            "1 of 2 epochs of thirds are done")  # fmt: skip
    assert [part in line for part, line in zip(said, ends, strict=True)] == [True] * 3
    assert all(line.startswith("Stopped after ") for line in ends)
    assert log.count("== stopped by --max-minutes") == 2 and "== done" in log
