"""Forest plot of paired differences between variants that saw the same splits."""

import math

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from mri_tf.figures.style import (
    COLOURS,
    COLUMN_MM,
    ERRORS,
    NOTE_POINTS,
    PAGE_MM,
    REFERENCE,
    add_note,
    new_figure,
    styled,
    words,
)


@styled
def draw_paired(differences: pd.DataFrame):
    """One panel a metric, one row a pair and size; the zero line is "no difference".

    `differences` holds first, second, metric, difference (first minus second), low, high and, of a
    sweep, train_size. A difference without interval has none drawn; one that is NaN is named.
    """
    metrics = list(pd.unique(differences["metric"]))
    labels = list(pd.unique(_labels(differences)))
    width_mm = COLUMN_MM if len(metrics) == 1 else PAGE_MM
    columns = len(metrics) if len(metrics) <= 3 else 2
    rows = math.ceil(len(metrics) / columns)
    figure = new_figure(width_mm, 10.0 + rows * (16.0 + 6.5 * len(labels)))
    panels = list(figure.subplots(rows, columns, sharey=True, squeeze=False).flat)
    for axes in panels[len(metrics):]:
        axes.set_axis_off()
    for axes, metric in zip(panels, metrics, strict=False):
        own = differences[differences["metric"] == metric]
        places = [labels.index(label) for label in _labels(own)]
        _draw_rows(axes, own, places)
        axes.axvline(0, zorder=1, **REFERENCE)
        axes.set_title(words(metric) + (" (less is better)" if metric in ERRORS else ""))
        axes.set_xlabel("difference")
        axes.grid(False, axis="y")
        axes.xaxis.set_major_locator(MaxNLocator(2, steps=[1, 2, 5, 10]))
    panels[0].set_yticks(range(len(labels)), labels)
    panels[0].set_ylim(len(labels) - 0.5, -0.5)  # first row on top
    add_note(figure, "Right of 0: the first named is higher. Bars: 95 % intervals; filled where they "
                     "exclude 0.")  # fmt: skip
    return figure


def _labels(differences: pd.DataFrame) -> pd.Series:
    pairs = differences["first"].astype(str) + " − " + differences["second"].astype(str)
    if "train_size" not in differences:
        return pairs
    sizes = pd.to_numeric(differences["train_size"]).astype(float)
    if sizes.isna().all():
        return pairs
    return pairs + sizes.map(lambda size: ", all" if np.isnan(size) else f", {size:g} a class")


def _draw_rows(axes, differences: pd.DataFrame, places: list[int]) -> None:
    beside = axes.get_yaxis_transform()  # x in shares of the panel, y in rows
    for place, row in zip(places, differences.itertuples(), strict=True):
        value, low, high = (float(v) if v is not None else np.nan
                            for v in (row.difference, row.low, row.high))  # fmt: skip
        sure = low > 0 or high < 0
        axes.plot(value, place, "o", color=COLOURS[0], fillstyle="full" if sure else "none")
        axes.plot([low, high], [place, place], color=COLOURS[0], linewidth=1.0, zorder=1)
        axes.text(1.02, place, _text(value, low, high), transform=beside, va="center",
                  fontsize=NOTE_POINTS)  # fmt: skip


def _text(value: float, low: float, high: float) -> str:
    if np.isnan(value):
        return "undefined"
    if np.isnan([low, high]).any():
        return f"{value:+.2f} (no interval)".replace("-", "−")
    return f"{value:+.2f} ({low:+.2f} to {high:+.2f})".replace("-", "−")
