"""Confusion matrices: counts of one test side, or mean ± SD over the cells of a study."""

from pathlib import Path

import numpy as np

from mri_tf.figures import style

MAX_CLASSES_WITH_NUMBERS = 14  # with more, a number in 6 points is wider than its square


def save_confusion(confusion: np.ndarray, class_names: tuple[str, ...], stem: Path) -> list[Path]:
    """Writes the figure of `draw_confusion` to `stem`.png and `stem`.svg and returns both paths."""
    return style.save(draw_confusion(confusion, class_names), stem)


@style.styled
def draw_confusion(confusion: np.ndarray, class_names: tuple[str, ...]):
    """Draws (true class, predicted class) counts, shaded by the share of the true class."""
    texts = [[f"{int(count)}" for count in row] for row in confusion]
    return _draw(np.asarray(confusion, float), texts, class_names)


@style.styled
def draw_confusion_spread(confusions: np.ndarray, class_names: tuple[str, ...]):
    """Draws mean ± SD (n - 1) of `confusions`, (cells, true class, predicted class) counts."""
    mean = np.mean(confusions, axis=0)
    if len(confusions) == 1:
        figure = _draw(mean, [[f"{value:.1f}" for value in row] for row in mean], class_names)
        style.add_note(figure, "One cell, so no SD.")
        return figure
    spread = np.std(confusions, axis=0, ddof=1)
    line = "\n" if len(class_names) > 3 else " "
    texts = [
        [f"{value:.1f}{line}±{line.strip(chr(10))}{sd:.1f}" for value, sd in zip(*rows, strict=True)]
        for rows in zip(mean, spread, strict=True)
    ]
    figure = _draw(mean, texts, class_names)
    style.add_note(figure, f"Mean ± SD of counts over {len(confusions)} cells.")
    return figure


def _draw(counts: np.ndarray, texts: list[list[str]], class_names: tuple[str, ...]):
    classes = len(class_names)
    width_mm = min(style.PAGE_MM, max(style.COLUMN_MM, 55.0 + 14.0 * classes))
    labels = [style.label(name) for name in class_names]
    flat = 1.6 * max(map(len, labels)) * classes < 0.5 * width_mm  # 1.6 mm for a letter of 7 pt
    figure = style.new_figure(width_mm, (0.76 if flat else 0.86) * width_mm)
    axes = figure.add_subplot()
    axes.grid(False)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1e-12)
    shown = axes.imshow(share, cmap="cividis", vmin=0, vmax=1)
    points = style.TICK_POINTS if classes <= MAX_CLASSES_WITH_NUMBERS else style.NOTE_POINTS
    if classes > MAX_CLASSES_WITH_NUMBERS:
        rotation = {"rotation": 90}
    elif flat:
        rotation = {}
    else:
        rotation = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
    axes.set_xticks(range(classes), labels, fontsize=points, **rotation)
    axes.set_yticks(range(classes), labels, fontsize=points)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    if classes <= MAX_CLASSES_WITH_NUMBERS:
        points = style.NOTE_POINTS if classes > 10 else style.TICK_POINTS
        for (row, column), shade in np.ndenumerate(share):
            axes.text(column, row, texts[row][column], ha="center", va="center", fontsize=points,
                      color="black" if shade > 0.5 else "white")  # fmt: skip
    figure.colorbar(shown, ax=axes, label="share of the true class", shrink=0.8)
    return figure
