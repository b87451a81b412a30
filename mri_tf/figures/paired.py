"""Forest plot of paired differences between variants on the same splits."""

import math

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from mri_tf.figures import style


@style.styled
def draw_paired(differences: pd.DataFrame):
    """Draws one panel per metric with one row per pair and size, and a line at no difference.

    Args:
        differences: first, second, metric, difference (first minus second), low, high and, with
            several training sizes, train_size. An undefined difference (NaN) is named in its row.
    """
    metrics = list(pd.unique(differences["metric"]))
    labels = list(pd.unique(_labels(differences)))
    width_mm = style.COLUMN_MM if len(metrics) == 1 else style.PAGE_MM
    columns = len(metrics) if len(metrics) <= 3 else 2
    rows = math.ceil(len(metrics) / columns)
    figure = style.new_figure(width_mm, 10.0 + rows * (16.0 + 6.5 * len(labels)))
    panels = list(figure.subplots(rows, columns, sharey=True, squeeze=False).flat)
    for axes in panels[len(metrics):]:
        axes.set_axis_off()
    for axes, metric in zip(panels, metrics, strict=False):
        of_metric = differences[differences["metric"] == metric]
        _draw_rows(axes, of_metric, [labels.index(label) for label in _labels(of_metric)])
        axes.axvline(0, zorder=1, **style.REFERENCE)
        axes.set_title(style.label(metric) + (" (lower is better)" if metric in style.ERRORS else ""))
        axes.set_xlabel("difference")
        axes.grid(False, axis="y")
        axes.xaxis.set_major_locator(MaxNLocator(2, steps=[1, 2, 5, 10]))
    panels[0].set_yticks(range(len(labels)), labels)
    panels[0].set_ylim(len(labels) - 0.5, -0.5)  # first row on top
    style.add_note(figure, "Right of 0: the first variant has the higher value. Bars: 95 % intervals; "
                           "filled where they exclude 0.")  # fmt: skip
    return figure


def _labels(differences: pd.DataFrame) -> pd.Series:
    pairs = differences["first"].astype(str) + " − " + differences["second"].astype(str)
    if "train_size" not in differences:
        return pairs
    sizes = pd.to_numeric(differences["train_size"]).astype(float)
    if sizes.isna().all():
        return pairs
    return pairs + sizes.map(lambda size: ", all" if np.isnan(size) else f", {size:g} per class")


def _draw_rows(axes, differences: pd.DataFrame, places: list[int]) -> None:
    right_of_panel = axes.get_yaxis_transform()  # x in shares of the panel, y in rows
    for place, row in zip(places, differences.itertuples(), strict=True):
        value, low, high = (float(v) if v is not None else np.nan
                            for v in (row.difference, row.low, row.high))  # fmt: skip
        excludes_0 = low > 0 or high < 0
        axes.plot(value, place, "o", color=style.COLOURS[0], fillstyle="full" if excludes_0 else "none")
        axes.plot([low, high], [place, place], color=style.COLOURS[0], linewidth=1.0, zorder=1)
        axes.text(1.02, place, _text(value, low, high), transform=right_of_panel, va="center",
                  fontsize=style.NOTE_POINTS)  # fmt: skip


def _text(value: float, low: float, high: float) -> str:
    if np.isnan(value):
        return "undefined"
    if np.isnan([low, high]).any():
        return f"{value:+.2f} (no interval)".replace("-", "−")
    return f"{value:+.2f} ({low:+.2f} to {high:+.2f})".replace("-", "−")
