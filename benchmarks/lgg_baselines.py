"""Compares a finished study of `lgg_grade` with the largest class, tumour volume and age.

    python benchmarks/lgg_baselines.py --study STUDY --raw $MRI_SHARED/data/lgg

The baselines are logistic regressions on one number a patient: the logarithm of the tumour's voxels in
the manual mask (true spacings are unknown), or the age in years. They are fitted on the training and
validation side of each fold and predict its test side. Prints three tables: each method, the paired
differences from the network, and the network at each site.
"""

import argparse
import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd

CLASSES = ("II", "III")


def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    flags.add_argument("--study", required=True, type=Path)
    flags.add_argument("--raw", required=True, type=Path)
    flags.add_argument("--variant", default="manual")
    flags = flags.parse_args()
    people = patient_table(flags.raw)
    cells = [cell_table(folder, people) for folder in cells_of(flags.study, flags.variant)]
    print(pooled_table(cells), "\n")
    print(difference_table(cells), "\n")
    print(site_table(cells))


def patient_table(raw: Path) -> pd.DataFrame:
    """One row a patient: grade, site, age in years, voxels of the tumour."""
    people = pd.read_csv(raw / "manifest.csv", dtype={"patient_id": str}).set_index("patient_id")
    people["voxels"] = [tumour_voxels(raw / patient) for patient in people.index]
    people["age"] = pd.to_numeric(people["age"])
    return people


def tumour_voxels(folder: Path) -> int:
    """Of a patient's manual mask."""
    (file,) = folder.glob("seg.nii*")
    return int(np.count_nonzero(np.asanyarray(nib.load(file).dataobj)))


def cells_of(study: Path, variant: str) -> list[Path]:
    """Folders of the finished cells of a variant."""
    found = pd.read_parquet(study / "results.parquet")
    done = found[(found["variant"] == variant) & (found["status"] == "done")]
    if done.empty:
        raise SystemExit(f"{study} has no finished cell of variant {variant}")
    return [study / "cells" / name for name in done["cell"]]


def cell_table(folder: Path, people: pd.DataFrame) -> pd.DataFrame:
    """Test patients of a cell: truth, site and the probability of grade III from each method."""
    split = json.loads((folder / "split.json").read_text(encoding="utf-8"))
    predictions = next(folder.glob("s*/predictions.parquet"))
    table = pd.read_parquet(predictions)[["patient", "truth", "predicted", "p_III"]]
    table = table.rename(columns={"p_III": "network", "predicted": "network_says"})
    fitted = people.loc[[*split["train"], *split["validation"]]]
    own = people.loc[table["patient"]]
    table["site"] = own["site"].to_numpy()
    for name, column in (("tumour volume", "voxels"), ("age", "age")):
        table[name] = logistic(fitted, own, column)
    table["majority"] = float((fitted["grade"] == "III").mean())
    return table


def logistic(fitted: pd.DataFrame, own: pd.DataFrame, column: str) -> np.ndarray:
    """Probability of grade III from one number; a missing one is the fitted side's median."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    def values(table: pd.DataFrame) -> np.ndarray:
        filled = table[column].fillna(fitted[column].median()).to_numpy(float)
        return (np.log1p(filled) if column == "voxels" else filled)[:, None]

    model = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced"))
    model.fit(values(fitted), fitted["grade"] == "III")
    return model.predict_proba(values(own))[:, 1]


METHODS = ("network", "tumour volume", "age", "majority")


def predictions_of(table: pd.DataFrame, method: str):
    """What the metrics take; decisions at 0.5, the network's at its own operating point."""
    from mri_tf import metrics

    high = table[method].to_numpy(float)
    said = (table["network_says"] == "III").to_numpy() if method == "network" else high >= 0.5
    truth = (table["truth"] == "III").to_numpy()
    return metrics.Predictions(
        truth.astype(int), np.stack([1 - high, high], axis=1), said.astype(int),
        table["patient"].to_numpy(),
    )  # fmt: skip


def text(number: dict, key: str = "value") -> str:
    """`0.61 (0.48 to 0.73)`."""
    if number[key] is None or np.isnan(number[key]):
        return "undefined"
    interval = "" if number["low"] is None else f" ({number['low']:.3f} to {number['high']:.3f})"
    return f"{number[key]:.3f}{interval}"


def pooled_table(cells: list[pd.DataFrame]) -> str:
    """Every test prediction of all folds together."""
    from mri_tf import metrics

    table = pd.concat(cells, ignore_index=True)
    lines = ["| method | AUC | balanced accuracy | accuracy |", "|---|---|---|---|"]
    for method in METHODS:
        given = predictions_of(table, method)
        numbers = metrics.classification_metrics(
            given.truth, given.probabilities, given.predicted, given.patients, CLASSES
        )
        shown = [text(numbers[name]) for name in ("auc", "balanced_accuracy", "accuracy")]
        lines.append(f"| {method} | {' | '.join(shown)} |")
    return "\n".join(lines)


def difference_table(cells: list[pd.DataFrame]) -> str:
    """Network minus each baseline, on the same patients and folds."""
    from mri_tf import metrics

    lines = ["| network minus | AUC | balanced accuracy |", "|---|---|---|"]
    for method in METHODS[1:]:
        pairs = [[predictions_of(cell, name) for cell in cells] for name in ("network", method)]
        numbers = metrics.paired_differences(*pairs, ordered=True)
        shown = [text(numbers[name], "difference") for name in ("auc", "balanced_accuracy")]
        lines.append(f"| {method} | {' | '.join(shown)} |")
    return "\n".join(lines)


def site_table(cells: list[pd.DataFrame]) -> str:
    """AUC of the network a site, where it has both grades."""
    from mri_tf import metrics

    table = pd.concat(cells, ignore_index=True)
    lines = ["| site | II | III | AUC of the network |", "|---|---|---|---|"]
    for site, own in table.groupby("site"):
        given = predictions_of(own, "network")
        counts = np.bincount(given.truth, minlength=2)
        auc = "one grade only"
        if counts.min():
            numbers = metrics.classification_metrics(
                given.truth, given.probabilities, given.predicted, given.patients, CLASSES
            )
            auc = text(numbers["auc"])
        lines.append(f"| {site} | {counts[0]} | {counts[1]} | {auc} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
