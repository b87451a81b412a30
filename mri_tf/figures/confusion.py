"""Figures for papers: colour-blind safe, legible at journal width, as PNG and SVG."""

import io
from pathlib import Path

import numpy as np

from mri_tf.checkpoint import write_at_once


def save_confusion(confusion: np.ndarray, class_names: tuple[str, ...], stem: Path) -> list[Path]:
    """Counts (true class, predicted class), shaded by the share of the true class."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    count = len(class_names)
    side = min(7.0, 2.2 + 0.5 * count)
    figure = Figure(figsize=(side + 0.8, side), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    share = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    shown = axes.imshow(share, cmap="cividis", vmin=0, vmax=1)
    labels = [name.replace("_", " ") for name in class_names]
    axes.set_xticks(range(count), labels, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(count), labels)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    for row in range(count):
        for column in range(count):
            colour = "black" if share[row, column] > 0.5 else "white"
            axes.text(column, row, f"{int(confusion[row, column])}", ha="center", va="center",
                      color=colour, fontsize=8)  # fmt: skip
    figure.colorbar(shown, ax=axes, label="share of the true class", shrink=0.8)
    paths = [stem.with_suffix(suffix) for suffix in (".png", ".svg")]
    for path in paths:
        picture = io.BytesIO()
        figure.savefig(picture, dpi=200, format=path.suffix[1:])
        write_at_once(path, picture.getbuffer())
    return paths
