"""Fine-tuning as values: what trains, how fast, and how it decays."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from mri_tf.core.errors import InputError
from mri_tf.network.build import check_task
from mri_tf.network.fine_tuning import (
    DecayLearningRates,
    LogLearningRates,
    Steps,
    callbacks_of,
    freeze,
    make_optimizer,
)
from mri_tf.task.files import load_task
from mri_tf.task.overrides import with_values
from mri_tf.task.settings import FineTuning, Group

HEAD = "probabilities/.*"


def _network():
    """conv a + BatchNorm, conv b + BatchNorm, dense: all of it trainable."""
    keras.utils.set_random_seed(0)
    image = keras.Input((8, 8, 1), name="image")
    x = image
    for name in "ab":
        x = keras.layers.Conv2D(3, 3, padding="same", name=f"{name}_conv")(x)
        x = keras.layers.BatchNormalization(momentum=0.9, name=f"{name}_bn")(x)
        x = keras.layers.Activation("relu", name=f"{name}_relu")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    x = keras.layers.Dense(2, activation="softmax", dtype="float32", name="probabilities")(x)
    return keras.Model(image, x)


def _data():
    rng = np.random.default_rng(0)
    return tf.data.Dataset.from_tensors(
        (rng.normal(3, 2, (8, 8, 8, 1)).astype(np.float32), np.arange(8) % 2)
    ).repeat(3)


def _optimizer(network, learning_rate=0.1, **settings):
    return make_optimizer(FineTuning(**settings), learning_rate, network.trainable_variables)


def _learn(network, settings, learning_rate=0.01, epochs=2, policy=None):
    optimizer = make_optimizer(settings, learning_rate, network.trainable_variables)
    if policy == "mixed_float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    network.compile(optimizer, loss="sparse_categorical_crossentropy", jit_compile=False)
    network.optimizer.build(network.trainable_variables)
    callbacks = callbacks_of(settings, network.optimizer)
    return network.fit(_data(), epochs=epochs, verbose=0, callbacks=callbacks).history


def _values(network):
    return {v.path: v.numpy().copy() for v in network.variables}


# ---- which layers train


def test_only_what_is_named_trains_and_the_network_says_so_before_it_is_compiled():
    network = _network()
    freeze(network, FineTuning(train=("b_(conv|bn)/.*", HEAD)))
    assert {v.path.split("/")[0] for v in network.trainable_variables} == {
        "b_conv", "b_bn", "probabilities",
    }  # fmt: skip
    before = _values(network)
    _learn(network, FineTuning())
    for path, value in _values(network).items():
        if path != "b_conv/bias":  # its gradient is rounding: the BatchNorm behind it takes it away
            assert np.array_equal(value, before[path]) == path.startswith("a_"), path


def test_the_statistics_of_a_frozen_batch_norm_do_not_move_and_it_stays_in_inference_mode():
    network = _network()
    freeze(network, FineTuning(train=HEAD))
    layer = network.get_layer("a_bn")
    image = np.random.default_rng(1).normal(5, 3, (4, 8, 8, 1)).astype(np.float32)
    view = keras.Model(network.input, layer.output)
    before = view(image, training=False).numpy()
    _learn(network, FineTuning())
    np.testing.assert_array_equal(layer.moving_mean, np.zeros(3))
    np.testing.assert_array_equal(layer.moving_variance, np.ones(3))
    np.testing.assert_array_equal(view(image, training=True), before)
    network.get_layer("a_bn").trainable = True
    assert np.abs(view(image, training=True).numpy() - before).max() > 0.1  # the test can fail


def test_one_variable_of_a_layer_can_train_alone():
    network = _network()
    freeze(network, FineTuning(train=(".*/bias",)))
    assert [v.path for v in network.trainable_variables] == [
        "a_conv/bias", "b_conv/bias", "probabilities/bias",
    ]  # fmt: skip


def test_what_the_builder_froze_stays_frozen():
    network = _network()
    network.get_layer("a_conv").trainable = False
    freeze(network, FineTuning(train=".*"))
    assert not network.get_layer("a_conv").trainable
    with pytest.raises(InputError, match="matches none"):
        freeze(network, FineTuning(train=("a_conv/.*", HEAD)))


# ---- learning rates


def test_a_group_moves_at_its_own_learning_rate():
    """The first step of SGD is the learning rate times the gradient, in every group."""
    moved = []
    for groups in (dict(slow=Group(variables="b_.*", learning_rate=0.001)), {}):
        network = _network()
        before = _values(network)
        optimizer = _optimizer(network, optimizer="sgd", groups=groups)
        network.compile(optimizer, loss="sparse_categorical_crossentropy", jit_compile=False)
        network.fit(_data().take(1), verbose=0)
        moved.append({v.path: v.numpy() - before[v.path] for v in network.trainable_variables})
    for path, step in moved[0].items():
        share = 0.01 if path.startswith("b_") else 1.0
        np.testing.assert_allclose(step, share * moved[1][path], rtol=1e-2, atol=1e-6, err_msg=path)
    assert np.abs(moved[0]["b_conv/kernel"]).max() > 1e-5


def test_sgd_with_momentum_is_its_recursion():
    """v <- m v - r g, w <- w + v, on a loss with gradient 1."""
    variable = keras.Variable(np.zeros(1), name="w")
    optimizer = make_optimizer(FineTuning(optimizer="sgd", momentum=0.5), 0.1, [variable])
    for _ in range(3):
        optimizer.apply([np.ones(1, np.float32)], [variable])
    np.testing.assert_allclose(variable, [-(0.1 + 0.15 + 0.175)], rtol=1e-6)


def test_weight_decay_shrinks_kernels_and_neither_biases_nor_batch_norm():
    network = _network()
    for variable in network.trainable_variables:
        variable.assign(keras.ops.ones_like(variable))
    optimizer = _optimizer(network, optimizer="adamw", weight_decay=0.5)
    zeros = [keras.ops.zeros_like(v) for v in network.trainable_variables]
    optimizer.apply(zeros, network.trainable_variables)
    for variable in network.trainable_variables:
        left = 0.95 if variable.path.endswith("kernel") else 1.0
        np.testing.assert_allclose(variable, np.full(variable.shape, left), rtol=1e-6)


@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
@pytest.mark.parametrize("groups", [{}, dict(slow=Group(variables="b_.*", learning_rate=1e-3))])
def test_rates_decay_by_steps_of_epochs_in_every_group(groups, policy):
    settings = FineTuning(groups=groups, decay=0.1, decay_every=2, optimizer="sgd")
    history = _learn(_network(), settings, 0.5, epochs=5, policy=policy)
    assert history["learning_rate_sgd"] == pytest.approx([0.5, 0.5, 0.05, 0.05, 0.005])
    if groups:
        rates = history["learning_rate_slow"]
        assert rates == pytest.approx([1e-3, 1e-3, 1e-4, 1e-4, 1e-5])


def test_the_learning_rate_of_a_continued_epoch_follows_from_the_epoch_alone():
    optimizer = keras.optimizers.SGD(0.5)
    decay = DecayLearningRates(FineTuning(decay=0.1, decay_every=7), optimizer)
    for epoch, wanted in ((20, 0.005), (6, 0.5), (7, 0.05)):
        decay.on_epoch_begin(epoch)
        assert float(optimizer.learning_rate) == pytest.approx(wanted)


def test_without_values_the_optimizer_is_plain_adam_and_nothing_is_called_back():
    network = _network()
    freeze(network, FineTuning())
    assert all(layer.trainable for layer in network.layers)
    optimizer = _optimizer(network, 0.25)
    assert optimizer.get_config() == keras.optimizers.Adam(0.25, name="adam").get_config()
    assert callbacks_of(FineTuning(train=HEAD), optimizer) == []


# ---- rates that change in every step


@pytest.mark.parametrize("groups", [{}, dict(slow=Group(variables="a_.*", learning_rate=0.01))])
def test_rates_rise_in_a_line_and_fall_along_half_a_cosine(groups):
    network, steps = _network(), Steps(total=9, warm_up=3, cosine=True)
    settings = FineTuning(optimizer="sgd", groups=groups)
    optimizer = make_optimizer(settings, 0.5, network.trainable_variables, steps)
    network.compile(optimizer=optimizer, loss="sparse_categorical_crossentropy")
    (log,) = callbacks_of(settings, optimizer, steps)
    assert isinstance(log, LogLearningRates)
    history = network.fit(_data(), epochs=3, verbose=0, callbacks=[log]).history
    # After 3, 6 and 9 steps of 3 each: the peak, half of the way down, nothing.
    assert history["learning_rate_sgd"] == pytest.approx([0.5, 0.25, 0.0], abs=1e-7)
    if groups:
        assert history["learning_rate_slow"] == pytest.approx([0.01, 0.005, 0.0], abs=1e-8)


def test_after_a_warm_up_alone_the_rate_stays():
    optimizer = make_optimizer(FineTuning(), 0.5, _network().trainable_variables, Steps(9, warm_up=4))
    rates = []
    for step in range(7):
        optimizer.iterations.assign(step)
        rates.append(float(optimizer.learning_rate))
    assert rates == pytest.approx([0.125, 0.25, 0.375, 0.5, 0.5, 0.5, 0.5])


def test_gradients_are_cut_to_the_norm_that_is_allowed():
    variable = keras.Variable(np.zeros(2), name="a")
    settings = FineTuning(optimizer="sgd")
    optimizer = make_optimizer(settings, 1.0, [variable], Steps(clip_norm=0.5))
    optimizer.apply([keras.ops.array([3.0, 4.0])], [variable])
    np.testing.assert_allclose(variable, [-0.3, -0.4], rtol=1e-6)


def test_a_group_with_a_share_of_the_rate_follows_the_task_s():
    for rate in (0.5, 0.002):
        groups = dict(slow=Group(variables="a_.*", rate_share=0.1))
        optimizer = _optimizer(_network(), rate, groups=groups)
        rates = {one.name: float(one.learning_rate) for one in optimizer.optimizers}
        assert rates == pytest.approx({"slow": rate / 10, "adam": rate})


# ---- refusals


@pytest.mark.parametrize("values, words", [
    (dict(trains=HEAD), "Did you mean train"),
    (dict(optimizer="lion"), "adam, sgd, adamw"),
    (dict(train=("(",)), "regular expressions"),
    (dict(train=3), "fine_tune.train"),
    (dict(momentum=0.9), "momentum is only for optimizer sgd"),
    (dict(optimizer="sgd", momentum=1.0), "momentum"),
    (dict(weight_decay=0.1), "only for optimizer adamw"),
    (dict(decay=0.0), "decay"), (dict(decay=1.5), "decay"), (dict(decay_every=0), "decay_every"),
    (dict(groups=dict(conv=dict(variables=".*"))), "learning_rate"),
    (dict(groups=dict(conv=dict(variables=".*", learning_rate=-0.1))), "positive"),
    (dict(groups=dict(conv=dict(variables=".*", learning_rate=0.1, rate_share=0.1))), "one of the two"),
    (dict(groups=dict(conv=dict(variables=".*", rate_share=-0.1))), "positive"),
    (dict(groups=dict(conv=dict(variables=".*", learning_rates=1.0))), "Did you mean"),
    (dict(groups=dict(conv=3)), "dictionary"),
    (dict(groups=dict(adam=dict(variables=".*", learning_rate=0.1))), "names of letters"),
])  # fmt: skip
def test_values_that_do_not_exist_are_refused_before_data_is_read(values, words, small):
    task = load_task(small["levels"].with_name("pools.py"))
    check_task(task)
    with pytest.raises(InputError, match=words) as error:
        check_task(with_values(task, {"fine_tune": values}))
    assert "\n" not in str(error.value)


def test_a_regex_that_matches_nothing_is_refused_with_some_paths():
    network = _network()
    with pytest.raises(InputError, match="c_conv.*matches none.*probabilities/bias"):
        freeze(network, FineTuning(train=(HEAD, "c_conv.*")))
    groups = dict(conv=Group(variables="b_conv", learning_rate=1e-6))  # not the whole path
    with pytest.raises(InputError, match="groups.conv.variables"):
        _optimizer(network, groups=groups)
    groups = {name: Group(variables=f".*{name}.*", learning_rate=0.1) for name in ("conv", "b_conv")}
    with pytest.raises(InputError, match="share no variable"):
        _optimizer(network, groups=groups)
    freeze(network, FineTuning(train=HEAD))
    groups = dict(conv=Group(variables="b_conv/.*", learning_rate=1e-6))  # frozen
    with pytest.raises(InputError, match="matches none"):
        _optimizer(network, groups=groups)
