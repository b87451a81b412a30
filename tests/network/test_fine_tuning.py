"""Fine-tuning as values: what trains, how fast, how it decays, and that it continues to the bit."""

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from needs import BFLOAT16
from small import sides_of

from data_prep.prepare.prepare import prepare
from mri_tf.core.errors import InputError
from mri_tf.network.build import build_parts, check_task, load_network
from mri_tf.network.fine_tuning import (
    DecayLearningRates,
    callbacks_of,
    freeze,
    make_optimizer,
)
from mri_tf.store.run import start_or_continue
from mri_tf.task.files import load_task
from mri_tf.task.overrides import parse_assignment, with_values
from mri_tf.task.settings import FineTuning, Group, fine_tuning_of
from mri_tf.train.fit import fit_run, new_run

HEAD = "probabilities/.*"
GROUPS = dict(conv=dict(variables="block_5_3_.*", learning_rate=1e-3))
TUNED = {
    "fine_tune": dict(
        train=("block_5_3_.*", "dense_2.*", HEAD), groups=GROUPS, optimizer="sgd", momentum=0.9,
        decay=0.5, decay_every=2,
    )
}  # fmt: skip


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
    slow = Group(variables="b_.*", learning_rate=0.001)
    settings = FineTuning(optimizer="sgd", groups=dict(slow=slow))
    moved = []
    for one in (settings, FineTuning(optimizer="sgd")):
        network = _network()
        before = _values(network)
        optimizer = make_optimizer(one, 0.1, network.trainable_variables)
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
    settings = FineTuning(optimizer="adamw", weight_decay=0.5)
    network = _network()
    for variable in network.trainable_variables:
        variable.assign(keras.ops.ones_like(variable))
    optimizer = make_optimizer(settings, 0.1, network.trainable_variables)
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


def test_without_values_the_optimizer_is_plain_adam_and_nothing_is_called_back():
    network = _network()
    freeze(network, FineTuning())
    assert all(layer.trainable for layer in network.layers)
    optimizer = make_optimizer(FineTuning(), 0.25, network.trainable_variables)
    assert optimizer.get_config() == keras.optimizers.Adam(0.25, name="adam").get_config()
    assert callbacks_of(FineTuning(train=HEAD), optimizer) == []


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
    (dict(groups=dict(conv=dict(variables=".*", learning_rate=0.0))), "positive"),
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
        make_optimizer(FineTuning(groups=groups), 0.1, network.trainable_variables)
    groups = {name: Group(variables=f".*{name}.*", learning_rate=0.1) for name in ("conv", "b_conv")}
    with pytest.raises(InputError, match="share no variable"):
        make_optimizer(FineTuning(groups=groups), 0.1, network.trainable_variables)
    freeze(network, FineTuning(train=HEAD))
    groups = dict(conv=Group(variables="b_conv/.*", learning_rate=1e-6))  # frozen
    with pytest.raises(InputError, match="matches none"):
        make_optimizer(FineTuning(groups=groups), 0.1, network.trainable_variables)


def test_the_command_line_reaches_every_value(small):
    task = with_values(load_task(small["levels"].with_name("pools.py")), TUNED)
    given = ["fine_tune.groups.conv.learning_rate=1e-5", "fine_tune.decay=0.9", "fine_tune.train=.*"]
    task = with_values(task, dict(parse_assignment(task, text) for text in given))
    assert task.fine_tune["groups"]["conv"] == dict(variables="block_5_3_.*", learning_rate=1e-5)
    assert fine_tuning_of(task).train == ".*"


# ---- training


@pytest.fixture(scope="module")
def thirds(small):
    """(task, prepared set): the small VGG-shaped classifier, its last convolution and layers tuned."""
    file = small["levels"]
    base = load_task(file)
    task = with_values(base, {**base.variants["scratch"], **TUNED, "epochs": 5})
    prepared, _ = prepare(task, file, small["raw"], small["home"] / "thirds-fine-tuned")
    return task, prepared


def _run(folder, thirds, **values):
    task, prepared = thirds
    task = with_values(task, values)
    sides = [np.arange(36), np.arange(36, 48), np.arange(48, 60)]
    return new_run(folder, task, prepared, sides_of(task, prepared, sides), 0), prepared


def _fit(folder, thirds, devices=1, **values):
    run, prepared = _run(folder, thirds, **values)
    return fit_run(run, prepared, None, devices, checkpoint_seconds=0)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory, thirds):
    return _fit(tmp_path_factory.mktemp("whole") / "run", thirds)


@pytest.mark.parametrize("epoch, step", [(1, 1), pytest.param(4, 0, marks=pytest.mark.slow)])
def test_a_fine_tuning_stopped_in_the_middle_continues_to_equal_weights(
    tmp_path, thirds, uninterrupted, monkeypatch, epoch, step
):
    from mri_tf.train import loop as training

    def stop(self, batch, logs=None):
        if (self.epoch, batch) == (epoch, step):
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(training._StopAtNaN, "on_train_batch_end", stop)
        with pytest.raises(KeyboardInterrupt):
            _fit(tmp_path / "run", thirds)
    assert (tmp_path / "run" / "checkpoint.npz").is_file()
    continued = _fit(tmp_path / "run", thirds)
    pairs = zip(*(load_network(run).get_weights() for run in (uninterrupted, continued)), strict=True)
    for one, other in pairs:
        np.testing.assert_array_equal(one, other)
    histories = [(run.folder / "history.csv").read_text() for run in (uninterrupted, continued)]
    assert histories[0] == histories[1]
    assert "learning_rate_conv" in histories[0].splitlines()[0]


def test_a_regex_corrected_after_its_refusal_trains_in_the_same_folder(tmp_path, thirds):
    with pytest.raises(InputError, match="matches none"):
        _fit(tmp_path / "run", thirds, **{"fine_tune.train": "block_9.*"})
    corrected, _ = _run(tmp_path / "run", thirds)
    assert start_or_continue(corrected).task == corrected.task
    (tmp_path / "run" / "checkpoint.npz").write_bytes(b"trained")
    other, _ = _run(tmp_path / "run", thirds, epochs=9)
    with pytest.raises(InputError, match="holds another run"):
        start_or_continue(other)


def test_a_run_leaves_what_is_frozen_as_it_was_built(thirds, uninterrupted):
    task, _ = thirds
    keras.utils.set_random_seed(0)  # as fit_run does, with the run's seed
    fresh = {v.path: v.numpy() for v in build_parts(task).network.variables}
    for variable in load_network(uninterrupted).variables:
        if "seed" in variable.path:
            continue
        moves = variable.path.startswith(("block_5_3", "dense_2", "probabilities"))
        assert np.array_equal(variable, fresh[variable.path]) != moves, variable.path


@BFLOAT16
@pytest.mark.slow
def test_groups_and_schedule_train_in_half_precision(tmp_path, thirds):
    run = _fit(tmp_path / "run", thirds, precision="mixed_bfloat16", epochs=2)
    assert run.finished


@pytest.mark.slow
def test_a_frozen_backbone_continues_from_the_same_file_only_and_is_loaded_without_it(
    tmp_path, thirds, monkeypatch
):
    from mri_tf.train import loop as training

    file = tmp_path / "resnet18.weights.h5"
    sources = [_resnet(seed) for seed in (0, 1)]
    sources[0].save_weights(file)
    values = {
        "model": "backbone_classifier", "fine_tune": dict(train=("stack0_block1_2_.*", HEAD)),
        "model_args": dict(weights=str(file), cut_after="stack0", intensities="zscore"), "epochs": 2,
    }  # fmt: skip

    def stop(self, batch, logs=None):
        if self.epoch == 1:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(training._StopAtNaN, "on_train_batch_end", stop)
        with pytest.raises(KeyboardInterrupt):
            _fit(tmp_path / "run", thirds, **values)
    sources[1].save_weights(file)
    with pytest.raises(InputError, match="belongs to another training"):
        _fit(tmp_path / "run", thirds, **values)
    sources[0].save_weights(file)
    run = _fit(tmp_path / "run", thirds, **values)
    file.unlink()
    trained = load_network(run)
    for name in ("conv1_conv", "conv1_bn", "stack0_block1_1_bn", "stack0_block1_2_bn"):
        pairs = zip(
            trained.get_layer(name).get_weights(), sources[0].get_layer(name).get_weights(), strict=True
        )
        assert all(np.array_equal(*pair) for pair in pairs) == (name != "stack0_block1_2_bn"), name


def _resnet(seed):
    from keras_hub.models import ResNetBackbone

    keras.utils.set_random_seed(seed)
    return ResNetBackbone(
        input_conv_filters=[64], input_conv_kernel_sizes=[7], stackwise_num_filters=[64, 128, 256, 512],
        stackwise_num_blocks=[2, 2, 2, 2], stackwise_num_strides=[1, 2, 2, 2], block_type="basic_block",
    )  # fmt: skip


def test_the_learning_rate_of_a_continued_epoch_follows_from_the_epoch_alone():
    optimizer = keras.optimizers.SGD(0.5)
    decay = DecayLearningRates(FineTuning(decay=0.1, decay_every=7), optimizer)
    for epoch, wanted in ((20, 0.005), (6, 0.5), (7, 0.05)):
        decay.on_epoch_begin(epoch)
        assert float(optimizer.learning_rate) == pytest.approx(wanted)


TWO_DEVICES = textwrap.dedent("""
    import json, sys
    from pathlib import Path
    import numpy as np
    import tensorflow as tf
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    tests = Path(sys.argv[3])
    sys.path[:0] = [str(tests / "network"), str(tests / "helpers")]
    from data_prep.prepare.prepare import prepare
    from mri_tf.network.build import load_network
    from mri_tf.task.overrides import with_values
    from mri_tf.task.files import load_task
    from test_fine_tuning import TUNED, _fit

    file, raw, home = Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[4])
    base = load_task(file)
    values = {**base.variants["scratch"], **TUNED, "epochs": 4, "batch_size": 12}
    task = with_values(base, {**values, "model_args.dropout": 0.0})
    prepared, _ = prepare(task, file, raw, home / "set")
    weights = [load_network(_fit(home / str(n), (task, prepared), n)).get_weights() for n in (1, 2)]
    print(json.dumps(max(float(np.max(np.abs(a - b))) for a, b in zip(*weights, strict=True))))
""")


@pytest.mark.slow
def test_two_devices_fine_tune_to_the_weights_of_one(small, tmp_path):
    arguments = [small["levels"], small["raw"], Path(__file__).parents[1], tmp_path]
    done = subprocess.run(
        [sys.executable, "-c", TWO_DEVICES, *map(str, arguments)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert 0 <= json.loads(done.stdout.splitlines()[-1]) < 1e-5
