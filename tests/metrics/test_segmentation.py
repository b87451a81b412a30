"""Distances between masks against every pair of voxels; Dice of volumes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mri_tf.metrics import dice_over_volumes, f1_per_class, hausdorff95, mean_hausdorff95
from mri_tf.metrics.segmentation import Distance


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


@pytest.mark.parametrize(("filled", "empty"), [(0, "predicted"), (1, "true")])
def test_an_empty_mask_has_no_distance_and_a_reason(filled, empty):
    masks = [np.zeros((4, 4), bool), np.zeros((4, 4), bool)]
    both = hausdorff95(*masks, (1, 1))
    assert np.isnan(both.value) and both.reason == "the true and the predicted mask are empty"
    masks[filled][1, 1] = True
    found = hausdorff95(*masks, (1, 1))
    assert np.isnan(found.value) and found.reason == f"the {empty} mask is empty"
    assert found.unit == "mm"


def test_masks_and_spacings_that_do_not_fit_are_refused():
    mask = np.ones((3, 3), bool)
    with pytest.raises(ValueError, match="differ in shape"):
        hausdorff95(mask, np.ones((3, 4), bool))
    for spacing in ((1, 1, 1), (0, 1), (np.nan, 1)):
        with pytest.raises(ValueError, match="spacing"):
            hausdorff95(mask, mask, spacing)


def test_a_mean_distance_names_its_unit_and_what_was_left_out():
    distances = [Distance(float(value), "mm") for value in (2, 4, 3, 7)]
    distances.append(Distance(np.nan, "mm", "the predicted mask is empty"))
    found = mean_hausdorff95(distances, np.array(list("aabcd")))
    assert (found["value"], found["measured_in"], found["n"], found["unit"]) == (4, "mm", 3, "patients")
    assert found["low"] < 4 < found["high"]
    assert found["reason"] == "undefined in 1 of 5 volumes: left out (the predicted mask is empty)"
    mixed = mean_hausdorff95([Distance(1.0, "mm"), Distance(1.0, "voxels")], np.array(["a", "b"]))
    assert mixed["value"] is None and "voxels" in mixed["reason"]
    none = mean_hausdorff95(distances[-1:], np.array(["a"]))
    assert none["value"] is None and "1 volumes" in none["reason"]


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
    assert "in 1 of 3 volumes neither present nor predicted: left out" in organ["reason"]
    assert organ["low"] == pytest.approx(0.5) and organ["high"] == pytest.approx(0.8)


def test_volumes_of_one_patient_are_drawn_together():
    rng = np.random.default_rng(0)
    counts = np.repeat(rng.integers(1, 60, (10, 2, 2)), 6, axis=0)
    names = ("back", "organ")
    apart = dice_over_volumes(counts, np.arange(60), names)["dice_mean"]
    together = dice_over_volumes(counts, np.repeat(np.arange(10), 6), names)["dice_mean"]
    assert apart["value"] == pytest.approx(together["value"])
    assert together["high"] - together["low"] > 1.8 * (apart["high"] - apart["low"])
    assert (apart["n"], together["n"]) == (60, 10)
