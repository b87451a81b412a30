"""Compares `brain_tumor_type` with a random forest on 19 hand-made features, on the same folds.

    PYTHONPATH=. python benchmarks/brain_types_forest.py runs/brain_tumor_type/demo-5folds-s0
    PYTHONPATH=. python benchmarks/brain_types_forest.py studies/types --variant manual,demo

The folder is of `train --folds` or of `study`. The features are of the prepared volumes that the network
saw: size, intensities and how the sides differ, of what lies deep in the head, where scalp and skull
do not count. In every fold the forest learns from the patients of the training and the validation side,
and answers for those of the test side. Prints the numbers of both, and the network minus the forest.
"""

import argparse
import itertools
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import ndimage, stats

from mri_tf import metrics
from mri_tf.folds.cell import DONE
from mri_tf.store.prepared import Prepared, positions_in
from mri_tf.store.record import Record
from mri_tf.store.run import PREDICTIONS, RUN_FILE, Run, open_run, positions_of
from mri_tf.tables import markdown
from mri_tf.task import Task

RESULTS = "results.parquet"  # of a study
SHOWN = ("accuracy", "balanced_accuracy", "kappa", "auc")
PERCENTILES = (1, 10, 50, 90, 99)
EDGES = (-np.inf, -1.5, -0.75, 0.0, 0.75, 1.5, np.inf)  # SD from the mean, of six bins
DEPTH_MM = 28.0  # below the scalp: where only the brain is left, without its outer part
BLUR_VOXELS = 2.0
TREES = 1000


@dataclass(frozen=True)
class Fold:
    """A run of one fold, and what the network answered for its test side."""

    run: Run
    answers: pd.DataFrame  # a row a record, as in predictions.parquet


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="of train --folds, or of a study")
    parser.add_argument("--variant", help="of a study; the only one if not given")
    parser.add_argument("--seed", type=int, default=0, help="of the forests")
    flags = parser.parse_args()
    folds = folds_of(flags.folder, flags.variant)
    task = folds[0].run.task
    prepared = Prepared.open(folds[0].run.data_folder)
    table = np.stack([features(prepared.record(number)) for number in range(len(prepared))])
    network, forest = [], []
    for fold in folds:
        network.append(metrics.predictions_of(fold.answers, task.class_names))
        forest.append(forest_answers(fold, prepared, table, flags.seed))
    print(f"{table.shape[1]} features of {len(prepared)} volumes, {len(folds)} folds\n")
    print(numbers_table({"network": network, "forest": forest}, task), "\n")
    print(difference_table(network, forest, test_share(folds)))


def folds_of(folder: Path, variant: str | None) -> list[Fold]:
    """The folds of a cross-validation, or the finished cells of a study's variant."""
    if not (folder / RESULTS).is_file():
        whole = pd.read_parquet(folder / PREDICTIONS)
        members = json.loads((folder / RUN_FILE).read_text(encoding="utf-8"))["members"]
        return [
            Fold(
                open_run(folder / member["folder"]),
                whole[(whole["repeat"] == member["repeat"]) & (whole["fold"] == member["fold"])],
            )
            for member in members
        ]
    cells = pd.read_parquet(folder / RESULTS)
    cells = cells[cells["status"] == DONE]
    variants = [variant] if variant else list(cells["variant"].unique())
    if len(variants) != 1 or not (cells["variant"] == variants[0]).any():
        raise SystemExit(f"Give one --variant of: {', '.join(cells['variant'].unique())}.")
    runs = [
        next((folder / "cells" / name).glob(f"s*/{RUN_FILE}")).parent
        for name in cells.loc[cells["variant"] == variants[0], "cell"]
    ]
    return [Fold(open_run(run), pd.read_parquet(run / PREDICTIONS)) for run in runs]


def features(record: Record) -> np.ndarray:
    """The 19 numbers of a prepared volume: one of its size, fourteen of its intensities and four of its
    asymmetry."""
    image = record.image[..., 0].astype(np.float64)  # (depth, rows, columns)
    head = np.pad(ndimage.binary_fill_holes(image != 0), 1)
    depth_mm = ndimage.distance_transform_edt(head, sampling=record.spacing_mm)[1:-1, 1:-1, 1:-1]
    inside = depth_mm > DEPTH_MM
    values = image[inside]  # (voxels of the deep part,)
    mean, deviation = values.mean(), values.std()
    scores = np.where(inside, (image - mean) / deviation, 0)
    shares = np.histogram(scores[inside], EDGES)[0] / len(values)
    of_intensity = [mean, deviation, stats.skew(values), *np.percentile(values, PERCENTILES), *shares]
    volume_ml = len(values) * np.prod(record.spacing_mm) / 1000
    return np.array([volume_ml, *of_intensity, *asymmetry(scores, inside)])


def asymmetry(scores: np.ndarray, inside: np.ndarray) -> list[float]:
    """How the right and the left half differ, about the middle of the grid's columns: in their mean and
    histogram, and voxel by voxel on average and, blurred, at the most different hundredth."""
    middle = scores.shape[2] // 2
    right, left = scores[..., :middle], scores[..., middle:]
    right, left = right[inside[..., :middle]], left[inside[..., middle:]]
    bins = np.linspace(-4, 4, 33)
    one, other = (np.histogram(np.clip(half, -4, 4), bins)[0] / len(half) for half in (right, left))
    both = inside & inside[..., ::-1]
    difference = np.abs(scores - scores[..., ::-1])[both]
    share = ndimage.gaussian_filter(inside.astype(float), BLUR_VOXELS)  # of the deep part in the blur
    blurred = ndimage.gaussian_filter(scores, BLUR_VOXELS) / np.maximum(share, 0.05)
    blurred = np.abs(blurred - blurred[..., ::-1])[both]
    return [
        abs(right.mean() - left.mean()), np.abs(one - other).sum(), difference.mean(),
        np.percentile(blurred, 99),
    ]  # fmt: skip


def forest_answers(
    fold: Fold, prepared: Prepared, table: np.ndarray, seed: int
) -> metrics.Predictions:
    """What a forest says of a fold's test side, in the order of the network's answers."""
    from sklearn.ensemble import RandomForestClassifier

    train, validation, _ = positions_of(fold.run, prepared)
    fitted = np.concatenate([train, validation])
    own = positions_in(prepared, fold.answers["record_id"])
    forest = RandomForestClassifier(TREES, class_weight="balanced", random_state=seed)
    forest.fit(table[fitted], prepared.labels[fitted])
    chances = forest.predict_proba(table[own])
    return metrics.Predictions(
        prepared.labels[own], chances, chances.argmax(axis=1), prepared.patients[own].astype(str)
    )


def test_share(folds: list[Fold]) -> float:
    """Records of a test side over those of its training side, on average."""
    counts = [[len(fold.run.sides[side]) for side in ("test", "train")] for fold in folds]
    return float(np.divide(*np.mean(counts, axis=0)))


def numbers_table(methods: dict[str, list[metrics.Predictions]], task: Task) -> str:
    """All test answers of each method together."""
    rows = []
    for name, cells in methods.items():
        whole = metrics.Predictions(*(np.concatenate(column) for column in zip(*cells, strict=True)))
        fold = np.array(list(itertools.chain(*([k] * len(c.truth) for k, c in enumerate(cells)))))
        once = len(set(whole.patients)) == len(whole.patients)
        numbers = metrics.classification_metrics(
            *whole, task.class_names, ordered=task.ordered, folds=fold if once else None
        )
        rows.append([name, *(text(numbers[measure], "value") for measure in SHOWN)])
    rows.append(["largest class", f"{numbers['majority_accuracy']:.3f}", "", "", ""])
    return markdown(rows, ["method", *SHOWN])


def difference_table(
    first: list[metrics.Predictions], second: list[metrics.Predictions], share: float
) -> str:
    """First minus second, with the wider of the bootstrap and the corrected resampled t interval."""
    numbers = metrics.paired_differences(first, second, test_share=share)
    rows = [
        [measure, text(numbers[measure], "difference"), p_text(numbers[measure]["p"]),
         f"{numbers[measure]['wins']} of {numbers[measure]['cells']}",
         numbers[measure]["method"] or numbers[measure]["reason"]]
        for measure in SHOWN
    ]  # fmt: skip
    return markdown(rows, ["network minus forest", "difference", "p", "better in", "interval"])


def p_text(p: float | None) -> str:
    """A p-value, where there is one."""
    return "none" if p is None else f"{p:.3f}"


def text(number: dict, key: str) -> str:
    """`0.61 (0.48 to 0.73)`."""
    if number["low"] is None:
        return f"{number[key]:.3f}"
    return f"{number[key]:.3f} ({number['low']:.3f} to {number['high']:.3f})"


if __name__ == "__main__":
    main()
