"""Confusion matrices: counts of one test side, or mean ± SD over the cells of a study."""

import math
from pathlib import Path

import matplotlib
import numpy as np

from mri_tf.core.words import printed_name
from mri_tf.figures import style, text

MANY = 20  # classes, with more of which names stand at the rows only, numbered, and counts nowhere
NAME_MM = 42.0  # width of a name, of which longer ones have several lines
NO_RECORD = "0.85"  # grey of a row without records, which has no shares
SQUARE_MM = 20.0  # width of a square, unless the page is too narrow
MOST_LINES = 3  # of a name below its square
BESIDE_MM = 26.0  # the colour bar, and the label of the rows
NAMED = 3  # classes without records in the note; of more only the number


def save_confusion(confusion: np.ndarray, class_names: tuple[str, ...], stem: Path) -> list[Path]:
    """Writes the figure of `draw_confusion` to `stem`.png and `stem`.svg and returns both paths."""
    return style.save(draw_confusion(confusion, class_names), stem)


@style.styled
def draw_confusion(confusion: np.ndarray, class_names: tuple[str, ...]):
    """Draws (true class, predicted class) counts, shaded by the share of the true class."""
    texts = [[f"{int(count)}" for count in row] for row in confusion]
    return _draw(np.asarray(confusion, float), texts, class_names, "counts of records")


@style.styled
def draw_confusion_spread(confusions: np.ndarray, class_names: tuple[str, ...]):
    """Draws mean ± SD (n - 1) of `confusions`, (cells, true class, predicted class) counts."""
    mean, cells = np.mean(confusions, axis=0), len(confusions)
    if cells == 1:
        texts = [[f"{value:.1f}" for value in row] for row in mean]
        return _draw(mean, texts, class_names, "counts of records", "One cell, so no SD.")
    spread = np.std(confusions, axis=0, ddof=1)
    line = "\n" if len(class_names) > 3 else " "
    texts = [
        [f"{value:.1f}{line}±{line.strip(chr(10))}{sd:.1f}" if value else "0"
         for value, sd in zip(*rows, strict=True)]
        for rows in zip(mean, spread, strict=True)
    ]  # fmt: skip
    what = f"mean and SD of the counts of {cells} cells"
    return _draw(mean, texts, class_names, what, f"Mean ± SD of counts over {cells} cells.")


def _draw(
    counts: np.ndarray, texts: list[list[str]], class_names: tuple[str, ...], what: str, note: str = ""
):
    names, many = [printed_name(name) for name in class_names], len(class_names) > MANY
    rows = [f"{name}  {number}" for number, name in enumerate(names, 1)]
    rows = rows if many else [text.wrapped(name, NAME_MM) for name in names]
    beside_mm = BESIDE_MM + max(map(text.width_mm, rows))
    width_mm = min(style.PAGE_MM, max(style.COLUMN_MM, beside_mm + SQUARE_MM * len(names)))
    square_mm = (width_mm - beside_mm) / len(names)
    below = [text.wrapped(name, 0.95 * square_mm) for name in names]
    words = " ".join(names).split()
    flat = not many and max(name.count("\n") for name in below) < MOST_LINES
    flat = flat and max(map(text.width_mm, words)) < 0.95 * square_mm
    below = below if flat else rows
    with_counts = not many and max(text.width_mm(one) for row in texts for one in row) < 0.95 * square_mm
    total = counts.sum(axis=1, keepdims=True)
    absent = [name for name, records in zip(names, total[:, 0], strict=True) if not records]
    notes = [note, _absent(absent), "" if with_counts else "No counts: they do not fit."]
    figure = style.new_figure(width_mm, _height_mm(below, square_mm, flat, any(notes)))
    axes = figure.add_subplot()
    axes.grid(False)
    share = counts / np.maximum(total, 1e-12)
    share = np.ma.masked_array(share, np.broadcast_to(total == 0, share.shape))
    colours = matplotlib.colormaps["cividis"].with_extremes(bad=NO_RECORD)
    aspect = "auto" if many else "equal"
    shown = axes.imshow(share, cmap=colours, vmin=0, vmax=1, aspect=aspect)
    if many:
        step = math.ceil((text.width_mm(str(len(names))) + 1.5) / square_mm)  # so that numbers have room
        axes.set_xticks(range(step - 1, len(names), step), range(step, len(names) + 1, step))
    else:
        slanted = {} if flat else {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
        axes.set_xticks(range(len(names)), below, **slanted)
    axes.set_yticks(range(len(names)), rows)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    if with_counts:
        for (row, column), shade in np.ndenumerate(share.filled(1)):
            axes.text(column, row, texts[row][column], ha="center", va="center",
                      color="black" if shade > 0.5 else "white")  # fmt: skip
    figure.colorbar(shown, ax=axes, label="share of the true class", shrink=0.8)
    if any(notes):
        style.add_note(figure, " ".join(filter(None, notes)))
    style.settle(figure)
    right = np.trace(counts) / max(counts.sum(), 1)
    return style.described(figure, f"Confusion matrix of {len(names)} classes, {what}; "
                                   f"{right:.0%} of the records lie on the diagonal.")  # fmt: skip


def _height_mm(below: list[str], square_mm: float, flat: bool, with_note: bool) -> float:
    """Of a figure whose squares are square, or as high as a line of text where names are many, with
    these names below."""
    many = len(below) > MANY
    row_mm = 1.15 * text.LINE_MM if many else max(square_mm, 2.4 * text.LINE_MM)
    lines_mm = text.LINE_MM * max(name.count("\n") for name in below)
    slanted_mm = 0.0 if flat or many else 0.75 * max(map(text.width_mm, below))
    return row_mm * len(below) + 16.0 + lines_mm + slanted_mm + (2 * text.LINE_MM if with_note else 0)


def _absent(names: list[str]) -> str:
    """A sentence on the classes without records, whose rows are grey."""
    if not names:
        return ""
    listed = ", ".join(names) if len(names) <= NAMED else f"{len(names)} classes"
    return f"Grey: no record of {listed}."
