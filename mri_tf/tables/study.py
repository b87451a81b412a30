"""The tables of a study: scores a variant and size, paired differences, spread, what is left out."""

import pandas as pd

from mri_tf.tables.layout import (
    NO_REASON,
    is_defined,
    many,
    markdown,
    mean_sd,
    text_of,
    with_interval,
    with_notes,
)

KEYS = ["train_size", "variant"]
MAJORITY = "majority_accuracy"
PARTS = ("folds", "seeds", "total")
NO_INTERVAL_MEANT = "a closed form without an interval"  # what mri_tf.metrics says of every spread


def score_table(
    results: pd.DataFrame,
    metrics: tuple[str, ...] = ("accuracy", "kappa", "f1_macro"),
    pooled: pd.DataFrame | None = None,
) -> str:
    """Mean ± SD over the done cells of `results` (one row a cell), one line a size and variant.

    `pooled` (variant, train_size, metric, value, low, high; n, unit, reason where known) adds a
    column a metric with the number of all held-out predictions together and its interval. A NaN of
    a done cell is counted, with the reason of the column <metric>_reason or `reason`.
    """
    results = _with_sizes(results)
    pooled = None if pooled is None else _with_sizes(pooled)
    rows, notes = [], []
    for (size, variant), cells in _groups(results):
        done = cells[cells["status"] == "done"]
        row = [_size_text(size), variant, f"{len(done)} of {len(cells)}"]
        mine = None if pooled is None else _of(pooled, size, variant)
        for metric in metrics:
            row.append(_over_cells(done, metric))
            if mine is not None:
                row.append(_pooled_text(mine, metric))
            if metric == "accuracy":
                row.append(_majority(done))
        if mine is not None:
            row.append(_counted(mine[mine["metric"].isin(metrics)]))
            notes += _reasons_of_defined(mine, "value", f"{variant}, {_size_text(size)}", metrics)
        rows.append(row)
    columns = ["samples a class", "variant", "cells done"]
    for metric in metrics:
        columns += [metric, f"{metric}, pooled (95 % interval)"][: 1 if pooled is None else 2]
        columns += ["majority class"] if metric == "accuracy" else []
    columns += [] if pooled is None else ["counted"]
    below = ["Mean ± SD over the cells that are done.", left_out(results), *notes]
    return with_notes(markdown(rows, columns), below)


def left_out(results: pd.DataFrame) -> str:
    """One line about the cells that are not done, alike ones together; empty where all are."""
    lost = _with_sizes(results[results["status"] != "done"])
    if lost.empty:
        return ""
    named = []
    for (size, variant), cells in _groups(lost):
        why = cells["reason"].map(text_of).replace("", NO_REASON)
        for reason, count in why.value_counts().items():
            samples = "all samples" if pd.isna(size) else f"{size:g} samples a class"
            named.append(f"{variant}, {samples}: {count} ({reason})")
    return f"{many(len(lost), 'cell')} of {len(results)} failed, in no mean: {'; '.join(named)}."


def paired_table(differences: pd.DataFrame) -> str:
    """One line a pair, size and metric: first minus second on the same cells, with its interval.

    `differences` holds first, second, metric, difference, low, high and, where known, train_size,
    n, unit, wins, cells, better, reason: the form of `mri_tf.metrics.paired_differences`.
    """
    differences = _with_sizes(differences)
    rows, said = [], {}
    for row in differences.to_dict("records"):
        name = f"{row['first']} - {row['second']}"
        size, reason = _size_text(row["train_size"]), text_of(row.get("reason"))
        text = with_interval(row["difference"], row["low"], row["high"], reason, signed=True)
        better = text_of(row.get("better"))
        rows.append([size, name, row["metric"] + (f" ({better} is better)" if better else ""),
                     text, _says(row), _wins(row), _amount(row)])  # fmt: skip
        if reason and reason not in text:
            said.setdefault(reason, []).append(f"{row['metric']}, {name}, {size}")
    notes = [
        f"{'Every line' if len(own) == len(rows) > 1 else '; '.join(own)}: {reason}."
        for reason, own in said.items()
    ]
    columns = ["samples a class", "pair", "metric", "difference (95 % interval)", "interval",
               "first better in", "counted"]  # fmt: skip
    known = [0, 1, 2, 3, 4] + [at for at in (5, 6) if any(row[at] for row in rows)]
    return with_notes(
        markdown([[row[at] for at in known] for row in rows], [columns[at] for at in known]), notes
    )


def spread_table(spreads: pd.DataFrame) -> str:
    """SD between folds (which patients) and between seeds (chance in training), one line a metric.

    `spreads` is long: variant, train_size, metric, part ("folds", "seeds", "total"; others are not
    shown), value, reason: the numbers of `mri_tf.metrics.spread`.
    """
    spreads = _with_sizes(spreads)
    rows, notes = [], []
    for (size, variant), numbers in _groups(spreads):
        for metric in pd.unique(numbers["metric"]):
            own = numbers[numbers["metric"] == metric]
            parts = [own[own["part"] == part] for part in PARTS]
            rows.append([_size_text(size), variant, metric, *map(_spread_text, parts)])
            said = [reason for part in parts if len(part) and is_defined(part.iloc[0]["value"])
                    for reason in _reason(part).split("; ")]  # fmt: skip
            said = [reason for reason in dict.fromkeys(said) if reason not in ("", NO_INTERVAL_MEANT)]
            if said:
                notes.append(f"{metric}, {variant}, {_size_text(size)}: {'; '.join(said)}.")
    columns = ["samples a class", "variant", "metric", "SD of folds", "SD of seeds", "total SD"]
    return with_notes(markdown(rows, columns), notes)


def _with_sizes(table: pd.DataFrame) -> pd.DataFrame:
    """train_size as float, NaN for all of the training side; None and NA count as that too."""
    if "train_size" not in table:
        return table.assign(train_size=float("nan"))
    sizes = table["train_size"].astype(object).where(table["train_size"].notna(), float("nan"))
    return table.assign(train_size=sizes.astype(float))


def _groups(table: pd.DataFrame):
    """((size, variant), rows): sizes ascending, all last; variants in their order of appearance."""
    for size in sorted(pd.unique(table["train_size"]), key=lambda size: (pd.isna(size), size)):
        for variant in pd.unique(table["variant"]):
            rows = _of(table, size, variant)
            if len(rows):
                yield (size, variant), rows


def _of(table: pd.DataFrame, size: float, variant: str) -> pd.DataFrame:
    sizes = table["train_size"]
    same = sizes.isna() if pd.isna(size) else sizes == size
    return table[same & (table["variant"] == variant)]


def _size_text(size: float) -> str:
    return "all" if pd.isna(size) else f"{size:g}"


def _over_cells(done: pd.DataFrame, metric: str) -> str:
    if done.empty:
        return "undefined (no cell done)"
    lost = done[~done[metric].map(is_defined)]
    reasons = lost[f"{metric}_reason"] if f"{metric}_reason" in done else lost["reason"]
    return mean_sd(done[metric], reasons)


def _majority(done: pd.DataFrame) -> str:
    return f"{done[MAJORITY].mean():.3f}" if len(done) else "undefined (no cell done)"


def _pooled_text(mine: pd.DataFrame, metric: str) -> str:
    one = mine[mine["metric"] == metric]
    if one.empty:
        return "not counted"
    return with_interval(*one.iloc[0][["value", "low", "high"]], _reason(one))


def _counted(mine: pd.DataFrame) -> str:
    return "; ".join(dict.fromkeys(_amount(row) for row in mine.to_dict("records")))


def _amount(row: dict) -> str:
    return f"{row['n']:g} {row['unit']}" if is_defined(row.get("n")) and "unit" in row else ""


def _wins(row: dict) -> str:
    known = is_defined(row.get("wins")) and is_defined(row.get("cells"))
    return f"{row['wins']:g} of {many(int(row['cells']), 'cell')}" if known else ""


def _says(row: dict) -> str:
    if not (is_defined(row["low"]) and is_defined(row["high"])):
        return "says nothing"
    return "excludes 0" if row["low"] > 0 or row["high"] < 0 else "includes 0"


def _spread_text(one: pd.DataFrame) -> str:
    if one.empty:
        return "not counted"
    value = one.iloc[0]["value"]
    return f"{value:.3f}" if is_defined(value) else f"undefined ({_reason(one) or NO_REASON})"


def _reason(one: pd.DataFrame) -> str:
    return text_of(one.iloc[0]["reason"]) if len(one) and "reason" in one else ""


def _reasons_of_defined(mine: pd.DataFrame, value: str, name: str, metrics: tuple[str, ...]) -> list:
    """What was left out of a number that has an interval; without one the table itself says why."""
    return [
        f"{row['metric']}, pooled, {name}: {text_of(row.get('reason'))}."
        for row in mine.to_dict("records")
        if row["metric"] in metrics and text_of(row.get("reason"))
        and is_defined(row[value]) and is_defined(row["low"])
    ]  # fmt: skip
