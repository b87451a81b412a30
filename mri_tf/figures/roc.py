"""ROC curves: a panel a class, with name, AUC and interval in its legend; of many classes a list."""

from collections.abc import Mapping

import numpy as np
from matplotlib.transforms import ScaledTranslation

from mri_tf.core.words import printed_name
from mri_tf.figures import style, text

MOST_PANELS = 9  # classes, with more of which the names and numbers stand in a list
MOST_BANDS = 3  # series in a panel, with more of which bands would hide each other
BAND = 0.12  # opacity
SHOWN = "AUC (95 % interval)"
BELOW_MM = 11.0  # from a panel to its legend: the numbers and the label of the axis
PANEL_MM = 68.0  # of the curves beside a list

Curves = Mapping[tuple[str, str], object]


@style.styled
def draw_roc(curves: Curves, note: str = ""):
    """Draws the ROC curve of each class against the rest, with its band, for one or more series.

    Up to nine classes have a panel each. Its legend has the name, the AUC and its interval. Of more
    classes these stand in a list beside the curves, by the AUC of the first series.

    Args:
        curves: by (series, class), in the order in which they are shown: each a `RocCurve` of
            `mri_tf.metrics.roc`. A single series needs no name ("").
        note: small print below the figure, before what the bands are.
    """
    names = list(dict.fromkeys(name for _, name in curves))
    many = len(names) > MOST_PANELS
    notes = ["Each class against the rest." if len(names) > 1 else "", note]
    notes += _on_undefined(curves, names) if many else _on_bands(curves)
    note = " ".join(filter(None, notes))
    figure = _draw_list(curves, names) if many else _draw_panels(curves, names, note)
    style.add_note(figure, note)
    style.settle(figure)
    return style.described(figure, f"ROC curves. {_areas(curves)}.")


def _draw_panels(curves: Curves, names: list[str], note: str):
    series = _series(curves)
    columns = len(names) if len(names) <= 2 else 2 if len(names) == 4 else 3
    rows = -(-len(names) // columns)
    width_mm = style.COLUMN_MM if len(names) == 1 else style.PAGE_MM
    panel_mm = width_mm / columns
    legends = {name: _legend(curves, name, panel_mm - 14.0) for name in names}
    lines = 2.5 + max(sum(label.count("\n") + 1.4 for label in labels) for labels in legends.values())
    height_mm = rows * (panel_mm - 12.0 + BELOW_MM + lines * text.LINE_MM) + 6.0
    figure = style.new_figure(width_mm, height_mm + style.note_mm(note, width_mm))
    figure.get_layout_engine().set(h_pad=0.06)
    panels = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes in panels[len(names):]:
        axes.set_axis_off()
    for axes, name in zip(panels, names, strict=False):
        lines = [_draw_curve(axes, curves[one, name], number, with_band=len(series) <= MOST_BANDS)
                 for number, one in enumerate(series)]  # fmt: skip
        _finish(axes)
        down = ScaledTranslation(0, -BELOW_MM / text.MM_PER_INCH, figure.dpi_scale_trans)
        title = f"{printed_name(name)}\n{SHOWN}" if len(series) > 1 else SHOWN
        axes.legend(lines, legends[name], title=title, handlelength=2.2, loc="upper center",
                    bbox_to_anchor=(0.5, 0), bbox_transform=axes.transAxes + down,
                    borderaxespad=0.0)  # fmt: skip
    return figure


def _draw_list(curves: Curves, names: list[str]):
    """A row a class: name, AUC with its interval drawn and in words; beside it a panel a series."""
    series = _series(curves)
    defined = [name for name in names if curves[series[0], name].auc["value"] is not None]
    defined.sort(key=lambda name: -curves[series[0], name].auc["value"])
    row_mm = (len(series) + 0.4) * text.LINE_MM
    list_mm = max(len(defined) * row_mm, len(series) * PANEL_MM)
    figure = style.new_figure(style.PAGE_MM, list_mm + 24.0)
    widest_mm = max((text.width_mm(printed_name(name)) for name in defined), default=0.0)
    beside_mm = widest_mm + text.width_mm("0.00 (0.00 to 0.00)") + PANEL_MM + 8.0
    left_mm = max(style.PAGE_MM - beside_mm, 20.0)
    grid = figure.add_gridspec(1, 2, width_ratios=(left_mm, PANEL_MM - 16.0))
    axes = figure.add_subplot(grid[0])
    _draw_rows(axes, curves, defined, series)
    rest_mm = max(list_mm - len(series) * PANEL_MM, 1e-3)
    beside = grid[1].subgridspec(len(series) + 1, 1, height_ratios=[*[PANEL_MM] * len(series), rest_mm])
    for number, one in enumerate(series):
        panel = figure.add_subplot(beside[number])
        for name in defined:
            _draw_curve(panel, curves[one, name], number).set(linewidth=0.6, alpha=0.5, linestyle="-")
        _finish(panel)
        panel.set_title(text.wrapped(f"each class, {one}" if one else "each class", PANEL_MM - 16.0))
    return figure


def _draw_rows(axes, curves: Curves, names: list[str], series: list[str]) -> None:
    right_of_panel = axes.get_yaxis_transform()  # x in shares of the panel, y in rows
    for number, one in enumerate(series):
        look = style.series(number) | {"linestyle": ""}
        apart = (number - (len(series) - 1) / 2) / (len(series) + 0.4)
        for row, name in enumerate(names):
            auc = {key: np.nan if value is None else value
                   for key, value in curves[one, name].auc.items()}  # fmt: skip
            axes.plot(auc["value"], row + apart, label=one if row == 0 else "_", **look)
            axes.plot([auc["low"], auc["high"]], [row + apart] * 2, color=look["color"], linewidth=1.0)
            axes.text(1.04, row + apart, _auc_text(curves[one, name]), transform=right_of_panel,
                      va="center")  # fmt: skip
    axes.axvline(0.5, zorder=1, **style.REFERENCE)
    axes.set_yticks(range(len(names)), map(printed_name, names))
    axes.set_ylim(len(names) - 0.5, -0.5)  # the highest AUC on top
    axes.set_xlim(0, 1.02)
    axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    axes.set_xlabel(SHOWN)
    axes.grid(False, axis="y")
    if len(series) > 1:
        style.add_legend(axes.figure, *axes.get_legend_handles_labels())


def _draw_curve(axes, curve, number: int, with_band: bool = False):
    """Draws a curve, where it is defined, and returns its line."""
    look = style.series(number) | {"marker": ""}
    if curve.auc["value"] is None:
        return axes.plot([], [], **look)[0]
    if with_band and len(curve.at):
        axes.fill_between(curve.at, curve.low, curve.high, color=look["color"], alpha=BAND, linewidth=0)
    return axes.plot(curve.false_rate, curve.true_rate, zorder=3, **look)[0]


def _finish(axes) -> None:
    axes.plot([0, 1], [0, 1], zorder=1, **style.REFERENCE)
    axes.set_aspect("equal")
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    axes.set_yticks([0, 0.5, 1], ["0", "0.5", "1"])
    axes.set_xlabel("1 − specificity")
    if axes.get_subplotspec().is_first_col():
        axes.set_ylabel("sensitivity")


def _series(curves: Curves) -> list[str]:
    return list(dict.fromkeys(series for series, _ in curves))


def _legend(curves: Curves, name: str, widest_mm: float) -> list[str]:
    """What a panel's legend says of each series: its name, or that of the class, AUC and interval."""
    labels = []
    for one in _series(curves):
        shown = one if len(_series(curves)) > 1 else printed_name(name)
        numbers = _auc_text(curves[one, name])
        fits = text.width_mm(f"{shown}: {numbers}") <= widest_mm
        labels.append(f"{shown}: {numbers}" if fits else f"{text.wrapped(shown, widest_mm)}:\n{numbers}")
    return labels


def _auc_text(curve) -> str:
    if curve.auc["value"] is None:
        return "undefined, " + ("no record" if np.isnan(curve.true_rate).any() else "no other record")
    return text.with_interval(*(curve.auc[key] for key in ("value", "low", "high")))


def _areas(curves: Curves) -> str:
    """The AUCs as a sentence; of many classes how far they reach."""
    if len(curves) <= MOST_PANELS:
        return "; ".join(
            f"{printed_name(name)}{', ' if series else ''}{series}: AUC {_auc_text(curve)}"
            for (series, name), curve in curves.items()
        )
    values = [curve.auc["value"] for curve in curves.values() if curve.auc["value"] is not None]
    reach = f"from {min(values):.2f} to {max(values):.2f}" if values else "undefined"
    return f"AUC of {len(curves)} curves {reach}"


def _on_undefined(curves: Curves, names: list[str]) -> list[str]:
    """Why some classes are not in the list."""
    without = [printed_name(name) for name in names
               if curves[_series(curves)[0], name].auc["value"] is None]  # fmt: skip
    return [f"No AUC, for want of records: {', '.join(without)}."] if without else []


def _on_bands(curves: Curves) -> list[str]:
    """What the bands are, and why curves have none."""
    if len(_series(curves)) > MOST_BANDS:
        return [f"No bands, as they would hide each other with more than {MOST_BANDS} curves."]
    sentences = []
    units = dict.fromkeys(curve.auc["unit"] for curve in curves.values() if len(curve.at))
    if units:
        of = " and ".join(units)
        sentences.append(f"Bands: 95 % interval of the sensitivity at each specificity, over {of}.")
    reasons: dict[str, list[str]] = {}
    for (_, name), curve in curves.items():
        if curve.why_no_band and curve.auc["value"] is not None:
            reasons.setdefault(curve.why_no_band, []).append(printed_name(name))
    sentences += [f"No band for {', '.join(dict.fromkeys(of))}: {why}." for why, of in reasons.items()]
    return sentences
