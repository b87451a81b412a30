"""The report's section on what more patients would be worth."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from mri_tf.metrics.classifier import classifier_numbers, predictions_of
from mri_tf.study.more_patients import more_patients
from mri_tf.task import Task

TASK = Task(name="grade", class_names=("low", "high"), channels=("t1",), image_shape=(8, 8), model="vgg",
            primary_metric="accuracy")  # fmt: skip
PATIENTS = 40  # each tested once in a repeat


def study(repeats=3, sizes=(4, 8, 16), metric="accuracy") -> tuple[pd.DataFrame, pd.DataFrame, Task]:
    """(rows of cells, predictions, task) of two variants, in folds of the same patients."""
    rng = np.random.default_rng(0)
    task, rows, tables = dataclasses.replace(TASK, primary_metric=metric), [], []
    truth = np.arange(PATIENTS) % 2
    for variant, best in (("manual", 0.95), ("scratch", 0.9)):
        for repeat in range(repeats):
            fold_of = rng.permutation(PATIENTS) % 2
            for size in sizes:
                right = rng.random(PATIENTS) < best - (2 * size) ** -0.5
                chance = np.where(right == (truth == 1), 0.8, 0.2) + rng.uniform(-0.1, 0.1, PATIENTS)
                for fold in (0, 1):
                    cell = {"variant": variant, "repeat": repeat, "fold": fold,
                            "train_size": float(size)}  # fmt: skip
                    table = pd.DataFrame({
                        **cell, "patient": np.arange(PATIENTS).astype(str),
                        "truth": np.array(TASK.class_names)[truth],
                        "p_low": 1 - chance, "p_high": chance,
                        "predicted": np.array(TASK.class_names)[(chance > 0.5).astype(int)],
                    })[fold_of == fold]  # fmt: skip
                    tables.append(table)
                    made = predictions_of(table, TASK.class_names)
                    once = np.ones((1, table["patient"].nunique()), int)
                    values = {name: value[0] for name, value in classifier_numbers(made, once).items()
                              if value.ndim == 1}  # fmt: skip
                    rows.append(cell | {"n_train_patients": 2 * size + fold} | values)
    return pd.DataFrame(rows), pd.concat(tables), task


def cells_of(text, variant):
    (line,) = [line for line in text.splitlines() if line.startswith(f"| {variant}")]
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_no_limit_of_what_is_expected_leaves_the_scale(monkeypatch):
    monkeypatch.setattr("mri_tf.study.more_patients.interval_at", lambda *_: (-1.3, 1.3))
    for metric, least in (("auc", "0.000"), ("kappa", "-1.000")):
        (text,) = more_patients(*study(metric=metric), "patients").values()
        assert cells_of(text, "manual")[2].endswith(f"({least} to 1.000)")


@pytest.mark.parametrize("metric", ["accuracy", "auc"])
def test_a_section_says_what_twice_and_four_times_the_patients_are_expected_to_give(metric):
    (title, text), *others = more_patients(*study(metric=metric), "patients").items()
    assert title == "More patients" and not others
    _, most, now, twice, four, half = cells_of(text, "manual")
    assert most == "32"
    values = [float(cell.split()[0]) for cell in (now, twice, four)]
    if metric == "accuracy":
        np.testing.assert_allclose(values, 0.95 - np.array([32, 64, 128]) ** -0.5, atol=0.1)
    assert values == sorted(values)
    limits = [cell.split("(")[1].rstrip(")").split(" to ") for cell in (now, twice, four)]
    assert all(float(low) <= value <= float(high)
               for (low, high), value in zip(limits, values, strict=True))  # fmt: skip
    # 40 patients are tested, although fewer teach: four times as many would halve the width.
    assert half == "160" if metric == "auc" else 40 < int(half) <= 160


def test_the_interval_is_as_wide_as_so_few_patients_leave_it():
    table = cells_of(more_patients(*study(), "patients")["More patients"], "manual")
    low, high = (float(text) for text in table[2].split("(")[1].rstrip(")").split(" to "))
    value = float(table[2].split()[0])
    of_one_test = 2 * norm.ppf(0.975) * np.sqrt(value * (1 - value) / PATIENTS / 3)
    assert high - low > of_one_test  # three networks a patient, no two of them of other patients


def test_few_repeats_or_sizes_say_that_nothing_can_be_told_and_one_size_has_no_section():
    told = more_patients(*study(repeats=2), "patients")["More patients"]
    assert "cannot tell (2 repeats, fewer than 3)" in told
    two = more_patients(*study(sizes=(4, 8)), "groups of images")["More groups of images"]
    assert "cannot tell (2 training sizes, fewer than 3)" in two
    assert not more_patients(*study(sizes=(4,)), "patients")
    assert not more_patients(*study(metric="brier"), "patients")
