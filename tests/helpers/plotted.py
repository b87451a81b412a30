"""Made-up cells, predictions and curves for the tests of figures."""

import itertools

import numpy as np
import pandas as pd

from mri_tf import figures, metrics
from mri_tf.metrics.roc import RocCurve, roc_curves

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
        odds = np.exp(np.round(2 * (rng.normal(0, 1, signal.shape) + signal)) / 2)  # some tie
        table = pd.DataFrame(
            odds / odds.sum(axis=1, keepdims=True), columns=[f"p_{name}" for name in class_names]
        )
        tables.append(
            table.assign(
                variant=variant, repeat=repeat, truth=[class_names[label] for label in truth],
                predicted=[class_names[label] for label in signal.argmax(axis=1)],
                patient=[f"P{number}" for number in range(records)],
            )
        )  # fmt: skip
    return pd.concat(tables, ignore_index=True)


def curves_of(table: pd.DataFrame, class_names) -> dict[tuple[str, str], RocCurve]:
    """The ROC curves of made-up predictions by (variant, class)."""
    curves = {}
    for variant, own in table.groupby("variant", sort=False):
        arrays = metrics.predictions_of(own, class_names)
        numbers = metrics.classification_metrics(*arrays, tuple(class_names))
        found = roc_curves(arrays, class_names, numbers["per_class"])
        curves |= {(variant, name): curve for name, curve in found.items()}
    return curves


def roc(class_names, **made):
    """The figure of the ROC curves of made-up predictions."""
    return figures.draw_roc(curves_of(predictions(class_names, **made), class_names))


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


def overlay(dimensions: int, strength: float = 1.0) -> figures.Overlay:
    """A bright ball in air with a map around a place in it, which reaches into the air."""
    shape = (12, 20, 24)[-dimensions:]
    axes = np.indices(shape)
    from_middle = sum((axis - size / 2) ** 2 for axis, size in zip(axes, shape, strict=True))
    place = [size // 2 + 3 for size in shape]
    from_place = sum((axis - at) ** 2 for axis, at in zip(axes, place, strict=True))
    ball = from_middle < 36
    image = np.where(ball, 100.0 + axes[-1], 0.0)
    return figures.Overlay(image, strength * 2e-4 * np.exp(-from_place / 9), ~ball)
