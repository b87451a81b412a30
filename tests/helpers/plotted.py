"""Made-up cells, predictions and curves for the tests of figures."""

import itertools

import numpy as np
import pandas as pd

from mri_tf import figures

VARIANTS = ("manual", "scratch")
CLASSES = ("lung_apex", "aortic_root", "four_chamber_view")
BINARY = ("grade_I", "grade_II_III")
CELLS = 6  # per variant and size: 2 folds x 3 repeats


def results(sizes=(2, 4, 18), variants=VARIANTS) -> pd.DataFrame:
    """One row per cell; metrics at random around a curve."""
    rng = np.random.default_rng(0)
    rows = []
    for (worse, variant), size, cell in itertools.product(enumerate(variants), sizes, range(CELLS)):
        accuracy = 0.8 - 0.1 * worse - 0.4 / (size or 40) + rng.normal(0, 0.03)
        rows.append(
            {"variant": variant, "train_size": size, "fold": cell % 2, "repeat": cell // 2,
             "status": "done", "reason": "", "accuracy": accuracy, "kappa": accuracy - 0.1,
             "majority_accuracy": 0.3 + 0.01 * (cell % 2)}
            | {f"f1_{name}": accuracy + rng.normal(0, 0.05) for name in CLASSES}
        )  # fmt: skip
    return pd.DataFrame(rows)


def predictions(class_names, variants=VARIANTS, repeats=3, records=60) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    tables = []
    for variant, repeat in itertools.product(variants, range(repeats)):
        truth = rng.integers(0, len(class_names), records)
        signal = 1.2 * np.eye(len(class_names))[truth]  # (records, classes)
        odds = np.exp(rng.normal(0, 1, signal.shape) + signal)
        table = pd.DataFrame(
            odds / odds.sum(axis=1, keepdims=True), columns=[f"p_{name}" for name in class_names]
        ).round(2)  # ties
        tables.append(
            table.assign(variant=variant, repeat=repeat, truth=[class_names[label] for label in truth])
        )
    return pd.concat(tables, ignore_index=True)


def differences() -> pd.DataFrame:
    columns = ["first", "second", "metric", "train_size", "difference", "low", "high"]
    rows = [
        ("manual", "scratch", "accuracy", 2, 0.10, 0.02, 0.18),
        ("manual", "scratch", "accuracy", 4, 0.03, -0.05, 0.11),
        ("manual", "scratch", "accuracy", 18, 0.01, None, None),
        ("manual", "scratch", "brier", 2, -0.04, -0.06, -0.02),
        ("manual", "scratch", "brier", 4, None, None, None),
    ]
    return pd.DataFrame(rows, columns=columns)


def calibration() -> figures.CalibrationCurve:
    return figures.CalibrationCurve(
        predicted=np.array([0.1, np.nan, 0.5, 0.9]),
        observed=np.array([0.0, np.nan, 0.4, 1.0]),
        counts=np.array([20, 0, 10, 30]),
        low=np.array([0.0, np.nan, 0.12, 0.88]),
        high=np.array([0.17, np.nan, 0.74, 1.0]),
    )


def decision(bands=None):
    thresholds = np.linspace(0.01, 0.99, 99)
    odds = thresholds / (1 - thresholds)
    benefit = {"manual": 0.25 - 0.02 * odds, "scratch": 0.2 - 0.04 * odds}
    figure = figures.draw_decision_curve(thresholds, benefit, 0.3 - 0.7 * odds, "high", bands)
    return figure, thresholds, benefit, odds
