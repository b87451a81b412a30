"""Distances between masks against every pair of voxels; Dice of volumes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mri_tf import metrics
from mri_tf.metrics import (
    Distance,
    Lesions,
    dice_over_volumes,
    f1_per_class,
    hausdorff95,
    mean_hausdorff95,
    volume_metrics,
)
from mri_tf.metrics.lesions import lesion_numbers


def surface_points(mask: np.ndarray, spacing) -> np.ndarray:
    """Places (points, axes) of the voxels with a neighbour, across a face, that is not in the mask."""
    padded = np.pad(mask, 1)
    points = []
    for place in np.argwhere(padded):
        neighbours = [place + step for axis in np.eye(mask.ndim, dtype=int) for step in (axis, -axis)]
        if not all(padded[tuple(neighbour)] for neighbour in neighbours):
            points.append((place - 1) * np.asarray(spacing))
    return np.array(points)


def by_every_pair(truth, predicted, spacing) -> float:
    one, other = surface_points(truth, spacing), surface_points(predicted, spacing)
    apart = np.linalg.norm(one[:, None] - other, axis=-1)
    return max(np.percentile(apart.min(axis=0), 95), np.percentile(apart.min(axis=1), 95))


@given(st.integers(0, 10_000), st.sampled_from([(9, 11), (5, 6, 7)]), st.floats(0.05, 0.9))
@settings(max_examples=60, deadline=None)
def test_a_distance_is_that_of_every_pair_of_surface_voxels(seed, shape, share):
    rng = np.random.default_rng(seed)
    truth, predicted = rng.random(shape) < share, rng.random(shape) < share
    truth.flat[0] = predicted.flat[-1] = True
    spacing = tuple(rng.uniform(0.3, 4, len(shape)))
    in_mm = hausdorff95(truth, predicted, spacing)
    assert (in_mm.value, in_mm.unit) == (pytest.approx(by_every_pair(truth, predicted, spacing)), "mm")
    in_voxels = hausdorff95(truth, predicted)
    assert in_voxels.value == pytest.approx(by_every_pair(truth, predicted, [1] * len(shape)))
    assert in_voxels.unit == "voxels"
    assert hausdorff95(predicted, truth, spacing) == in_mm


def test_a_shifted_box_is_as_far_as_it_was_shifted():
    truth, predicted = np.zeros((20, 20, 20), bool), np.zeros((20, 20, 20), bool)
    truth[4:9, 4:9, 4:9], predicted[7:12, 4:9, 4:9] = True, True
    assert hausdorff95(truth, predicted).value == 3
    assert hausdorff95(truth, predicted, (2.5, 1, 1)).value == 7.5
    assert hausdorff95(truth, truth, (2.5, 1, 1)) == Distance(0.0, "mm")


def test_a_far_speck_is_not_in_the_95th_percentile():
    truth = np.zeros((40, 40), bool)
    truth[5:15, 5:15] = True
    predicted = truth.copy()
    predicted[39, 39] = True
    assert hausdorff95(truth, predicted).value == 0


def test_a_missed_mask_is_as_far_as_the_image_is_long_and_an_empty_truth_has_no_distance():
    empty, some = np.zeros((3, 4), bool), np.zeros((3, 4), bool)
    some[1, 1] = True
    both = hausdorff95(empty, empty, (1, 1))
    assert np.isnan(both.value) and both.reason == "the true mask and the predicted mask are empty"
    missed = hausdorff95(some, empty, (2.0, 2.0))
    assert (missed.value, missed.unit) == (10.0, "mm") and "the image's diagonal" in missed.reason
    alarm = hausdorff95(empty, some, (1, 1))
    assert np.isnan(alarm.value) and alarm.reason == "the true mask is empty"


def test_predicting_nothing_where_it_is_hard_makes_no_mean_better():
    rng = np.random.default_rng(0)
    patients, names = np.arange(20), ("back", "organ")
    truth = np.zeros((20, 24, 24), bool)
    for volume in truth:
        row, column = rng.integers(2, 8, 2)
        volume[row : row + 9, column : column + 9] = True
    shifted = np.stack([np.roll(one, 1 + number // 4, axis=0) for number, one in enumerate(truth)])
    silent = shifted.copy()
    silent[15:] = False  # the hardest five

    def numbers(predicted):
        distances = [[hausdorff95(a, b)] for a, b in zip(truth, predicted, strict=True)]
        flat = [(a.ravel().astype(int), b.ravel().astype(int))
                for a, b in zip(truth, predicted, strict=True)]  # fmt: skip
        nobody = np.zeros(truth[0].size)
        counts = np.stack([metrics.confusion_by_patient(*pair, nobody, 2)[0] for pair in flat])
        return volume_metrics(counts, distances, patients, names)

    honest, quiet = numbers(shifted), numbers(silent)
    assert quiet["hausdorff95_mean"]["value"] > honest["hausdorff95_mean"]["value"]
    assert quiet["dice_mean"]["value"] < honest["dice_mean"]["value"]
    assert honest["hausdorff95_mean"]["n"] == quiet["hausdorff95_mean"]["n"] == 20
    assert "5 missed masks" in quiet["per_class"]["organ"]["hausdorff95"]["reason"]


def test_lesions_are_detected_missed_and_false():
    truth, predicted = np.zeros((9, 9), int), np.zeros((9, 9), int)
    truth[0, 0] = truth[1, 1] = 1  # touch at a corner: one lesion
    truth[6:8, 6:8] = 1
    predicted[1, 1] = predicted[4, 4] = 1
    found = metrics.count_lesions(truth, predicted)
    assert found == Lesions(detected=1, missed=1, false=1)
    numbers = lesion_numbers([found, Lesions(3, 0, 0), Lesions(0, 0, 2)], np.array(list("abc")))
    assert (numbers["detected"], numbers["missed"], numbers["false"]) == (4, 1, 3)
    assert numbers["share_detected"]["value"] == pytest.approx(4 / 5)
    assert numbers["share_detected"]["n"] == 2 and numbers["false_per_volume"] == 1
    none = lesion_numbers([Lesions(0, 0, 2)], np.array(["a"]))
    assert none["share_detected"]["value"] is None


def test_false_alarms_have_a_rate_of_their_own():
    counts = np.zeros((4, 2, 2))
    counts[0], counts[1] = [[90, 0], [5, 5]], [[90, 0], [10, 0]]
    counts[2], counts[3] = [[98, 2], [0, 0]], [[100, 0], [0, 0]]
    organ = dice_over_volumes(counts, np.arange(4), ("back", "organ"))["per_class"]["organ"]
    assert organ["dice"]["value"] == pytest.approx((10 / 15 + 0) / 2)  # a missed one is 0
    assert (organ["false_alarms"]["value"], organ["false_alarms"]["n"]) == (0.5, 2)
    assert organ["false_alarms"]["low"] < 0.02 and organ["false_alarms"]["high"] > 0.98


def test_masks_and_spacings_that_do_not_fit_are_refused():
    mask = np.ones((3, 3), bool)
    with pytest.raises(ValueError, match="differ in shape"):
        hausdorff95(mask, np.ones((3, 4), bool))
    for spacing in ((1, 1, 1), (0, 1), (np.nan, 1)):
        with pytest.raises(ValueError, match="spacing"):
            hausdorff95(mask, mask, spacing)


def test_a_mean_distance_names_its_unit_and_what_was_left_out():
    distances = [Distance(float(value), "mm") for value in (2, 4, 3, 7)]
    distances.append(Distance(np.nan, "mm", "the true mask is empty"))
    found = mean_hausdorff95(distances, np.array(list("aabcd")))
    assert (found["value"], found["measured_in"], found["n"], found["unit"]) == (4, "mm", 3, "patients")
    assert found["low"] < 4 < found["high"]
    assert found["reason"] == "not in 1 of 5 volumes: left out"
    mixed = mean_hausdorff95([Distance(1.0, "mm"), Distance(1.0, "voxels")], np.array(["a", "b"]))
    assert mixed["value"] is None and "voxels" in mixed["reason"]
    none = mean_hausdorff95(distances[-1:], np.array(["a"]))
    assert none["value"] is None and none["reason"] == "the label is in no volume"


def test_dice_of_volumes_is_averaged_and_not_pooled():
    # Label 1: 0.8 of a small organ and 0.5 of a large one; pooled, the large one would decide.
    counts = np.zeros((3, 2, 2))
    counts[0] = [[100, 1], [1, 4]]
    counts[1] = [[100, 500], [500, 500]]
    counts[2] = [[100, 0], [0, 0]]
    found = dice_over_volumes(counts, np.array(["a", "b", "c"]), ("back", "organ"))
    organ = found["per_class"]["organ"]["dice"]
    assert organ["value"] == pytest.approx((0.8 + 0.5) / 2) == found["dice_mean"]["value"]
    assert float(f1_per_class(counts.sum(axis=0))[1]) < 0.51
    assert organ["reason"] == "not in 1 of 3 volumes: left out" and organ["n"] == 2
    assert organ["low"] < 0.5 and organ["high"] > 0.8


def test_the_note_says_whether_a_predicted_label_without_truth_counts_in_the_mean_dice():
    counts = np.full((4, 3, 3), 5.0)
    counts[:, 2] = 0
    names = ("background", "organ", "other")
    volumes = volume_metrics(counts, [[]] * 4, np.arange(4), names)
    assert volumes["note"].endswith("no record of other: left out of the mean Dice")
    slices = metrics.segmentation_metrics(counts, names)
    assert slices["note"].endswith("left out of the mean Dice unless predicted")
    assert slices["dice_mean"]["value"] < volumes["dice_mean"]["value"]


def test_a_mean_dice_has_no_interval_where_a_label_has_one_patient():
    counts = np.random.default_rng(0).integers(1, 90, (12, 3, 3))
    counts[1:, 2] = 0  # the truth of the second organ is in one volume
    names, patients = ("background", "organ", "other"), np.arange(12)
    volumes = dice_over_volumes(counts, patients, names)
    for found in (volumes, metrics.segmentation_metrics(counts, names)):
        assert found["dice_mean"]["low"] is None and found["dice_mean"]["value"] is not None
        assert "1 of the labels has one patient" in found["dice_mean"]["reason"]
        assert found["per_class"]["organ"]["dice"]["low"] is not None


def test_a_mean_of_equal_distances_has_no_interval():
    same = [Distance(1.0, "mm")] * 6
    found = mean_hausdorff95(same, np.arange(6))
    assert (found["value"], found["low"]) == (1, None) and "the same without any" in found["reason"]
    several = metrics.hausdorff95_over_volumes([[one] * 2 for one in same], np.arange(6), "abc")
    assert (several["value"], several["low"]) == (1, None)
    other = mean_hausdorff95([*same, Distance(3.0, "mm")], np.arange(7))
    assert other["low"] < other["value"] < other["high"]


def test_volumes_of_one_patient_are_drawn_together():
    rng = np.random.default_rng(0)
    counts = np.repeat(rng.integers(1, 60, (10, 2, 2)), 6, axis=0)
    names = ("back", "organ")
    apart = dice_over_volumes(counts, np.arange(60), names)["dice_mean"]
    together = dice_over_volumes(counts, np.repeat(np.arange(10), 6), names)["dice_mean"]
    assert apart["value"] == pytest.approx(together["value"])
    assert together["high"] - together["low"] > 1.8 * (apart["high"] - apart["low"])
    assert (apart["n"], together["n"]) == (60, 10)
