"""Compares several runs of a task, and pools their held-out patients.

    python benchmarks/pool_runs.py runs/sax_levels/manual-s0 runs/sax_levels/manual-s1 ...

Prints a row for each run and one for all together: accuracy, kappa and macro F1 with intervals. In the
pooled row a patient who is held out in several runs is one patient, so the interval has the width that
the number of different patients gives.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd

from mri_tf import metrics
from mri_tf.metrics.classifier_intervals import count_intervals

MEASURES = {"accuracy": metrics.accuracy, "kappa": metrics.kappa, "f1_macro": metrics.f1_macro}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("runs", nargs="+", type=Path)
    runs = parser.parse_args().runs
    tables, epochs = [], []
    print(f"| run | patients | images | epochs | {' | '.join(MEASURES)} |")
    print("|---" * (4 + len(MEASURES)) + "|")
    for run in runs:
        values = json.loads((run / "run.json").read_text(encoding="utf-8"))
        tables.append(pd.read_parquet(run / "predictions.parquet"))
        epochs.append(values["best_epoch"])
        print_row(run.name, tables[-1], values["task"]["class_names"], str(epochs[-1]))
    print_row("pooled", pd.concat(tables), values["task"]["class_names"], "")


def print_row(name: str, table: pd.DataFrame, class_names: list[str], epochs: str) -> None:
    place = {label: number for number, label in enumerate(class_names)}
    truth, predicted = (table[key].map(place).to_numpy() for key in ("truth", "predicted"))
    by_patient = metrics.confusion_by_patient(
        truth, predicted, np.asarray(table["patient"]), len(class_names)
    )
    cells = []
    intervals = count_intervals(by_patient, ordered=False)
    for name, measure in MEASURES.items():
        low, high, _ = intervals[name]
        cells.append(f"{float(measure(by_patient.sum(axis=0))):.3f} ({low:.3f} to {high:.3f})")
    print(f"| {name} | {len(by_patient)} | {len(table)} | {epochs} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
