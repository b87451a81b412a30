"""Numbers by unit, and agreement with readers, of made-up cases with several slices."""

import dataclasses

import numpy as np
import pytest
from made_up_set import MadeUpSet

from mri_tf.calibration.calibrator import Calibrator
from mri_tf.calibration.operating_point import OperatingPoint, decide
from mri_tf.evaluate.readers import reader_values
from mri_tf.evaluate.units import unit_values
from mri_tf.pipeline.subset import Subset
from mri_tf.tables.units import agreement_line, reader_section, unit_section
from mri_tf.task import Task

NAMES = ("I", "II", "III")
TASK = Task(name="grades", channels=("t1",), image_shape=(8, 8), class_names=NAMES, model="vgg",
            ordered=True)  # fmt: skip
POINT = OperatingPoint("balanced_accuracy", None, (1.0, 1.0, 1.0), None, None, 9)
CALIBRATOR = Calibrator(1.0, (1 / 3,) * 3, (1 / 3,) * 3, POINT, 1.0)


class ReadSet(MadeUpSet):
    """Records with facts."""

    facts: list

    def record(self, position):
        return dataclasses.replace(super().record(position), facts=self.facts[position])


def a_subset(tmp_path, cases: list[tuple], facts: dict | None = None, **changed) -> Subset:
    """Of (patient, label, slices) of each case; `facts` of each case by its number."""
    patients = [patient for patient, _, slices in cases for _ in range(slices)]
    prepared = ReadSet(
        tmp_path, [np.zeros((8, 8, 1))] * len(patients), patients,
        label=[label for _, label, slices in cases for _ in range(slices)],
        record_id=[f"{case:06d}-{number:04d}" for case, (_, _, slices) in enumerate(cases)
                   for number in range(slices)],
    )  # fmt: skip
    prepared.facts = [(facts or {}).get(case, {}) for case, (_, _, slices) in enumerate(cases)
                      for _ in range(slices)]  # fmt: skip
    task = dataclasses.replace(TASK, **changed)
    return Subset(task, prepared, np.arange(len(patients)))


def outputs_for(labels: list[int], sure: float = 0.8) -> np.ndarray:
    """(records, classes) probabilities that name these classes."""
    return np.eye(3)[labels] * (sure - (1 - sure) / 2) + (1 - sure) / 2


def values_of(subset: Subset, outputs: np.ndarray, calibrator: Calibrator = CALIBRATOR) -> dict:
    decided = lambda _, natural: decide(natural, calibrator.point)  # noqa: E731
    natural = calibrator.probabilities(outputs)
    return unit_values(subset, outputs, natural, decided).get("by_unit", {})


def test_a_case_is_the_mean_of_its_slices_and_a_patient_that_of_the_cases(tmp_path):
    subset = a_subset(tmp_path, [("a", 0, 1), ("a", 0, 4), ("b", 1, 3), ("c", 2, 2)])
    # Of patient a the case of one slice is surely right, and all slices of the other are wrong.
    outputs = np.concatenate([
        outputs_for([0], 0.98), outputs_for([1] * 4, 0.5), outputs_for([1, 1, 2]), outputs_for([2, 2])
    ])  # fmt: skip
    found = values_of(subset, outputs)
    assert found["record"] == {"n": 10}
    assert (found["case"]["n"], found["patient"]["n"]) == (4, 3)
    assert found["case"]["accuracy"]["value"] == pytest.approx(3 / 4)
    assert found["patient"]["accuracy"]["value"] == 1
    assert found["case"]["accuracy"]["n"] == 3  # patients: cases of one are alike
    assert found["patient"]["quadratic_kappa"]["value"] == 1
    assert found["patient"]["mean_absolute_grade_error"]["value"] == 0


def test_decisions_of_a_patient_are_made_at_the_operating_point(tmp_path):
    subset = a_subset(tmp_path, [("a", 0, 2), ("b", 1, 2), ("c", 2, 2)])
    outputs = outputs_for([0, 0, 1, 1, 2, 2], 0.6)
    point = dataclasses.replace(POINT, class_factors=(1.0, 1.0, 10.0))
    strict = dataclasses.replace(CALIBRATOR, point=point)
    found = values_of(subset, outputs, strict)["patient"]
    assert found["accuracy"]["value"] == pytest.approx(1 / 3)
    assert found["auc"]["value"] == 1


def test_patients_with_several_labels_are_left_out_and_counted(tmp_path):
    subset = a_subset(tmp_path, [("a", 0, 2), ("a", 1, 2), ("b", 1, 2), ("c", 2, 2)])
    found = values_of(subset, outputs_for([0, 0, 1, 1, 1, 1, 2, 2]))
    assert (found["patient"]["n"], found["patient"]["left_out"]) == (2, 1)
    assert (found["case"]["n"], found["case"]["left_out"]) == (4, 0)
    page = unit_section({"by_unit": found, "accuracy": found["patient"]["accuracy"]})
    assert "1 patient with records of several labels" in page and "one case: the mean" in page
    every = a_subset(tmp_path, [("a", 0, 1), ("a", 1, 1)])
    assert values_of(every, outputs_for([0, 1]))["patient"] == {"n": 0, "left_out": 1}


def test_patients_with_one_record_and_bags_have_one_unit(tmp_path):
    subset = a_subset(tmp_path, [("a", 0, 1), ("b", 1, 1)])
    assert values_of(subset, outputs_for([0, 1])) == {}
    bag = a_subset(tmp_path, [("a", 0, 3), ("b", 1, 2)], bag=dict(pooling="mean"))
    assert values_of(bag, outputs_for([0, 1])) == {}


def test_readers_and_network_are_compared_by_case(tmp_path):
    truth = [0, 1, 2] * 4
    cases = [(f"p{number}", label, 2) for number, label in enumerate(truth)]
    facts = {number: dict(label_reader1=NAMES[label], label_reader2=NAMES[max(label - number % 2, 0)],
                          label_reader3=NAMES[label], site="A")
             for number, label in enumerate(truth)}  # fmt: skip
    facts[0] = {"label_reader1": "I"}
    facts[1] = {}
    subset = a_subset(tmp_path, cases, facts)
    outputs = outputs_for(np.repeat([0, 1, 1] * 4, 2).tolist())
    found = reader_values(subset, outputs, CALIBRATOR)["readers"]
    assert found["cases"] == 11 and found["among"]["cases"] == 10
    assert found["among"]["kind"] == "Fleiss' kappa, quadratic"
    assert found["network"]["reader1"]["cases"] == 11
    assert found["network"]["reader1"]["agreement"]["value"] == pytest.approx(7 / 11)
    assert found["network"]["reader1"]["kappa"] == found["network"]["truth"]["kappa"]
    assert found["with_the_others"]["reader2"]["agreement"]["value"] < 1
    assert "what the readers agree on" in found["note"]
    page = reader_section({"readers": found})
    assert "the network with reader 1" in page and "reader 2 with what the other readers" in page
    assert "of all readers together it is Fleiss' kappa, quadratic; of two it is Cohen's" in page
    assert "the readers with each other at" in agreement_line({"readers": found})


def test_a_truth_of_its_own_has_no_note_and_two_readers_have_no_others(tmp_path):
    cases = [(f"p{number}", number % 3, 1) for number in range(6)]
    facts = {number: dict(label_reader1="I", label_reader2="II") for number in range(6)}
    subset = a_subset(tmp_path, cases, facts)
    found = reader_values(subset, outputs_for([0, 1, 2] * 2), CALIBRATOR)["readers"]
    assert found["note"] == "" and "with_the_others" not in found
    assert found["among"]["kind"] == "Cohen's kappa, quadratic"
    assert found["among"]["agreement"]["value"] == 0
    assert "The kappa: of two it is Cohen's kappa, quadratic." in reader_section({"readers": found})


def test_two_readers_who_made_the_truth_are_not_said_to_agree(tmp_path):
    facts = {case: dict(label_reader1="II", label_reader2="II") for case in range(6)}
    subset = a_subset(tmp_path, [(f"p{case}", 1, 1) for case in range(6)], facts)
    found = reader_values(subset, outputs_for([0, 1, 2] * 2), CALIBRATOR)["readers"]
    assert found["among"]["kappa"]["value"] is None
    assert "do not agree have no label" in found["among"]["agreement"]["reason"]
    assert found["network"]["reader1"]["agreement"]["value"] == pytest.approx(1 / 3)
    assert "undefined" in agreement_line({"readers": found})


def test_without_readers_nothing_is_said(tmp_path):
    subset = a_subset(tmp_path, [("a", 0, 1), ("b", 1, 1)], {0: {"site": "A", "t2_reader1": "I"}})
    assert reader_values(subset, outputs_for([0, 1]), CALIBRATOR) == {}
    assert reader_section({}) == "" == unit_section({}) == agreement_line({})


def test_of_bags_a_patients_answer_stands_beside_each_of_its_cases(tmp_path):
    cases = [("a", 0, 2), ("a", 0, 1), ("b", 1, 2)]
    facts = {0: dict(label_reader1="I"), 1: dict(label_reader1="II"), 2: dict(label_reader1="II")}
    subset = a_subset(tmp_path, cases, facts, bag=dict(pooling="mean"))
    found = reader_values(subset, outputs_for([0, 1]), CALIBRATOR)["readers"]
    assert found["cases"] == 3
    assert found["network"]["reader1"]["agreement"]["value"] == pytest.approx(2 / 3)


def test_each_patient_is_decided_by_the_point_of_its_fold(tmp_path):
    subset = a_subset(tmp_path, [("a", 0, 2), ("b", 1, 2), ("c", 2, 2)])
    outputs = outputs_for([0, 0, 1, 1, 2, 2], 0.6)
    of_c = dataclasses.replace(POINT, class_factors=(10.0, 1.0, 1.0))
    points = [POINT] * 4 + [of_c] * 2
    decided = lambda rows, natural: np.array(  # noqa: E731
        [decide(one[None], points[row])[0] for row, one in zip(rows, natural, strict=True)]
    )
    found = unit_values(subset, outputs, outputs, decided)["by_unit"]["patient"]
    assert found["accuracy"]["value"] == pytest.approx(2 / 3)
