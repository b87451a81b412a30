"""python -m mri_tf.check: findings on the terminal and on a page, exit codes, nothing trained."""

import json
import re

import pytest

from data_prep.phantom.forms import write_patients
from mri_tf.check.__main__ import main as check
from mri_tf.core.command_line import run_command


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    raw = tmp_path_factory.mktemp("check") / "scans"
    write_patients(raw, 10, 0, "nifti")
    return raw


def run(capsys, *arguments):
    code = run_command(check, list(map(str, arguments)))
    out, err = capsys.readouterr()
    return code, out, err


def test_a_folder_is_checked_with_pictures_and_nothing_is_trained(raw, here, capsys):
    code, out, _ = run(capsys, "--raw", raw, "--pictures")
    assert code == 1 and "10 records of 10 patients" in out and "400 steps of" in out
    findings = json.loads((here / "checks/scans_grade/check.json").read_text())
    named = {one["name"] for one in findings}
    assert named >= {"reading", "copies", "classes", "sizes", "network", "cost"}
    page = (here / "checks/scans_grade/check.html").read_text()
    assert page.count("data:image/png;base64,") == 5  # two classes, augmented, histograms
    assert not re.search(r"https?://|P00[1-9]", page)
    assert not (here / "runs").exists() and (here / "data/scans_grade/manifest.json").is_file()


def test_what_is_broken_is_said_in_one_line_each(raw, here, capsys):
    broken = here / "scans"
    write_patients(broken, 10, 1, "nifti")
    (broken / "P002" / "t1.nii.gz").write_bytes(b"")
    copy = broken / "P003" / "flair.nii.gz"
    (broken / "P004" / "flair.nii.gz").write_bytes(copy.read_bytes())
    (broken / "P004" / "t1.nii.gz").write_bytes((broken / "P003" / "t1.nii.gz").read_bytes())
    code, out, _ = run(capsys, "--raw", broken)
    lines = {line[13:].split("  ")[0]: line for line in out.splitlines() if line.startswith("attention")}
    assert code == 1
    assert "1 of 10 cases are skipped: 1 x" in lines["reading"]
    assert "1 exact and 0 near copies between patients" in lines["copies"]
    assert "P003" in out.split("copies")[-1]  # files are named on the terminal


def test_copies_across_a_supplied_split_are_a_finding(raw, here, capsys):
    torn = here / "scans"
    write_patients(torn, 10, 1, "nifti")
    for name in ("t1", "flair"):
        (torn / "P010" / f"{name}.nii.gz").write_bytes((torn / "P001" / f"{name}.nii.gz").read_bytes())
    table = (torn / "cases.csv").read_text().splitlines()
    sides = ["split", *["train"] * 6, *["validation"] * 2, *["test"] * 2]
    rows = [f"{row},{side}" for row, side in zip(table, sides, strict=True)]
    (torn / "cases.csv").write_text("\n".join(rows))
    code, out, _ = run(capsys, "--raw", torn)
    assert code == 1 and "puts copies of an image on two sides" in out


@pytest.mark.parametrize(
    "arguments, words",
    [((), "neither --raw nor --data"), (("--raw", "gone"), "must be a folder"),
     (("--data", "x", "--labels", "y"), "no --raw")],
)  # fmt: skip
def test_wrong_arguments_are_one_line(here, capsys, arguments, words):
    code, _, err = run(capsys, *arguments)
    assert code == 2 and words in err and err.count("\n") == 1
