"""Accuracy by part of the class names, leaks of a split, and the page of a run."""

from types import SimpleNamespace

import numpy as np
import pytest

from mri_tf.core.errors import InputError
from mri_tf.metrics import classification_metrics, part_metrics
from mri_tf.splits.leakage import counted_as_images, leak
from mri_tf.tables import run_page
from mri_tf.task import Task

NAMES = ("a T1", "a T2", "b T1", "b T2")
PARTS = {"contrast": ("T1", "T2", "T1", "T2"), "tumour": ("a", "a", "b", "b")}
TRUTH = np.array([0, 0, 1, 2, 2, 3])
PREDICTED = np.array([0, 2, 1, 2, 3, 1])
PATIENTS = np.array(list("abcdef"))


def a_set(patients, groups, known=True) -> SimpleNamespace:
    """The attributes of a prepared set that leak checks read."""
    patients, groups = np.array(patients, object), np.array(groups, object)
    return SimpleNamespace(patients=patients, groups=groups, patients_known=known)


def test_parts_are_counted_by_hand():
    parts = part_metrics(TRUTH, PREDICTED, PATIENTS, PARTS)
    contrast, tumour = parts["contrast"], parts["tumour"]
    assert contrast["records"] == {"T1": 4, "T2": 2}
    assert contrast["accuracy"]["T1"]["value"] == pytest.approx(2 / 4)
    assert contrast["accuracy"]["T2"]["value"] == pytest.approx(1 / 2)
    assert contrast["agreement"]["value"] == pytest.approx(5 / 6)
    assert tumour["agreement"]["value"] == pytest.approx(4 / 6)


def test_the_parts_weigh_up_to_the_accuracy():
    rng = np.random.default_rng(0)
    truth, predicted = rng.integers(0, 4, (2, 200))
    for part in part_metrics(truth, predicted, np.arange(200), PARTS).values():
        total = sum(part["accuracy"][name]["value"] * count for name, count in part["records"].items())
        assert total / 200 == pytest.approx(np.mean(truth == predicted))


def test_a_value_without_records_says_so():
    found = part_metrics(np.array([0, 0]), np.array([0, 2]), np.array(["a", "b"]), PARTS)
    assert found["contrast"]["accuracy"]["T2"]["value"] is None
    assert found["contrast"]["accuracy"]["T2"]["reason"] == "no record"


def test_records_of_one_patient_are_resampled_together():
    truth, predicted = np.zeros(40, int), np.repeat([0, 2], 20)
    apart = part_metrics(truth, predicted, np.arange(40), PARTS)["tumour"]["agreement"]
    together = part_metrics(truth, predicted, np.repeat(np.arange(4), 10), PARTS)["tumour"]["agreement"]
    assert together["n"] == 4
    assert together["high"] - together["low"] > 1.5 * (apart["high"] - apart["low"])


@pytest.mark.parametrize("wrong", [("T1", "T2"), ("T1", "T2", "T1", 4), "T1T2"])
def test_a_part_names_a_value_for_every_class(wrong):
    with pytest.raises(InputError, match="class_parts.contrast"):
        Task(
            name="x", channels=("mr",), image_shape=(8, 8), class_names=NAMES, model="vgg",
            class_parts={"contrast": wrong},
        )  # fmt: skip


def test_a_leak_counts_held_out_records_whose_patient_or_group_was_trained_on():
    trained = "with records that the network was trained on"
    prepared = a_set(["p", "q", "p", "r", "s"], ["", "g", "", "g", ""])
    text = leak(prepared, np.array([0, 1]), np.array([2, 3, 4]))
    assert text == f"LEAKY: 2 of 3 held-out records share their patient or group {trained}"
    text = leak(prepared, np.array([0, 1]), np.array([2, 4]))
    assert text == f"LEAKY: 1 of 2 held-out records share their patient {trained}"
    unknown = a_set(["g"] * 2, ["g"] * 2, known=False)
    text = leak(unknown, np.array([0]), np.array([1]))
    assert text == f"LEAKY: 1 of 1 held-out records share an image {trained}"


def test_a_group_is_not_taken_for_the_patient_of_the_same_name():
    prepared = a_set(["3", "7", "8"], ["", "3", "7"])
    assert leak(prepared, np.array([0, 1]), np.array([2])).startswith("LEAKY: 0 of 1 held-out")


def test_without_patient_ids_groups_of_images_are_counted():
    f1 = {"f1": {"unit": "patients"}}
    values = {"accuracy": {"value": 0.5, "unit": "patients"}, "per_class": {"a": f1}}
    changed = counted_as_images(values)
    assert changed["accuracy"] == {"value": 0.5, "unit": "groups of images"}
    assert changed["per_class"]["a"]["f1"]["unit"] == "groups of images"
    assert values["accuracy"]["unit"] == "patients"
    text = counted_as_images({"note": "class a has 1 patient; only 2 patients", "confusion": [[1]]})
    assert text["note"] == "class a has 1 group of images; only 2 groups of images"


def test_the_page_says_what_leaks_first_and_sorts_classes_by_f1():
    rng = np.random.default_rng(1)
    truth = np.repeat(np.arange(4), 25)
    predicted = np.where(rng.random(100) < 0.2 * truth, (truth + 1) % 4, truth)
    probabilities = np.eye(4)[predicted] * 0.6 + 0.1
    values = classification_metrics(truth, probabilities, predicted, np.arange(100), NAMES)
    values |= {
        "parts": part_metrics(truth, predicted, np.arange(100), PARTS), "split": "random",
        "note": "LEAKY: copies", "duplicates": {
            "in_groups": 5, "groups": 2, "largest_group": 3, "exact_copies": 1,
            "across_classes": [["000001-0000", "000002-0000"]],
        },
    }  # fmt: skip
    values |= {
        "operating_point": {"criterion": "accuracy", "threshold": None, "value": 0.71, "n": 60,
                            "patients": 20, "reason": ""},
        "prediction_sets": {"level": 0.9, "coverage": values["accuracy"], "mean_size": 1.5,
                            "says_nothing": False, "fitted_on_patients": 12,
                            "guarantee": "for new patients"},
        "most_probable": {"accuracy": values["accuracy"]},
    }  # fmt: skip
    page = run_page("brains", values, NAMES)
    assert "chosen on 20 patients of the validation side (apparent value there: 0.710)" in page
    assert "of the records of 100 patients, with 1.50 classes on average" in page
    assert "accuracy of the most probable class" in page and "| Clopper-Pearson" in page
    assert "Compared with chance: AUC better (p = 0.0001)" in page and "9999 drawn exchanges" in page
    assert "slope (perfect: 1)" in page and "would show" in page
    assert "fitted on 12 patients that chose nothing else. The 90 % are meant for new patients" in page
    earlier = values["prediction_sets"] | {"fitted_on_patients": None}
    assert "so that they promise too much" in run_page("b", values | {"prediction_sets": earlier}, NAMES)
    nothing = {"says_nothing": True, "reason": "eight patients"}
    said = run_page("b", values | {"prediction_sets": nothing}, NAMES)
    assert "There are no prediction sets: eight patients." in said
    assert "Decisions are made for the highest accuracy, chosen" in page
    fixed = {"criterion": "sensitivity_at_specificity", "target": 0.9}
    point = values["operating_point"] | fixed
    said = run_page("b", values | {"operating_point": point}, NAMES)
    assert "Decisions are made for the highest sensitivity at a specificity of 0.9, chosen" in said
    lines = page.splitlines()
    assert lines[0] == "# brains, split by random" and lines[1] == "- LEAKY: copies"
    assert "000001-0000, 000002-0000" in page
    table = page[page.index("## Classes") :]
    f1 = [float(row.split("|")[4]) for row in table.splitlines() if row.startswith(("| a ", "| b "))]
    assert len(f1) == 4 and f1 == sorted(f1, reverse=True)
    assert "macro average" in table and "weighted average" in table
    assert "| T1 " in page and "tumour right" in page
