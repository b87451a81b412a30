"""The common style of all figures: sizes of journal columns, type, colours; and saving."""

import io
import math
import textwrap
from pathlib import Path

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mri_tf.core.files import write_atomic

COLUMN_MM, PAGE_MM = 89.0, 183.0  # one column and the full width of most journals
MM_PER_INCH = 25.4
LABEL_POINTS, TICK_POINTS, NOTE_POINTS = 8.0, 7.0, 6.0  # at printed size; no text is smaller
PIXELS_PER_INCH = 300

ERRORS = ("brier", "ece", "log_loss")  # metrics for which lower is better

# The palette of Okabe and Ito without its yellow, which is hard to see on white paper.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
DASHES = ("-", (0, (5, 1.5)), (0, (1.5, 1.5)), (0, (5, 1.5, 1.5, 1.5)))
REFERENCE = {"color": "0.35", "linestyle": (0, (1, 1)), "linewidth": 0.9}  # chance, majority, zero

# The layout depends on the font, so it is the one that comes with matplotlib.
STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": TICK_POINTS,
    "axes.labelsize": LABEL_POINTS,
    "axes.titlesize": LABEL_POINTS,
    "xtick.labelsize": TICK_POINTS,
    "ytick.labelsize": TICK_POINTS,
    "legend.fontsize": TICK_POINTS,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "0.9",
    "grid.linewidth": 0.5,
    "lines.linewidth": 1.2,
    "lines.markersize": 4.0,
    "legend.frameon": False,
    "legend.handlelength": 3.2,
    "svg.fonttype": "none",  # text stays text: searchable, and editable by the journal
    "svg.hashsalt": "mri_tf",  # otherwise ids differ from file to file
}
styled = matplotlib.rc_context(STYLE)  # a decorator: some settings are read while drawing


def new_figure(width_mm: float, height_mm: float) -> Figure:
    """An empty figure of this printed size, without the global state of pyplot."""
    figure = Figure(figsize=(width_mm / MM_PER_INCH, height_mm / MM_PER_INCH), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def small_multiples(count: int, height_to_width: float) -> tuple[Figure, list]:
    """A figure of page width with `count` panels on common axes, and these panels row by row.

    `height_to_width` is that of a panel with its title. The figure grows with the number of panels.
    """
    columns = count if count <= 4 else 3 if count in (5, 6, 9) else 4
    rows = math.ceil(count / columns)
    figure = new_figure(PAGE_MM, 20.0 + rows * height_to_width * PAGE_MM / columns)
    panels = list(figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).flat)
    for number, axes in enumerate(panels):
        axes.label_outer()
        if number >= count:
            axes.set_axis_off()
        elif number + columns >= count:  # the lowest of its column has the tick labels
            axes.xaxis.set_tick_params(labelbottom=True)
    return figure, panels[:count]


def series(number: int) -> dict:
    """Colour, marker and dashes of the n-th series; among the first four all three differ."""
    shifted = number + number // len(COLOURS)  # other markers when the colours begin again
    return {
        "color": COLOURS[number % len(COLOURS)],
        "marker": MARKERS[shifted % len(MARKERS)],
        "linestyle": DASHES[shifted % len(DASHES)],
    }


def label(name: str) -> str:
    """The printed name of a class or metric."""
    known = {
        "kappa": "Cohen's κ", "quadratic_kappa": "quadratic κ", "f1_macro": "macro F1",
        "auc": "ROC AUC", "brier": "Brier score", "ece": "ECE",
    }  # fmt: skip
    return known.get(name, name.replace("_", " "))


def plural(count: int, noun: str) -> str:
    """`1 cell`, `2 cells`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def add_note(figure: Figure, text: str) -> None:
    """Small print below the figure: what is left out, what bars mean."""
    letters = int(figure.get_figwidth() * MM_PER_INCH / 1.1)  # a letter of 6 pt is about 1 mm wide
    lines = "\n".join(textwrap.wrap(text, letters))
    figure.supxlabel(lines, x=0.01, ha="left", fontsize=NOTE_POINTS, color="0.25")


def add_legend(figure: Figure, handles: list, labels: list[str]) -> None:
    """One legend above all panels, in as many columns as fit."""
    widest_mm = 14.0 + 1.5 * max(len(label) for label in labels)  # handle and gaps, letters of 7 pt
    columns = int(figure.get_figwidth() * MM_PER_INCH / widest_mm)
    figure.legend(handles, labels, loc="outside upper center", ncols=max(1, min(columns, len(labels))))


@styled
def save_png(figure: Figure, path: Path) -> None:
    """Writes a picture for a page, of half the resolution that journals want."""
    picture = io.BytesIO()
    metadata = {"Software": None}
    figure.savefig(picture, dpi=PIXELS_PER_INCH / 2, format="png", metadata=metadata)
    write_atomic(path, picture.getbuffer())


@styled
def save(figure: Figure, stem: Path) -> list[Path]:
    """Writes `stem`.png (300 dpi) and `stem`.svg, returns both paths; equal figures, equal bytes."""
    paths = []
    for suffix, metadata in ((".png", {"Software": None}), (".svg", {"Date": None})):
        picture = io.BytesIO()
        figure.savefig(picture, dpi=PIXELS_PER_INCH, format=suffix[1:], metadata=metadata)
        path = stem.with_name(stem.name + suffix)  # with_suffix would cut the 5 off "size_0.5"
        write_atomic(path, picture.getbuffer())
        paths.append(path)
    return paths
