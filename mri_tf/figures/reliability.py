"""Calibration plots and decision curves."""

from dataclasses import dataclass

import numpy as np
from matplotlib.ticker import MaxNLocator

from mri_tf.core.words import printed_name
from mri_tf.figures import style, text

WIDEST_MM = 70.0  # label below a panel of column width


@dataclass(frozen=True)
class CalibrationCurve:
    """One series of a calibration plot, (bins,) each; NaN where a bin is empty.

    A `mri_tf.metrics.reliability.ReliabilityCurve` has these fields and can be drawn in its place.
    """

    predicted: np.ndarray  # mean predicted probability of the bin
    observed: np.ndarray  # share of the bin's records with the class
    counts: np.ndarray  # records of the bin
    low: np.ndarray | None = None  # interval of `observed`
    high: np.ndarray | None = None


@style.styled
def draw_reliability(curves: dict[str, CalibrationCurve], what: str):
    """Draws the observed share against the predicted probability, and the records of each bin below.

    Args:
        curves: by the name that the legend shows.
        what: whose probability it is: a class, or "the most probable class".
    """
    figure = style.new_figure(style.COLUMN_MM, 112.0)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3.2, 1))
    upper.plot([0, 1], [0, 1], label="perfectly calibrated", **style.REFERENCE)
    for number, (name, curve) in enumerate(curves.items()):
        line = style.series(number)
        filled = np.asarray(curve.counts) > 0
        predicted, observed = np.asarray(curve.predicted)[filled], np.asarray(curve.observed)[filled]
        bars = None
        if curve.low is not None and curve.high is not None:
            bars = np.array(
                [observed - np.asarray(curve.low)[filled], np.asarray(curve.high)[filled] - observed]
            )
            bars = np.maximum(bars, 0)  # rounding may put a value just outside its interval
        upper.errorbar(predicted, observed, yerr=bars, label=printed_name(name), capsize=1.8,
                       elinewidth=0.8, capthick=0.8, **line)  # fmt: skip
        counts = np.asarray(curve.counts)[filled]
        beside = (number - (len(curves) - 1) / 2) * 0.012  # so that no series hides another
        lower.bar(predicted + beside, counts, width=0.01, color=line["color"])
    upper.set_xlim(-0.03, 1.03)
    upper.set_ylim(-0.03, 1.03)
    upper.set_ylabel("observed share")
    style.add_legend(figure, *upper.get_legend_handles_labels())
    lower.set_ylabel("records")
    lower.yaxis.set_major_locator(MaxNLocator(2, integer=True))
    _label_below(lower, f"predicted probability of {printed_name(what)}")
    if any(curve.low is not None for curve in curves.values()):
        style.add_note(figure, "Bars: 95 % intervals.")
    return style.described(figure, "Calibration plot: observed share against predicted probability of "
                                   f"{printed_name(what)}, for {'; '.join(curves)}.")  # fmt: skip


@style.styled
def draw_decision_curve(
    thresholds: np.ndarray, net_benefit: dict[str, np.ndarray], treat_all: np.ndarray, what: str,
    bands: dict[str, tuple[np.ndarray, np.ndarray]] | None = None,
):  # fmt: skip
    """Draws net benefit against threshold probability, beside treating all and none.

    Args:
        thresholds: (thresholds,) probabilities.
        net_benefit: (thresholds,) by the name of a series.
        treat_all: (thresholds,) net benefit of treating all.
        what: the class that is treated.
        bands: (low, high) by series, (thresholds,) each (default: none).

    Source: Vickers and Elkin 2006.
    """
    figure = style.new_figure(style.COLUMN_MM, 84.0)
    axes = figure.add_subplot()
    for number, (name, benefit) in enumerate(net_benefit.items()):
        line = style.series(number) | {"marker": ""}
        if bands and name in bands:
            axes.fill_between(thresholds, *bands[name], color=line["color"], alpha=0.15, linewidth=0)
        axes.plot(thresholds, benefit, label=printed_name(name), **line)
    # Drawn last, so that they stay visible where a model is no better.
    axes.plot(thresholds, treat_all, label="treat all", **style.REFERENCE)
    axes.axhline(0, color="0.35", linewidth=0.9, label="treat none")
    # Treat all falls without bound towards a threshold of 1; negative net benefit is of no use.
    top = np.nanmax([np.nanmax(benefit) for benefit in (*net_benefit.values(), treat_all)])
    top = max(float(top), 0.01)
    axes.set_ylim(-0.25 * top, 1.1 * top)
    axes.set_xlim(float(np.min(thresholds)), float(np.max(thresholds)))
    _label_below(axes, f"threshold probability of {printed_name(what)}")
    axes.set_ylabel("net benefit")
    style.add_legend(figure, *axes.get_legend_handles_labels())
    if bands:
        style.add_note(figure, "Shaded: 95 % intervals.")
    models = "; ".join(net_benefit)
    return style.described(figure, f"Decision curve: net benefit of {models} against the threshold "
                                   f"probability of {printed_name(what)}, beside treating all and "
                                   "none.")  # fmt: skip


def _label_below(axes, label: str) -> None:
    axes.set_xlabel(text.wrapped(label, WIDEST_MM, text.LABEL_POINTS))
