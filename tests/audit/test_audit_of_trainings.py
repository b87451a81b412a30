"""python -m mri_tf.audit on a run of folds and of one split, with and without --deep."""

import json
import shutil
import signal
import subprocess
import sys
from contextlib import chdir
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fake_train import is_alive
from refused import error_line
from small import write_small
from studied import train_folds_here, train_here
from waiting import until

from mri_tf.audit import deep
from mri_tf.audit.__main__ import main as audit
from mri_tf.audit.networks import exchanged_runs
from mri_tf.audit.pipeline_again import Pipeline, exchanged_labels
from mri_tf.core.command_line import run_command
from mri_tf.store.prepared import Prepared
from mri_tf.store.run import open_run
from mri_tf.train.__main__ import main as train

QUICK = ("--task", "thirds.py", "--variant", "scratch", "--set", "epochs=1", "--no-export")
UNTIL = 600.0  # seconds after which something has surely gone wrong
RUN, FOLDS = Path("runs/one"), Path("runs/folds")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with the small set, a run of three folds and one of a single split."""
    folder = write_small(tmp_path_factory.mktemp("trainings"))
    train_folds_here(
        folder, (*QUICK, "--raw", "raw", "--folds", "3", "--workers", "1", "--out", str(FOLDS))
    )
    with chdir(folder):
        assert run_command(train, [*QUICK, "--data", "data/thirds", "--out", str(RUN)]) == 0
    return folder


def ran(*flags):
    return run_command(audit, [str(flag) for flag in flags])


def findings_in(folder):
    return {one["name"]: one for one in json.loads((folder / "findings.json").read_text())}


class InsteadOfTraining:
    """In place of `run_module`: writes a number for each exchange, and keeps what it was asked."""

    def __init__(self, stop_at=0):
        self.commands, self.stop_at, self.labels = [], stop_at, []

    def __call__(self, arguments, child):
        self.commands.append(arguments)
        if len(self.commands) == self.stop_at:
            raise KeyboardInterrupt
        out = Path(arguments[arguments.index("--out") + 1])
        data = Path(arguments[arguments.index("--data") + 1])
        self.labels.append(Prepared.open(data).labels)
        auc = {"value": 0.3 + 0.02 * len(self.commands)}
        out.mkdir()
        (out / "metrics.json").write_text(json.dumps({"auc": auc}))
        return ""


def test_labels_of_folds_are_ranked_and_those_of_one_split_cannot_be(inside):
    assert ran("--run", FOLDS, "--out", "of_folds") == 0
    found = findings_in(Path("of_folds"))
    assert found["label candidates"]["n"] == 10  # patients; an epoch may or may not beat chance
    assert "mean of 3 networks" in found["gap from training to validation"]["evidence"]
    assert found["looks at the test side"]["status"] == "not found"
    assert found["whole pipeline on exchanged labels"]["status"] == "cannot tell"
    assert ran("--run", RUN, "--out", "of_one") == 0
    found = findings_in(Path("of_one"))
    assert found["label candidates"]["status"] == "cannot tell"
    assert "--folds 5" in found["label candidates"]["what_to_do"]
    assert "validation and" in found["gap from validation to test"]["evidence"]
    assert "looked at once" in found["looks at the test side"]["evidence"]


def test_labels_that_skilled_folds_contradict_are_written(inside):
    """The networks of one epoch know nothing: what they said is replaced."""
    skilled = Path(shutil.copytree(FOLDS, FOLDS.with_name("skilled")))
    table = pd.read_parquet(skilled / "predictions.parquet")
    names = sorted(set(table["truth"]))
    for name in names:
        table[f"p_{name}"] = np.where(table["truth"] == name, 0.8, 0.1)
    wrong = table.index[[3, 30]]
    other = [next(name for name in names if name != truth) for truth in table.loc[wrong, "truth"]]
    for row, name in zip(wrong, other, strict=True):
        table.loc[row, [f"p_{one}" for one in names]] = [0.9 if one == name else 0.05 for one in names]
    table.to_parquet(skilled / "predictions.parquet")
    assert ran("--run", skilled, "--out", "of_skilled") == 0
    one = findings_in(Path("of_skilled"))["label candidates"]
    assert one["status"] == "found" and one["n"] == 10 and not one["certain"]
    assert set(one["records"]) == set(table.loc[wrong, "record_id"])
    assert "fewer than 3 repeats" in one["what_to_do"]
    rows = pd.read_csv("of_skilled/label_candidates.csv")
    assert len(rows) == 60 and set(rows["record_id"][:2]) == set(one["records"])
    assert Path("of_skilled/label_candidates.png").is_file()
    shutil.rmtree(skilled)


def test_another_run_on_the_same_test_side_is_a_look_more(inside, tmp_path):
    shutil.copytree(RUN, tmp_path / "runs" / "again")
    copied = Path(shutil.copytree(RUN, tmp_path / "runs" / "one"))
    for folder in (copied, copied.with_name("again")):
        values = json.loads((folder / "run.json").read_text())
        values["data_folder"] = str(Path("data/thirds").absolute())
        (folder / "run.json").write_text(json.dumps(values))
    assert ran("--run", copied, "--out", tmp_path / "said") == 0
    one = findings_in(tmp_path / "said")["looks at the test side"]
    assert one["status"] == "found" and "2 times, by 2 networks" in one["evidence"]


def test_interrupted_exchanges_are_continued_and_counted(inside, tmp_path, monkeypatch, capsys):
    out = tmp_path / "said"
    trained = InsteadOfTraining(stop_at=6)
    monkeypatch.setattr(deep, "run_module", trained)
    assert ran("--run", RUN, "--out", out, "--deep") == 130
    assert "run the same command" in capsys.readouterr().err
    assert len(list((out / "deep").glob("exchange-*.json"))) == 5
    assert not (out / "findings.json").exists()
    again = InsteadOfTraining()
    monkeypatch.setattr(deep, "run_module", again)
    assert ran("--run", RUN, "--out", out, "--deep") == 0
    said = capsys.readouterr().err
    assert "expected: " in said and "14 of 19 trainings on exchanged labels" in said
    assert len(again.commands) == 14 and not (out / "deep" / "work").exists()
    kept = list((out / "deep").glob("exchange-*.json"))
    assert len(kept) == 19
    one = findings_in(out)["whole pipeline on exchanged labels"]
    assert "of 19 trainings" in one["evidence"] and not one["certain"]
    assert ran("--run", RUN, "--out", out) == 0  # without --deep what is done is told
    assert findings_in(out)["whole pipeline on exchanged labels"] == one
    command = again.commands[0]
    assert command[command.index("--split") + 1] == "patient" and "--no-audit" in command
    own = Prepared.open(Path("data/thirds")).labels
    for labels in (*trained.labels, *again.labels):
        assert (np.bincount(labels) == np.bincount(own)).all() and (labels != own).any()
    assert ran("--run", FOLDS, "--out", out, "--deep") == 2  # another run's exchanges lie there


def test_the_command_of_folds_trains_folds(inside, tmp_path, monkeypatch):
    trained = InsteadOfTraining(stop_at=1)
    monkeypatch.setattr(deep, "run_module", trained)
    assert ran("--run", FOLDS, "--out", tmp_path / "said", "--deep") == 130
    command = trained.commands[0]
    assert command[command.index("--folds") + 1] == "3" and "--split" not in command


def test_labels_are_exchanged_within_sides_that_stay(inside):
    run, prepared = open_run(RUN), Prepared.open(Path("data/thirds"))
    supplied = type(run)(run.folder, {**run.values, "split": "file"})
    labels = exchanged_labels(Pipeline(supplied, prepared, RUN), 1)
    for side in run.sides.values():
        own = np.isin(prepared.record_ids, side)
        assert (np.bincount(labels[own]) == np.bincount(prepared.labels[own])).all()
    assert (labels == exchanged_labels(Pipeline(supplied, prepared, RUN), 1)).all()
    assert (labels != exchanged_labels(Pipeline(supplied, prepared, RUN), 2)).any()


@pytest.mark.slow
@pytest.mark.parametrize("kept", [False, True])
def test_an_exchange_trains_the_same_task_on_other_labels(inside, tmp_path, monkeypatch, kept):
    """`kept`: of a supplied split, whose sides stay."""
    run, prepared = open_run(RUN), Prepared.open(Path("data/thirds"))
    if kept:
        run = type(run)(run.folder, {**run.values, "split": "file"})
    work = []

    def trained_here(arguments, child):
        reason = train_here(arguments, child)
        work.append(open_run(Path(arguments[arguments.index("--out") + 1])))
        return reason

    monkeypatch.setattr(deep, "run_module", trained_here)
    found = deep.train_exchanges(Pipeline(run, prepared, RUN), tmp_path, 1)
    assert len(found.aucs) == 1 and 0 <= found.aucs[0] <= 1
    assert exchanged_runs(run, tmp_path / "deep")  # is kept for the checks of explanations
    assert not list((tmp_path / "deep").rglob("card.html"))
    apart = {"variants": {}, "precision": ""}
    assert work[0].values["task"] | apart == run.values["task"] | apart
    assert not kept or work[0].sides == run.sides


FAKE = """#!{python} -S
import os, sys, time
from pathlib import Path

home, out = Path({home!r}), Path(sys.argv[sys.argv.index("--out") + 1])
calls = len(list(home.glob("call-*")))
(home / f"call-{{calls}}").touch()
if calls == 2:
    (home / "waits").write_text(str(os.getpid()))
    time.sleep(600)
out.mkdir(exist_ok=True)
(out / "metrics.json").write_text('{{"auc": {{"value": 0.5}}}}')
"""


@pytest.mark.slow
def test_a_signal_in_the_middle_ends_the_training_and_the_same_command_goes_on(
    inside, tmp_path, monkeypatch
):
    """The audit is a process of its own, whose trainings are a program that waits in the third one."""
    program, out = tmp_path / "python", tmp_path / "said"
    program.write_text(FAKE.format(python=sys.executable, home=str(tmp_path)))
    program.chmod(0o755)
    command = ["--run", str(RUN), "--out", str(out), "--deep"]
    code = (
        f"import sys; sys.executable = {str(program)!r}\n"
        "from mri_tf.audit.__main__ import main\n"
        "from mri_tf.core.command_line import run_command\n"
        f"sys.exit(run_command(main, {command!r}))"
    )
    process = subprocess.Popen([sys.executable, "-c", code])
    until((tmp_path / "waits").exists, UNTIL)
    until(lambda: (tmp_path / "waits").read_text(), UNTIL)
    child = int((tmp_path / "waits").read_text())
    process.send_signal(signal.SIGINT)
    assert process.wait(UNTIL) == 130
    until(lambda: not is_alive(child))
    done = {path.name for path in (out / "deep").glob("exchange-*.json")}
    assert done == {"exchange-0001.json", "exchange-0002.json"}
    again = InsteadOfTraining()
    monkeypatch.setattr(deep, "run_module", again)
    assert ran(*command) == 0 and len(again.commands) == 17


@pytest.mark.parametrize(
    "flags, words",
    [(("--data", "data/thirds", "--deep"), "a prepared set has none"),
     (("--run", RUN, "--deep", "--exchanges", "5"), "at least 19"),
     (("--run", RUN, "--exchanges", "30"), "Add --deep"),
     (("--run", RUN, "--deep", "--exchanges", "0"), "whole number")],
)  # fmt: skip
def test_wrong_arguments_of_deep_are_one_line(inside, capsys, flags, words):
    assert words in error_line(capsys, audit, *flags)
