"""Runs that are fine-tuned: what they leave as it was, and that they continue to the bit."""

import textwrap
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from needs import BFLOAT16
from small import sides_of
from trainings import assert_equal_weights, on_two_devices, stopped_at

from data_prep.prepare.prepare import prepare
from mri_tf.core.errors import InputError
from mri_tf.network.build import build_parts, load_network
from mri_tf.store.continued import check_same_task, start_or_continue
from mri_tf.task.files import load_task
from mri_tf.task.overrides import parse_assignment, with_values
from mri_tf.task.settings import fine_tuning_of
from mri_tf.train.fit import fit_run
from mri_tf.train.loop import Checkpoints
from mri_tf.train.new_run import new_run

HEAD = "probabilities/.*"
GROUPS = dict(conv=dict(variables="block_2_2_.*", learning_rate=1e-3))
TUNED = {
    "fine_tune": dict(
        train=("block_2_2_.*", "dense_2.*", HEAD), groups=GROUPS, optimizer="sgd", momentum=0.9,
        decay=0.5, decay_every=2,
    )
}  # fmt: skip


def test_the_command_line_reaches_every_value(small):
    task = with_values(load_task(small["levels"].with_name("pools.py")), TUNED)
    given = ["fine_tune.groups.conv.learning_rate=1e-5", "fine_tune.decay=0.9", "fine_tune.train=.*"]
    task = with_values(task, dict(parse_assignment(task, text) for text in given))
    assert task.fine_tune["groups"]["conv"] == dict(variables="block_2_2_.*", learning_rate=1e-5)
    assert fine_tuning_of(task).train == ".*"


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
    return fit_run(run, prepared, None, devices, checkpoints=Checkpoints(0))


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory, thirds):
    return _fit(tmp_path_factory.mktemp("whole") / "run", thirds)


@pytest.mark.parametrize("epoch, step", [(1, 1), pytest.param(4, 0, marks=pytest.mark.slow)])
def test_a_fine_tuning_stopped_in_the_middle_continues_to_equal_weights(
    tmp_path, thirds, uninterrupted, epoch, step
):
    with stopped_at(epoch, step):
        _fit(tmp_path / "run", thirds)
    assert (tmp_path / "run" / "checkpoint.npz").is_file()
    continued = _fit(tmp_path / "run", thirds)
    assert_equal_weights(uninterrupted, continued)
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


def test_the_folder_of_another_run_is_refused_by_task_and_seed_alone(tmp_path, thirds, uninterrupted):
    folder, task = uninterrupted.folder, uninterrupted.task
    check_same_task(folder, task, uninterrupted.values["seed"])
    with pytest.raises(InputError, match="with another seed"):
        check_same_task(folder, task, uninterrupted.values["seed"] + 1)
    with pytest.raises(InputError, match="epochs"):
        check_same_task(folder, replace(task, epochs=9), uninterrupted.values["seed"])
    check_same_task(tmp_path / "new", task, 0)


def test_a_run_leaves_what_is_frozen_as_it_was_built(thirds, uninterrupted):
    task, _ = thirds
    keras.utils.set_random_seed(0)  # as fit_run does, with the run's seed
    fresh = {v.path: v.numpy() for v in build_parts(task).network.variables}
    for variable in load_network(uninterrupted).variables:
        if "seed" in variable.path:
            continue
        moves = variable.path.startswith(("block_2_2", "dense_2", "probabilities"))
        assert np.array_equal(variable, fresh[variable.path]) != moves, variable.path


@BFLOAT16
@pytest.mark.slow
def test_groups_and_schedule_train_in_half_precision(tmp_path, thirds):
    run = _fit(tmp_path / "run", thirds, precision="mixed_bfloat16", epochs=2)
    assert run.finished


@pytest.mark.slow
def test_a_frozen_backbone_continues_from_the_same_file_only_and_is_loaded_without_it(
    tmp_path, thirds
):
    file = tmp_path / "resnet18.weights.h5"
    sources = [_resnet(seed) for seed in (0, 1)]
    sources[0].save_weights(file)
    values = {
        "model": "backbone_classifier", "fine_tune": dict(train=("stack0_block1_2_.*", HEAD)),
        "model_args": dict(weights=str(file), cut_after="stack0", intensities="zscore"), "epochs": 2,
    }  # fmt: skip

    with stopped_at(epoch=1, step=0):
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
    from keras_hub.models import ResNetBackbone  # takes seconds

    keras.utils.set_random_seed(seed)
    return ResNetBackbone(
        input_conv_filters=[64], input_conv_kernel_sizes=[7], stackwise_num_filters=[64, 128, 256, 512],
        stackwise_num_blocks=[2, 2, 2, 2], stackwise_num_strides=[1, 2, 2, 2], block_type="basic_block",
    )  # fmt: skip


SCRIPT = textwrap.dedent("""
    tests = Path(sys.argv[3])
    sys.path[:0] = [str(tests / "network"), str(tests / "helpers")]
    from data_prep.prepare.prepare import prepare
    from mri_tf.network.build import load_network
    from mri_tf.task.overrides import with_values
    from mri_tf.task.files import load_task
    from test_fine_tuned_runs import TUNED, _fit

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
    tests = Path(__file__).parents[1]
    assert 0 <= on_two_devices(SCRIPT, small["levels"], small["raw"], tests, tmp_path) < 1e-5
