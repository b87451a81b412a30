"""What every figure shares: sizes of a journal's columns, type, colours, and the way to disk."""

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
LABEL_POINTS, TICK_POINTS, NOTE_POINTS = 8.0, 7.0, 6.0  # at printed size; nothing is smaller
PIXELS_PER_INCH = 300

ERRORS = ("brier", "ece", "log_loss")  # metrics of which less is better

# Okabe and Ito's palette without its yellow, which is lost on white paper.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
DASHES = ("-", (0, (5, 1.5)), (0, (1.5, 1.5)), (0, (5, 1.5, 1.5, 1.5)))
REFERENCE = {"color": "0.35", "linestyle": (0, (1, 1)), "linewidth": 0.9}  # chance, majority, zero

# Font metrics decide the layout, so the font is the one that comes with matplotlib.
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
    "svg.hashsalt": "mri_tf",  # else every file has other ids
}
styled = matplotlib.rc_context(STYLE)  # decorates what draws; some settings are read only then


def new_figure(width_mm: float, height_mm: float) -> Figure:
    """An empty figure of this printed size, without pyplot's global state."""
    figure = Figure(
        figsize=(width_mm / MM_PER_INCH, height_mm / MM_PER_INCH), layout="constrained"
    )
    FigureCanvasAgg(figure)
    return figure


def small_multiples(count: int, height_to_width: float) -> tuple[Figure, list]:
    """A figure of the full width with `count` panels on common axes, and the panels row by row.

    A panel with its title has `height_to_width`. The figure grows with the panels, so type stays
    legible; 44 classes take more than a page.
    """
    columns = count if count <= 4 else 3 if count in (5, 6, 9) else 4
    rows = math.ceil(count / columns)
    figure = new_figure(PAGE_MM, 20.0 + rows * height_to_width * PAGE_MM / columns)
    panels = list(figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).flat)
    for number, axes in enumerate(panels):
        axes.label_outer()
        if number >= count:
            axes.set_axis_off()
        elif number + columns >= count:  # nothing below it: it carries the labels of its column
            axes.xaxis.set_tick_params(labelbottom=True)
    return figure, panels[:count]


def look(number: int) -> dict:
    """Colour, marker and dashes of the n-th series; all three differ among the first four."""
    round_number = number // len(COLOURS)
    return {
        "color": COLOURS[number % len(COLOURS)],
        "marker": MARKERS[(number + round_number) % len(MARKERS)],
        "linestyle": DASHES[(number + round_number) % len(DASHES)],
    }


def words(name: str) -> str:
    """A class or metric name as print shows it."""
    known = {
        "kappa": "Cohen's κ",
        "quadratic_kappa": "quadratic κ",
        "f1_macro": "macro F1",
        "auc": "ROC AUC",
        "brier": "Brier score",
        "ece": "ECE",
    }
    return known.get(name, name.replace("_", " "))


def many(count: int, noun: str) -> str:
    """`1 cell`, `2 cells`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def add_note(figure: Figure, text: str) -> None:
    """A line of small print below the figure: what was left out, what bars mean."""
    letters = int(figure.get_figwidth() * MM_PER_INCH / 1.1)  # a letter of 6 pt is about 1 mm wide
    lines = "\n".join(textwrap.wrap(text, letters))
    figure.supxlabel(lines, x=0.01, ha="left", fontsize=NOTE_POINTS, color="0.25")


def add_legend(figure: Figure, handles: list, labels: list[str]) -> None:
    """One legend for all panels above them, in as many columns as the width takes."""
    widest_mm = 14.0 + 1.5 * max(len(label) for label in labels)  # handle and gaps, letters of 7 pt
    columns = int(figure.get_figwidth() * MM_PER_INCH / widest_mm)
    figure.legend(handles, labels, loc="outside upper center", ncols=max(1, min(columns, len(labels))))


@styled
def save(figure: Figure, stem: Path) -> list[Path]:
    """Writes `stem`.png (300 dpi) and `stem`.svg at once each; the same figure gives the same bytes."""
    paths = []
    for suffix, facts in ((".png", {"Software": None}), (".svg", {"Date": None})):
        picture = io.BytesIO()
        figure.savefig(picture, dpi=PIXELS_PER_INCH, format=suffix[1:], metadata=facts)
        path = stem.with_name(stem.name + suffix)  # with_suffix would eat "size_0.5"
        write_atomic(path, picture.getbuffer())
        paths.append(path)
    return paths
