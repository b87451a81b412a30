"""Baselines and what the image adds, in words."""

from mri_tf.metrics.number import number
from mri_tf.tables.baselines import (
    added_value_sentence,
    baseline_line,
    baseline_section,
    comparison,
)

AUC = number(0.7, 40, (0.6, 0.8), "m")
FEW = "12 patients are too few"


def baseline(name, difference=None, reason=""):
    if reason:
        return {"name": name, "numbers": {}, "difference": {}, "reason": reason}
    numbers, differences = {"auc": AUC}, {"auc": difference}
    return {"name": name, "numbers": numbers, "difference": differences, "reason": ""}


def added(difference, reason=""):
    low = difference["low"]
    return {"metric": "auc", "covariates": AUC, "image": AUC, "both": AUC, "difference": difference,
            "shown": low is not None and low > 0, "reason": reason}  # fmt: skip


METRICS = {
    "baselines": [
        baseline("majority", number(0.2, 40, (0.1, 0.3), "m")),
        baseline("volume of the mask", number(0.01, 40, (-0.1, 0.1), "m")),
        baseline("frozen probe", reason="no weights"),
    ],
    "added_value": added(number(0.08, 40, (0.01, 0.15), "m")),
}


def test_the_sentence_names_what_the_network_is_better_than_and_what_not():
    assert comparison(METRICS) == (
        "By AUC the network is better than majority; not shown to be better than volume of the mask."
    )


def test_what_the_image_adds_is_shown_not_shown_or_not_known():
    def sentence(difference, reason=""):
        return added_value_sentence({"added_value": added(difference, reason)})

    assert sentence(number(0.08, 40, (0.01, 0.15), "m")) == "The image adds: AUC +0.08 (0.01 to 0.15)."
    assert sentence(number(0.02, 40, (-0.03, 0.06), "m")) == (
        "The image adds: not shown (AUC +0.02, -0.03 to 0.06)."
    )
    assert sentence(number(0.02, 12, reason=FEW), FEW) == f"The image adds: not known ({FEW})."


def test_the_section_has_a_row_for_each_baseline_and_says_which_are_not_there():
    text = baseline_section(METRICS)
    (row,) = (line for line in text.splitlines() if line.startswith("| majority"))
    assert "0.700 (0.600 to 0.800)" in row and "+0.200 (+0.100 to +0.300)" in row
    assert "Not compared: frozen probe: no weights." in text
    assert "## What the image adds" in text and "| both minus covariates | +0.080" in text


def test_without_an_interval_the_reason_stands_once():
    few = {"baselines": [baseline(name, number(0.1, 12, reason=FEW)) for name in ("one", "other")]}
    text = baseline_section(few)
    assert text.count(FEW) == 1 and "not compared with one, other" in text


def test_numbers_of_an_earlier_version_have_no_section_and_no_line():
    assert baseline_section({}) == baseline_line({}) == ""
