"""What a run finds familiar: kept in its folder, and counted on held-out records."""

from types import SimpleNamespace

import numpy as np
import pytest
from fresh import familiar_noise
from refused import refusal

from mri_tf.calibration.false_alarms import FEWEST
from mri_tf.calibration.feature_distance import fit_feature_distance
from mri_tf.calibration.mean_distance import distance_of_one, mean_distances
from mri_tf.evaluate.familiarity import (
    FEATURES_FILE,
    Familiarity,
    familiarity_of,
    reasons,
    save_familiarity,
    usual_mean,
    usual_range,
)
from mri_tf.store.run import Run
from mri_tf.tables.run import run_page
from mri_tf.task import Task

TASK = Task(name="t", channels=("mr",), image_shape=(16, 16), class_names=("a", "b"), model="vgg")


@pytest.fixture
def found() -> Familiarity:
    features = np.random.default_rng(0).normal(size=(FEWEST + 10, 6))
    fitted = fit_feature_distance(features, np.arange(FEWEST + 10))
    return Familiarity(familiar_noise(TASK), distance_of_one(fitted))


def test_it_is_the_same_after_it_was_kept_in_a_run(tmp_path, found):
    run = Run(tmp_path, {"familiar": save_familiarity(found, tmp_path)})
    again = familiarity_of(run)
    assert again.images == found.images and again.features.limit == found.features.limit
    features = np.random.default_rng(1).normal(size=(5, 6))
    np.testing.assert_array_equal(
        mean_distances([features], again.features), mean_distances([features], found.features)
    )
    assert familiarity_of(Run(tmp_path, {})) is None  # of an earlier version


def test_a_damaged_or_missing_file_of_features_is_said(tmp_path, found):
    run = Run(tmp_path, {"familiar": save_familiarity(found, tmp_path)})
    (tmp_path / FEATURES_FILE).write_bytes(b"damaged")
    assert "missing or damaged" in refusal(familiarity_of, run)
    (tmp_path / FEATURES_FILE).unlink()
    assert "missing or damaged" in refusal(familiarity_of, run)


def test_reasons_name_what_deviates_most_first_with_the_usual_values(found):
    familiar = found.images
    usual = np.array([0.0 if value is None else value for value in familiar.centre])
    assert reasons(usual, familiar) == []
    place = familiar.names.index("SD of mr")
    far = usual.copy()
    far[place] += 100 * familiar.spread[place]
    far[place + 1] += 20 * familiar.spread[place + 1]
    first, second = reasons(far, familiar)
    low, high = usual_range(familiar, place)
    assert first.startswith("SD of mr is ") and f"{low:.4g} to {high:.4g}" in first
    assert second.startswith("roughness of mr is ")
    blank = usual.copy()
    blank[: familiar.in_graph] = np.nan
    assert reasons(blank, familiar)[0].endswith("cannot be computed: one value everywhere")


def test_the_usual_mean_is_that_of_the_training_images(found):
    assert usual_mean(found.images) == pytest.approx(5, rel=0.02)  # of white noise about 5


def test_the_page_says_how_many_are_flagged_beside_the_stated_rate_or_why_none_is():
    number = {"value": 0.1, "low": 0.02, "high": 0.3, "n": 20, "unit": "patients", "method": "m"}
    counted = {
        "images": {"stated": 0.048, "patients": 41, "flagged": number},
        "features": {"patients": 12, "reason": "12 patients, and at least 20 are needed"},
    }
    plain = SimpleNamespace(
        accuracy=number, balanced_accuracy=number, note="", split="patient", majority_accuracy=0.5,
        confusion=[[1, 0], [0, 1]], out_of_distribution=counted,
    )  # fmt: skip
    page = run_page("t", vars(plain), ("a", "b"))
    assert "intensities or size: 0.100 (0.020 to 0.300) of the records; 0.048 is expected" in page
    assert "the network's features is not known: 12 patients" in page
