"""Figures are legible in print and for the colour-blind, and the same data gives the same files."""

import itertools
import struct
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from matplotlib.text import Text
from PIL import Image
from plotted import (
    BINARY,
    CLASSES,
    VARIANTS,
    calibration,
    decision,
    differences,
    overlay,
    results,
    roc,
)

from mri_tf import figures
from mri_tf.figures.style import COLOURS, series
from mri_tf.figures.text import TEXT_POINTS


def svg_text(path) -> list[str]:
    root = ElementTree.parse(path).getroot()
    return ["".join(text.itertext()) for text in root.iter("{http://www.w3.org/2000/svg}text")]


def three_variants() -> pd.DataFrame:
    return results(variants=("manual", "threshold,convergence", "scratch,convergence,no_augment"))


def thirteen_classes():
    names = tuple(f"class_{number}" for number in range(13))
    table = three_variants().assign(**{f"f1_{name}": 0.5 for name in names})
    return figures.draw_class_curves(table, names)


def sheet(dimensions: int, count: int):
    shown = overlay(dimensions)
    caption = "record 1017 of a long name\n0.93 for HGG; map of LGG"
    tile = figures.MapTile(shown.planes(), shown.top, caption)
    return figures.draw_map_sheet([tile] * count, "HGG: 3 records", "Opacity is relative.")


def nine_levels(draw, cells: tuple[int, ...]):
    counts = np.random.default_rng(0).poisson(20, (*cells, 9, 9))
    return draw(counts, LEVELS)


LEVELS = tuple(f"ascending_descending_aorta_{number}" for number in range(9))
MANY = tuple(f"Oligodendroglioma T1C+ {number}" for number in range(44))
FIGURES = {
    "curves": lambda: figures.draw_curves(three_variants()),
    "curves of one metric": lambda: figures.draw_curves(three_variants(), ("accuracy",)),
    "curves of many sizes": lambda: figures.draw_curves(results((2, 4, 6, 8, 10, 12, 14, 16, 18, None))),
    "curves of three metrics": lambda: figures.draw_curves(
        results(), ("accuracy", "kappa", "f1_lung_apex")
    ),
    "class curves": thirteen_classes,
    "confusion of two classes": lambda: figures.draw_confusion(np.array([[8, 2], [0, 9]]), BINARY),
    "confusion of three classes": lambda: figures.draw_confusion(np.eye(3), CLASSES),
    "confusion of long names": lambda: figures.draw_confusion(np.eye(2), ("a", "long name " * 8)),
    "confusion": lambda: nine_levels(figures.draw_confusion, ()),
    "confusion over cells": lambda: nine_levels(figures.draw_confusion_spread, (4,)),
    "ROC": lambda: roc(BINARY),
    "ROC of few patients": lambda: roc(BINARY, records=4, repeats=1),
    "ROC of three classes": lambda: roc(CLASSES),
    "ROC of long names": lambda: roc(CLASSES, variants=("scratch,convergence,no_augment", "manual")),
    "ROC of nine classes": lambda: roc(LEVELS, repeats=1),
    "ROC of many classes": lambda: roc(MANY, repeats=1, records=200),
    "confusion of many classes": lambda: figures.draw_confusion(np.eye(len(MANY)), MANY),
    "map of a slice": lambda: figures.draw_map(overlay(2), "record 7: HGG 0.93", "Grad-CAM. " * 9),
    "map of a volume": lambda: figures.draw_map(overlay(3), "record 7: HGG 0.93", "Grad-CAM."),
    "empty map": lambda: figures.draw_map(overlay(3, 0.0), "record 7: HGG 0.93", "Grad-CAM."),
    "sheet of slices": lambda: sheet(2, 7),
    "sheet of volumes": lambda: sheet(3, 2),
    "reliability": lambda: figures.draw_reliability(
        {"as trained": calibration(), "scaled": calibration()}, "high"
    ),
    "decision": lambda: decision()[0],
    "paired": lambda: figures.draw_paired(differences()),
}


@pytest.mark.parametrize("name", FIGURES)
def test_no_text_is_clipped_small_or_over_its_neighbour(name):
    figure = FIGURES[name]()
    figure.canvas.draw()
    page = figure.bbox
    assert figure.get_figwidth() * 25.4 <= 183.01
    hidden = beyond_the_axes(figure)
    shown = [text for text in figure.findobj(Text)
             if text.get_visible() and text.get_text().strip() and id(text) not in hidden]  # fmt: skip
    assert len(shown) > 3
    for text in shown:
        assert text.get_fontsize() >= TEXT_POINTS, text
        box = text.get_window_extent()
        assert box.x0 >= -1 and box.y0 >= -1, text
        assert box.x1 <= page.x1 + 1 and box.y1 <= page.y1 + 1, text
    for axes in figure.axes:
        flat = [label for label in axes.get_xticklabels() if label.get_rotation() == 0]
        boxes = [label.get_window_extent() for label in flat if label in shown]
        for left, right in itertools.pairwise(sorted(boxes, key=lambda box: box.x0)):
            assert left.x1 <= right.x0


def beyond_the_axes(figure) -> set[int]:
    """Labels of ticks outside the limits: matplotlib keeps them and does not draw them."""
    return {
        id(label)
        for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)
        for tick in axis.get_major_ticks() for label in (tick.label1, tick.label2)
        if not axes.axison
        or not min(axis.get_view_interval()) <= tick.get_loc() <= max(axis.get_view_interval())
    }  # fmt: skip


def test_png_and_svg_are_written_the_svg_with_names_as_text(tmp_path):
    paths = figures.save(figures.draw_curves(results()), tmp_path / "curves_0.5")
    assert [path.name for path in paths] == ["curves_0.5.png", "curves_0.5.svg"]
    assert sorted(tmp_path.iterdir()) == sorted(paths)
    width, _ = struct.unpack(">II", paths[0].read_bytes()[16:24])
    assert width == pytest.approx(183 / 25.4 * 300, abs=1)
    written = svg_text(paths[1])
    for name in (*VARIANTS, "accuracy", "majority class"):
        assert name in written
    curves = figures.save(roc(CLASSES, repeats=1), tmp_path / "roc")[1]
    shown = "\n".join(svg_text(curves))
    assert all(name in shown for name in (*VARIANTS, "aortic root"))


def test_the_same_data_gives_the_same_bytes(tmp_path):
    first = figures.save(figures.draw_paired(differences()), tmp_path / "first")
    second = figures.save(figures.draw_paired(differences()), tmp_path / "second")
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_files_say_in_words_what_they_show(tmp_path):
    figure = figures.draw_confusion(np.array([[3, 1], [0, 4]]), ("grade_[I]", "grade_II"))
    png, svg = figures.save(figure, tmp_path / "confusion")
    words = figures.alt_text(figure)
    assert "2 classes" in words and "88% of the records" in words
    title = ElementTree.parse(svg).getroot().find("{http://www.w3.org/2000/svg}title")
    assert title.text == words
    assert Image.open(png).info["Title"] == words


def test_save_confusion_writes_both_files(tmp_path):
    paths = figures.save_confusion(np.array([[3, 1], [0, 4]]), BINARY, tmp_path / "confusion")
    assert [path.name for path in paths] == ["confusion.png", "confusion.svg"]
    assert {"grade I", "grade II III", "true", "predicted"} <= set(svg_text(paths[1]))


def test_figures_leave_pyplot_and_the_settings_of_matplotlib_alone():
    code = (
        "import sys, matplotlib; before = matplotlib.rcParams.copy()\n"
        "import numpy as np\n"
        "from mri_tf.figures import draw_confusion\n"
        "draw_confusion(np.eye(2), ('a', 'b'))\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
        "assert matplotlib.rcParams.copy() == before\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# Machado, Oliveira and Fernandes 2009, severity 1; for linear RGB.
DEUTERANOPIA = np.array(
    [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
)
PROTANOPIA = np.array(
    [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
)


def seen(colour: str, eye: np.ndarray) -> np.ndarray:
    """CIE L*a*b* of a colour as seen with that colour vision."""
    rgb = np.array(to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    linear = np.clip(eye @ linear, 0, 1)
    to_xyz = np.array(
        [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750],
         [0.0193339, 0.1191920, 0.9503041]]
    )  # fmt: skip
    x, y, z = np.cbrt(to_xyz @ linear / np.array([0.95047, 1.0, 1.08883]))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("eye", [np.eye(3), DEUTERANOPIA, PROTANOPIA], ids=["usual", "deutan", "protan"])
def test_colours_differ_for_the_colour_blind(eye):
    for one, other in itertools.combinations(COLOURS, 2):
        assert np.linalg.norm(seen(one, eye) - seen(other, eye)) > 15, (one, other)
    # The check can fail: red and green of equal lightness, the classic pair.
    if eye is DEUTERANOPIA:
        assert np.linalg.norm(seen("#C05050", eye) - seen("#6A7A30", eye)) < 15


def test_series_differ_in_more_than_colour():
    looks = [series(number) for number in range(28)]
    for one, other in itertools.combinations(looks, 2):
        assert one != other
    for one, other in itertools.combinations(looks[:4], 2):
        assert all(one[key] != other[key] for key in ("color", "marker", "linestyle"))
