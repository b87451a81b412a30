"""Learning curves: a metric against training samples per class, one line per variant, with SD bars."""

import numpy as np
import pandas as pd

from mri_tf.core.metric_names import name_of
from mri_tf.core.words import plural, printed_name
from mri_tf.figures import style, text

BESIDE = 0.35  # share of the smallest gap between sizes over which variants stand side by side
MAJORITY = "majority_accuracy"


@style.styled
def draw_curves(results: pd.DataFrame, metrics: tuple[str, ...] = ("accuracy", "kappa")):
    """Draws one panel per metric; a point is the mean over finished cells, its bar their SD (n - 1).

    The accuracy panel has a line for always predicting the largest class. Cells that train on all
    records stand apart at the right.

    Args:
        results: one row per cell: variant, train_size (NaN: all records), status, the metrics and
            majority_accuracy.
        metrics: columns to draw.
    """
    width_mm = style.PAGE_MM if len(metrics) > 1 else style.COLUMN_MM
    widest_mm = width_mm / len(metrics) - 16.0  # of a label below a panel
    figure = style.new_figure(width_mm, 80.0)
    panels = figure.subplots(1, len(metrics), squeeze=False)[0]
    done = _done(results)
    places = _Places(results, done)
    for axes, metric in zip(panels, metrics, strict=True):
        _draw_lines(axes, done, metric, places)
        axes.set_ylabel(name_of(metric))
        if metric not in style.ERRORS:  # errors are small numbers that an axis up to 1 would flatten
            axes.set_ylim(top=1.04)
        axes.set_ylim(bottom=min(0, axes.get_ylim()[0]))
    with_majority = metrics.index("accuracy") if "accuracy" in metrics else 0
    if "accuracy" in metrics:
        _draw_majority(panels[with_majority], done, places)
    style.add_legend(figure, *panels[with_majority].get_legend_handles_labels())
    for axes in panels:
        places.set_axis(axes)
        below = "training samples per class" + (" (log)" if places.log else "")
        axes.set_xlabel(text.wrapped(below, widest_mm, text.LABEL_POINTS))
    names = {metric: name_of(metric) for metric in metrics}
    style.add_note(figure, _note(results, done, names))
    return style.described(figure, f"{', '.join(names.values())} against training samples per class, "
                                   f"{_listed(places)}.")  # fmt: skip


@style.styled
def draw_class_curves(results: pd.DataFrame, class_names: tuple[str, ...]):
    """Draws a small panel per class: F1 (column f1_<class>) against training samples per class."""
    figure, panels = style.small_multiples(len(class_names), 0.7)
    done = _done(results)
    places = _Places(results, done)
    for axes, name in zip(panels, class_names, strict=True):
        _draw_lines(axes, done, f"f1_{name}", places)
        widest_mm = style.PAGE_MM / axes.get_subplotspec().get_gridspec().ncols - 8.0
        axes.set_title(text.wrapped(printed_name(name), widest_mm, text.LABEL_POINTS))
        axes.set_ylim(0, 1.04)
        places.set_axis(axes)
        if axes.get_subplotspec().is_first_col():
            axes.set_ylabel("F1")
        if axes.xaxis.get_tick_params()["labelbottom"]:
            axes.set_xlabel("samples per class" + (" (log)" if places.log else ""))
    style.add_legend(figure, *panels[0].get_legend_handles_labels())
    columns = {f"f1_{name}": f"F1 of {printed_name(name)}" for name in class_names}
    style.add_note(figure, _note(results, done, columns))
    return style.described(figure, f"F1 of each of {len(class_names)} classes against training samples "
                                   f"per class, {_listed(places)}.")  # fmt: skip


class _Places:
    """The positions of training sizes on the x axis, with the variants of a size side by side."""

    def __init__(self, results: pd.DataFrame, done: pd.DataFrame):
        self.variants = list(pd.unique(results["variant"]))  # also those whose every cell failed
        sizes = np.sort(done["train_size"].dropna().unique())
        gap_of = {False: _smallest_gap(sizes), True: _smallest_gap(np.log2(sizes))}
        self.log = gap_of[True] > gap_of[False]  # the scale on which sizes are further apart
        self.at = dict(zip(sizes, np.log2(sizes) if self.log else sizes, strict=True))
        places = list(self.at.values())
        self.gap = float(np.diff(places).min()) if len(places) > 1 else 1.0
        self.has_all = bool(done["train_size"].isna().any())
        if self.has_all:
            span = places[-1] - places[0] if places else 0.0
            self.all_at = places[-1] + max(self.gap, 0.15 * span) if places else 0.0

    def beside(self, variant: str) -> float:
        step = BESIDE * self.gap / max(len(self.variants), 4)
        return (self.variants.index(variant) - (len(self.variants) - 1) / 2) * step

    def ticks(self) -> dict[str, float]:
        ticks = {f"{size:g}": place for size, place in self.at.items()}
        return ticks | ({"all": self.all_at} if self.has_all else {})

    def set_axis(self, axes) -> None:
        ticks = self.ticks()
        axes.set_xticks(list(ticks.values()), list(ticks))
        axes.set_xlim(min(ticks.values()) - self.gap / 2, max(ticks.values()) + self.gap / 2)


def _listed(places: _Places) -> str:
    return f"a line for each variant: {'; '.join(places.variants)}"


def _done(results: pd.DataFrame) -> pd.DataFrame:
    """The finished cells, with train_size as float, NaN for all records."""
    done = results[results["status"] == "done"]
    if done.empty:
        raise ValueError("No cell is done, so there is nothing to draw.")
    return done.assign(train_size=pd.to_numeric(done["train_size"]).astype(float))


def _smallest_gap(places: np.ndarray) -> float:
    """As a share of the whole span; 0 with fewer than three places, where both scales look the same."""
    return float(np.diff(places).min() / np.ptp(places)) if len(places) > 2 else 0.0


def _draw_lines(axes, done: pd.DataFrame, metric: str, places: _Places) -> None:
    for number, variant in enumerate(places.variants):
        cells = done[done["variant"] == variant]
        groups = cells[metric].astype(float).groupby(cells["train_size"], dropna=False)
        spread = groups.agg(["mean", "std"]).sort_index(na_position="last")
        x = [places.all_at if np.isnan(size) else places.at[size] for size in spread.index]
        x, mean, sd = np.array(x) + places.beside(variant), *spread.to_numpy(float).T
        if len(x) > 1 and np.isnan(spread.index[-1]):
            # No line leads to "all", which is not a number of samples.
            x, mean, sd = (np.insert(values, -1, np.nan) for values in (x, mean, sd))
        axes.errorbar(
            x, mean, yerr=sd, label=variant if len(cells) else f"{variant} (no cell done)",
            capsize=1.8, elinewidth=0.8, capthick=0.8, **style.series(number),
        )  # fmt: skip


def _draw_majority(axes, done: pd.DataFrame, places: _Places) -> None:
    share = done.groupby("train_size", dropna=False)[MAJORITY].mean().sort_index(na_position="last")
    x, y = list(places.ticks().values()), list(share)
    x, y = [x[0] - places.gap / 2, *x, x[-1] + places.gap / 2], [y[0], *y, y[-1]]
    axes.plot(x, y, label="majority class", **style.REFERENCE)


def _note(results: pd.DataFrame, done: pd.DataFrame, columns: dict[str, str]) -> str:
    """What the bars mean and what is left out; `columns` of the results with their printed names."""
    per_point = done.groupby(["variant", "train_size"], dropna=False).size()
    fewest, most = per_point.min(), per_point.max()
    cells = f"{most}" if fewest == most else f"{fewest} to {most}"
    notes = ["One cell per point: no bars." if most == 1 else f"Bars: SD over {cells} cells per point."]
    failed = len(results) - len(done)
    if failed:
        notes.append(f"Left out: {failed} of {len(results)} cells, which failed.")
    for column, name in columns.items():
        undefined = int(done[column].isna().sum())
        if undefined:
            notes.append(f"{name} undefined in {plural(undefined, 'cell')}, left out.")
    return " ".join(notes)
