"""The tables of a study: scores, paired differences, spread, and which cells are left out."""

import pandas as pd

from mri_tf.core.metric_names import name_of
from mri_tf.core.words import plural
from mri_tf.tables.layout import (
    NO_REASON,
    is_defined,
    markdown,
    mean_sd,
    text_of,
    with_interval,
    with_notes,
)

MAJORITY = "majority_accuracy"
PARTS = ("folds", "seeds", "total")
NO_CELL_DONE = "undefined (no cell done)"
NO_INTERVAL = "computed without an interval"  # what mri_tf.metrics.spread says of every number
SIGNIFICANT = 0.05  # of an adjusted p-value


def score_table(
    results: pd.DataFrame,
    metrics: tuple[str, ...] = ("accuracy", "kappa", "f1_macro"),
    pooled: pd.DataFrame | None = None,
    baselines: pd.DataFrame | None = None,
) -> str:
    """Mean ± SD over the finished cells of a study, one line per size and variant.

    Args:
        results: one row per cell: variant, train_size, status, reason, a column for each metric and
            majority_accuracy. An undefined metric is counted, with the reason in <metric>_reason or
            `reason`.
        metrics: columns to show.
        pooled: variant, train_size, metric, value, low, high and, if known, n, unit and reason: adds
            a column for each metric over all test predictions together, with its interval.
        baselines: rows like those of `results`, of what was not trained; they follow the variants.
    """
    failed = left_out(results)
    results = _with_sizes(results if baselines is None else pd.concat([results, baselines]))
    pooled = None if pooled is None else _with_sizes(pooled)
    rows, notes = [], []
    for (size, variant), cells in _groups(results):
        done = cells[cells["status"] == "done"]
        row = [size_text(size), variant, f"{len(done)} of {len(cells)}"]
        of_group = None if pooled is None else _of(pooled, size, variant)
        for metric in metrics:
            row.append(_over_cells(done, metric))
            if of_group is not None:
                row.append(_pooled_text(of_group, metric))
            if metric == "accuracy":
                row.append(f"{done[MAJORITY].mean():.3f}" if len(done) else NO_CELL_DONE)
        if of_group is not None:
            shown = of_group[of_group["metric"].isin(metrics)].to_dict("records")
            row.append("; ".join(dict.fromkeys(map(_counted, shown))))
            notes += _reasons_of_defined(shown, f"{variant}, {size_text(size)}")
        rows.append(row)
    columns = ["samples per class", "variant", "cells done"]
    for metric in metrics:
        name = name_of(metric)
        columns += [name, f"{name}, pooled (95 % interval)"][: 1 if pooled is None else 2]
        columns += ["majority class"] if metric == "accuracy" else []
    columns += [] if pooled is None else ["counted"]
    below = ["Mean ± SD over the cells that are done.", failed, *notes]
    return with_notes(markdown(rows, columns), below)


def left_out(results: pd.DataFrame) -> str:
    """One line about the failed cells of `results`, grouped by reason; empty where none failed."""
    failed = _with_sizes(results[results["status"] != "done"])
    if failed.empty:
        return ""
    groups = []
    for (size, variant), cells in _groups(failed):
        reasons = cells["reason"].map(text_of).replace("", NO_REASON)
        samples = "all samples" if pd.isna(size) else f"{size:g} samples per class"
        groups += [f"{variant}, {samples}: {count} ({reason})"
                   for reason, count in reasons.value_counts().items()]  # fmt: skip
    failures = f"{plural(len(failed), 'cell')} of {len(results)} failed, left out of the means"
    return f"{failures}: {'; '.join(groups)}."


def paired_table(differences: pd.DataFrame) -> str:
    """One line per pair, size and metric: first minus second on the same cells, with its interval.

    Args:
        differences: first, second, metric, difference, low, high and, if known, train_size, n, unit,
            wins, cells, better, reason, question, method: the numbers of
            `mri_tf.metrics.paired_differences`; and primary and p_adjusted, of the task's metric.
    """
    differences = _with_sizes(differences)
    rows, lines_of = [], {}
    for row in differences.to_dict("records"):
        name = f"{row['first']} - {row['second']}"
        size, reason = size_text(row["train_size"]), text_of(row.get("reason"))
        text = with_interval(row["difference"], row["low"], row["high"], reason, signed=True)
        better = text_of(row.get("better"))
        metric = name_of(row["metric"])
        rows.append([size, name, metric + (f" ({better} is better)" if better else ""),
                     text, _verdict(row), _wins(row), _counted(row)])  # fmt: skip
        if reason and reason not in text:
            lines_of.setdefault(reason, []).append(f"{metric}, {name}, {size}")
    notes = [
        f"{'Every line' if len(lines) == len(rows) > 1 else '; '.join(lines)}: {reason}."
        for reason, lines in lines_of.items()
    ]
    notes += _on_differences(differences)
    columns = ["samples per class", "pair", "metric", "difference (95 % interval)", "finding",
               "first better in", "counted"]  # fmt: skip
    shown = [0, 1, 2, 3, 4] + [column for column in (5, 6) if any(row[column] for row in rows)]
    rows = [[row[column] for column in shown] for row in rows]
    return with_notes(markdown(rows, [columns[column] for column in shown]), notes)


def spread_table(spreads: pd.DataFrame) -> str:
    """SD between folds (which patients) and between seeds (chance in training), one line per metric.

    Args:
        spreads: variant, train_size, metric, part ("folds", "seeds", "total"; others are not shown),
            value, reason: the numbers of `mri_tf.metrics.spread`.
    """
    spreads = _with_sizes(spreads)
    rows, notes = [], []
    for (size, variant), numbers in _groups(spreads):
        for metric in pd.unique(numbers["metric"]):
            of_metric = numbers[numbers["metric"] == metric]
            parts = [of_metric[of_metric["part"] == part] for part in PARTS]
            rows.append([size_text(size), variant, name_of(metric), *map(_spread_text, parts)])
            reasons = [reason for part in parts if len(part) and is_defined(part.iloc[0]["value"])
                       for reason in _reason(part).split("; ")]  # fmt: skip
            reasons = [reason for reason in dict.fromkeys(reasons) if reason not in ("", NO_INTERVAL)]
            if reasons:
                notes.append(f"{name_of(metric)}, {variant}, {size_text(size)}: {'; '.join(reasons)}.")
    columns = ["samples per class", "variant", "metric", "SD of folds", "SD of seeds", "total SD"]
    return with_notes(markdown(rows, columns), notes)


def _with_sizes(table: pd.DataFrame) -> pd.DataFrame:
    """The table with train_size as float; NaN, None and NA mean all records of the training side."""
    if "train_size" not in table:
        return table.assign(train_size=float("nan"))
    sizes = table["train_size"].astype(object).where(table["train_size"].notna(), float("nan"))
    return table.assign(train_size=sizes.astype(float))


def _groups(table: pd.DataFrame):
    """((size, variant), rows): sizes ascending, all records last; variants as they first appear."""
    for size in sorted(pd.unique(table["train_size"]), key=lambda size: (pd.isna(size), size)):
        for variant in pd.unique(table["variant"]):
            rows = _of(table, size, variant)
            if len(rows):
                yield (size, variant), rows


def _of(table: pd.DataFrame, size: float, variant: str) -> pd.DataFrame:
    sizes = table["train_size"]
    same = sizes.isna() if pd.isna(size) else sizes == size
    return table[same & (table["variant"] == variant)]


def size_text(size: float) -> str:
    """A training size in a table; NaN: all records."""
    return "all" if pd.isna(size) else f"{size:g}"


def _over_cells(done: pd.DataFrame, metric: str) -> str:
    if done.empty:
        return NO_CELL_DONE
    undefined = done[~done[metric].map(is_defined)]
    reasons = undefined[f"{metric}_reason"] if f"{metric}_reason" in done else undefined["reason"]
    return mean_sd(done[metric], reasons)


def _pooled_text(of_group: pd.DataFrame, metric: str) -> str:
    row = of_group[of_group["metric"] == metric]
    if row.empty:
        return "not counted"
    return with_interval(*row.iloc[0][["value", "low", "high"]], _reason(row))


def _counted(row: dict) -> str:
    return f"{row['n']:g} {row['unit']}" if is_defined(row.get("n")) and "unit" in row else ""


def _wins(row: dict) -> str:
    known = is_defined(row.get("wins")) and is_defined(row.get("cells"))
    return f"{row['wins']:g} of {plural(int(row['cells']), 'cell')}" if known else ""


def _on_differences(differences: pd.DataFrame) -> list[str]:
    """What the intervals answer, and on what the findings rest."""
    notes = []
    if "question" in differences:
        for question, rows in differences.groupby("question", sort=False):
            methods = sorted(set(rows["method"].dropna()))
            wider = ", whichever is wider" if len(methods) > 1 else ""
            notes.append(f"The intervals answer {question} ({' or '.join(methods)}{wider}).")
    if "primary" not in differences:
        return notes
    primary = differences[differences["primary"].astype(bool)]
    name = name_of(primary.iloc[0]["metric"])
    pairs = plural(len(primary[["first", "second"]].drop_duplicates()), "pair")
    sizes = primary["train_size"].nunique(dropna=False)
    at = "" if sizes == 1 else f" at {sizes} sizes, all of them together"
    notes.append(
        f"Findings rest on {name}, the primary metric of the task; their p-values are adjusted for "
        f"{pairs}{at} (Holm). The other lines only describe."
    )
    for row in primary.to_dict("records"):
        if is_defined(row.get("low_adjusted")):
            text = f"{row['low_adjusted']:+.3f} to {row['high_adjusted']:+.3f}"
            size = size_text(row["train_size"])
            notes.append(f"{name}, {row['first']} - {row['second']}, {size}: adjusted interval {text}.")
    return notes


def _verdict(row: dict) -> str:
    if "primary" in row and is_defined(row["low"]):
        if not row["primary"]:
            return "not tested"
        known = "differ" if row["p_adjusted"] <= SIGNIFICANT else "not shown to differ"
        return f"{known} (p = {row['p_adjusted']:.2g})"
    if not (is_defined(row["low"]) and is_defined(row["high"])):
        return "none"
    return "excludes 0" if row["low"] > 0 or row["high"] < 0 else "includes 0"


def _spread_text(part: pd.DataFrame) -> str:
    if part.empty:
        return "not counted"
    value = part.iloc[0]["value"]
    return f"{value:.3f}" if is_defined(value) else f"undefined ({_reason(part) or NO_REASON})"


def _reason(table: pd.DataFrame) -> str:
    """The reason in the first row."""
    return text_of(table.iloc[0]["reason"]) if len(table) and "reason" in table else ""


def _reasons_of_defined(rows: list[dict], group: str) -> list[str]:
    """What was left out of pooled numbers with an interval; without one the table itself says why."""
    return [
        f"{name_of(row['metric'])}, pooled, {group}: {text_of(row['reason'])}."
        for row in rows
        if text_of(row.get("reason")) and is_defined(row["value"]) and is_defined(row["low"])
    ]
