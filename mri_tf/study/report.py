"""What a study writes: results.parquet, differences.parquet, report.md and figures/."""

import itertools
import json
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pandas as pd

from mri_tf import figures, metrics, tables
from mri_tf.core.files import write_atomic, write_table
from mri_tf.metrics.intervals import RESAMPLES
from mri_tf.metrics.spread import Row
from mri_tf.splits.leakage import NOBODY, counted_as_images
from mri_tf.store.run import METRICS, PREDICTIONS, RUN_FILE
from mri_tf.study.cell import DONE, restarts_of, run_of
from mri_tf.study.design import WHOLE, Plan, file_name
from mri_tf.tables import markdown
from mri_tf.tables.layout import many
from mri_tf.task import Task

RESULTS, DIFFERENCES, REPORT = "results.parquet", "differences.parquet", "report.md"
KEYS = ["variant", "train_size"]
COLUMNS = ["cell", "task", "variant", "fold", "repeat", "seed", "train_size", "n_train", "n_test",
           "seconds", "status", "reason"]  # of results.parquet, also where every cell failed
# Whole numbers, also where failed cells have none.
COUNTS = ["seed", "n_train", "n_test", "n_test_patients", "epochs", "best_epoch", "parameters"]
SCORES = ("accuracy", "balanced_accuracy", "kappa", "f1_macro", "auc")


def write_report(
    out: Path, task: Task, plan: Plan, jobs: list[dict], rows: dict[str, dict]
) -> tuple[list[str], list[Path]]:
    """(lines for the terminal, files written) from the jobs of a study and their rows by name."""
    results = pd.DataFrame([rows[job["name"]] for job in jobs])
    more = results.columns.difference(COLUMNS, sort=False)
    results = results.reindex(columns=[*COLUMNS, *more])
    results["train_size"] = results["train_size"].astype(float)
    counts = dict.fromkeys(results.columns.intersection(COUNTS), "Int64")
    files = [write_table(out / RESULTS, results.astype(counts))]
    done = [job for job in jobs if rows[job["name"]]["status"] == DONE]
    unit = _unit(done[0]) if done else "patients"
    if task.kind == "segmentation" or not done:
        table = tables.score_table(results, ("dice_mean",)) if done else tables.left_out(results)
        parts = {"Scores": table}
    else:
        found = _predictions(done)
        scores = (*SCORES, "quadratic_kappa") if task.ordered else SCORES
        differences = _differences(found, plan.variants, task, scores)
        if len(differences):
            differences["unit"] = unit
            files.append(write_table(out / DIFFERENCES, differences))
        parts = _classifier_parts(results, found, differences, task, scores, unit)
        if plan.restarts > 1:
            parts |= _restart_parts(results, done, scores)
        drawn = _figures(out / "figures", results, found, differences, task)
        pictures = [path.relative_to(out) for path in drawn if path.suffix == ".svg"]
        parts["Figures"] = "\n".join(f"![{path.stem}]({quote(str(path))})" for path in pictures)
        files += drawn
    parts["Epochs"] = _epochs(results)
    parts["How"] = method_table(plan, jobs, done, unit)
    text = "\n\n".join(f"## {title}\n\n{body}" for title, body in parts.items() if body)
    counts = [many(len(jobs), "cell"), many(plan.folds, "fold"), many(plan.repeats, "repeat")]
    title = f"# {task.name}: {', '.join(counts)}"
    write_atomic(out / REPORT, f"{title}\n\n{text}\n".encode())
    shown = ("dice_mean",) if task.kind == "segmentation" else ("accuracy", "balanced_accuracy", "auc")
    lines = [tables.score_table(results, shown) if done else parts["Scores"]]
    return lines, [*files, out / REPORT]


def _unit(job: dict) -> str:
    """What is counted: patients, or groups of images where nobody knows them."""
    path = run_of(job) / METRICS
    found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return found.get("accuracy", {}).get("unit", "patients")


def _predictions(jobs: list[dict]) -> pd.DataFrame:
    """Every held-out prediction of the done cells, with the cell's columns beside."""
    found = []
    for job in jobs:
        table = pd.read_parquet(run_of(job) / PREDICTIONS)
        row = job["row"]
        found.append(
            table.assign(
                variant=row["variant"], repeat=row["repeat"], fold=row["fold"],
                train_size=np.nan if row["train_size"] is None else float(row["train_size"]),
            )
        )  # fmt: skip
    return pd.concat(found, ignore_index=True)


def _arrays(table: pd.DataFrame, task: Task) -> metrics.Predictions:
    place = {name: number for number, name in enumerate(task.class_names)}
    return metrics.Predictions(
        table["truth"].map(place).to_numpy(),
        table[[f"p_{name}" for name in task.class_names]].to_numpy(),
        table["predicted"].map(place).to_numpy(),
        table["patient"].to_numpy(),
    )


def _classifier_parts(
    results: pd.DataFrame, found: pd.DataFrame, differences: pd.DataFrame, task: Task, scores: tuple,
    unit: str,
) -> dict[str, str]:  # fmt: skip
    pooled, classes = [], {}
    for (variant, size), table in found.groupby(KEYS, dropna=False, sort=False):
        numbers = metrics.classification_metrics(
            *_arrays(table, task), task.class_names, ordered=task.ordered
        )
        if unit != "patients":
            numbers = counted_as_images(numbers)
        key = {"variant": variant, "train_size": size}
        pooled += [key | {"metric": name} | numbers[name] | {"unit": unit} for name in scores]
        of_cells = _confusions(table, task)
        size_text = "" if np.isnan(size) else f", {size:g} samples a class"
        classes[f"Classes: {variant}{size_text}"] = (
            f"{tables.class_table(of_cells, task.class_names)}\n\n"
            f"{tables.confusion_table(of_cells, task.class_names)}"
        )
        notes = [numbers["note"]] if unit == "patients" else [NOBODY, numbers["note"]]
        for note in filter(None, notes):
            classes[f"Classes: {variant}{size_text}"] += f"\n\n{note}"
    parts = {"Scores": tables.score_table(results, scores, pd.DataFrame(pooled))}
    if len(differences):
        parts["Paired differences"] = tables.paired_table(differences)
    return parts | classes


def _confusions(table: pd.DataFrame, task: Task) -> np.ndarray:
    """(cells, true class, predicted class) of one variant and size."""
    classes = len(task.class_names)
    stack = []
    for _, cell in table.groupby(["repeat", "fold"]):
        given = _arrays(cell, task)
        counts = np.zeros((classes, classes))
        np.add.at(counts, (given.truth, given.predicted), 1)
        stack.append(counts)
    return np.stack(stack)


def _differences(
    found: pd.DataFrame, variants: tuple[str, ...], task: Task, scores: tuple
) -> pd.DataFrame:
    """Of every pair of variants, first minus second, on the cells and records that both have."""
    rows = []
    for first, second in itertools.combinations(variants, 2):
        for size, table in found.groupby("train_size", dropna=False):
            pairs = []
            for _, cell in table.groupby(["repeat", "fold"]):
                one, other = (cell[cell["variant"] == name] for name in (first, second))
                both = sorted(set(one["record_id"]) & set(other["record_id"]))
                if both:
                    pairs.append(
                        [_arrays(each.set_index("record_id").loc[both], task) for each in (one, other)]
                    )
            if pairs:
                ones, others = zip(*pairs, strict=True)
                numbers = metrics.paired_differences(list(ones), list(others), ordered=task.ordered)
                key = {"first": first, "second": second, "train_size": size}
                rows += [key | {"metric": name} | numbers[name] for name in scores]
    return pd.DataFrame(rows)


def _restart_parts(results: pd.DataFrame, jobs: list[dict], scores: tuple) -> dict[str, str]:
    """Chance in training: what choosing the best restart on the reported fold would have claimed."""
    done = results[results["status"] == DONE]
    rows, spreads = [], []
    for (variant, size), cells in done.groupby(KEYS, dropna=False, sort=False):
        for name in ("accuracy", "balanced_accuracy", "auc"):
            numbers = [_mean_text(cells, column) for column in (name, f"optimistic_{name}")]
            rows.append([_size_text(size), variant, name, *numbers])
        names = set(cells["cell"])
        own = [job for job in jobs if job["name"] in names]
        for name in scores:
            each = [
                Row(job["row"]["fold"], job["row"]["repeat"], restart["seed"], restart[name])
                for job in own
                for restart in restarts_of(job)
            ]
            parts = metrics.spread(each, same_folds=False)
            key = {"variant": variant, "train_size": size, "metric": name}
            spreads += [key | {"part": part} | number for part, number in parts.items()]
    columns = ["samples a class", "variant", "metric", "chosen on the validation side",
               "best on the reported fold (optimistic)"]  # fmt: skip
    return {
        "Restarts": tables.markdown(rows, columns),
        "Spread": tables.spread_table(pd.DataFrame(spreads)),
    }


def _mean_text(cells: pd.DataFrame, column: str) -> str:
    """Of the cells where it is defined; a column is missing where no cell has a value."""
    mean = cells[column].astype(float).mean() if column in cells else np.nan
    return "undefined" if np.isnan(mean) else f"{mean:.3f}"


def _epochs(results: pd.DataFrame) -> str:
    done = results[results["status"] == DONE]
    rows = []
    for (variant, size), cells in done.groupby(KEYS, dropna=False, sort=False):
        epochs, best, seconds = cells["epochs"], cells["best_epoch"], cells["seconds"]
        rows.append(
            [_size_text(size), variant,
             f"{epochs.mean():.0f} ({epochs.min():.0f} to {epochs.max():.0f})",
             f"{best.mean():.0f} ({best.min():.0f} to {best.max():.0f})",
             f"{cells['n_train'].mean():.0f}", f"{seconds.mean():.0f}"]
        )  # fmt: skip
    columns = ["samples a class", "variant", "epochs trained (range)", "best epoch (range)",
               "training records", "seconds a cell"]  # fmt: skip
    return tables.markdown(rows, columns) if rows else ""


def _figures(
    folder: Path, results: pd.DataFrame, found: pd.DataFrame, differences: pd.DataFrame, task: Task
) -> list[Path]:
    folder.mkdir(exist_ok=True)
    files = []
    if results["train_size"].nunique() > 1:
        files += figures.save(figures.draw_curves(results), folder / "curves")
        files += figures.save(
            figures.draw_class_curves(results, task.class_names), folder / "class_curves"
        )
    if len(differences):
        shown = differences[differences["metric"].isin(("accuracy", "kappa", "auc"))]
        files += figures.save(figures.draw_paired(shown), folder / "paired")
    size = found["train_size"].max()  # NaN where every cell trains on all
    largest = found if np.isnan(size) else found[found["train_size"] == size]
    files += figures.save(figures.draw_roc(largest, task.class_names), folder / "roc")
    for variant, table in largest.groupby("variant", sort=False):
        drawn = figures.draw_confusion_spread(_confusions(table, task), task.class_names)
        files += figures.save(drawn, folder / f"confusion-{file_name(variant)}")
    return files


def _size_text(size: float) -> str:
    return "all" if np.isnan(size) else f"{size:g}"


def method_table(plan: Plan, jobs: list[dict], done: list[dict], unit: str) -> str:
    """Markdown rows of the plan, the values of --set, and what the first finished run says of its set.

    `unit` is what splits keep whole: patients, or groups of images.
    """
    folds = f"{plan.folds} folds, everybody tested once a repeat"
    sizes = ", ".join("all" if size == WHOLE else f"{size}" for size in plan.train_sizes)
    rows = [
        ["split", f"whole {unit}, classes stratified; "
         + (folds if plan.folds > 1 else "the table's split column, or a random split a repeat")],
        ["repeats", f"{plan.repeats}, seeds from {plan.seed}"],
        ["variants", "; ".join(plan.variants) + " (manual: the task as its file has it)"],
        ["training records a class", sizes],
        ["values set", ", ".join(map(_plain, _set_values(jobs[0]))) or "none"],
        ["intervals", f"95 %, {unit} resampled whole {RESAMPLES} times, or exact"],
    ]  # fmt: skip
    if plan.keep_all:
        rows.append(["classes of every size whole", ", ".join(plan.keep_all)])
    if plan.restarts > 1:
        rows.append(["trainings a cell", f"{plan.restarts}, the best on its validation side counts"])
    if plan.trials:
        rows.append(["trials of a search in a fold", plan.trials])
    return markdown(rows + _of_a_run(done), ["what", "value"])


def _of_a_run(done: list[dict]) -> list[list[str]]:
    path = run_of(done[0]) / RUN_FILE if done else Path()
    if not path.is_file():
        return []
    values = json.loads(path.read_text(encoding="utf-8"))
    versions = ", ".join(f"{key} {value}" for key, value in values["versions"].items())
    return [["prepared set", values["data"][:12]], ["versions", versions]]


def _set_values(job: dict) -> list[str]:
    arguments = job["arguments"]
    return arguments[arguments.index("--set") + 1 :] if "--set" in arguments else []


def _plain(assignment: str) -> str:
    """A value of --set; of a file its name, not its place."""
    key, _, value = assignment.partition("=")
    is_path = Path(value).is_absolute() or ("/" in value and Path(value).exists())
    return f"{key}={Path(value).name}" if is_path else assignment
