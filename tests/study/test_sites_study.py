"""study --leave-one-site-out as a user runs it."""

import json
from contextlib import chdir
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from refused import error_line
from small import write_small
from studied import COMMON, SET, rows_of, train_here

from mri_tf.core.command_line import run_command
from mri_tf.study.__main__ import main as study
from mri_tf.train.__main__ import main as train

FLAGS = ("--task", "thirds.py", "--workers", "1", "--leave-one-site-out", *SET)


@pytest.mark.slow
def test_every_site_is_tested_once_and_nothing_learned_from_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("mri_tf.folds.cell.run_module", train_here)
    with chdir(write_small(tmp_path)):
        (file,) = Path("raw").glob("*.csv")
        table = pd.read_csv(file, dtype=str)
        patients = sorted(table["patient_id"].unique())
        site_of = dict(zip(patients, np.repeat(["North", "South"], 5), strict=True))
        table.assign(site=table["patient_id"].map(site_of)).to_csv(file, index=False)
        assert run_command(study, [*FLAGS, "--raw", "raw", "--out", "by-site"]) == 0
        assert "sites held out: North, South" in capsys.readouterr().out
        rows = rows_of(Path("by-site"))
        assert list(rows["site"]) == ["North", "South"] and set(rows["status"]) == {"done"}
        for row in rows.to_dict("records"):
            run = Path("by-site/cells") / row["cell"] / "s0"
            values = json.loads((run / "run.json").read_text())
            assert {site_of[name] for name in values["patients"]["test"]} == {row["site"]}
            assert row["site"] not in {site_of[name] for name in values["seen"]["patients"]}
            assert len(values["patients"]["test"]) == 5
        report = Path("by-site/report.md").read_text(encoding="utf-8")
        assert "## Sites, each held out as a whole" in report and "## Within sites" not in report
        for name in patients:
            assert name not in report

        # A single training tests patients of both sites, and its page says how it does within each.
        split = {"train": patients[:2] + patients[5:7], "validation": [patients[2], patients[7]],
                 "test": patients[3:5] + patients[8:]}  # fmt: skip
        Path("split.json").write_text(json.dumps(split))
        flags = ("--task", "thirds.py", "--variant", "scratch", "--data", "data/thirds", "--out", "run",
                 "--split-file", "split.json", "--no-export", "--set", "epochs=1")  # fmt: skip
        assert run_command(train, list(flags)) == 0
        numbers = json.loads(Path("run/metrics.json").read_text())
        assert [row["site"] for row in numbers["within_sites"]["sites"]] == ["North", "South"]
        assert {row["by"] for row in numbers["subgroups"]} == {"site"}
        assert "## Subgroups" in Path("run/report.md").read_text(encoding="utf-8")


def test_folds_beside_it_and_data_without_sites_are_refused_in_one_line(inside, capsys):
    data = ("--data", "data/thirds", "--variants", "scratch", "--out", "refused")
    line = error_line(capsys, study, *COMMON, *data, "--leave-one-site-out")
    assert "argument --leave-one-site-out: not allowed with argument --folds" in line
    line = error_line(capsys, study, "--folds", "5", *FLAGS, *data)
    assert "not allowed with argument" in line
    line = error_line(capsys, study, *FLAGS, *data)
    assert "--leave-one-site-out needs patients of two sites or more. Received: no record" in line
    assert not Path("refused").exists()
