"""The numbers of a run or study as an experiment tracker takes them: dotted name -> value."""

import csv
import json
import math
from collections import defaultdict
from pathlib import Path

import numpy as np

from mri_tf.store.cells import BASELINES, NUMBERS, DoneCell


def numbers_of(metrics: dict) -> dict[str, float]:
    """The numbers of metrics.json that have a value and an interval, by dotted names.

    The ends of the interval are NAME.low and NAME.high.
    """
    found: dict[str, float] = {}

    def walk(values: dict, name: str) -> None:
        if "value" in values and "low" in values:
            for key, end in (("value", ""), ("low", ".low"), ("high", ".high")):
                number = values.get(key)
                if isinstance(number, int | float) and math.isfinite(number):
                    found[name + end] = float(number)
            return
        for key, value in values.items():
            if isinstance(value, dict) and key != BASELINES:
                walk(value, f"{name}.{key}" if name else str(key))

    walk(metrics, "")
    return found


def numbers_of_study(
    folder: Path, cells: list[tuple[DoneCell, dict[str, float]]]
) -> dict[str, float]:
    """The numbers of each variant and training size, as VARIANT.METRIC or VARIANT.SIZE.METRIC.

    Args:
        folder: of the study, whose numbers.json has those of all folds together.
        cells: that are done, with their numbers. Where the study has no numbers.json, such as one of
            segmentations, the means over the cells of a variant and size are taken, as mean.VARIANT...
    """
    if (folder / NUMBERS).is_file():
        rows = json_of(folder / NUMBERS, list)
        return {
            f"{_group(row['variant'], row['train_size'])}.{name}": value
            for row in rows for name, value in numbers_of(row["numbers"]).items()
        }  # fmt: skip
    groups = defaultdict(list)
    for cell, numbers in cells:
        groups[_group(cell.variant, cell.train_size)].append(numbers)
    return {
        f"mean.{group}.{name}": value
        for group, of_cells in groups.items() for name, value in _means(of_cells).items()
    }  # fmt: skip


def _group(variant: str, train_size: float | None) -> str:
    """A variant, with the training records of each class where not all were used."""
    return f"{variant}.{train_size:g}" if train_size else variant


def _means(cells: list[dict[str, float]]) -> dict[str, float]:
    """Of each metric that all cells have, the mean; intervals of single cells have none."""
    names = set.intersection(*map(set, cells))
    names = {name for name in names if not name.endswith((".low", ".high"))}
    return {name: float(np.mean([cell[name] for cell in cells])) for name in sorted(names)}


def history(path: Path) -> list[tuple[int, dict[str, float]]]:
    """(epoch, name -> value) of history.csv; none where there is no such file."""
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [
        (int(row.pop("epoch")), {name: float(text) for name, text in row.items() if text})
        for row in rows
    ]


def json_of(path: Path, kind: type = dict):
    """The values of a JSON file; empty where it cannot be read or holds another kind."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return kind()
    return values if isinstance(values, kind) else kind()
