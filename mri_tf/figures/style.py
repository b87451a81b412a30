"""The common style of all figures: sizes of journal columns, type, colours; and saving."""

import io
import math
from pathlib import Path

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mri_tf.core.files import write_atomic
from mri_tf.figures.text import (
    FONT,
    LABEL_POINTS,
    LINE_MM,
    MM_PER_INCH,
    TEXT_POINTS,
    width_mm,
    wrapped,
)

COLUMN_MM, PAGE_MM = 89.0, 183.0  # one column and the full width of most journals
PIXELS_PER_INCH = 300
BESIDE_NOTE_MM = 7.0  # of the width, left free
PASSES = 3  # of the layout

ERRORS = ("brier", "ece", "log_loss")  # metrics for which lower is better

# The palette of Okabe and Ito without its yellow, which is hard to see on white paper.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
DASHES = ("-", (0, (5, 1.5)), (0, (1.5, 1.5)), (0, (5, 1.5, 1.5, 1.5)))
REFERENCE = {"color": "0.35", "linestyle": (0, (1, 1)), "linewidth": 0.9}  # chance, majority, zero

STYLE = {
    "font.family": FONT,
    "font.size": TEXT_POINTS,
    "axes.labelsize": LABEL_POINTS,
    "axes.titlesize": LABEL_POINTS,
    "xtick.labelsize": TEXT_POINTS,
    "ytick.labelsize": TEXT_POINTS,
    "legend.fontsize": TEXT_POINTS,
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
    "text.parse_math": False,  # a name may hold dollar signs
    "svg.fonttype": "none",  # text stays text: searchable, and editable by the journal
    "svg.hashsalt": "mri_tf",  # otherwise ids differ from file to file
}
styled = matplotlib.rc_context(STYLE)  # a decorator: some settings are read while drawing


def new_figure(width_mm: float, height_mm: float) -> Figure:
    """An empty figure of this printed size, without the global state of pyplot."""
    figure = Figure(figsize=(width_mm / MM_PER_INCH, height_mm / MM_PER_INCH), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def small_multiples(
    count: int, height_to_width: float, common_x: bool = True
) -> tuple[Figure, list]:
    """A figure of page width with `count` panels on common axes, and these panels row by row.

    `height_to_width` is that of a panel with its title. The figure grows with the number of panels.
    Without `common_x` every panel has an x axis of its own.
    """
    columns = count if count <= 4 else 3 if count in (5, 6, 9) else 4
    rows = math.ceil(count / columns)
    figure = new_figure(PAGE_MM, 26.0 + rows * height_to_width * PAGE_MM / columns)
    panels = list(figure.subplots(rows, columns, sharex=common_x, sharey=True, squeeze=False).flat)
    for number, axes in enumerate(panels):
        if common_x:
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


def note_mm(text: str, width_mm: float) -> float:
    """How high a note of a figure of this width is, with the gap above it."""
    return (wrapped(text, width_mm - BESIDE_NOTE_MM).count("\n") + 1.5) * LINE_MM if text else 0.0


def add_note(figure: Figure, text: str) -> None:
    """Small print below the figure: what is left out, what bars mean."""
    lines = wrapped(text, figure.get_figwidth() * MM_PER_INCH - BESIDE_NOTE_MM)
    figure.supxlabel(lines, x=0.01, ha="left", fontsize=TEXT_POINTS, color="0.25")


def add_legend(figure: Figure, handles: list, labels: list[str]) -> None:
    """One legend above all panels, in as many columns as fit."""
    page_mm, handle_mm = figure.get_figwidth() * MM_PER_INCH, 14.0  # with the gaps
    labels = [wrapped(label, page_mm - handle_mm - BESIDE_NOTE_MM) for label in labels]
    columns = int(page_mm / (handle_mm + max(map(width_mm, labels))))
    figure.legend(handles, labels, loc="outside upper center", ncols=max(1, min(columns, len(labels))))


def settle(figure: Figure) -> None:
    """Lets the layout come to rest: with panels that keep their shape it takes more than one pass."""
    for _ in range(PASSES):
        figure.draw_without_rendering()


def described(figure: Figure, text: str) -> Figure:
    """The figure with a sentence for those who cannot see it: `alt_text` gives it, and `save` writes it
    into the files as their title."""
    figure.set_label(text)
    return figure


def alt_text(figure: Figure) -> str:
    """What a page shows in place of the picture; brackets would end it in Markdown."""
    return figure.get_label().translate(str.maketrans("[]", "()"))


@styled
def save_png(figure: Figure, path: Path) -> None:
    """Writes a picture for a page, of half the resolution that journals want."""
    picture = io.BytesIO()
    figure.savefig(picture, dpi=PIXELS_PER_INCH / 2, format="png", metadata=_metadata(figure, "png"))
    write_atomic(path, picture.getbuffer())


@styled
def save(figure: Figure, stem: Path) -> list[Path]:
    """Writes `stem`.png (300 dpi) and `stem`.svg, returns both paths; equal figures, equal bytes."""
    paths = []
    for kind in ("png", "svg"):
        picture = io.BytesIO()
        figure.savefig(picture, dpi=PIXELS_PER_INCH, format=kind, metadata=_metadata(figure, kind))
        path = stem.with_name(f"{stem.name}.{kind}")  # with_suffix would cut the 5 off "size_0.5"
        write_atomic(path, picture.getbuffer())
        paths.append(path)
    return paths


def _metadata(figure: Figure, kind: str) -> dict[str, str | None]:
    """The alternative text, and nothing that differs from day to day or place to place."""
    text = {"Title": alt_text(figure)} if figure.get_label() else {}
    return text | ({"Software": None} if kind == "png" else {"Date": None})
