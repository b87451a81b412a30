"""Forest plot: numbers with their intervals, a row each, a panel a metric."""

from collections.abc import Mapping, Sequence

import numpy as np

from mri_tf.core.words import printed_name
from mri_tf.figures import style, text

NAME_MM = 46.0  # width of the names of rows
NUMBERS_MM = 29.0  # beside a panel
MOST_PANELS = 3  # beside each other
NOTE = "Bars: 95 % intervals; a point without a bar has none."


@style.styled
def draw_forest(
    rows: Mapping[str, Mapping[str, dict]], metrics: Sequence[str], names: Mapping[str, str],
    note: str = "",
):  # fmt: skip
    """Draws a panel for each metric with a row for each class, group or site.

    Args:
        rows: name of a row -> metric -> a number of metrics.json; what is missing is left empty.
        metrics: keys of the numbers, in the order of the panels; all from 0 to 1.
        names: metric -> how people write it.
        note: small print below the figure, before what the bars are.
    """
    columns = 2 if len(metrics) == 4 else min(len(metrics), MOST_PANELS)
    lines = -(-len(metrics) // columns)
    labels = [text.wrapped(printed_name(name), NAME_MM) for name in rows]
    row_mm = (max(label.count("\n") for label in labels) + 1.5) * text.LINE_MM
    note = " ".join(filter(None, (note, NOTE)))
    height_mm = lines * (row_mm * len(labels) + 19.0) + style.note_mm(note, style.PAGE_MM)
    figure = style.new_figure(style.PAGE_MM, height_mm)
    panels = list(figure.subplots(lines, columns, sharey=True, squeeze=False).flat)
    for axes in panels[len(metrics):]:
        axes.set_axis_off()
    for axes, metric in zip(panels, metrics, strict=False):
        _draw_panel(axes, [numbers.get(metric) for numbers in rows.values()])
        axes.set_title(text.wrapped(names.get(metric, metric), style.PAGE_MM / columns - 6.0,
                                    text.LABEL_POINTS))  # fmt: skip
    panels[0].set_yticks(range(len(labels)), labels)
    panels[0].set_ylim(len(labels) - 0.5, -0.5)  # the first row on top
    style.add_note(figure, note)
    return style.described(figure, _in_words(rows, metrics, names))


def _draw_panel(axes, numbers: Sequence[dict | None]) -> None:
    right_of_panel = axes.get_yaxis_transform()  # x in shares of the panel, y in rows
    for place, number in enumerate(numbers):
        value, low, high = _limits(number)
        axes.plot(value, place, "o", color=style.COLOURS[0], clip_on=False)  # whole at 0 and 1
        axes.plot([low, high], [place, place], color=style.COLOURS[0], linewidth=1.2, zorder=1)
        axes.text(1.03, place, _text(value, low, high), transform=right_of_panel, va="center")
    axes.set_xlim(0, 1)
    axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    axes.grid(False, axis="y")


def _limits(number: dict | None) -> tuple[float, float, float]:
    values = [(number or {}).get(key) for key in ("value", "low", "high")]
    return tuple(np.nan if value is None else float(value) for value in values)


def _text(value: float, low: float, high: float) -> str:
    if np.isnan(value):
        return "–"
    return f"{value:.2f}" + ("" if np.isnan(low) else f" ({low:.2f}, {high:.2f})")


def _in_words(rows: Mapping, metrics: Sequence[str], names: Mapping[str, str]) -> str:
    parts = [
        f"{printed_name(name)}: " + ", ".join(
            f"{names.get(metric, metric)} {_text(*_limits(numbers.get(metric)))}" for metric in metrics
        ) for name, numbers in rows.items()
    ]  # fmt: skip
    return f"Forest plot with 95 % intervals. {'; '.join(parts)}."
