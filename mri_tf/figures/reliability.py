"""Whether probabilities can be believed (calibration) and are of use (decision curve)."""

from dataclasses import dataclass

import numpy as np

from mri_tf.figures.style import (
    COLUMN_MM,
    REFERENCE,
    add_legend,
    add_note,
    look,
    new_figure,
    styled,
    words,
)


@dataclass(frozen=True)
class CalibrationCurve:
    """One series of a calibration plot, (bins,) each; NaN where a bin is empty.

    What `mri_tf.calibration.temperature.reliability_curve` gives has these fields and is drawn as it is.
    """

    predicted: np.ndarray  # mean predicted probability of the bin
    observed: np.ndarray  # share of the bin in which the class was true
    counts: np.ndarray  # records of the bin
    low: np.ndarray | None = None  # interval of `observed`
    high: np.ndarray | None = None


@styled
def draw_reliability(curves: dict[str, CalibrationCurve], what: str):
    """Observed share against predicted probability with intervals; below, how many records a bin.

    `what` has the probability: a class, or "the most probable class".
    """
    figure = new_figure(COLUMN_MM, 112.0)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3.2, 1))
    upper.plot([0, 1], [0, 1], label="perfectly calibrated", **REFERENCE)
    for number, (name, curve) in enumerate(curves.items()):
        style = look(number)
        filled = np.asarray(curve.counts) > 0
        predicted, observed = np.asarray(curve.predicted)[filled], np.asarray(curve.observed)[filled]
        bars = None
        if curve.low is not None and curve.high is not None:
            bars = np.array(
                [observed - np.asarray(curve.low)[filled], np.asarray(curve.high)[filled] - observed]
            )
            bars = np.maximum(bars, 0)  # an interval may round to just beside its value
        upper.errorbar(predicted, observed, yerr=bars, label=name, capsize=1.8, elinewidth=0.8,
                       capthick=0.8, **style)  # fmt: skip
        counts = np.asarray(curve.counts)[filled]
        beside = (number - (len(curves) - 1) / 2) * 0.012  # bars of two series must not hide each other
        lower.bar(predicted + beside, counts, width=0.01, color=style["color"])
    upper.set_xlim(-0.03, 1.03)
    upper.set_ylim(-0.03, 1.03)
    upper.set_ylabel("observed share")
    add_legend(figure, *upper.get_legend_handles_labels())
    lower.set_ylabel("records")
    lower.set_xlabel(f"predicted probability of {words(what)}")
    return figure


@styled
def draw_decision_curve(
    thresholds: np.ndarray,
    net_benefit: dict[str, np.ndarray],
    treat_all: np.ndarray,
    what: str,
    bands: dict[str, tuple[np.ndarray, np.ndarray]] | None = None,
):
    """Net benefit against threshold probability (Vickers and Elkin 2006), beside treat all and none.

    All arrays (thresholds,); `what` is the class that is treated, `bands` gives (low, high) of a series.
    """
    figure = new_figure(COLUMN_MM, 78.0)
    axes = figure.add_subplot()
    for number, (name, benefit) in enumerate(net_benefit.items()):
        style = look(number) | {"marker": ""}
        if bands and name in bands:
            axes.fill_between(thresholds, *bands[name], color=style["color"], alpha=0.15, linewidth=0)
        axes.plot(thresholds, benefit, label=name, **style)
    # Last, so that they are seen where a model is no better.
    axes.plot(thresholds, treat_all, label="treat all", **REFERENCE)
    axes.axhline(0, color="0.35", linewidth=0.9, label="treat none")
    # Treat all falls without bound towards 1: the axis is for what can be of use.
    top = np.nanmax([np.nanmax(benefit) for benefit in (*net_benefit.values(), treat_all)])
    top = max(float(top), 0.01)
    axes.set_ylim(-0.25 * top, 1.1 * top)
    axes.set_xlim(float(np.min(thresholds)), float(np.max(thresholds)))
    axes.set_xlabel(f"threshold probability of {words(what)}")
    axes.set_ylabel("net benefit")
    axes.legend(loc="upper right")
    if bands:
        add_note(figure, "Shaded: 95 % intervals.")
    return figure
