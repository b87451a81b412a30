"""What a study writes: results.parquet, differences.parquet, report.md and figures/."""

import itertools
import json
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import numpy as np
import pandas as pd

from mri_tf import figures, metrics, tables
from mri_tf.core.files import write_atomic, write_table
from mri_tf.core.words import plural
from mri_tf.folds.cell import DONE, OF_CONTEXT, run_of
from mri_tf.folds.design import Plan
from mri_tf.splits.leakage import PATIENTS_UNKNOWN, counted_as_images, counted_by_id
from mri_tf.store.cells import BASELINES, DIFFERENCES, NUMBERS, RESULTS
from mri_tf.store.run import PREDICTIONS, REPORT
from mri_tf.study.baselines import StudyBaselines, study_baselines
from mri_tf.study.method import KEYS, counted_unit, epochs_table, method_table
from mri_tf.study.more_patients import more_patients
from mri_tf.study.pictures import confusions_of, draw_study, key_of
from mri_tf.study.restarts import restart_parts
from mri_tf.study.sites import StudyData, site_numbers, site_parts
from mri_tf.task import Task

COLUMNS = ["cell", "task", "variant", "fold", "repeat", "seed", "train_size", "n_train", "n_test",
           "seconds", "status", "reason"]  # of results.parquet, also where every cell failed
# Stored as whole numbers although failed cells have none.
COUNTS = ["seed", "n_train", "n_test", "n_train_patients", "n_test_patients", "epochs", "best_epoch",
          "parameters", "study_seed", "restarts", "trials"]  # fmt: skip
SCORES = ("accuracy", "balanced_accuracy", "kappa", "f1_macro", "auc")


class Shown(NamedTuple):
    """What the report shows of classifiers beside their differences.

    Attributes:
        scores: by name.
        numbers: of `_pooled_numbers`.
        baselines: beside them.
    """

    scores: tuple[str, ...]
    numbers: dict
    baselines: StudyBaselines


def write_report(
    out: Path, task: Task, plan: Plan, jobs: list[dict], rows: dict[str, dict],
    data: StudyData | None = None,
) -> tuple[list[str], list[Path]]:  # fmt: skip
    """Writes the tables, figures and report of a study.

    Args:
        out: the study folder.
        jobs: of the cells, as `jobs.cell_jobs` makes them.
        rows: what each job gave, by job name.
        data: what is known of the records beside their labels, and on which set baselines are fitted;
            None: nothing, and none are.

    Returns:
        (lines for the terminal, files written).
    """
    results = _results(jobs, rows)
    counts = dict.fromkeys(results.columns.intersection(COUNTS), "Int64")
    files = [write_table(out / RESULTS, results.astype(counts))]
    done_jobs = [job for job in jobs if rows[job["name"]]["status"] == DONE]
    done = results[results["status"] == DONE]
    unit, compared = counted_unit(done_jobs), StudyBaselines()
    if not done_jobs:
        parts = {"Scores": tables.left_out(results)}
    elif task.kind == "segmentation":
        parts = {"Scores": tables.score_table(results, ("dice_mean",))}
    else:
        predictions = _predictions(done_jobs)
        scores = _scores(task)
        asked = tuple(dict.fromkeys((*scores, task.primary_metric)))
        differences = _differences(predictions, plan.variants, task, asked, done)
        if len(differences):
            differences["unit"] = unit
            files.append(write_table(out / DIFFERENCES, differences))
        sites = site_numbers(predictions, task, data, unit)
        pooled = _pooled_numbers(predictions, task, unit, data)
        numbers = {key: values | sites[key] for key, values in pooled.items()}
        files.append(_write_numbers(numbers, out))
        if data is not None:
            compared = study_baselines(data.prepared, task, done_jobs, predictions, scores)
            files.append(_write_once(out / BASELINES, json.dumps(compared.values, indent=1)))
        shown = Shown(scores, numbers, compared)
        parts = _classifier_parts(results, predictions, differences, task, shown)
        parts |= site_parts(numbers, predictions, plan, data)
        parts |= more_patients(done, predictions, task, unit)
        if plan.restarts > 1:
            parts |= restart_parts(done, done_jobs, scores)
        drawn = draw_study(results, predictions, differences, task, numbers)
        parts["Figures"], pictures = _save_figures(drawn, out)
        files += pictures
    parts["Epochs"] = epochs_table(done)
    parts["Method"] = method_table(plan, jobs, done_jobs, unit)
    text = "\n\n".join(f"## {title}\n\n{body}" for title, body in parts.items() if body)
    counts = [plural(len(jobs), "cell"), plural(plan.folds, "site" if plan.sites else "fold"),
              plural(plan.repeats, "repeat")]  # fmt: skip
    title = f"# {task.name}: {', '.join(counts)}" + (f"\n\n{task.caution}" if task.caution else "")
    write_atomic(out / REPORT, f"{title}\n\n{text}\n".encode())
    shown = ("dice_mean",) if task.kind == "segmentation" else ("accuracy", "balanced_accuracy", "auc")
    lines = [tables.score_table(results, shown) if done_jobs else parts["Scores"]]
    return [*lines, *compared.lines()], [*files, out / REPORT]


def _write_once(file: Path, text: str) -> Path:
    """Writes a file, unless it says the same already."""
    if not file.is_file() or file.read_bytes() != text.encode():
        write_atomic(file, text.encode())
    return file


def _scores(task: Task) -> tuple[str, ...]:
    """The numbers that the report shows, by name."""
    if not task.ordered:
        return SCORES
    of_grades = ("quadratic_kappa", "mean_absolute_grade_error")
    return (*SCORES, *of_grades[: 2 if len(task.class_names) > 2 else 1])


def _results(jobs: list[dict], rows: dict[str, dict]) -> pd.DataFrame:
    """One row per cell, in the order of the jobs; train_size is NaN for all records."""
    results = pd.DataFrame([rows[job["name"]] for job in jobs])
    others = results.columns.difference(COLUMNS, sort=False)
    results = results.reindex(columns=[*COLUMNS, *others])
    return results.assign(train_size=results["train_size"].astype(float))


def _predictions(jobs: list[dict]) -> pd.DataFrame:
    """The test predictions of the finished cells, with variant, repeat, fold and train_size."""
    parts = []
    for job in jobs:
        row, table = job["row"], pd.read_parquet(run_of(job) / PREDICTIONS)
        size = np.nan if row["train_size"] is None else float(row["train_size"])
        cell = {key: row[key] for key in ("variant", "repeat", "fold")}
        parts.append(table.assign(**cell, train_size=size))
    return pd.concat(parts, ignore_index=True)


def _pooled_numbers(
    predictions: pd.DataFrame, task: Task, unit: str, data: StudyData | None
) -> dict[tuple[str, float | None], dict]:
    """The metrics of all test predictions of a variant and size together, by `key_of` the two."""
    found = {}
    for key, table in predictions.groupby(KEYS, dropna=False, sort=False):
        cells = table["repeat"].astype(str) + "-" + table["fold"].astype(str)
        numbers = metrics.classification_metrics(
            *metrics.predictions_of(table, task.class_names), task.class_names, ordered=task.ordered,
            folds=cells.to_numpy() if cells.nunique() > 1 else None, repeats=table["repeat"].nunique(),
        )  # fmt: skip
        if unit != "patients":
            numbers = counted_as_images(numbers)
        elif data is not None:
            own = np.isin(data.prepared.record_ids.astype(str), table["record_id"].to_numpy(str))
            numbers = counted_by_id(numbers, data.prepared.patients[own], data.prepared.groups[own])
        found[key_of(*key)] = numbers
    return found


def _write_numbers(numbers_of: dict[tuple[str, float | None], dict], out: Path) -> Path:
    """Writes the numbers of `_pooled_numbers` in the form of metrics.json."""
    rows = [{"variant": variant, "train_size": size, "numbers": numbers}
            for (variant, size), numbers in numbers_of.items()]  # fmt: skip
    write_atomic(out / NUMBERS, json.dumps(rows, indent=1).encode())
    return out / NUMBERS


def _classifier_parts(
    results: pd.DataFrame, predictions: pd.DataFrame, differences: pd.DataFrame, task: Task,
    shown: Shown,
) -> dict[str, str]:  # fmt: skip
    """Sections of the report by title: scores, paired differences, baselines, classes of variants."""
    (scores, numbers_of, baselines), pooled, classes = shown, [], {}
    for (variant, size), table in predictions.groupby(KEYS, dropna=False, sort=False):
        numbers = numbers_of[key_of(variant, size)]
        unknown = "" if numbers["accuracy"]["unit"] == "patients" else PATIENTS_UNKNOWN
        notes = [unknown, numbers["note"]]
        key = {"variant": variant, "train_size": size}
        pooled += [key | {"metric": name} | numbers[name] for name in scores]
        confusions = confusions_of(table, task)
        size_in_title = "" if np.isnan(size) else f", {size:g} samples per class"
        classes[f"Classes: {variant}{size_in_title}"] = "\n\n".join([
            tables.class_table(confusions, task.class_names),
            tables.confusion_table(confusions, task.class_names),
            *filter(None, notes),
        ])  # fmt: skip
    together = pd.concat([pd.DataFrame(pooled), baselines.pooled])
    rows = baselines.rows if len(baselines.rows) else None
    parts = {"Scores": tables.score_table(results, scores, together, rows)}
    parts |= _context_parts(results)
    if len(differences):
        parts["Paired differences"] = tables.paired_table(differences)
    return parts | baselines.sections() | classes


def _context_parts(results: pd.DataFrame) -> dict[str, str]:
    """What the ends of stacks are worth to variants that see neighbouring slices; see report.md of their
    runs."""
    columns = [f"{name}_{part}" for part in OF_CONTEXT for name in ("kappa", "accuracy")]
    if not set(columns) <= set(results):
        return {}
    seeing = results.loc[results["accuracy_neighbours_alone"].notna(), "variant"].unique()
    table = tables.score_table(results[results["variant"].isin(seeing)], tuple(columns))
    return {
        "Neighbouring slices": f"{table}\n\nWithout ends: without the first and last slice of each "
        "stack. Neighbours alone: no network, the usual class of slices with the same neighbours."
    }


def _differences(
    predictions: pd.DataFrame, variants: tuple[str, ...], task: Task, scores: tuple, done: pd.DataFrame
) -> pd.DataFrame:
    """Of every pair of variants, first minus second, on the cells and records that both have.

    `primary` marks the task's primary metric, whose p-values are adjusted for all pairs at all sizes.
    `done` are the rows of the finished cells: how many records they test and train on, at each size.
    """
    rows, sizes = [], predictions["train_size"].nunique(dropna=False)
    comparisons = max(1, sizes * len(variants) * (len(variants) - 1) // 2)
    for first, second in itertools.combinations(variants, 2):
        for size, table in predictions.groupby("train_size", dropna=False):
            cells = done[done["train_size"].isna() if np.isnan(size) else done["train_size"] == size]
            test_share = float(cells["n_test"].mean() / cells["n_train"].mean())
            pairs = []
            for _, cell in table.groupby(["repeat", "fold"]):
                pair = [cell[cell["variant"] == name].set_index("record_id") for name in (first, second)]
                common = sorted(set(pair[0].index) & set(pair[1].index))
                if common:
                    pairs.append([
                        metrics.predictions_of(variant.loc[common], task.class_names) for variant in pair
                    ])  # fmt: skip
            if pairs:
                of_first, of_second = zip(*pairs, strict=True)
                numbers = metrics.paired_differences(
                    of_first, of_second, ordered=task.ordered, test_share=test_share,
                    comparisons=comparisons,
                )  # fmt: skip
                key = {"first": first, "second": second, "train_size": size}
                rows += [
                    key | {"metric": name, "primary": name == task.primary_metric} | numbers[name]
                    for name in scores
                ]
    return _adjusted(pd.DataFrame(rows))


def _adjusted(differences: pd.DataFrame) -> pd.DataFrame:
    """The differences with `p_adjusted` (Holm) of the primary metric: all pairs at all sizes are one
    family, as a report that finds a difference at any size claims one."""
    if differences.empty:
        return differences
    differences = differences.assign(p_adjusted=np.nan)
    known = differences[differences["primary"] & differences["p"].notna()]
    differences.loc[known.index, "p_adjusted"] = metrics.holm(known["p"].tolist())
    return differences


def _save_figures(drawn: dict, out: Path) -> tuple[str, list[Path]]:
    """Writes figures by their names; returns the section that shows them, and the files."""
    (out / "figures").mkdir(exist_ok=True)
    lines, files = [], []
    for name, figure in drawn.items():
        saved = figures.save(figure, out / "figures" / name)
        files += saved
        shown = quote(str(saved[-1].relative_to(out)))  # the SVG
        lines.append(f"![{figures.alt_text(figure)}]({shown})")
    return "\n".join(lines), files
