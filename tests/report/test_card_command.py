"""python -m mri_tf.report, and the card that training writes: files, exit codes, and no identities."""

import json
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from one_run import RUN, trained_once
from refused import error_line

from mri_tf.core.command_line import run_command
from mri_tf.export.__main__ import main as export
from mri_tf.report.__main__ import main as report
from mri_tf.report.page import data_of_page
from mri_tf.report.verdict import audit_verdict
from mri_tf.task.files import FOLDER, question_of
from mri_tf.train.finished_card import write_card


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return trained_once(tmp_path_factory.mktemp("card"))


def test_training_writes_a_card_of_its_numbers(inside):
    card, numbers = (RUN / "card.html").read_text(), json.loads((RUN / "metrics.json").read_text())
    assert f"{numbers['accuracy']['value']:.3f}" in card and "Not a medical device" in card
    counts = json.loads(Path("data/thirds/manifest.json").read_text())["counts"]
    assert f"{counts['cases']} cases listed" in card
    values = json.loads((RUN / "run.json").read_text())
    assert values["question"] == "" and set(values["code"]) == {"commit", "changed", "lock_sha256"}


def test_the_card_names_no_patient_no_file_and_no_folder(inside):
    card = (RUN / "card.html").read_text()
    table = pd.read_csv("raw/manifest.csv", dtype=str)
    assert not any(name in card for column in ("patient_id", "image") for name in table[column])
    assert str(Path.cwd()) not in card and "raw/" not in card


def test_the_command_writes_the_same_card_again_elsewhere(inside, tmp_path, capsys):
    out = tmp_path / "again.html"
    assert run_command(report, ["--run", str(RUN), "--out", str(out)]) == 0
    assert out.read_bytes() == (RUN / "card.html").read_bytes()
    assert f"wrote {out}" in capsys.readouterr().out


@pytest.mark.parametrize(
    "flags, words",
    [((), "required"), (("--run", "nowhere"), "no run"), (("--study", "raw"), "no study"),
     (("--run", RUN, "--out", "card.pdf"), "must be an .html file"),
     (("--run", RUN, "--merge-small-cells", "0"), "at least 1")],
)  # fmt: skip
def test_what_is_no_run_or_page_is_refused_in_one_line(inside, capsys, flags, words):
    assert words in error_line(capsys, report, *flags)


def test_a_card_that_cannot_be_drawn_costs_a_line_and_not_the_training(tmp_path, capsys):
    def broken(folder):
        raise KeyError("accuracy")

    write_card(broken, tmp_path, "python -m mri_tf.report --run X")
    said, apart = capsys.readouterr()
    assert "the card was not written (KeyError)" in said and "--run X" in said
    assert "accuracy" in apart  # what may name a file is not on the stream that log.txt keeps


def test_the_question_of_a_task_is_its_first_line_unless_that_names_a_folder(tmp_path):
    assert question_of(FOLDER / "mgmt.py").startswith("Is the MGMT promoter")
    planned = tmp_path / "scans.toml"
    planned.write_text("# Task of the folder smith_john: 4 images.\n# Written by mri_tf.plan; ...\n")
    assert question_of(planned) == ""
    planned.write_text("# Is it high?\nname = 'x'\n")
    assert question_of(planned) == "Is it high?"



def test_the_card_tells_programs_what_it_asks_and_what_the_audit_found(inside):
    values = data_of_page((RUN / "card.html").read_text())
    assert values["question"].startswith("Which of these") and "basal" in values["question"]
    kept = json.loads((RUN / "run.json").read_text())["audit"]
    found = [one for one in kept if one["status"] == "found"]
    wanted = "leak" if any(one["certain"] for one in found) else "attention"
    assert values["audit"]["verdict"] == (wanted if found else "certain checks only")
    assert values["audit"]["sentence"] in (RUN / "card.html").read_text()
    for page in ("", "<p>", '<script type="application/json" id="card-data">{</script>'):
        assert data_of_page(page) == {}


@pytest.mark.parametrize(
    "findings, whole, verdict",
    [(None, False, "not audited"), ([], True, "passed"), ([], False, "certain checks only"),
     ([("not found", True)], True, "passed"), ([("found", False)], True, "attention"),
     ([("found", False), ("found", True)], False, "leak"), ([("cannot tell", False)], True, "passed")],
)  # fmt: skip
def test_the_verdict_says_the_worst_that_was_found(findings, whole, verdict):
    kept = findings and [{"name": "x", "status": status, "certain": sure} for status, sure in findings]
    material = SimpleNamespace(findings=findings if findings is None else kept or [], whole_audit=whole)
    assert audit_verdict(material) == verdict


def test_an_export_holds_the_card_of_its_run(inside, tmp_path):
    assert run_command(export, ["--run", str(RUN), "--out", str(tmp_path)]) == 0
    (card,) = tmp_path.glob("thirds/1/assets.extra/card.html")
    assert card.read_bytes() == (RUN / "card.html").read_bytes()
