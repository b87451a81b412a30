"""ROC curves accumulated over folds (recipe B): all held-out predictions of a repeat together."""

import numpy as np
import pandas as pd

from mri_tf.figures.style import (
    COLUMN_MM,
    NOTE_POINTS,
    REFERENCE,
    add_legend,
    add_note,
    look,
    new_figure,
    small_multiples,
    styled,
    words,
)

GRID = np.linspace(0, 1, 501)  # false positive rates at which repeats are averaged


@styled
def draw_roc(
    predictions: pd.DataFrame,
    class_names: tuple[str, ...],
    intervals: dict[tuple[str, str], tuple[float, float, float]] | None = None,
):
    """One curve a variant; two classes: the second is the positive one, more: a panel each vs rest.

    `predictions` holds variant, repeat, truth and p_<class>, every fold's test side in it. A
    repeat is a faint line, their mean at equal false positive rate (vertical averaging, Fawcett
    2006) the bold one. A panel's legend has the mean AUC of the repeats, or (value, low, high) of
    `intervals` by (variant, positive class).
    """
    positives = class_names[1:] if len(class_names) == 2 else class_names
    if len(positives) == 1:
        figure = new_figure(COLUMN_MM, 98.0)
        panels = [figure.add_subplot()]
    else:
        figure, panels = small_multiples(len(positives), 1.0)
    variants = list(pd.unique(predictions["variant"]))
    for axes, positive in zip(panels, positives, strict=True):
        axes.plot([0, 1], [0, 1], **REFERENCE)
        bold = []
        for number, variant in enumerate(variants):
            own = predictions[predictions["variant"] == variant]
            given = (intervals or {}).get((variant, positive))
            bold.append(_draw_variant(axes, own, positive, look(number) | {"marker": ""}, given))
        _finish(axes, words(positive) if len(positives) > 1 else "")
    add_legend(figure, bold, variants)
    add_note(figure, _note(predictions, positives, bool(intervals)))
    return figure


def roc_points(scores: np.ndarray, positive: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """False and true positive rates at every distinct score, from (0, 0) to (1, 1); (points,) each.

    All NaN where one of the two classes does not occur.
    """
    scores, positive = np.asarray(scores, float), np.asarray(positive, bool)
    order = np.argsort(-scores, kind="stable")
    last_of_tie = np.flatnonzero(np.diff(scores[order], append=np.nan) != 0)
    hits = np.cumsum(positive[order])[last_of_tie]
    alarms = last_of_tie + 1 - hits
    with np.errstate(invalid="ignore"):
        false_rate = np.concatenate([[0], alarms / np.float64((~positive).sum())])
        true_rate = np.concatenate([[0], hits / np.float64(positive.sum())])
    return false_rate, true_rate


def _draw_variant(axes, predictions: pd.DataFrame, positive: str, style: dict, given):
    """Draws the repeats and their mean; returns the mean's line."""
    curves = [
        roc_points(repeat[f"p_{positive}"], repeat["truth"] == positive)
        for _, repeat in predictions.groupby("repeat")
    ]
    defined = [curve for curve in curves if np.isfinite(curve).all()]
    if not defined:
        return axes.plot([], [], label="undefined (one class)", **style)[0]
    areas = [np.trapezoid(true_rate, false_rate) for false_rate, true_rate in defined]
    label = _area_text(areas, given)
    if len(defined) == 1:
        return axes.plot(*defined[0], label=label, zorder=3, **style)[0]
    for false_rate, true_rate in defined:
        axes.plot(false_rate, true_rate, color=style["color"], linewidth=0.5, alpha=0.4)
    mean = np.mean([np.interp(GRID, *curve) for curve in defined], axis=0)
    return axes.plot([0, *GRID], [0, *mean], label=label, zorder=3, **style)[0]


def _area_text(areas: list[float], given) -> str:
    if given is None:
        return f"{np.mean(areas):.2f}"
    value, low, high = np.array(given, float)  # None becomes NaN
    known = np.isfinite([low, high]).all()
    return f"{value:.2f} ({low:.2f} to {high:.2f})" if known else f"{value:.2f} (no interval)"


def _finish(axes, title: str) -> None:
    axes.set_title(title)
    axes.set_aspect("equal")
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    axes.set_yticks([0, 0.5, 1], ["0", "0.5", "1"])
    if axes.xaxis.get_tick_params()["labelbottom"]:
        axes.set_xlabel("1 − specificity")
    if axes.get_subplotspec().is_first_col():
        axes.set_ylabel("sensitivity")
    axes.legend(loc="lower right", fontsize=NOTE_POINTS, handlelength=2.0, borderaxespad=0.2,
                title="AUC", title_fontsize=NOTE_POINTS)  # fmt: skip


def _note(predictions: pd.DataFrame, positives: tuple[str, ...], with_intervals: bool) -> str:
    repeats = predictions["repeat"].nunique()
    notes = [f"Positive: {words(positives[0])}." if len(positives) == 1 else "Each class vs the rest."]
    notes.append("Held-out predictions of all folds together.")
    if repeats > 1:
        notes.append(f"Faint: {repeats} repeats; bold: their mean.")
    if with_intervals:
        notes.append("AUC with its 95 % interval.")
    return " ".join(notes)
