"""ROC curves of a study: the test predictions of all folds of a repeat together."""

import numpy as np
import pandas as pd

from mri_tf.figures import style

GRID = np.linspace(0, 1, 501)  # false positive rates at which repeats are averaged


@style.styled
def draw_roc(
    predictions: pd.DataFrame,
    class_names: tuple[str, ...],
    intervals: dict[tuple[str, str], tuple[float, float, float]] | None = None,
):
    """Draws one ROC curve per variant; with more than two classes, one panel for each class vs the rest.

    Every repeat is a faint line, their vertical average a bold one (Fawcett 2006). The legend of a panel
    has the AUC.

    Args:
        predictions: variant, repeat, truth and p_<class>, the test sides of all folds.
        class_names: of two, the second is the positive one.
        intervals: AUC (value, low, high) by (variant, positive class); default: mean of the repeats.
    """
    positives = class_names[1:] if len(class_names) == 2 else class_names
    if len(positives) == 1:
        figure = style.new_figure(style.COLUMN_MM, 98.0)
        panels = [figure.add_subplot()]
    else:
        figure, panels = style.small_multiples(len(positives), 1.0)
    variants = list(pd.unique(predictions["variant"]))
    for axes, positive in zip(panels, positives, strict=True):
        axes.plot([0, 1], [0, 1], **style.REFERENCE)
        bold = []
        for number, variant in enumerate(variants):
            of_variant = predictions[predictions["variant"] == variant]
            auc = (intervals or {}).get((variant, positive))
            line = style.series(number) | {"marker": ""}
            bold.append(_draw_variant(axes, of_variant, positive, line, auc))
        _finish(axes, style.label(positive) if len(positives) > 1 else "")
    style.add_legend(figure, bold, variants)
    style.add_note(figure, _note(predictions, positives, bool(intervals)))
    return figure


def roc_points(scores: np.ndarray, positive: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns false and true positive rates at every distinct score, from (0, 0) to (1, 1).

    Args:
        scores: (records,).
        positive: (records,) bool. If all are equal, one of the two rates is NaN.
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


def _draw_variant(axes, predictions: pd.DataFrame, positive: str, line: dict, auc):
    """Draws the repeats and their mean, and returns the line of the mean."""
    curves = [
        roc_points(repeat[f"p_{positive}"], repeat["truth"] == positive)
        for _, repeat in predictions.groupby("repeat")
    ]
    defined = [curve for curve in curves if np.isfinite(curve).all()]
    if not defined:
        return axes.plot([], [], label="undefined (one class)", **line)[0]
    areas = [np.trapezoid(true_rate, false_rate) for false_rate, true_rate in defined]
    label = _auc_text(areas, auc)
    if len(defined) == 1:
        return axes.plot(*defined[0], label=label, zorder=3, **line)[0]
    for false_rate, true_rate in defined:
        axes.plot(false_rate, true_rate, color=line["color"], linewidth=0.5, alpha=0.4)
    mean = np.mean([np.interp(GRID, *curve) for curve in defined], axis=0)
    return axes.plot([0, *GRID], [0, *mean], label=label, zorder=3, **line)[0]


def _auc_text(areas: list[float], auc) -> str:
    if auc is None:
        return f"{np.mean(areas):.2f}"
    value, low, high = np.array(auc, float)  # None becomes NaN
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
    axes.legend(loc="lower right", fontsize=style.NOTE_POINTS, handlelength=2.0, borderaxespad=0.2,
                title="AUC", title_fontsize=style.NOTE_POINTS)  # fmt: skip


def _note(predictions: pd.DataFrame, positives: tuple[str, ...], with_intervals: bool) -> str:
    repeats = predictions["repeat"].nunique()
    positive = f"Positive: {style.label(positives[0])}."
    notes = [positive if len(positives) == 1 else "Each class vs the rest."]
    notes.append("Test predictions of all folds together.")
    if repeats > 1:
        notes.append(f"Faint lines: {repeats} repeats; bold: their mean.")
    if with_intervals:
        notes.append("AUC with its 95 % interval.")
    return " ".join(notes)
