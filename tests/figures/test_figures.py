"""Figures: what is drawn equals the data, is legible in print and for the colour-blind."""

import itertools
import struct
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.colors import to_rgb
from matplotlib.text import Text
from sklearn import metrics as sk

from mri_tf.figures import (
    CalibrationCurve,
    draw_class_curves,
    draw_confusion,
    draw_confusion_spread,
    draw_curves,
    draw_decision_curve,
    draw_paired,
    draw_reliability,
    draw_roc,
    save,
    save_confusion,
)
from mri_tf.figures.roc import roc_points
from mri_tf.figures.style import COLOURS, NOTE_POINTS, series
from mri_tf.metrics.reliability import reliability_curve

VARIANTS = ("manual", "scratch")
CLASSES = ("lung_apex", "aortic_root", "four_chamber_view")
BINARY = ("grade_I", "grade_II_III")
TITLES = ["lung apex", "aortic root", "four chamber view"]
CELLS = 6  # per variant and size: 2 folds x 3 repeats


def results(sizes=(2, 4, 18), variants=VARIANTS) -> pd.DataFrame:
    """One row per cell; metrics at random around a curve."""
    rng = np.random.default_rng(0)
    rows = []
    for (worse, variant), size, cell in itertools.product(enumerate(variants), sizes, range(CELLS)):
        accuracy = 0.8 - 0.1 * worse - 0.4 / (size or 40) + rng.normal(0, 0.03)
        rows.append(
            {"variant": variant, "train_size": size, "fold": cell % 2, "repeat": cell // 2,
             "status": "done", "reason": "", "accuracy": accuracy, "kappa": accuracy - 0.1,
             "majority_accuracy": 0.3 + 0.01 * (cell % 2)}
            | {f"f1_{name}": accuracy + rng.normal(0, 0.05) for name in CLASSES}
        )  # fmt: skip
    return pd.DataFrame(rows)


def predictions(class_names, variants=VARIANTS, repeats=3, records=60) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    tables = []
    for variant, repeat in itertools.product(variants, range(repeats)):
        truth = rng.integers(0, len(class_names), records)
        signal = 1.2 * np.eye(len(class_names))[truth]  # (records, classes)
        odds = np.exp(rng.normal(0, 1, signal.shape) + signal)
        table = pd.DataFrame(
            odds / odds.sum(axis=1, keepdims=True), columns=[f"p_{name}" for name in class_names]
        ).round(2)  # ties
        tables.append(
            table.assign(variant=variant, repeat=repeat, truth=[class_names[label] for label in truth])
        )
    return pd.concat(tables, ignore_index=True)


def differences() -> pd.DataFrame:
    columns = ["first", "second", "metric", "train_size", "difference", "low", "high"]
    rows = [
        ("manual", "scratch", "accuracy", 2, 0.10, 0.02, 0.18),
        ("manual", "scratch", "accuracy", 4, 0.03, -0.05, 0.11),
        ("manual", "scratch", "accuracy", 18, 0.01, None, None),
        ("manual", "scratch", "brier", 2, -0.04, -0.06, -0.02),
        ("manual", "scratch", "brier", 4, None, None, None),
    ]
    return pd.DataFrame(rows, columns=columns)


def calibration() -> CalibrationCurve:
    return CalibrationCurve(
        predicted=np.array([0.1, np.nan, 0.5, 0.9]),
        observed=np.array([0.0, np.nan, 0.4, 1.0]),
        counts=np.array([20, 0, 10, 30]),
        low=np.array([0.0, np.nan, 0.12, 0.88]),
        high=np.array([0.17, np.nan, 0.74, 1.0]),
    )


def decision(bands=None):
    thresholds = np.linspace(0.01, 0.99, 99)
    odds = thresholds / (1 - thresholds)
    benefit = {"manual": 0.25 - 0.02 * odds, "scratch": 0.2 - 0.04 * odds}
    figure = draw_decision_curve(thresholds, benefit, 0.3 - 0.7 * odds, "high", bands)
    return figure, thresholds, benefit, odds


def errorbars(axes) -> dict:
    """Label -> (x, y, SD bars' half lengths), points without a value left out."""
    found = {}
    for container in axes.containers:
        if not hasattr(container, "has_yerr"):
            continue
        line, _, (bars,) = container.lines
        x, y = np.asarray(line.get_xdata(), float), np.asarray(line.get_ydata(), float)
        ends = [np.reshape(path, (-1, 2))[:, 1] for path in bars.get_segments()]
        half = np.array([np.ptp(end) / 2 if len(end) else np.nan for end in ends])
        drawn = np.isfinite(y)
        found[container.get_label()] = (x[drawn], y[drawn], half[drawn])
    return found


def texts(figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


def note_of(figure) -> str:
    return " ".join(figure.get_supxlabel().split())


def svg_text(path) -> list[str]:
    root = ElementTree.parse(path).getroot()
    return ["".join(text.itertext()) for text in root.iter("{http://www.w3.org/2000/svg}text")]


# ---- learning curves


def test_a_curve_is_the_mean_and_its_bars_the_sd_over_cells():
    table = results()
    figure = draw_curves(table, ("accuracy", "kappa"))
    for axes, metric in zip(figure.axes, ("accuracy", "kappa"), strict=True):
        drawn = errorbars(axes)
        assert list(drawn) == list(VARIANTS)
        for variant in VARIANTS:
            expected = table[table["variant"] == variant].groupby("train_size")[metric]
            np.testing.assert_allclose(drawn[variant][1], expected.mean())
            np.testing.assert_allclose(drawn[variant][2], expected.std())


def test_variants_stand_side_by_side_at_the_same_size():
    axes = draw_curves(results(), ("accuracy",)).axes[0]
    first, second = (errorbars(axes)[variant][0] for variant in VARIANTS)
    assert (second > first).all()
    assert (second - first).max() < np.diff(axes.get_xticks()).min() / 2
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert labels == ["2", "4", "18"]


def test_a_failed_cell_is_in_no_point_and_is_counted():
    table = results()
    clean = table.drop(index=0)
    table.loc[0, ["status", "accuracy"]] = ["failed", 1e6]
    figure = draw_curves(table, ("accuracy",))
    expected = clean.groupby(["variant", "train_size"])["accuracy"].mean()["manual"]
    np.testing.assert_allclose(errorbars(figure.axes[0])["manual"][1], expected)
    assert f"1 of {len(table)} cells, which failed" in note_of(figure)
    assert "failed" not in note_of(draw_curves(clean, ("accuracy",)))


def test_an_undefined_number_is_counted_in_the_note():
    table = results()
    table.loc[[0, 3], "f1_aortic_root"] = np.nan
    assert "F1 of aortic root undefined in 2 cells" in note_of(draw_class_curves(table, CLASSES))


def test_the_majority_line_is_in_the_accuracy_panel_only():
    table = results()
    accuracy, kappa = draw_curves(table, ("accuracy", "kappa")).axes
    line = {line.get_label(): line for line in accuracy.lines}["majority class"]
    np.testing.assert_allclose(line.get_ydata(), table["majority_accuracy"].mean())
    low, high = accuracy.get_xlim()
    assert line.get_xdata()[0] <= low + 1e-9 and line.get_xdata()[-1] >= high - 1e-9
    assert "majority class" not in [line.get_label() for line in kappa.lines]


@pytest.mark.parametrize("missing", [None, float("nan"), pd.NA])
def test_cells_with_all_samples_stand_apart_without_a_line_to_them(missing):
    table = results(sizes=(2, 4, 18, None))
    table["train_size"] = [missing if pd.isna(size) else int(size) for size in table["train_size"]]
    axes = draw_curves(table, ("accuracy",)).axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["2", "4", "18", "all"]
    y = np.asarray(axes.containers[0].lines[0].get_ydata(), float)
    assert np.isnan(y).tolist() == [False, False, False, True, False]


def test_a_variant_without_a_done_cell_keeps_its_place_in_the_legend():
    table = results()
    table.loc[table["variant"] == "manual", "status"] = "failed"
    figure = draw_curves(table, ("accuracy",))
    assert "manual (no cell done)" in texts(figure)
    scratch = {line.get_label(): line for line in figure.axes[0].lines}
    assert errorbars(figure.axes[0])["scratch"][1].size == 3
    assert any(line.get_color() == COLOURS[1] for line in scratch.values())
    with pytest.raises(ValueError, match="No cell is done"):
        draw_curves(table.assign(status="failed"))


def test_class_curves_have_a_panel_a_class():
    table = results()
    figure = draw_class_curves(table, CLASSES)
    assert [axes.get_title() for axes in figure.axes] == TITLES
    for axes, name in zip(figure.axes, CLASSES, strict=True):
        expected = table[table["variant"] == "scratch"].groupby("train_size")[f"f1_{name}"]
        np.testing.assert_allclose(errorbars(axes)["scratch"][1], expected.mean())
        np.testing.assert_allclose(errorbars(axes)["scratch"][2], expected.std())


def test_one_cell_a_point_has_no_bars_and_says_so():
    figure = draw_curves(results().drop_duplicates(["variant", "train_size"]), ("accuracy",))
    assert np.isnan(errorbars(figure.axes[0])["manual"][2]).all()
    assert "no bars" in note_of(figure)


# ---- confusion


def test_confusion_shows_counts_and_shades_by_the_true_class():
    counts = np.array([[8, 2], [0, 0]])
    axes = draw_confusion(counts, BINARY).axes[0]
    assert [text.get_text() for text in axes.texts] == ["8", "2", "0", "0"]
    np.testing.assert_allclose(axes.images[0].get_array(), [[0.8, 0.2], [0, 0]])


def test_confusion_over_cells_shows_mean_and_sd():
    cells = np.random.default_rng(0).poisson([[19, 7], [2, 7]], (5, 2, 2))
    figure = draw_confusion_spread(cells, BINARY)
    mean, sd = cells.mean(axis=0).ravel(), cells.std(axis=0, ddof=1).ravel()
    expected = [f"{one:.1f} ± {other:.1f}" for one, other in zip(mean, sd, strict=True)]
    assert [text.get_text() for text in figure.axes[0].texts] == expected
    assert "5 cells" in note_of(figure)
    one = draw_confusion_spread(cells[:1], BINARY)
    assert "±" not in "".join(text.get_text() for text in one.axes[0].texts)
    assert "no SD" in note_of(one)


def test_many_classes_keep_their_names_and_lose_the_numbers():
    names = tuple(f"class_{number}" for number in range(44))
    figure = draw_confusion(np.eye(44, dtype=int), names)
    assert not figure.axes[0].texts
    assert len(figure.axes[0].get_yticklabels()) == 44


# ---- ROC


@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=2, max_size=40))
@settings(max_examples=80, deadline=None)
def test_roc_points_are_those_of_scikit_learn(pairs):
    scores, positive = np.array([score for score, _ in pairs]), np.array([is_one for _, is_one in pairs])
    false_rate, true_rate = roc_points(scores, positive)
    if positive.all() or not positive.any():
        assert np.isnan(false_rate).any() or np.isnan(true_rate).any()
        return
    expected = sk.roc_curve(positive, scores, drop_intermediate=False)[:2]
    np.testing.assert_allclose((false_rate, true_rate), expected)


def test_the_bold_curve_is_the_mean_of_the_repeats_and_the_legend_their_mean_auc():
    table = predictions(BINARY)
    axes = draw_roc(table, BINARY).axes[0]
    legend = [text.get_text() for text in axes.get_legend().get_texts()]
    for number, variant in enumerate(VARIANTS):
        repeats = [one for _, one in table[table["variant"] == variant].groupby("repeat")]
        areas = [sk.roc_auc_score(one["truth"] == BINARY[1], one[f"p_{BINARY[1]}"]) for one in repeats]
        assert legend[number] == f"{np.mean(areas):.2f}"
        own = [line for line in axes.lines if line.get_color() == COLOURS[number]]
        faint, bold = own[:-1], own[-1]
        assert len(faint) == 3 and bold.get_linewidth() > faint[0].get_linewidth()
        at = 0.337  # between the steps of every repeat
        mean = np.mean([np.interp(at, *line.get_data()) for line in faint])
        assert np.interp(at, *bold.get_data()) == pytest.approx(mean, abs=0.02)
        area = np.trapezoid(bold.get_ydata(), bold.get_xdata())
        assert area == pytest.approx(np.mean(areas), abs=0.01)


def test_more_classes_have_a_panel_each_against_the_rest_and_given_intervals():
    table = predictions(CLASSES)
    intervals = {
        ("manual", "aortic_root"): (0.91, 0.85, 0.96),
        ("scratch", "aortic_root"): (0.8, None, None),
    }
    figure = draw_roc(table, CLASSES, intervals)
    assert [axes.get_title() for axes in figure.axes] == TITLES
    legend = [text.get_text() for text in figure.axes[1].get_legend().get_texts()]
    assert legend == ["0.91 (0.85 to 0.96)", "0.80 (no interval)"]


def test_a_class_that_does_not_occur_is_named_instead_of_a_curve():
    table = predictions(CLASSES).query("truth != 'aortic_root'")
    axes = draw_roc(table, CLASSES).axes[1]
    assert {text.get_text() for text in axes.get_legend().get_texts()} == {"undefined (one class)"}


# ---- calibration, decisions, differences


def test_reliability_draws_filled_bins_with_intervals_and_counts():
    curve = calibration()
    upper, lower = draw_reliability({"manual": curve}, "high").axes
    x, y, half = errorbars(upper)["manual"]
    filled = curve.counts > 0
    np.testing.assert_allclose(x, curve.predicted[filled])
    np.testing.assert_allclose(y, curve.observed[filled])
    np.testing.assert_allclose(half, (curve.high - curve.low)[filled] / 2)
    assert [bar.get_height() for bar in lower.patches] == [20, 10, 30]
    assert lower.get_xlabel() == "predicted probability of high"


def test_a_reliability_curve_of_the_metrics_is_drawn():
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(3), 200)
    curve = reliability_curve(probabilities, rng.integers(0, 3, 200))
    x, y, _ = errorbars(draw_reliability({"manual": curve}, "the most probable class").axes[0])["manual"]
    np.testing.assert_allclose(x, curve.predicted[curve.counts > 0])
    np.testing.assert_allclose(y, curve.observed[curve.counts > 0])


def test_a_decision_curve_stands_beside_treat_all_and_treat_none():
    figure, thresholds, benefit, odds = decision()
    axes = figure.axes[0]
    drawn = {line.get_label(): line for line in axes.lines}
    assert set(drawn) == {"treat all", "treat none", "manual", "scratch"}
    np.testing.assert_allclose(drawn["scratch"].get_ydata(), benefit["scratch"])
    np.testing.assert_allclose(drawn["treat all"].get_ydata(), 0.3 - 0.7 * odds)
    assert axes.get_xlabel() == "threshold probability of high"
    low, high = axes.get_ylim()
    assert -0.2 < low < 0 and high > 0.29  # not down to where treating all ends


def test_a_forest_plot_fills_what_excludes_zero_and_names_what_is_undefined():
    figure = draw_paired(differences())
    accuracy, brier = figure.axes
    points = [line for line in accuracy.lines if line.get_marker() == "o"]
    assert [float(line.get_xdata()[0]) for line in points] == [0.10, 0.03, 0.01]
    assert [line.get_fillstyle() for line in points] == ["full", "none", "none"]
    bars = [list(line.get_xdata()) for line in accuracy.lines if line.get_marker() != "o"]
    assert [0.02, 0.18] in bars and [-0.05, 0.11] in bars
    assert [0, 0] in bars  # the line of no difference
    assert [text.get_text() for text in brier.texts] == ["−0.04 (−0.06 to −0.02)", "undefined"]
    assert accuracy.texts[2].get_text() == "+0.01 (no interval)"
    assert brier.get_title() == "Brier score (lower is better)"


# ---- print


def three_variants() -> pd.DataFrame:
    return results(variants=("manual", "threshold,convergence", "scratch,convergence,no_augment"))


def thirteen_classes():
    names = tuple(f"class_{number}" for number in range(13))
    return draw_class_curves(three_variants().assign(**{f"f1_{name}": 0.5 for name in names}), names)


def nine_levels(draw, cells: tuple[int, ...]):
    counts = np.random.default_rng(0).poisson(20, (*cells, 9, 9))
    return draw(counts, tuple(f"ascending_descending_aorta_{number}" for number in range(9)))


FIGURES = {
    "curves": lambda: draw_curves(three_variants()),
    "curves of one metric": lambda: draw_curves(three_variants(), ("accuracy",)),
    "curves of many sizes": lambda: draw_curves(results((2, 4, 6, 8, 10, 12, 14, 16, 18, None))),
    "curves of three metrics": lambda: draw_curves(results(), ("accuracy", "kappa", "f1_lung_apex")),
    "class curves": thirteen_classes,
    "confusion": lambda: nine_levels(draw_confusion, ()),
    "confusion over cells": lambda: nine_levels(draw_confusion_spread, (4,)),
    "ROC": lambda: draw_roc(predictions(BINARY), BINARY),
    "ROC of three classes": lambda: draw_roc(predictions(CLASSES), CLASSES),
    "reliability": lambda: draw_reliability(
        {"as trained": calibration(), "scaled": calibration()}, "high"
    ),
    "decision": lambda: decision()[0],
    "paired": lambda: draw_paired(differences()),
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
    assert len(shown) > 5
    for text in shown:
        assert text.get_fontsize() >= NOTE_POINTS, text
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
    paths = save(draw_curves(results()), tmp_path / "curves_0.5")
    assert [path.name for path in paths] == ["curves_0.5.png", "curves_0.5.svg"]
    assert sorted(tmp_path.iterdir()) == sorted(paths)
    width, _ = struct.unpack(">II", paths[0].read_bytes()[16:24])
    assert width == pytest.approx(183 / 25.4 * 300, abs=1)
    written = svg_text(paths[1])
    for name in (*VARIANTS, "accuracy", "majority class"):
        assert name in written
    roc = save(draw_roc(predictions(CLASSES, repeats=1), CLASSES), tmp_path / "roc")[1]
    assert {*VARIANTS, "aortic root"} <= set(svg_text(roc))


def test_the_same_data_gives_the_same_bytes(tmp_path):
    first = save(draw_paired(differences()), tmp_path / "first")
    second = save(draw_paired(differences()), tmp_path / "second")
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_save_confusion_writes_both_files(tmp_path):
    paths = save_confusion(np.array([[3, 1], [0, 4]]), BINARY, tmp_path / "confusion")
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
