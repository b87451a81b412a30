"""Verdicts on methods of explanation: of a taught network, and of numbers that are known."""

import keras
import numpy as np
import pytest
from heads import head
from keras import layers
from taught import TAUGHT, StoredSet, judged_of, taught

from mri_tf.audit.explanations import explanation_findings, hardly_another, verdict_of
from mri_tf.audit.finding import CANNOT_TELL, FOUND, NOT_FOUND
from mri_tf.audit.map_checks import MethodChecks, check_maps, flip_axis
from mri_tf.core.errors import InputError
from mri_tf.explain.methods import GRAD_CAM, GRADIENT, GUIDED
from mri_tf.task.overrides import with_values

TRAINED, HELD_OUT = 40, 10


def boxed(rng, label):
    """A head with a planted box, bright or dark, somewhere in it; and the box's mask."""
    image, mask = head(rng), np.zeros((48, 48), np.uint8)
    row, column = rng.integers(14, 27, 2)
    mask[row : row + 7, column : column + 7] = 1
    image[mask > 0] = 170 if label else 40
    return image, mask


@pytest.fixture(scope="module")
def boxes(tmp_path_factory):
    """Records with planted boxes, and two networks that learned them from other seeds."""
    rng = np.random.default_rng(0)
    labels = [number % 2 for number in range(TRAINED + HELD_OUT)]
    images, masks = zip(*(boxed(rng, label) for label in labels), strict=True)
    prepared = StoredSet(tmp_path_factory.mktemp("boxes"), list(images), list(masks), label=labels)
    return prepared, [taught(prepared, TRAINED, epochs=15, seed=seed) for seed in (0, 1)]


@pytest.fixture(scope="module")
def checked(boxes):
    prepared, (model, other) = boxes
    before = model.get_weights()
    found = check_maps(judged_of(model, prepared, TRAINED), [other], [other])
    for one, wanted in zip(model.get_weights(), before, strict=True):  # its own weights again
        np.testing.assert_array_equal(one, wanted)
    return found


def test_guided_backpropagation_fails_and_the_gradient_passes_on_a_planted_box(checked):
    found = {one.name: one for one in explanation_findings(checked, ("columns", False))}
    assert found[f"explanation: {GUIDED}"].status == FOUND
    assert found[f"explanation: {GRADIENT}"].status == NOT_FOUND
    assert found[f"explanation: {GRAD_CAM}"].status in (NOT_FOUND, CANNOT_TELL)  # of so small a network
    guided = found[f"explanation: {GUIDED}"]
    assert guided.evidence.startswith("fails: with half of the network random") and guided.what_to_do
    assert guided.n == HELD_OUT and guided.statistic > 0.5 and not guided.certain


def test_the_gradient_lies_in_the_planted_box_more_than_around_it(checked):
    found = checked[GRADIENT].enrichment
    assert found["tumour"] > 1.3 and found["tumour"] > found["brain"] and found["outside"] < 1


def test_networks_of_another_seed_and_on_exchanged_labels_are_compared_too(checked):
    evidence = explanation_findings(checked, ("columns", False))[0].evidence
    assert "on exchanged labels, the map correlates" in evidence and "another training's" in evidence
    np.testing.assert_array_equal(checked[GRADIENT].seeds, checked[GRADIENT].exchanged)


def test_a_mirrored_image_gives_the_mirrored_map_where_nothing_in_the_network_knows_left(tmp_path):
    """One convolution whose kernel is its own mirror image, and the mean over the image."""
    image = keras.Input((48, 48, 1))
    x = layers.Conv2D(2, 3, padding="same", activation="relu", name="first")(image)
    x = layers.GlobalAveragePooling2D()(x)
    model = keras.Model(image, layers.Dense(2, activation="softmax", name="probabilities")(x))
    kernel = np.random.default_rng(0).normal(size=(3, 3, 1, 2))
    model.get_layer("first").set_weights([kernel + kernel[:, ::-1], np.zeros(2)])
    model.get_layer("probabilities").set_weights([np.array([[1.0, -1], [-0.3, 0.5]]), np.zeros(2)])
    rng = np.random.default_rng(1)
    images = [boxed(rng, number % 2)[0] for number in range(10)]
    prepared = StoredSet(tmp_path, images, label=[number % 2 for number in range(10)])
    judged = judged_of(model, prepared, 0)
    fresh = keras.models.clone_model(model)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mri_tf.audit.map_checks._fresh", lambda judged, seed: fresh)
        found = check_maps(judged, [], [])
    np.testing.assert_allclose(found[GRAD_CAM].mirrored, 1, atol=1e-4)
    assert found[GRAD_CAM].not_mirrored.mean() < 0.9


def checks(random, **others):
    values = {"structure": np.zeros(12), "cascade": {0.5: 0.1}, "seeds": None, "exchanged": None,
              "mirrored": np.ones(12), "not_mirrored": np.zeros(12), "enrichment": {}}  # fmt: skip
    return MethodChecks(np.asarray(random), **values | others)


def near(value, seed=0):
    return value + 0.02 * np.random.default_rng(seed).normal(size=12)


@pytest.mark.parametrize(
    "changed, seeds, fails",
    [(0.2, None, False), (0.8, None, True), (0.2, 0.6, False), (0.6, 0.9, False), (0.6, 0.6, True),
     (0.8, 0.3, True), (0.3, 0.1, False), (0.2, 0.2, False)],
)  # fmt: skip
def test_a_map_is_hardly_another_if_it_is_no_less_alike_than_that_of_another_training(
    changed, seeds, fails
):
    of_seeds = None if seeds is None else near(seeds, 1)
    failed, words = hardly_another(near(changed), of_seeds)
    assert failed == fails and words.startswith(f"{near(changed).mean():.2f} with that of the trained")
    assert ("two trainings do not give one map" in words) == (seeds is not None and seeds <= changed)


def test_too_few_records_tell_nothing_and_maps_without_any_value_do_not_count():
    random = np.where(np.arange(12) < 7, 0.1, np.nan)
    verdict = verdict_of(checks(random), False)
    assert verdict.status == CANNOT_TELL and verdict.n == 7
    evidence = explanation_findings({GRADIENT: checks(random)}, ("columns", False))[0].evidence
    assert evidence.startswith("cannot tell: n = 7, fewer than 8")
    known = explanation_findings({GRADIENT: checks(near(0.1))}, ("columns", False))[0].evidence
    assert "not applicable: no network on exchanged labels" in known
    assert "5 of 12 maps are the same everywhere" in evidence


def test_the_mirrored_map_decides_only_where_the_training_mirrored():
    wrong = checks(near(0.1), mirrored=np.zeros(12), not_mirrored=np.ones(12))
    assert verdict_of(wrong, trained_with_flips=False).status == NOT_FOUND
    assert verdict_of(wrong, trained_with_flips=True).status == FOUND


def test_a_network_on_exchanged_labels_with_the_same_maps_lets_a_method_fail():
    assert verdict_of(checks(near(0.1), exchanged=near(0.9)), False).status == FOUND
    assert verdict_of(checks(near(0.1), exchanged=near(0.2)), False).status == NOT_FOUND


def test_the_axis_is_that_of_the_task_s_flips():
    mirrored = with_values(TAUGHT, {"augment": {"random_flip": {"axis": "rows"}},
                                    "augment_probability": 0.5})  # fmt: skip
    assert flip_axis(mirrored) == ("rows", True) and flip_axis(TAUGHT) == ("columns", False)


def test_a_network_without_maps_is_refused(tmp_path):
    image = keras.Input((48, 48, 1))
    x = layers.Dense(2, activation="softmax", name="probabilities")(layers.Flatten()(image))
    prepared = StoredSet(tmp_path, [head(np.random.default_rng(0))] * 3, label=[0, 1, 0])
    with pytest.raises(InputError, match="layer whose output is an image"):
        check_maps(judged_of(keras.Model(image, x), prepared, 1), [], [])
