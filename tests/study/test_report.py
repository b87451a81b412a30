"""What a study writes from rows and predictions, with unusual folds and failed cells. No training."""

import json
import re
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fake_train import job_of
from planned import people

from mri_tf import figures, metrics
from mri_tf.folds.cell import ROW
from mri_tf.folds.design import WHOLE, Plan, cells_of
from mri_tf.study.report import write_report
from mri_tf.study.sites import StudyData
from mri_tf.task import Task

CLASSES = ("low", "mid", "high")
PLAN = Plan(("manual", "scratch"), 2, 1, (WHOLE,), keep_all=(), restarts=1, seed=0)
TASK = Task(name="grades", channels=("mr",), image_shape=(8, 8), class_names=CLASSES, model="vgg")


class Study:
    """Jobs and rows of a plan, with random predictions."""

    def __init__(self, out: Path, task: Task = TASK, plan: Plan = PLAN):
        self.out, self.task, self.plan = out, task, plan
        self.jobs, self.rows = [], {}
        for cell in cells_of(plan):
            job = job_of(out, cell.name, seeds=plan.seeds(cell.repeat))
            job["row"] |= {"task": task.name, "variant": cell.variant, "repeat": cell.repeat,
                           "fold": cell.fold, "train_size": cell.train_size or None}  # fmt: skip
            self.jobs.append(job)
            self.fail(job)

    def fail(self, job: dict, reason: str = "it broke") -> None:
        self.rows[job["name"]] = {**job["row"], "status": "failed", "reason": reason}

    def finish(self, job: dict, truth: list[int], records: list[str] | None = None) -> None:
        """A finished row; for a classifier also predictions of these true classes, a patient each."""
        seed = job["seeds"][-1]
        folder = Path(job["folder"])
        (folder / f"s{seed}").mkdir(parents=True)
        table, numbers = self._predictions(job, np.array(truth), records)
        table.to_parquet(folder / f"s{seed}" / "predictions.parquet")
        facts = {"seed": seed, "n_train": 4, "n_test": len(truth), "epochs": 2, "best_epoch": 1,
                 "seconds": 1.5, "status": "done", "reason": ""}  # fmt: skip
        if len(job["seeds"]) > 1:
            both = ("accuracy", "balanced_accuracy")
            numbers |= {f"optimistic_{name}": numbers[name] for name in both}
        restarts = [{"seed": seed, **numbers} for seed in job["seeds"]]
        self.rows[job["name"]] = job["row"] | facts | numbers
        saved = {"identity": "", "run": f"s{seed}", "row": self.rows[job["name"]], "restarts": restarts}
        (folder / ROW).write_text(json.dumps(saved))

    def finish_all(self, truth: list[int], records: list[str] | None = None, **of) -> "Study":
        """The same for every job whose row has these values."""
        for job in self.jobs:
            if of.items() <= job["row"].items():
                self.finish(job, truth, records)
        return self

    def _predictions(self, job: dict, truth: np.ndarray, records) -> tuple[pd.DataFrame, dict]:
        rng = np.random.default_rng([len(truth), job["row"]["fold"], len(job["row"]["variant"])])
        chances = rng.dirichlet(np.ones(len(CLASSES)), len(truth))
        predicted = chances.argmax(axis=1)
        names = records or [f"f{job['row']['fold']}-{number}" for number in range(len(truth))]
        table = pd.DataFrame({
            "record_id": names, "patient": names, "site": "",
            "truth": [CLASSES[label] for label in truth],
            "predicted": [CLASSES[label] for label in predicted],
            **{f"p_{name}": chances[:, label] for label, name in enumerate(CLASSES)},
        })  # fmt: skip
        found = metrics.classification_metrics(
            truth, chances, predicted, np.array(names), CLASSES, ordered=self.task.ordered
        )
        numbers = {name: number["value"] for name, number in found.items()
                   if isinstance(number, dict) and "value" in number}  # fmt: skip
        numbers |= {f"{name}_reason": found[name]["reason"]
                    for name, value in numbers.items() if value is None}  # fmt: skip
        numbers |= {f"f1_{name}": found["per_class"][name]["f1"]["value"] for name in CLASSES}
        return table, numbers | {"majority_accuracy": found["majority_accuracy"]}

    def write(self) -> str:
        """The report; warnings are errors."""
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            lines, files = write_report(self.out, self.task, self.plan, self.jobs, self.rows)
        assert lines and all(path.is_file() for path in files)
        return (self.out / "report.md").read_text(encoding="utf-8")

    def results(self) -> pd.DataFrame:
        return pd.read_parquet(self.out / "results.parquet")

    def figures(self) -> set[str]:
        return {path.stem for path in (self.out / "figures").glob("*.png")}


MIXED = [0, 1, 2, 0, 1, 2, 1]


@pytest.fixture
def quick(monkeypatch):
    """Figures are drawn and not rendered, where others test the same ones."""
    def touch(figure, stem):
        paths = [stem.with_name(f"{stem.name}.{suffix}") for suffix in ("png", "svg")]
        for path in paths:
            path.touch()
        return paths

    monkeypatch.setattr(figures, "save", touch)


def test_a_whole_study(quick, tmp_path):
    study = Study(tmp_path).finish_all(MIXED)
    text = study.write()
    assert "manual - scratch" in text and "failed" not in text
    assert study.figures() == {"paired", "roc", "confusion-manual", "confusion-scratch"}
    assert len(study.results()) == 4


def test_a_study_of_sites_says_which_are_too_small_and_who_is_in_no_fold(quick, tmp_path):
    study = Study(tmp_path, plan=replace(PLAN, sites=("SYA", "SYB")))
    for job in study.jobs:
        site = study.plan.sites[job["row"]["fold"]]
        job["row"]["site"] = site
        study.finish(job, [0, 1, 2] * (5 if site == "SYA" else 1))
        path = Path(job["folder"]) / f"s{job['seeds'][-1]}" / "predictions.parquet"
        pd.read_parquet(path).assign(site=site).to_parquet(path)
    data = StudyData(people(), ("2 patients without a site in no fold",))
    write_report(tmp_path, TASK, study.plan, study.jobs, study.rows, data)
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert text.startswith("# grades: 4 cells, 2 sites, 1 repeat")
    assert "Held out, one after the other: SYA, SYB." in text
    assert re.search(r"Too small to stand alone .* kept in the mean: SYB\.", text)
    assert "2 patients without a site in no fold." in text
    assert "each of which tests one site as a whole" in text
    assert "No statement about sites: 1 of 2 sites" in text and "with --folds 5" in text
    assert set(study.results()["site"]) == {"SYA", "SYB"}


def test_a_report_says_where_groups_tie_several_ids_of_tested_patients(quick, tmp_path):
    prepared = people()
    prepared.groups[:5] = ["one", "one", "two", "two", "two"]
    study, names = Study(tmp_path), prepared.record_ids.tolist()
    for job in study.jobs:
        study.finish(job, MIXED, names[:7] if job["row"]["fold"] else names[7:14])
    write_report(tmp_path, TASK, study.plan, study.jobs, study.rows, StudyData(prepared))
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "5 of the tested ids are tied by 2 groups: intervals and p-values count ids" in text
    rows = json.loads((tmp_path / "numbers.json").read_text())
    assert not any(row["numbers"]["better_than_chance"]["exact"] for row in rows)


def test_a_cross_validation_of_several_sites_says_how_to_leave_one_out(quick, tmp_path):
    study = Study(tmp_path).finish_all([0, 1, 2] * 4)
    for path in tmp_path.glob("cells/*/*/predictions.parquet"):
        table = pd.read_parquet(path)
        table.assign(site=["A", "B"] * 6).to_parquet(path)
    text = study.write()
    assert "## Within sites" in text and "--leave-one-site-out" in text
    assert "each held out as a whole" not in text
    rows = json.loads((tmp_path / "numbers.json").read_text())  # where the card reads them
    assert rows and all({"A", "B"} == {of["site"] for of in row["numbers"]["within_sites"]["sites"]}
                        for row in rows)  # fmt: skip


def test_what_the_ends_of_stacks_are_worth_stands_beside_the_scores_of_variants_that_see_them(
    quick, tmp_path
):
    task = replace(TASK, caution="Doubt these numbers.")
    study = Study(tmp_path, task).finish_all(MIXED)
    assert "Neighbouring slices" not in study.write()
    for job in study.jobs:
        if job["row"]["variant"] == "scratch":
            study.rows[job["name"]] |= {
                "kappa_without_ends": None, "kappa_without_ends_reason": "no slice lies inside",
                "accuracy_without_ends": 0.25, "kappa_neighbours_alone": 0.5,
                "accuracy_neighbours_alone": 0.75,
            }  # fmt: skip
    text = study.write()
    assert text.splitlines()[2] == "Doubt these numbers."
    section = text.partition("## Neighbouring slices")[2].partition("## ")[0]
    assert "0.250 ± 0.000" in section and "0.750 ± 0.000" in section
    assert "undefined (no slice lies inside)" in section and "manual" not in section


def test_a_study_of_one_cell(tmp_path):
    study = Study(tmp_path, plan=replace(PLAN, variants=("manual",), folds=1)).finish_all(MIXED)
    text = study.write()
    assert "one cell" in text and "Paired differences" not in text
    assert study.figures() == {"roc", "confusion-manual"}
    assert not (tmp_path / "differences.parquet").exists()


@pytest.mark.parametrize("ordered", [False, True])
def test_a_fold_with_one_class_is_counted_as_undefined(quick, tmp_path, ordered):
    study = Study(tmp_path, replace(TASK, ordered=ordered))
    study.finish_all([1, 1, 1], fold=0).finish_all(MIXED, fold=1)
    text = study.write()
    assert "1 of 2 undefined: only one class occurs" in text
    assert study.results()["auc"].isna().sum() == 2


@pytest.mark.parametrize("restarts", [1, 2])
def test_a_study_with_one_class_in_every_fold(tmp_path, restarts):
    study = Study(tmp_path, plan=replace(PLAN, restarts=restarts)).finish_all([1, 1, 1])
    text = study.write()
    assert "undefined" in text and "nan" not in text.lower()
    assert study.results()["auc"].isna().all()
    assert ("## Restarts" in text) == (restarts > 1)


def test_when_every_cell_failed_the_report_says_why_and_the_columns_are_there(tmp_path):
    study = Study(tmp_path)
    text = study.write()
    assert "4 cells of 4 failed, left out of the means: manual, all samples: 2 (it broke)" in text
    table = study.results()
    assert list(table["status"]) == ["failed"] * 4
    assert {"seed", "n_train", "n_test", "seconds", "train_size"} <= set(table.columns)
    assert not (tmp_path / "figures").exists()


def test_a_variant_of_which_every_cell_failed_stands_beside_the_others(quick, tmp_path):
    study = Study(tmp_path, plan=replace(PLAN, train_sizes=(2, 4))).finish_all(MIXED, variant="manual")
    text = study.write()
    assert "4 cells of 8 failed" in text and "undefined (no cell done)" in text
    assert study.figures() == {"curves", "class_curves", "roc", "confusion-manual"}


def test_a_size_of_which_every_cell_failed(tmp_path):
    study = Study(tmp_path, plan=replace(PLAN, train_sizes=(2, 4))).finish_all(MIXED, train_size=2)
    assert "4 cells of 8 failed" in study.write()


def test_differences_at_a_size_rest_on_how_many_records_that_size_trains_on(quick, tmp_path):
    def interval(out: Path, sizes: tuple[int, ...]) -> pd.Series:
        study = Study(out, plan=replace(PLAN, train_sizes=sizes)).finish_all(MIXED * 3)
        for row in study.rows.values():
            row["n_train"] = 4 * row["train_size"]
        study.write()
        found = pd.read_parquet(out / "differences.parquet")
        return found[(found["train_size"] == 2) & (found["metric"] == "accuracy")].iloc[0]

    alone, beside = interval(tmp_path / "one", (2,)), interval(tmp_path / "two", (2, 64))
    assert (beside["low"], beside["high"]) == (alone["low"], alone["high"])


def test_pairs_at_all_sizes_are_one_family(quick, tmp_path):
    study = Study(tmp_path, plan=replace(PLAN, train_sizes=(2, 4))).finish_all(MIXED * 3)
    text = study.write()
    found = pd.read_parquet(tmp_path / "differences.parquet").query("primary")
    assert found["p"].notna().all() and len(found) == 2
    assert found["p_adjusted"].tolist() == pytest.approx(metrics.holm(found["p"].tolist()))
    assert "1 pair at 2 sizes, all of them together" in text


def test_records_that_only_one_variant_has_are_in_no_paired_difference(quick, tmp_path):
    study = Study(tmp_path)
    study.finish_all([0, 1, 2, 0], ["a", "b", "c", "only-here"], variant="manual")
    study.finish_all([1, 2, 0, 1], ["b", "c", "a", "only-there"], variant="scratch")
    study.write()
    found = pd.read_parquet(tmp_path / "differences.parquet")
    assert set(found["n"]) == {3}  # patients a, b, c


def test_variants_of_odd_names_have_files_of_their_own(tmp_path):
    names = ("naïve λ", "../a/b", "50 % | $x", "_" * 40)
    study = Study(tmp_path, plan=replace(PLAN, variants=names, folds=1)).finish_all(MIXED)
    text = study.write()
    assert all(name.replace("|", "\\|") in text for name in names)
    assert len(study.figures()) == 2 + len(names) and set(study.results()["variant"]) == set(names)


def test_repeats_and_restarts_are_told_apart(quick, tmp_path):
    study = Study(tmp_path, plan=replace(PLAN, repeats=2, restarts=3)).finish_all(MIXED)
    text = study.write()
    assert "chosen on the test side (optimistic)" in text and "SD of seeds" in text


def test_a_segmentation_study_with_a_failed_cell(tmp_path):
    pools = Task(
        name="pools", kind="segmentation", channels=("mr",), image_shape=(8, 8),
        class_names=("background", "pool"), model="mnet",
    )  # fmt: skip
    study = Study(tmp_path, pools, replace(PLAN, variants=("manual",)))
    study.rows[study.jobs[0]["name"]] = study.jobs[0]["row"] | {
        "seed": 0, "n_train": 4, "n_test": 2, "epochs": 1, "best_epoch": 1, "seconds": 2.0,
        "status": "done", "reason": "", "dice_mean": 0.7, "dice_pool": 0.7,
    }  # fmt: skip
    folder = Path(study.jobs[0]["folder"])
    folder.mkdir(parents=True)
    (folder / ROW).write_text(json.dumps({"run": "s0"}))
    text = study.write()
    assert "0.700 (one cell)" in text and "1 cell of 2 failed" in text


def test_the_report_says_how_the_study_was_made_and_shows_its_figures(quick, tmp_path):
    study = Study(tmp_path, plan=replace(PLAN, seed=7, trials=4)).finish_all(MIXED)
    for job in study.jobs:
        job["arguments"] += ["--set", "epochs=3", "model_args.weights=/home/somebody/resnet.h5",
                             "fine_tune.train=('stack3/.*', 'probabilities/.*')", "precision=float32"]
    run = Path(study.jobs[0]["folder"]) / "s7" / "run.json"
    sides = {"train": ["r1", "r2"], "val": [], "test": ["r3"]}
    run.write_text(json.dumps({
        "data": "ab" * 32, "versions": {"mri_tf": "1.2"}, "sides": sides,
        "patients": {"train": ["P1"], "val": [], "test": ["P2"]},
    }))  # fmt: skip
    text = study.write()
    assert "whole patients, classes stratified; 2 folds" in text and "seeds from 7" in text
    assert "epochs=3, model_args.weights=resnet.h5" in text and "precision=" not in text
    assert "somebody" not in text
    assert "abababababab" in text and "mri_tf 1.2" in text and "('stack3/.*', 'prob" in text
    alternative = re.search(r"!\[(.*)\]\(figures/roc.svg\)", text)[1]
    assert "low, manual: AUC 0." in alternative and "P1" not in text


def test_a_study_of_images_without_patients_counts_groups_of_images(tmp_path):
    study = Study(tmp_path).finish_all([0, 1, 2, 0, 1, 2])
    for job in study.jobs:
        run = Path(job["folder"]) / f"s{job['seeds'][-1]}"
        (run / "metrics.json").write_text('{"accuracy": {"unit": "groups of images"}}')
    write_report(tmp_path, study.task, study.plan, study.jobs, study.rows)
    text = (tmp_path / "report.md").read_text()
    assert "groups of images" in text and "the patients are not known" in text
    table = text[text.index("## Scores") : text.index("## Classes")]
    assert " patients" not in table
