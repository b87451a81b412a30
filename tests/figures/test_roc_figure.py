"""The ROC figure: name, AUC and interval in one legend, bands or the reason for none, many classes."""

import dataclasses

import numpy as np
import pytest
from matplotlib.text import Text
from plotted import BINARY, CLASSES, VARIANTS, curves_of, predictions, roc

from mri_tf import figures
from mri_tf.figures.roc import MOST_BANDS, MOST_PANELS
from mri_tf.figures.style import COLOURS

PRINTED = ["lung apex", "aortic root", "four chamber view"]


def legend_of(axes) -> list[str]:
    return [text.get_text() for text in axes.get_legend().get_texts()]


def title_of(axes) -> list[str]:
    return axes.get_legend().get_title().get_text().split("\n")


def note_of(figure) -> str:
    return " ".join(figure.get_supxlabel().split())


def number(curve) -> str:
    return "{value:.2f} ({low:.2f} to {high:.2f})".format(**curve.auc)


def test_one_legend_holds_names_aucs_and_intervals():
    curves = curves_of(predictions(BINARY), BINARY)
    axes = figures.draw_roc(curves).axes[0]
    expected = [f"{variant}: {number(curve)}" for (variant, _), curve in curves.items()]
    assert legend_of(axes) == expected
    assert title_of(axes) == ["grade II III", "AUC (95 % interval)"]
    for (_, curve), line, colour in zip(curves.items(), axes.lines, COLOURS, strict=False):
        np.testing.assert_allclose(line.get_data(), (curve.false_rate, curve.true_rate))
        assert line.get_color() == colour


def test_the_entry_of_a_single_network_has_the_name_of_the_class():
    curves = curves_of(predictions(CLASSES, variants=("",)), CLASSES)
    figure = figures.draw_roc(curves)
    for axes, name, curve in zip(figure.axes, PRINTED, curves.values(), strict=True):
        (entry,) = legend_of(axes)
        assert " ".join(entry.split()) == f"{name}: {number(curve)}"
        assert title_of(axes) == ["AUC (95 % interval)"]


def test_every_class_has_a_panel_that_names_it_and_a_band_for_each_curve():
    curves = curves_of(predictions(CLASSES), CLASSES)
    figure = figures.draw_roc(curves)
    assert [title_of(axes)[0] for axes in figure.axes] == PRINTED
    for axes, name in zip(figure.axes, CLASSES, strict=True):
        bands = [np.concatenate([path.vertices for path in band.get_paths()])
                 for band in axes.collections]  # fmt: skip
        for band, variant in zip(bands, ("manual", "scratch"), strict=True):
            limits = {tuple(point) for point in band.round(9).tolist()}
            curve = curves[variant, name]
            for edge in (curve.low, curve.high):
                assert set(zip(curve.at.round(9), edge.round(9), strict=True)) <= limits
    said = "Bands: 95 % interval of the sensitivity at each specificity, over patients."
    assert said in note_of(figure)


def test_few_patients_have_no_band_and_the_figure_says_why():
    figure = roc(BINARY, records=4, repeats=1, variants=("manual",))
    assert not figure.axes[0].collections
    assert "(no interval)" in legend_of(figure.axes[0])[0]
    assert "No band for grade II III: " in note_of(figure) and "too few" in note_of(figure)
    assert "Bands:" not in note_of(figure)


def test_of_many_variants_no_bands_are_drawn_and_it_is_said():
    variants = tuple(f"variant {number}" for number in range(MOST_BANDS + 1))
    figure = roc(BINARY, variants=variants)
    assert not figure.axes[0].collections and "No bands" in note_of(figure)
    assert len(legend_of(figure.axes[0])) == MOST_BANDS + 1


def test_a_class_that_does_not_occur_is_named_instead_of_a_curve():
    table = predictions(CLASSES).query("truth != 'aortic_root'")
    figure = figures.draw_roc(curves_of(table, CLASSES))
    assert legend_of(figure.axes[1]) == [f"{name}: undefined, no record" for name in VARIANTS]
    curves = [line for line in figure.axes[1].lines if line.get_color() in COLOURS]
    assert len(curves) == 2 and all(not len(line.get_xdata()) for line in curves)


def test_numbers_are_those_that_are_given():
    curves = curves_of(predictions(BINARY), BINARY)
    curves = {key: dataclasses.replace(curve, auc=curve.auc | {"value": 0.5, "low": 0.25, "high": 0.75})
              for key, curve in curves.items()}  # fmt: skip
    assert legend_of(figures.draw_roc(curves).axes[0])[0] == "manual: 0.50 (0.25 to 0.75)"


@pytest.mark.parametrize("variants", [("",), ("manual", "scratch")])
def test_many_classes_stand_in_a_list_with_their_numbers_the_best_first(variants):
    names = tuple(f"level_{number}" for number in range(MOST_PANELS + 4))
    table = predictions(names, variants=variants, repeats=1, records=150)
    curves = curves_of(table.query("truth != 'level_3'"), names)
    figure = figures.draw_roc(curves)
    rows = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert "level 3" not in rows and "No AUC, for want of records: level 3." in note_of(figure)
    shown = [curves[variants[0], name.replace(" ", "_")] for name in rows]
    values = [curve.auc["value"] for curve in shown]
    assert len(rows) == len(names) - 1 and values == sorted(values, reverse=True)
    numbers = [text.get_text() for text in figure.axes[0].texts]
    assert numbers[: len(rows)] == [number(curve) for curve in shown]
    assert len(numbers) == len(variants) * len(rows)
    assert len(figure.axes) == 1 + len(variants)


def test_dollar_signs_in_names_are_printed_as_they_are():
    names = ("$low$", "$hi_gh$")
    figure = roc(names)
    figure.canvas.draw()
    assert "$hi gh$" in [text.get_text().split("\n")[0] for text in figure.findobj(Text)]
