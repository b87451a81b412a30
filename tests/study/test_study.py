"""The study command as a user runs it: rows, report and figures, also after kills and interruptions."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import chdir
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fake_train import FakeTrain
from PIL import Image
from small import write_raw, write_task_files

from mri_tf.core import subprocesses as processes
from mri_tf.core.command_line import run_command
from mri_tf.study.__main__ import main as study

# One study is shared by the tests below: they belong on one worker.
pytestmark = pytest.mark.xdist_group("study")

COMMON = ("--task", "thirds.py", "--folds", "2", "--workers", "2", "--seed", "3")
SET = ("--set", "epochs=2", "features.epochs=1")
CONTRACT = {"task", "variant", "fold", "repeat", "seed", "train_size", "n_train", "n_test", "seconds",
            "status", "reason", "accuracy", "balanced_accuracy", "kappa", "f1_macro", "auc", "f1_basal",
            "f1_mid", "f1_apical", "majority_accuracy"}  # fmt: skip
UNTIL = 300.0  # seconds after which something that takes ten has surely gone wrong


def run_study(*arguments) -> int:
    return run_command(study, [*COMMON, *map(str, arguments)])


def rows_of(folder: Path, variant: str = "") -> pd.DataFrame:
    table = pd.read_parquet(folder / "results.parquet")
    return table[table["variant"] == variant].reset_index(drop=True) if variant else table


def assert_equal_rows(one: pd.DataFrame, other: pd.DataFrame) -> None:
    """Equal to the last bit, in every column except the seconds."""
    columns = sorted(set(one.columns) - {"seconds"})
    assert columns == sorted(set(other.columns) - {"seconds"})
    pd.testing.assert_frame_equal(one[columns], other[columns], check_exact=True, check_dtype=False)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with `study`: two folds of manual and scratch."""
    folder = tmp_path_factory.mktemp("home")
    write_task_files(folder)
    write_raw(folder / "raw")
    with chdir(folder):
        arguments = ("--variants", "manual;scratch", *SET)
        assert run_study("--raw", "raw", "--out", "study", *arguments) == 0
    return folder


@pytest.fixture
def no_training(monkeypatch):
    """Fails the test if anything starts a process."""
    def refuse(*arguments, **settings):
        raise AssertionError("a process was started")

    monkeypatch.setattr(processes.subprocess, "Popen", refuse)


STUDY = Path("study")


def test_a_study_has_one_row_a_cell_with_the_columns_of_the_contract(inside):
    table = rows_of(STUDY)
    assert set(table.columns) >= CONTRACT
    places = [(variant, fold) for fold in range(2) for variant in ("manual", "scratch")]
    assert list(zip(table["variant"], table["fold"], strict=True)) == places
    assert set(table["task"]) == {"thirds"} and set(table["repeat"]) == {0} and set(table["seed"]) == {3}
    assert table["train_size"].isna().all()
    assert (table["n_train"] > 0).all() and (table["n_test"] == 30).all()
    assert (table["seconds"] > 0).all() and (table["status"] == "done").all()
    assert (table["reason"] == "").all() and (table["epochs"] == 2).all()
    assert table[["accuracy", "kappa", "f1_macro", "auc"]].notna().all(axis=None)


@pytest.mark.slow
def test_a_cell_that_fails_is_recorded_with_its_reason_and_the_rest_goes_on(inside, tmp_path):
    fast = "scratch,λ too/fast"  # the loss diverges at its learning rate; the name is unusual
    file = write_task_files(tmp_path)
    text = file.read_text(encoding="utf-8").replace(
        "variants=dict(scratch=", "variants={'λ too/fast': dict(learning_rate=1e30), 'scratch': "
    )
    file.write_text(text.replace(")),\n)", ")},\n)"), encoding="utf-8")
    arguments = ("--task", str(file), "--data", "data/thirds", "--out", "fails", *SET)
    assert run_study(*arguments, "--variants", f"scratch;{fast}") == 1
    failed, done = rows_of(Path("fails"), fast), rows_of(Path("fails"), "scratch")
    assert list(failed["status"]) == ["failed"] * 2 and list(done["status"]) == ["done"] * 2
    assert failed["reason"].str.startswith("The loss became NaN or infinite at epoch").all()
    report = Path("fails/report.md").read_text(encoding="utf-8")
    assert f"2 cells of 4 failed, left out of the means: {fast}, all samples: " in report
    assert f"({failed['reason'][0]})" in report


def test_a_row_says_what_metrics_and_predictions_of_its_run_say(inside):
    for cell in rows_of(STUDY).query("status == 'done'").to_dict("records"):
        run = STUDY / "cells" / cell["cell"] / "s3"
        metrics = json.loads((run / "metrics.json").read_text())
        predictions = pd.read_parquet(run / "predictions.parquet")
        assert cell["accuracy"] == metrics["accuracy"]["value"]
        assert np.isclose(cell["accuracy"], (predictions["truth"] == predictions["predicted"]).mean())
        assert cell["f1_mid"] == metrics["per_class"]["mid"]["f1"]["value"]


def test_variants_are_counted_on_identical_records_and_everybody_once(inside):
    tested = {}
    for variant in ("manual", "scratch"):
        for fold in range(2):
            run = STUDY / "cells" / f"{variant}-r0-f{fold}" / "s3"
            tested[variant, fold] = json.loads((run / "run.json").read_text())
            predictions = pd.read_parquet(run / "predictions.parquet")
            assert list(predictions["record_id"]) == tested[variant, fold]["sides"]["test"]
    for fold in range(2):
        assert tested["manual", fold]["sides"] == tested["scratch", fold]["sides"]
    patients = [name for fold in range(2) for name in tested["scratch", fold]["patients"]["test"]]
    assert len(patients) == len(set(patients)) == 10


def test_pre_training_of_a_fold_saw_nobody_it_holds_out(inside):
    pre_trainings = {}
    for path in (STUDY / "features").glob("*/s3/run.json"):
        seen = json.loads(path.read_text())
        pre_trainings[path.parent.name, path.parent.parent.name] = seen["seen"]["patients"]
        assert seen["task"]["epochs"] == 1
    assert len(pre_trainings) == 2
    for fold in range(2):
        values = json.loads((STUDY / "cells" / f"manual-r0-f{fold}" / "split.json").read_text())
        held_out = set(values["validation"]) | set(values["test"])
        unseen = [seen for seen in pre_trainings.values() if not held_out & set(seen)]
        assert len(unseen) == 1 and unseen[0]


def test_report_and_figures_are_there(inside):
    report = (STUDY / "report.md").read_text(encoding="utf-8")
    for heading in ("Scores", "Paired differences", "Classes: manual", "Classes: scratch", "Epochs"):
        assert f"## {heading}\n" in report
    assert "majority class" in report and "manual - scratch" in report
    names = {path.name for path in (STUDY / "figures").iterdir()}
    stems = ("paired", "roc", "confusion-manual", "confusion-scratch")
    assert names == {f"{stem}.{suffix}" for stem in stems for suffix in ("png", "svg")}
    assert (STUDY / "differences.parquet").is_file()
    assert not list(STUDY.rglob("*.tmp"))


def test_nothing_a_reader_is_shown_names_a_patient_or_a_path(inside):
    texts = [(STUDY / "report.md").read_text(encoding="utf-8")]
    for name in ("results.parquet", "differences.parquet"):
        texts.append(pd.read_parquet(STUDY / name).to_csv())
    texts += [path.read_text(encoding="utf-8") for path in (STUDY / "figures").glob("*.svg")]
    for text in texts:
        assert "sax-0" not in text and str(inside) not in text


def test_the_same_study_again_trains_nothing_and_gives_the_same_rows(inside, no_training, capsys):
    shutil.copytree(STUDY, "again")
    before = rows_of(STUDY)
    assert run_study("--raw", "raw", "--out", "again", "--variants", "manual;scratch", *SET) == 0
    shown = capsys.readouterr()
    assert "cells: 4/4  done before" in shown.err and "manual" in shown.out
    pd.testing.assert_frame_equal(rows_of(Path("again"))[before.columns], before, check_exact=True)


@pytest.mark.parametrize(
    "other", [("--set", "epochs=3", "features.epochs=1"), ("--set", "epochs=2", "features.epochs=2"),
              (*SET, "--seed", "4"), (*SET, "--restarts", "2")],
)  # fmt: skip
def test_another_study_in_the_same_folder_is_refused_in_one_line(inside, no_training, capsys, other):
    before = {path: path.stat().st_mtime_ns for path in STUDY.rglob("*.json")}
    assert run_study("--raw", "raw", "--out", "study", "--variants", "manual;scratch", *other) == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1 and "This folder belongs to another study. Received:" in errors[0]
    assert {path: path.stat().st_mtime_ns for path in STUDY.rglob("*.json")} == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--variants", "manual;scratch;manual"), "--variants names a variant twice"),
        (("--variants", "manual;"), "--variants names a variant twice"),
        (("--variants", "scrach"), "Known: manual, scratch"),
        (("--variants", "scratch", "--folds", "11"), "10 for 11 folds"),
        (("--variants", "scratch", "--folds", "0"), "at least 1"),
        (("--variants", "scratch", "--train-sizes", "4,x"), "train-sizes"),
        (("--variants", "scratch", "--keep-all", "mid"), "Add --train-sizes"),
        (("--variants", "scratch", "--keep-all", "top", "--train-sizes", "2"), "Received: top"),
        (("--variants", "scratch", "--scheduler", "http://nowhere"), "No Dask scheduler answers"),
    ],
)
def test_flags_that_do_not_fit_are_refused_in_one_line(inside, no_training, capsys, arguments, message):
    assert run_study("--data", "data/thirds", "--out", "refused", *arguments) == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1 and message in errors[0]
    assert not Path("refused").exists()


def test_when_every_cell_failed_the_study_exits_3_and_says_where_the_reasons_are(
    inside, tmp_path, monkeypatch, capsys
):
    fake = FakeTrain(tmp_path)
    monkeypatch.setattr(sys, "executable", str(fake.program))
    monkeypatch.setenv("FAKE_TRAIN", str(tmp_path))
    for fold in range(2):
        fake.order(f"scratch-r0-f{fold}-s3", "say 3 error: scratch broke. What was finished is kept.")
    for folder in (STUDY / "features").iterdir():
        fake.order(f"{folder.name}-s3", "say 2 error: The features do not fit. Received: x. Mend it.")
    arguments = ("--out", "all-failed", "--variants", "manual;scratch", *SET)
    assert run_study("--data", "data/thirds", *arguments) == 3
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error == "error: Every cell failed. The reasons are in all-failed/results.parquet."
    found = rows_of(Path("all-failed")).groupby("variant")["reason"].unique()
    assert found["scratch"] == ["scratch broke"]
    assert found["manual"] == ["pre-training: The features do not fit"]
    assert not fake.begun("manual-r0-f0-s3")
    assert "4 cells of 4 failed" in Path("all-failed/report.md").read_text(encoding="utf-8")


def process_in(folder: Path) -> int | None:
    """The train process that has begun to train in a run folder."""
    if not (folder / "run.json").is_file():
        return None
    for command in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = command.read_bytes().split(b"\0")
        except OSError:
            continue
        if b"mri_tf.train" in words and os.fsencode(folder.absolute()) in words:
            return int(command.parent.name)
    return None


class KillInTheMiddle(threading.Thread):
    """Kills, once, what `whom` finds to a train process as soon as that trains in `folder`."""

    def __init__(self, folder: Path, whom=lambda process: process):
        super().__init__(daemon=True)
        self.folder, self.whom, self.killed = folder.absolute(), whom, []
        self.start()

    def run(self):
        end = time.monotonic() + UNTIL
        while not self.killed and time.monotonic() < end:
            process = process_in(self.folder)
            if process is not None:
                self.killed.append(self.whom(process))
                os.kill(self.killed[0], signal.SIGKILL)
            time.sleep(0.02)


@pytest.mark.slow
def test_a_cell_killed_in_the_middle_is_retried_and_the_rows_are_the_same(inside):
    """Also: --keep metrics leaves the numbers only."""
    killer = KillInTheMiddle(Path("killed/cells/scratch-r0-f1/s3"))
    arguments = ("--data", "data/thirds", "--out", "killed", "--variants", "scratch", *SET)
    assert run_study(*arguments, "--keep", "metrics") == 0
    assert len(killer.killed) == 1
    killed = rows_of(Path("killed"))
    assert_equal_rows(killed, rows_of(STUDY, "scratch")[killed.columns])
    assert not list(Path("killed").rglob("*.h5")) and not list(Path("killed").rglob("*.npz"))
    assert len(list(Path("killed").rglob("predictions.parquet"))) == 2
    # Killed after the weights were removed and before the row was written:
    Path("killed/cells/scratch-r0-f0/row.json").unlink()
    assert run_study(*arguments, "--keep", "metrics") == 0
    assert_equal_rows(rows_of(Path("killed")), killed)


@pytest.mark.slow
def test_the_restart_that_counts_is_the_best_on_validation(inside):
    arguments = ("--out", "restarts", "--variants", "scratch", "--folds", "1", "--restarts", "2")
    sizes = ("--train-sizes", "3", "--keep-all", "mid")
    assert run_study("--data", "data/thirds", *arguments, *sizes, *SET) == 0
    (row,) = rows_of(Path("restarts")).to_dict("records")
    losses = {}
    for seed in (3, 4):
        run = Path("restarts/cells/scratch-r0-f0-n3") / f"s{seed}"
        losses[seed] = pd.read_csv(run / "history.csv")["val_loss"].min()
        accuracy = json.loads((run / "metrics.json").read_text())["accuracy"]["value"]
        assert row["optimistic_accuracy"] >= accuracy
        assert (seed == row["seed"]) == (run / "weights.weights.h5").exists()
    assert row["seed"] == min(losses, key=losses.get)
    patients = len(json.loads((run / "run.json").read_text())["patients"]["train"])
    assert row["train_size"] == 3 and row["n_train"] == 2 * 3 + 2 * patients
    for name in ("accuracy", "balanced_accuracy", "kappa", "f1_macro", "auc"):
        assert row[f"optimistic_{name}"] >= row[name]
    report = Path("restarts/report.md").read_text(encoding="utf-8")
    assert "## Restarts" in report and "chosen on the test side (optimistic)" in report


def scheduler_and_workers(folder: Path, count: int) -> tuple[str, list[subprocess.Popen]]:
    """A Dask scheduler on loopback and workers without nannies, in folders of their own."""
    from distributed import Client

    command = [sys.executable, "-m", "distributed.cli.dask_scheduler"]
    flags = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
    file = folder / "scheduler.json"
    processes = [subprocess.Popen([*command, *flags, "--scheduler-file", str(file)],
                                  stderr=subprocess.DEVNULL)]  # fmt: skip
    for number in range(count):
        place = folder / f"worker{number}"
        place.mkdir()
        command = [sys.executable, "-m", "distributed.cli.dask_worker", "--scheduler-file", str(file)]
        flags = ["--no-nanny", "--nthreads", "1", "--no-dashboard", "--host", "127.0.0.1"]
        processes.append(subprocess.Popen([*command, *flags], cwd=place, stderr=subprocess.DEVNULL))
    end = time.monotonic() + UNTIL
    while not file.is_file():
        assert time.monotonic() < end and processes[0].poll() is None
        time.sleep(0.05)
    address = json.loads(file.read_text())["address"]
    with Client(address, timeout="60s") as client:
        client.wait_for_workers(count, timeout=UNTIL)
    return address, processes


def parent_of(process: int) -> int:
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])


@pytest.mark.slow
def test_on_a_dask_cluster_a_killed_worker_loses_no_cell(inside, tmp_path):
    address, processes = scheduler_and_workers(tmp_path, 2)
    try:
        killer = KillInTheMiddle(Path("cluster/cells/scratch-r0-f0/s3"), whom=parent_of)
        arguments = ("--data", "data/thirds", "--out", "cluster", "--variants", "scratch", *SET)
        assert run_study(*arguments, "--scheduler", address) == 0
        assert len(killer.killed) == 1
        dead = [process.pid for process in processes if process.poll() == -signal.SIGKILL]
        assert len(dead) == 1 and dead[0] != processes[0].pid
    finally:
        for process in processes:
            process.kill()
            process.wait()
    found = rows_of(Path("cluster"))
    assert_equal_rows(found, rows_of(STUDY, "scratch")[found.columns])


# ---- the whole command, killed and interrupted


def start_command(folder: Path, *arguments) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "mri_tf.study", *COMMON, "--data", "data/thirds",
         "--variants", "scratch", *SET, *arguments],
        cwd=folder, start_new_session=True, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["killed", "interrupted"])
def test_the_whole_study_goes_on_after_its_end_in_the_middle(inside, ending):
    out = Path(f"whole-{ending}")
    process = start_command(inside, "--out", out)
    run, end = out / "cells" / "scratch-r0-f1" / "s3", time.monotonic() + UNTIL
    while process_in(run) is None:
        assert time.monotonic() < end and process.poll() is None
        time.sleep(0.02)
    trained = process_in(run)
    if ending == "killed":
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        assert Path(f"/proc/{trained}").exists()
    else:
        os.killpg(process.pid, signal.SIGINT)
        errors = process.communicate(timeout=UNTIL)[1]
        assert process.returncode == 130 and "error: Interrupted." in errors
        assert "Traceback" not in errors
        assert process_in(run) is None
        assert not (out / "results.parquet").exists()
    assert start_command(inside, "--out", out).communicate() and rows_of(out) is not None
    assert_equal_rows(rows_of(out), rows_of(STUDY, "scratch")[rows_of(out).columns])


@pytest.mark.slow
def test_a_study_of_a_segmentation_task(inside):
    arguments = ["--task", "pools.py", "--raw", "raw", "--out", "pools-study", "--folds", "2"]
    assert run_command(study, [*arguments, "--restarts", "2", "--set", "epochs=1"]) == 0
    table = pd.read_parquet("pools-study/results.parquet")
    assert len(table) == 2 and table[["dice_mean", "dice_blood_pool"]].notna().all(axis=None)
    assert (table["optimistic_dice_mean"] >= table["dice_mean"]).all()
    assert "dice_mean" in Path("pools-study/report.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_variants_prepared_unlike_are_compared_on_the_patients_both_have(tmp_path, monkeypatch, capsys):
    """What is brighter than 255 cannot be read: one variant lacks a patient, who is left out of both."""
    monkeypatch.chdir(tmp_path)
    raw = write_raw(tmp_path / "raw")
    for path in (raw / "images").iterdir():
        image = np.minimum(np.asarray(Image.open(path)), 200)
        image[0, 0] = 255 if path.name.startswith("sax-004") else 0
        Image.fromarray(image).save(path)
    file = tmp_path / "tasks" / "thirds.py"
    write_task_files(file.parent)
    text = file.read_text(encoding="utf-8")
    brighter = 'variants=dict(brighter={"prep.intercept": 1.0}, '
    file.write_text(text.replace("variants=dict(", brighter), encoding="utf-8")
    arguments = ["--task", str(file), "--raw", str(raw), "--out", "unlike", "--folds", "2", *SET]
    assert run_command(study, [*arguments, "--variants", "scratch;scratch,brighter"]) == 1
    output = capsys.readouterr()
    assert "some variant's prepared set lacks them: 1\n" in output.out
    assert output.err.count("skipped images/sax-004") == 6
    tested = {}
    for variant in ("scratch", "scratch+brighter"):
        for fold in range(2):
            run = Path("unlike/cells") / f"{variant}-r0-f{fold}" / "s0" / "run.json"
            values = json.loads(run.read_text())
            tested[variant, fold] = values["patients"]
    for fold in range(2):
        assert tested["scratch", fold] == tested["scratch+brighter", fold]
        assert "sax-004" not in str(tested["scratch", fold])
    assert (rows_of(Path("unlike"))["n_test"] > 0).all()
