"""Figures inside a page: ids of their own, a spoken title, nothing from elsewhere; and forest plots."""

import re

from mri_tf.figures import draw_forest, inline_svg

NUMBER = {"value": 0.7, "low": 0.55, "high": 0.85, "n": 20, "unit": "patients"}
NONE = {"value": None, "low": None, "high": None, "n": 0, "unit": "patients", "reason": "no record"}
ROWS = {"low_grade": {"auc": NUMBER, "recall": NONE}, "high <grade>": {"auc": {**NUMBER, "low": None}}}
NAMES = {"auc": "AUC", "recall": "sensitivity"}


def test_two_figures_on_a_page_share_no_id_and_load_nothing():
    figures = [inline_svg(draw_forest(ROWS, ["auc", "recall"], NAMES), name) for name in ("one", "two")]
    ids = [set(re.findall(r'\bid="([^"]+)"', svg)) for svg in figures]
    assert ids[0] and not ids[0] & ids[1]
    for name, svg in zip(("one", "two"), figures, strict=True):
        assert svg.startswith(f'<svg role="img" aria-labelledby="{name}-title"')
        referred = re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', svg)
        assert {first or second for first, second in referred} <= ids[("one", "two").index(name)]
        assert "http" not in svg and "<style" not in svg and "<?xml" not in svg


def test_the_title_says_the_numbers_and_is_safe_in_html():
    svg = inline_svg(draw_forest(ROWS, ["auc", "recall"], NAMES), "one")
    title = re.search(r"<title id=\"one-title\">(.*?)</title>", svg)[1]
    assert "low grade: AUC 0.70 (0.55, 0.85), sensitivity –" in title
    assert "high &lt;grade&gt;: AUC 0.70" in title


def test_equal_figures_are_equal_text():
    drawn = [inline_svg(draw_forest(ROWS, ["auc"], NAMES, "note"), "one") for _ in range(2)]
    assert drawn[0] == drawn[1]
