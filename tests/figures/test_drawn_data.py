"""What a figure draws equals the data; what is missing or undefined is named."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text
from plotted import BINARY, CLASSES, VARIANTS, calibration, decision, differences, results

from mri_tf import figures
from mri_tf.figures.style import COLOURS
from mri_tf.metrics.reliability import reliability_curve

TITLES = ["lung apex", "aortic root", "four chamber view"]


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


def test_a_curve_is_the_mean_and_its_bars_the_sd_over_cells():
    table = results()
    figure = figures.draw_curves(table, ("accuracy", "kappa"))
    for axes, metric in zip(figure.axes, ("accuracy", "kappa"), strict=True):
        drawn = errorbars(axes)
        assert list(drawn) == list(VARIANTS)
        for variant in VARIANTS:
            expected = table[table["variant"] == variant].groupby("train_size")[metric]
            np.testing.assert_allclose(drawn[variant][1], expected.mean())
            np.testing.assert_allclose(drawn[variant][2], expected.std())


def test_variants_stand_side_by_side_at_the_same_size():
    axes = figures.draw_curves(results(), ("accuracy",)).axes[0]
    first, second = (errorbars(axes)[variant][0] for variant in VARIANTS)
    assert (second > first).all()
    assert (second - first).max() < np.diff(axes.get_xticks()).min() / 2
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert labels == ["2", "4", "18"]


def test_a_failed_cell_is_in_no_point_and_is_counted():
    table = results()
    clean = table.drop(index=0)
    table.loc[0, ["status", "accuracy"]] = ["failed", 1e6]
    figure = figures.draw_curves(table, ("accuracy",))
    expected = clean.groupby(["variant", "train_size"])["accuracy"].mean()["manual"]
    np.testing.assert_allclose(errorbars(figure.axes[0])["manual"][1], expected)
    assert f"1 of {len(table)} cells, which failed" in note_of(figure)
    assert "failed" not in note_of(figures.draw_curves(clean, ("accuracy",)))


def test_an_undefined_number_is_counted_in_the_note():
    table = results()
    table.loc[[0, 3], "f1_aortic_root"] = np.nan
    assert "F1 of aortic root undefined in 2 cells" in note_of(figures.draw_class_curves(table, CLASSES))


def test_the_majority_line_is_in_the_accuracy_panel_only():
    table = results()
    accuracy, kappa = figures.draw_curves(table, ("accuracy", "kappa")).axes
    line = {line.get_label(): line for line in accuracy.lines}["majority class"]
    np.testing.assert_allclose(line.get_ydata(), table["majority_accuracy"].mean())
    low, high = accuracy.get_xlim()
    assert line.get_xdata()[0] <= low + 1e-9 and line.get_xdata()[-1] >= high - 1e-9
    assert "majority class" not in [line.get_label() for line in kappa.lines]


@pytest.mark.parametrize("missing", [None, float("nan"), pd.NA])
def test_cells_with_all_samples_stand_apart_without_a_line_to_them(missing):
    table = results(sizes=(2, 4, 18, None))
    table["train_size"] = [missing if pd.isna(size) else int(size) for size in table["train_size"]]
    axes = figures.draw_curves(table, ("accuracy",)).axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["2", "4", "18", "all"]
    y = np.asarray(axes.containers[0].lines[0].get_ydata(), float)
    assert np.isnan(y).tolist() == [False, False, False, True, False]


def test_a_variant_without_a_done_cell_keeps_its_place_in_the_legend():
    table = results()
    table.loc[table["variant"] == "manual", "status"] = "failed"
    figure = figures.draw_curves(table, ("accuracy",))
    assert "manual (no cell done)" in texts(figure)
    scratch = {line.get_label(): line for line in figure.axes[0].lines}
    assert errorbars(figure.axes[0])["scratch"][1].size == 3
    assert any(line.get_color() == COLOURS[1] for line in scratch.values())
    with pytest.raises(ValueError, match="No cell is done"):
        figures.draw_curves(table.assign(status="failed"))


def test_class_curves_have_a_panel_a_class():
    table = results()
    figure = figures.draw_class_curves(table, CLASSES)
    assert [axes.get_title() for axes in figure.axes] == TITLES
    for axes, name in zip(figure.axes, CLASSES, strict=True):
        expected = table[table["variant"] == "scratch"].groupby("train_size")[f"f1_{name}"]
        np.testing.assert_allclose(errorbars(axes)["scratch"][1], expected.mean())
        np.testing.assert_allclose(errorbars(axes)["scratch"][2], expected.std())


def test_one_cell_a_point_has_no_bars_and_says_so():
    figure = figures.draw_curves(results().drop_duplicates(["variant", "train_size"]), ("accuracy",))
    assert np.isnan(errorbars(figure.axes[0])["manual"][2]).all()
    assert "no bars" in note_of(figure)


def test_confusion_shows_counts_and_shades_by_the_true_class():
    counts = np.array([[8, 2], [0, 0]])
    axes = figures.draw_confusion(counts, BINARY).axes[0]
    assert [text.get_text() for text in axes.texts] == ["8", "2", "0", "0"]
    shares = axes.images[0].get_array()
    np.testing.assert_allclose(shares[0], [0.8, 0.2])
    assert shares.mask.tolist() == [[False, False], [True, True]]  # no record: no shares, but grey
    grey = axes.images[0].cmap.get_bad()[:3]
    assert np.ptp(grey) == 0 and not np.allclose(grey, axes.images[0].cmap(0.0)[:3])


def test_confusion_over_cells_shows_mean_and_sd():
    cells = np.random.default_rng(0).poisson([[19, 7], [2, 7]], (5, 2, 2))
    figure = figures.draw_confusion_spread(cells, BINARY)
    mean, sd = cells.mean(axis=0).ravel(), cells.std(axis=0, ddof=1).ravel()
    expected = [f"{one:.1f} ± {other:.1f}" for one, other in zip(mean, sd, strict=True)]
    assert [text.get_text() for text in figure.axes[0].texts] == expected
    assert "5 cells" in note_of(figure)
    one = figures.draw_confusion_spread(cells[:1], BINARY)
    assert "±" not in "".join(text.get_text() for text in one.axes[0].texts)
    assert "no SD" in note_of(one)


def test_a_class_without_records_is_named_below_and_many_are_counted():
    counts = np.diag([3, 0, 2, 0, 0, 0])
    names = tuple("abcdef")
    assert "Grey: no record of 4 classes." in note_of(figures.draw_confusion(counts, names))
    counts[3, 3] = counts[4, 3] = 1
    assert "Grey: no record of b, f." in note_of(figures.draw_confusion(counts, names))


def test_counts_that_do_not_fit_are_left_out_and_it_is_said():
    names = tuple(f"class_{number}" for number in range(15))
    few, many = (figures.draw_confusion(np.full((15, 15), count), names) for count in (7, 1234567))
    assert len(few.axes[0].texts) == 225 and "No counts" not in note_of(few)
    assert not many.axes[0].texts and "No counts: they do not fit." in note_of(many)


def test_many_classes_are_named_and_numbered_at_the_rows_and_numbered_below():
    names = tuple(f"class_{number}" for number in range(44))
    axes = figures.draw_confusion(np.eye(44, dtype=int), names).axes[0]
    assert not axes.texts
    rows = [label.get_text() for label in axes.get_yticklabels()]
    assert rows[0] == "class 0  1" and rows[43] == "class 43  44"
    for label in axes.get_xticklabels():
        assert label.get_text() == str(round(label.get_position()[0]) + 1)


def test_reliability_draws_filled_bins_with_intervals_and_counts():
    curve = calibration()
    upper, lower = figures.draw_reliability({"manual": curve}, "high").axes
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
    curve = reliability_curve(probabilities, rng.integers(0, 3, 200), np.arange(200))
    upper, _ = figures.draw_reliability({"manual": curve}, "the most probable class").axes
    x, y, _ = errorbars(upper)["manual"]
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
    figure = figures.draw_paired(differences())
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
