"""Forest plot of paired differences between variants on the same splits."""

import math

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from mri_tf.core.metric_names import name_of
from mri_tf.figures import style, text

MOST_ROWS = 40  # in one column of panels
NAME_MM = 56.0  # width of the names of pairs
NOTE = (
    "Right of 0: the first variant has the higher value. Bars: 95 % intervals; "
    "filled where they exclude 0."
)


@style.styled
def draw_paired(differences: pd.DataFrame):
    """Draws one panel per metric with one row per pair and size, and a line at no difference.

    Args:
        differences: first, second, metric, difference (first minus second), low, high and, with
            several training sizes, train_size. An undefined difference (NaN) is named in its row.
    """
    metrics = list(pd.unique(differences["metric"]))
    labels = list(pd.unique(_labels(differences)))
    columns = 1 if len(metrics) * len(labels) <= MOST_ROWS else 2
    rows = math.ceil(len(metrics) / columns)
    shown = [text.wrapped(label, NAME_MM) for label in labels]
    row_mm = (max(label.count("\n") for label in shown) + 1.4) * text.LINE_MM
    height_mm = rows * (17.0 + row_mm * len(labels)) + style.note_mm(NOTE, style.PAGE_MM)
    figure = style.new_figure(style.PAGE_MM, height_mm)
    panels = list(figure.subplots(rows, columns, sharey=True, squeeze=False).flat)
    for axes in panels[len(metrics):]:
        axes.set_axis_off()
    for axes, metric in zip(panels, metrics, strict=False):
        of_metric = differences[differences["metric"] == metric]
        _draw_rows(axes, of_metric, [labels.index(label) for label in _labels(of_metric)])
        axes.axvline(0, zorder=1, **style.REFERENCE)
        better = " (lower is better)" if metric in style.ERRORS else ""
        axes.set_title(f"{name_of(metric)}{better}")
        axes.set_xlabel("difference")
        axes.grid(False, axis="y")
        axes.xaxis.set_major_locator(MaxNLocator(4 if columns == 1 else 2, steps=[1, 2, 5, 10]))
    panels[0].set_yticks(range(len(labels)), shown)
    panels[0].set_ylim(len(labels) - 0.5, -0.5)  # first row on top
    style.add_note(figure, NOTE)
    return style.described(figure, f"Differences of {len(labels)} pairs of variants in "
                                   f"{', '.join(map(name_of, metrics))}, with 95 % "
                                   "intervals; those that exclude 0 are filled.")  # fmt: skip


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
        numbers = text.with_interval(value, low, high, sign="+")
        axes.text(1.02, place, numbers, transform=right_of_panel, va="center")
