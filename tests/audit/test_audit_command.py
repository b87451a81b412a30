"""python -m mri_tf.audit on runs, studies and prepared sets: exit codes, files, and no identities."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from one_run import QUICK, RUN, trained_once
from refused import error_line

from data_prep.write import main as write
from mri_tf.audit.__main__ import main as audit
from mri_tf.audit.judged import judged_networks
from mri_tf.audit.networks import exchanged_runs, families_of, network_findings
from mri_tf.audit.subject import of_run
from mri_tf.core.command_line import run_command
from mri_tf.store.prepared import Prepared
from mri_tf.store.run import open_run
from mri_tf.train.__main__ import main as train

KEYS = {"name", "status", "statistic", "p", "n", "evidence", "meaning", "what_to_do", "records"}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return trained_once(tmp_path_factory.mktemp("audit"))


def ran(capsys, *flags):
    code = run_command(audit, [str(flag) for flag in flags])
    return code, capsys.readouterr().out


def findings_in(folder):
    return {one["name"]: one for one in json.loads((folder / "findings.json").read_text())}


def test_a_clean_run_has_no_certain_leak_and_its_findings_are_written(inside, capsys):
    code, out = ran(capsys, "--run", RUN)
    found = findings_in(RUN / "audit")
    assert code == 0 and "0 certain leaks" in out
    assert found["patients on two sides"]["status"] == "not found"
    assert found["pre-training overlap"]["status"] == "not applicable"
    assert found["label from corners"]["status"] != "not applicable"
    assert all(set(one) >= KEYS for one in found.values())
    page = (RUN / "audit" / "audit.md").read_text()
    assert page.startswith("# Audit of a run of thirds") and "What a network has to beat" in page


LOOKS = [f"the network looks at: {name}" for name in ("border", "background", "corners")]
MAPS = [f"explanation: {name}" for name in ("gradient", "guided backpropagation", "Grad-CAM")]


def of_networks(run, out):
    """The findings that need the networks of a run, by name."""
    prepared = Prepared.open("data/thirds")
    return {one.name: one for one in network_findings(run, prepared, out)}


def test_the_networks_of_a_run_are_asked_and_four_patients_are_too_few(inside, tmp_path, capsys):
    ran(capsys, "--run", RUN, "--out", tmp_path)
    found = findings_in(tmp_path)
    for name in (*LOOKS, *MAPS):
        assert found[name]["status"] == "cannot tell" and found[name]["n"] == 4
        assert found[name]["evidence"] == "4 held-out patients, fewer than 8"
    ran(capsys, "--data", "data/thirds", "--out", tmp_path / "set")
    assert not set(findings_in(tmp_path / "set")) & {*LOOKS, *MAPS}


def test_a_run_whose_networks_are_asked_shares_the_error_rate_between_regions_and_probes(inside):
    """Four held-out patients are too few to ask, also for three networks, so that all 5 % are left for
    the probes."""
    training = of_run(RUN)[""]
    assert families_of([training]) == 1
    train, validation, test = training.sides
    more = replace(training, sides=[train[:4], np.concatenate([validation, train[4:]]), test])
    assert families_of([more]) == 2 and families_of([training] * 3) == 1
    assert families_of([replace(more, label_from_position=True)]) == 1
    assert families_of([replace(more, labelled=False)]) == 1


@pytest.mark.parametrize("torn, words", [("state", "not finished"), ("weights", "missing or damaged")])
def test_networks_that_cannot_be_loaded_are_told_without_a_path(inside, tmp_path, torn, words):
    run = copied_run(tmp_path / "run", torn=False)
    if torn == "weights":
        (run / "weights.weights.h5").unlink()
    else:
        changed_run(run, state="running")
    found = of_networks(run, tmp_path)
    assert {one.status for one in found.values()} == {"cannot tell"} and set(found) == {*LOOKS, *MAPS}
    assert all(words in one.evidence and "/" not in one.evidence for one in found.values())


def changed_run(run, **values):
    """Changes values of run.json, and those of its task by the key `task`."""
    stored = json.loads((run / "run.json").read_text())
    stored["task"] |= values.pop("task", {})
    (run / "run.json").write_text(json.dumps(stored | values))


def test_where_the_label_is_a_position_nobody_asks_what_surrounds_the_anatomy(inside, tmp_path):
    run = copied_run(tmp_path / "run", torn=False)
    changed_run(run, task={"label_from_position": True})
    found = of_networks(run, tmp_path)
    assert all(found[name].status == "not applicable" for name in LOOKS)
    assert all(found[name].status == "cannot tell" for name in MAPS)


def test_a_segmentation_is_not_asked(inside, tmp_path):
    run = copied_run(tmp_path / "run", torn=False)
    changed_run(run, task={"kind": "segmentation", "operating_point": {}})
    assert {one.status for one in of_networks(run, tmp_path).values()} == {"not applicable"}


def test_runs_on_exchanged_labels_are_found_below_the_folder_of_deep(inside, tmp_path):
    run = open_run(RUN)
    assert exchanged_runs(run, tmp_path / "nowhere") == []
    for name in ("exchange-0", "exchange-1", "exchange-1/features", "running"):
        copied_run(tmp_path / "deep" / name, torn=False)
    changed_run(tmp_path / "deep" / "running", state="running")
    found = exchanged_runs(run, tmp_path / "deep")
    assert [one.folder.name for one in found] == ["exchange-0", "exchange-1"]
    changed_run(tmp_path / "deep" / "exchange-0", task={"model_args": {"conv_filters": 3}})
    assert [one.folder.name for one in exchanged_runs(run, tmp_path / "deep")] == ["exchange-1"]


def test_a_locked_test_side_is_not_used(inside, tmp_path):
    run, prepared = copied_run(tmp_path / "run", torn=False), Prepared.open("data/thirds")
    (open_side,) = judged_networks(open_run(run), prepared)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mri_tf.audit.judged.is_closed", lambda run: True)
        (closed,) = judged_networks(open_run(run), prepared)
    sides = json.loads((run / "run.json").read_text())["sides"]
    used = [set(prepared.record_ids[one.held_out.records]) for one in (open_side, closed)]
    assert used[0] & set(sides["test"]) and used[0] <= {*sides["test"], *sides["validation"]}
    assert used[1] and used[1] <= set(sides["validation"])


def test_files_hold_record_ids_and_neither_patients_nor_paths(inside, capsys):
    ran(capsys, "--data", "data/thirds", "--out", "said")
    texts = "".join(path.read_text() for path in Path("said").iterdir())
    table = pd.read_csv("raw/manifest.csv", dtype=str)
    for column in ("patient_id", "image"):
        assert not any(value in texts for value in table[column])
    assert str(Path.cwd()) not in texts


def test_training_says_one_line_before_its_first_epoch_and_run_json_keeps_it(inside, capsys):
    kept = json.loads((RUN / "run.json").read_text())["audit"]
    assert {one["name"] for one in kept} >= {"patients on two sides", "copies on two sides"}
    assert "audit: no certain leak" in (RUN / "log.txt").read_text()
    flags = [*QUICK, "--out", "runs/not-looked", "--no-audit"]
    assert run_command(train, flags) == 0
    assert "audit: left out (--no-audit)" in capsys.readouterr().out
    assert json.loads(Path("runs/not-looked/run.json").read_text())["audit"] is None


@pytest.fixture
def leaky(inside, tmp_path):
    """The run, with a test record of a training patient: exit 1 must follow."""
    return copied_run(tmp_path / "leaky", torn=True)


def copied_run(folder, torn):
    """A copy of the run elsewhere; `torn` moves one record of a training patient to the test side."""
    shutil.copytree(RUN, folder)
    values = json.loads((folder / "run.json").read_text())
    values["data_folder"] = os.path.relpath("data/thirds", folder)
    if torn:
        values["sides"]["test"].append(values["sides"]["train"].pop())
    (folder / "run.json").write_text(json.dumps(values))
    return folder


def test_a_patient_on_two_sides_of_a_run_is_exit_code_1_and_its_files_are_named(leaky, capsys):
    code, out = ran(capsys, "--run", leaky)
    found = findings_in(leaky / "audit")["patients on two sides"]
    assert code == 1 and found["certain"] and len(found["records"]) == 6
    assert "1 certain leak. " in out and "images/" in out  # files on the terminal only
    assert "images/" not in (leaky / "audit" / "audit.md").read_text()


def test_a_study_is_audited_cell_by_cell(inside, tmp_path, capsys):
    for name, torn in (("manual-r0-f0", False), ("manual-r0-f1", True)):
        copied_run(tmp_path / "study" / "cells" / name / "s0", torn)
    code, out = ran(capsys, "--study", tmp_path / "study", "--out", tmp_path / "said")
    assert code == 1 and "in 1 of 2 trainings, such as manual-r0-f1/s0" in out
    assert findings_in(tmp_path / "said")["copies on two sides"]["status"] == "not found"


def test_a_model_of_several_members_is_audited_member_by_member(inside, tmp_path, capsys):
    model = copied_run(tmp_path / "model", torn=False)
    for name, torn in (("fold-0", False), ("fold-1", True)):
        copied_run(model / name, torn)
    values = json.loads((model / "run.json").read_text())
    values["members"] = [{"folder": name} for name in ("fold-0", "fold-1")]
    (model / "run.json").write_text(json.dumps(values))
    code, out = ran(capsys, "--run", model)
    assert code == 1 and "in 1 of 2 trainings, such as fold-1" in out


def test_copies_between_patients_and_a_torn_split_column_of_a_set_are_found(inside, tmp_path, capsys):
    raw = Path(shutil.copytree("raw", tmp_path / "raw"))
    table = pd.read_csv(raw / "manifest.csv", dtype=str)
    first, last = (table[table["patient_id"] == name]["image"].tolist()
                   for name in sorted(set(table["patient_id"]))[:2])  # fmt: skip
    shutil.copy(raw / first[2], raw / last[3])
    out = tmp_path / "set"
    flags = ["--task", "thirds.py", "--raw", str(raw), "--out", str(out)]
    assert run_command(write, flags) == 0
    code, _ = ran(capsys, "--data", out, "--out", tmp_path / "said")
    found = findings_in(tmp_path / "said")
    assert code == 1 and found["copies"]["certain"] and len(found["copies"]["records"]) == 2
    assert found["copies on two sides"]["status"] == "not applicable"
    manifest = json.loads((out / "manifest.json").read_text())
    patients = manifest["index"]["patient"]
    sides = ["train" if name < sorted(set(patients))[6] else "test" for name in patients]
    manifest["index"]["split"] = ["test", *sides[1:]]  # the first patient's first record
    (out / "manifest.json").write_text(json.dumps(manifest))
    code, _ = ran(capsys, "--data", out, "--out", tmp_path / "torn")
    found = findings_in(tmp_path / "torn")["patients on two sides"]
    assert code == 1 and found["certain"] and "1 in train and test" in found["evidence"]


@pytest.mark.parametrize(
    "flags, words",
    [((), "required"), (("--run", "nowhere"), "no run"), (("--data", "raw"), "no prepared set"),
     (("--study", "raw"), "no study"), (("--run", RUN, "--data", "data/thirds"), "not allowed with"),
     (("--run", RUN, "--out", "thirds.py"), "folder where files can be written")],
)  # fmt: skip
def test_wrong_arguments_are_one_line(inside, capsys, flags, words):
    assert words in error_line(capsys, audit, *flags)
