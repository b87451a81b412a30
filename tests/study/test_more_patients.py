"""The report's section on what more patients would be worth."""

import numpy as np
import pandas as pd

from mri_tf.study.more_patients import more_patients


def rows(repeats=4, sizes=(4, 8, 16), metric="auc"):
    rng = np.random.default_rng(0)
    return pd.DataFrame([
        {"variant": variant, "repeat": repeat, "fold": 0, "train_size": float(size),
         "n_train_patients": 2 * size + rng.integers(2),
         metric: best - (2 * size) ** -0.5 + rng.normal(0, 0.005)}
        for variant, best in (("manual", 0.95), ("scratch", 0.9))
        for repeat in range(repeats) for size in sizes
    ])  # fmt: skip


def cells_of(text, variant):
    (line,) = [line for line in text.splitlines() if line.startswith(f"| {variant}")]
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_a_section_says_what_twice_and_four_times_the_patients_are_expected_to_give():
    (title, text), *others = more_patients(rows(), "auc", "patients").items()
    assert title == "More patients" and not others
    _, most, now, twice, four, half = cells_of(text, "manual")
    assert most == "32" and half == "128"
    values = [float(cell.split()[0]) for cell in (now, twice, four)]
    np.testing.assert_allclose(values, 0.95 - np.array([32, 64, 128]) ** -0.5, atol=0.02)
    limits = [cell.split("(")[1].rstrip(")").split(" to ") for cell in (now, twice, four)]
    widths = [float(high) - float(low) for low, high in limits]
    assert widths[0] < widths[2]  # what is further away is known less well


def test_an_accuracy_that_still_rises_needs_less_than_four_times_the_patients():
    text = more_patients(rows(metric="accuracy"), "accuracy", "patients")["More patients"]
    assert 32 < int(cells_of(text, "manual")[-1]) < 128


def test_few_repeats_or_sizes_say_that_nothing_can_be_told_and_one_size_has_no_section():
    assert "cannot tell (2 repeats, fewer than 3)" in more_patients(
        rows(repeats=2), "auc", "patients"
    )["More patients"]  # fmt: skip
    two = more_patients(rows(sizes=(4, 8)), "auc", "groups of images")["More groups of images"]
    assert "cannot tell (2 training sizes, fewer than 3)" in two
    assert not more_patients(rows(sizes=(4,)), "auc", "patients")
    assert not more_patients(rows(metric="brier"), "brier", "patients")
