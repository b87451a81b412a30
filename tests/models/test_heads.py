"""The head of grades is a proportional odds model: in closed form, and fitted against statsmodels."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import expit
from statsmodels.miscmodels.ordinal_model import OrderedModel

from mri_tf.core.errors import InputError
from mri_tf.explain.saliency import grad_cam, guided_backpropagation, guided_copy, layer_to_explain
from mri_tf.models.heads import CumulativeHead
from mri_tf.network.build import build_network, build_parts, check_network, check_task, wrap_for_training
from mri_tf.network.fine_tuning import NOT_DECAYED
from mri_tf.task import Task
from mri_tf.task.overrides import with_values
from mri_tf.train.frozen_prefix import split_at_frozen
from mri_tf.train.loss import weighted_cross_entropy

GRADES = dict(class_names=("I", "II", "III"), ordered=True, head="cumulative")
TASK = Task(
    name="grades", channels=("t1",), image_shape=(32, 32), model="vgg", **GRADES,
    model_args=dict(conv_filters=2, dense_units=4, blocks=2),
)  # fmt: skip


def built(classes: int, features: int) -> CumulativeHead:
    """A head with drawn weights."""
    head = CumulativeHead(classes, dtype="float32")
    head.build((None, features))
    rng = np.random.default_rng(0)
    for variable in head.trainable_variables:
        variable.assign(rng.normal(0, 1, variable.shape))
    return head


def thresholds_of(head: CumulativeHead) -> np.ndarray:
    """(classes - 1,) of a built head."""
    first, gaps = (part.numpy() for part in (head.first_threshold, head.threshold_gaps))
    return np.cumsum(np.concatenate([first, np.log1p(np.exp(gaps))]))


def test_probabilities_are_differences_of_the_cumulative_ones():
    head, features = built(4, 3), np.random.default_rng(1).normal(0, 2, (20, 3)).astype("float32")
    score = features @ head.kernel.numpy()
    above = expit(score - thresholds_of(head))  # (records, classes - 1) P(class > k)
    wanted = -np.diff(np.hstack([np.ones((20, 1)), above, np.zeros((20, 1))]))
    found = np.array(head(features))
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(head.log_odds(features), np.log(wanted / (1 - wanted)), rtol=1e-3)


def test_thresholds_ascend_and_every_class_has_one_share_at_first():
    head = CumulativeHead(5)
    head.build((None, 2))
    np.testing.assert_allclose(head(np.zeros((1, 2), "float32")), [[0.2] * 5], atol=1e-6)
    assert (np.diff(thresholds_of(built(5, 2))) > 0).all()


def test_far_from_every_threshold_neither_logarithms_nor_gradients_are_lost():
    head = CumulativeHead(3)
    head.build((None, 1))
    head.kernel.assign([[1.0]])
    features = tf.constant([[-80.0], [80.0]])
    with tf.GradientTape() as tape:
        tape.watch(features)
        logs = head.log_probabilities(features)
    assert np.isfinite(logs).all() and logs[0, 2] < -79 and logs[1, 0] < -79
    np.testing.assert_allclose(tape.gradient(logs, features), [[2.0], [-2.0]], atol=1e-5)


def test_trained_on_features_it_finds_the_coefficients_of_statsmodels():
    rng = np.random.default_rng(2)
    features = rng.normal(0, 1, (400, 2))
    latent = features @ [1.5, -0.8] + rng.logistic(size=400)
    truth = np.digitize(latent, [-1.0, 0.5, 2.0])
    theirs = OrderedModel(truth, features, distr="logit").fit(method="bfgs", disp=False)
    inputs = keras.Input((2,))
    head = CumulativeHead(4, dtype="float32")
    model = keras.Model(inputs, head(inputs))
    model.compile(keras.optimizers.Adam(0.05), weighted_cross_entropy(np.ones(4)))
    model.fit(features, truth, batch_size=400, epochs=400, verbose=0)
    wanted = theirs.model.transform_threshold_params(theirs.params)[1:-1]
    np.testing.assert_allclose(head.kernel.numpy()[:, 0], theirs.params[:2], atol=0.02)
    np.testing.assert_allclose(thresholds_of(head), wanted, atol=0.02)


@pytest.mark.parametrize(
    "model, shape, arguments",
    [
        ("vgg", (32, 32), TASK.model_args),
        ("vgg_features", (32, 32), dict(dense_units=4, weights="none")),
        ("backbone_classifier", (32, 32), dict(weights="none", cut_after="stack0")),
        ("backbone_ensemble", (32, 32), dict(weights="none", cut_after="stack0")),
        ("vgg3d", (16, 16, 16), dict(conv_filters=2, dense_units=4, blocks=2)),
        ("grader3d", (16, 16, 16), dict(filters=2, dense_units=4)),
    ],
)
def test_every_classifier_takes_the_head(model, shape, arguments):
    task = with_values(TASK, dict(model=model, image_shape=shape, model_args=arguments))
    network = build_network(task)
    head = network.get_layer("probabilities") if model != "backbone_ensemble" else None
    assert head is None or isinstance(head, CumulativeHead)
    images = np.random.default_rng(0).normal(size=(2, *shape, 1)).astype("float32")
    np.testing.assert_allclose(network.predict_on_batch(images).sum(axis=1), 1, atol=1e-5)


def test_it_ends_networks_on_features_and_those_of_patients():
    features = Task(name="pools", kind="segmentation", channels=("t1",), image_shape=(32, 32),
                    class_names=("none", "pool"), model="mnet",
                    model_args=dict(start_filters=2, levels=2))  # fmt: skip
    on_features = with_values(TASK, dict(model="feature_classifier", features_from="pools",
                                         model_args=dict(conv_filters=2, dense_units=4, repeats=2)))
    network = build_network(on_features, build_network(features))
    _, suffix = split_at_frozen(network)
    assert isinstance(suffix.get_layer("probabilities"), CumulativeHead)
    for pooling in ("mean", "attention"):
        task = with_values(TASK, dict(bag=dict(pooling=pooling)))
        bagged = wrap_for_training(task, build_parts(task))
        slices = np.random.default_rng(1).normal(size=(2, 3, 32, 32, 1)).astype("float32")
        answers = bagged.predict_on_batch([slices, np.ones((2, 3), "float32")])
        assert answers.shape == (2, 3) and np.allclose(answers.sum(axis=1), 1, atol=1e-5)


def test_its_maps_follow_the_log_odds_of_a_grade():
    task = with_values(TASK, dict(model="backbone_classifier",
                                  model_args=dict(weights="none", cut_after="stack0")))
    network = build_network(task)
    images = tf.constant(np.random.default_rng(2).normal(size=(2, 32, 32, 1)).astype("float32"))
    layer = layer_to_explain(network, "")
    highest, chances = grad_cam(network, images, tf.constant([2, 2]), layer)
    lowest, _ = grad_cam(network, images, tf.constant([0, 0]), layer)
    np.testing.assert_allclose(chances, network(images), atol=1e-6)
    # What makes the highest grade likelier makes the lowest less likely.
    assert max(np.max(highest), np.max(lowest)) > 0 and np.max(highest * lowest) == 0
    guided = guided_backpropagation(guided_copy(network), images, tf.constant([2, 0]))
    assert np.isfinite(guided).all() and np.abs(guided).max() > 0


def test_thresholds_are_frozen_and_decayed_like_a_bias():
    task = with_values(TASK, dict(fine_tune=dict(train="probabilities/.*")))
    trained = {variable.path for variable in build_network(task).trainable_variables}
    assert trained == {f"probabilities/{name}"
                       for name in ("kernel", "first_threshold", "threshold_gaps")}  # fmt: skip
    assert "threshold" in NOT_DECAYED


@pytest.mark.parametrize(
    "changed", [dict(ordered=False), dict(class_names=("I", "II")), dict(kind="segmentation")]
)
def test_it_is_refused_where_there_are_no_three_grades(changed):
    with pytest.raises(InputError, match="head of a task must be softmax unless three or more grades"):
        with_values(TASK, changed)


def test_head_is_a_key_of_the_task_alone():
    check_task(TASK)
    check_network(TASK)
    args = {**TASK.model_args, "head": "cumulative"}
    with pytest.raises(InputError, match="head is a key of the task"):
        check_task(with_values(TASK, dict(model_args=args)))
