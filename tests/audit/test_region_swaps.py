"""A network that looks at a corner or the border is told; one that looks at a lesion is not."""

from dataclasses import replace

import keras
import numpy as np
import pytest
from heads import head, marked
from keras import layers, ops
from taught import TAUGHT, StoredSet, judged_of, taught

from mri_tf.audit.finding import CANNOT_TELL, FOUND, NOT_APPLICABLE, NOT_FOUND
from mri_tf.audit.judged import held_out_of_members, one_a_patient
from mri_tf.audit.region_swaps import Swapped, findings_of, looks_at_findings
from mri_tf.metrics.class_pull import class_pull

TRAINED, HELD_OUT = 40, 24


def images_of_classes(change, seed=0, patients=TRAINED + HELD_OUT):
    """Heads and their labels; `change(image, label, rng)` plants what tells them."""
    rng = np.random.default_rng(seed)
    labels = np.concatenate([rng.permutation(np.arange(count) % 2)
                             for count in (TRAINED, patients - TRAINED)])  # fmt: skip
    return [change(head(rng), label, rng) for label in labels], labels.tolist()


def with_mark(image, label, rng):
    return marked(image) if label else image


def with_border(image, label, rng):
    inside = image[..., 0] > 50
    core = np.logical_and.reduce([np.roll(inside, step, axis) for axis in (0, 1) for step in (-2, 2)])
    image = image.copy()
    image[inside & ~core] *= 1.4 if label else 0.9
    return image


def with_lesion(image, label, rng):
    image = image.copy()
    row, column = rng.integers(18, 26, 2)
    image[row : row + 6, column : column + 6] = 170 if label else 40
    return image


def told(found):
    return {one.name.partition(": ")[2]: one for one in found}


@pytest.fixture(scope="module")
def of_kind(tmp_path_factory):
    """The findings of a network that was taught with a trick, by the function that plants it."""
    found = {}

    def findings(change):
        if change not in found:
            images, labels = images_of_classes(change)
            prepared = StoredSet(tmp_path_factory.mktemp("set"), images, label=labels)
            model = taught(prepared, TRAINED)
            found[change] = told(looks_at_findings([judged_of(model, prepared, TRAINED)]))
        return found[change]

    return findings


def test_a_network_that_learned_a_mark_in_the_corner_looks_at_it_and_not_at_the_border(of_kind):
    found = of_kind(with_mark)
    assert found["corners"].status == found["background"].status == FOUND
    assert found["border"].status == NOT_FOUND
    assert found["corners"].statistic > 1
    assert found["corners"].n >= HELD_OUT - 2  # heads that are near copies count as one patient
    assert found["corners"].meaning and found["corners"].what_to_do
    assert "towards that patient's class" in found["corners"].evidence


def test_a_network_that_learned_the_border_looks_at_it_and_not_at_the_corners(of_kind):
    found = of_kind(with_border)
    assert found["border"].status == FOUND and found["corners"].status == NOT_FOUND


def test_a_network_that_learned_a_lesion_looks_at_none_and_says_what_would_have_been_found(of_kind):
    found = of_kind(with_lesion)
    assert {one.status for one in found.values()} == {NOT_FOUND}
    assert "would have been found" in found["border"].evidence
    assert all(one.p > 0.05 for one in found.values())


def only_sees(rows):
    """A network whose class b is the brighter, the brighter some rows in the middle are."""
    image = keras.Input((48, 48, 1))
    bright = ops.mean(image[:, rows, 20:28, 0], axis=(1, 2))
    scores = ops.stack([0 * bright, 3 * bright], axis=-1)
    return keras.Model(image, layers.Softmax(name="probabilities")(scores))


def test_a_region_that_changes_no_answer_is_not_applicable(tmp_path):
    images, labels = images_of_classes(with_mark)
    prepared = StoredSet(tmp_path, images, label=labels)
    found = looks_at_findings([judged_of(only_sees(slice(20, 28)), prepared, TRAINED)])
    assert {one.status for one in found} == {NOT_APPLICABLE}


def test_fewer_than_eight_patients_tell_nothing(tmp_path):
    images, labels = images_of_classes(with_mark, patients=TRAINED + 7)
    prepared = StoredSet(tmp_path, images, label=labels)
    found = looks_at_findings([judged_of(only_sees(slice(0, 48)), prepared, TRAINED)])
    assert {one.status for one in found} == {CANNOT_TELL}
    assert "7 held-out patients, fewer than 8" in found[0].evidence


def test_eight_patients_of_whom_one_has_another_class_are_too_few_to_exchange():
    logits = {"corners": np.random.default_rng(0).normal(size=(8, 2))}
    (found,) = findings_of(Swapped(logits, np.array([1, *[0] * 7]), np.zeros(8, int)))
    assert found.status == CANNOT_TELL and "in 8 ways" in found.evidence


def test_eight_patients_four_of_each_class_are_too_few_beside_the_probes():
    """70 exchanges: the least p-value is 0.014 for one region alone, and twice that with the probes."""
    logits = np.random.default_rng(0).normal(size=(8, 2))
    rows = {"border": logits, "corners": logits}
    found = findings_of(Swapped(rows, np.arange(8) % 2, np.zeros(8, int)))
    assert {one.status for one in found} == {CANNOT_TELL} and "in 70 ways" in found[0].evidence


def test_p_values_are_adjusted_for_the_regions_together_and_for_the_probes():
    rng = np.random.default_rng(1)
    labels = np.arange(20) % 2
    rows = {name: rng.normal(size=(20, 2)) for name in ("border", "background", "corners")}
    rows["border"][labels == 1] += (0, 2.0)
    alone = findings_of(Swapped({"border": rows["border"]}, labels, np.zeros(20, int)))[0]
    together = findings_of(Swapped(rows, labels, np.zeros(20, int)))[0]
    assert together.p == pytest.approx(3 * alone.p) and "adjusted for all findings" in together.evidence
    pull = class_pull(rows["border"], labels, np.zeros(20, int))
    assert alone.p == pytest.approx(2 * pull.p)


def test_a_change_that_no_chance_explains_and_that_decides_no_answer_is_not_found():
    labels = np.arange(20) % 2
    logits = np.random.default_rng(1).normal(scale=0.001, size=(20, 2))
    logits[labels == 1] += (0, 0.05)
    (found,) = findings_of(Swapped({"corners": logits}, labels, np.zeros(20, int)))
    assert found.status == NOT_FOUND and found.p < 0.01 and "too small to matter" in found.evidence


def test_one_record_of_each_patient_is_asked_classes_in_turn_and_the_test_side_first(tmp_path):
    images, _ = images_of_classes(with_mark, patients=44)
    prepared = StoredSet(
        tmp_path, images, patients=[f"p{number // 3}" for number in range(44)],
        label=[number // 3 % 2 for number in range(44)],
    )  # fmt: skip
    places = one_a_patient(prepared, (np.arange(18, 30), np.arange(30, 42)), 6)
    patients = [prepared.patients[place] for place in places]
    assert len(set(patients)) == 6 and sorted(prepared.labels[places]) == [0, 0, 0, 1, 1, 1]
    assert {f"p{number}" for number in range(6, 10)} <= set(patients)
    assert all(place % 3 == 1 for place in places)  # the middle one of three


def test_no_patient_is_a_donor_for_two_members_of_a_model(tmp_path):
    """Three folds of 6 patients, each validated on the next fold."""
    images, _ = images_of_classes(with_mark, patients=44)
    prepared = StoredSet(
        tmp_path, images, patients=[f"p{number % 18}" for number in range(36)] + ["rest"] * 8,
        label=[number % 2 for number in range(36)] + [0] * 8,
    )  # fmt: skip
    folds = [np.concatenate([start + np.arange(6), start + 18 + np.arange(6)]) for start in (0, 6, 12)]
    found = held_out_of_members(prepared, [(folds[one], folds[(one + 1) % 3]) for one in range(3)])
    donors = prepared.patients[np.concatenate(found)].tolist()
    assert len(donors) == len(set(donors)) == 18
    assert len(found[0]) == 8


def test_a_member_without_donors_of_its_own_is_not_asked(tmp_path):
    images, labels = images_of_classes(with_mark)
    prepared = StoredSet(tmp_path, images, label=labels)
    judged = judged_of(only_sees(slice(0, 48)), prepared, TRAINED)
    nobody = replace(judged, held_out=judged.held_out.of(np.zeros(0, np.int64)))
    assert looks_at_findings([judged, nobody]) == looks_at_findings([judged])


def test_the_gain_of_a_scanner_changes_nothing(tmp_path):
    images, labels = images_of_classes(with_mark)
    gains = np.random.default_rng(1).uniform(0.5, 2, len(images))
    pulls = []
    for name, factors in (("as they are", np.ones(len(images))), ("with gains", gains)):
        (tmp_path / name).mkdir()
        scaled = [(one * gain).astype(np.float32) for one, gain in zip(images, factors, strict=True)]
        prepared = StoredSet(tmp_path / name, scaled, label=labels)
        found = looks_at_findings([judged_of(only_sees(slice(0, 48)), prepared, TRAINED)])
        pulls.append([one.statistic or 0.0 for one in found])
    assert TAUGHT.normalize["method"] == "zscore"
    np.testing.assert_allclose(*pulls, atol=1e-3)
