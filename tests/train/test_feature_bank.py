"""The feature bank: the very features of the plain path, drawn as often, continued after a kill."""

import shutil
from dataclasses import replace

import keras
import numpy as np
import pandas as pd
import pytest
from fresh import with_drawn_weights
from small import sides_of
from trainings import split_of

from data_prep.prepare.prepare import prepare
from mri_tf.core.errors import InputError
from mri_tf.network.build import build_network, load_network
from mri_tf.pipeline.batches import batch_function, read_in_order
from mri_tf.pipeline.epoch_plan import TrainingPlan, plain_batches
from mri_tf.pipeline.subset import Subset
from mri_tf.task.files import load_task
from mri_tf.task.overrides import with_values
from mri_tf.train import feature_bank
from mri_tf.train.bank_batches import bank_batches, draw_copies, every_record
from mri_tf.train.feature_bank import BankSource, bank_identity, fill_bank
from mri_tf.train.fit import fit_run
from mri_tf.train.frozen_prefix import split_at_frozen
from mri_tf.train.new_run import new_run

COPIES = 3


@pytest.fixture(scope="module")
def thirds(small):
    """(task, prepared set, sides) of the levels, and a prefix around random features."""
    task = with_values(load_task(small["levels"]), {"feature_bank": COPIES})
    prepared, _ = prepare(task, small["levels"], small["raw"], small["home"] / "thirds-for-banks")
    sides = split_of(task, prepared)
    keras.utils.set_random_seed(0)
    pools = load_task(small["levels"].with_name("pools.py"))
    features = build_network(with_values(pools, {"model_args.levels": 3}))  # two sizes in a bank
    return task, prepared, sides, features


@pytest.fixture(scope="module")
def prefix(thirds):
    task, _, _, features = thirds
    return split_at_frozen(build_network(task, features))[0]


@pytest.fixture
def side(thirds):
    """The training side, as a bank is filled from it."""
    return _side(thirds)


def _side(thirds, copies=COPIES):
    task, prepared, sides, _ = thirds
    subset = Subset(with_values(task, {"feature_bank": copies}), prepared, sides[0])
    return BankSource(subset, 0, training=True)


def _with(side, **values):
    """The same side of a task with other values."""
    return replace(side, subset=replace(side.subset, task=replace(side.subset.task, **values)))


def test_identity_copies_are_the_features_of_the_plain_path_in_half_precision(side, prefix, tmp_path):
    bank = fill_bank(tmp_path, prefix, side, "one")
    plain = batch_function(side.subset.task, training=False)
    images = [plain(batch)[0] for batch in read_in_order(side.subset.prepared, side.subset.records, 64)]
    records = np.asarray(side.subset.records)[: len(images[0])]
    for file, wanted in zip(bank.files, prefix(images[0], training=False), strict=True):
        assert file.shape[0] == len(side.subset.prepared) * (1 + COPIES) and file.dtype == np.float16
        np.testing.assert_allclose(file[records * (1 + COPIES)], wanted.numpy(), rtol=2e-3, atol=1e-3)


def test_augmented_copies_differ_from_each_other_and_from_the_identity(side, prefix, tmp_path):
    bank = fill_bank(tmp_path, prefix, side, "one")
    first = side.subset.records[0] * (1 + COPIES)
    rows = [np.asarray(bank.files[0][first + number], np.float32) for number in range(1 + COPIES)]
    for number, row in enumerate(rows):
        assert all(np.abs(row - other).max() > 1e-3 for other in rows[:number])


def test_an_epoch_draws_the_identity_as_often_as_the_task_leaves_an_image_alone(side):
    drawn = draw_copies(np.random.default_rng(0), 20_000, side)
    shares = np.bincount(drawn, minlength=1 + COPIES) / len(drawn)
    augmented = side.subset.task.augment_probability
    wanted = [1 - augmented] + [augmented / COPIES] * COPIES
    np.testing.assert_allclose(shares, wanted, atol=0.015)


def test_an_epoch_from_the_bank_has_the_plan_s_records_and_repeats_when_started_later(
    side, prefix, tmp_path
):
    bank = fill_bank(tmp_path, prefix, side, "one")
    labels = side.subset.prepared.labels[side.subset.records]
    plan = TrainingPlan(side.subset.records, labels, 8, seed=5, oversample=True)
    whole = list(bank_batches(bank, plan, 0, side, prefix.outputs))
    later = list(bank_batches(bank, plan, 1, side, prefix.outputs))
    assert len(whole) == plan.steps * side.subset.task.epochs
    for one, two in zip(whole[plan.steps :], later, strict=True):
        np.testing.assert_array_equal(one[0][0], two[0][0])
        np.testing.assert_array_equal(one[1], two[1])
    wanted = [side.subset.prepared.labels[batch.records] for batch in plan.batches(0)]
    for batch, truth in zip(whole, wanted, strict=False):
        np.testing.assert_array_equal(batch[1], truth)


def test_validation_batches_hold_each_record_once_with_its_label(thirds, prefix, tmp_path):
    side = replace(_side(thirds), training=False)
    bank = fill_bank(tmp_path, prefix, side, "one")
    batches = list(plain_batches(side.subset.records, 7))
    found = np.concatenate([label for _, label, _ in every_record(bank, batches, side, prefix.outputs)])
    np.testing.assert_array_equal(found, side.subset.prepared.labels[side.subset.records])


class _Stop(Exception):
    pass


def test_a_bank_stopped_in_the_middle_is_continued_to_equal_files(side, prefix, tmp_path, monkeypatch):
    whole = fill_bank(tmp_path / "whole", prefix, side, "one")
    monkeypatch.setattr(feature_bank, "BATCHES_BETWEEN_MARKS", 2)
    writes = []

    def stop_at_third(path, data):
        writes.append(path.name)
        if writes.count("done.npy") == 3:  # of nothing, of two batches, of four
            raise _Stop
        path.write_bytes(data)

    with monkeypatch.context() as patch, pytest.raises(_Stop):
        patch.setattr(feature_bank, "write_atomic", stop_at_third)
        fill_bank(tmp_path / "torn", prefix, side, "one")
    read = []
    original = feature_bank.read_dataset

    def counting(prepared, batches, count, cut):
        read.append(count)
        return original(prepared, batches, count, cut)

    monkeypatch.setattr(feature_bank, "read_dataset", counting)
    again = fill_bank(tmp_path / "torn", prefix, side, "one")
    total = -(-len(side.wanted) // side.subset.task.batch_size)
    assert read == [total - 2]  # two batches were on disk
    for one, two in zip(whole.files, again.files, strict=True):
        np.testing.assert_array_equal(one, two)


def test_a_bank_is_continued_by_a_training_with_batches_of_another_size(
    side, prefix, tmp_path, monkeypatch
):
    whole = fill_bank(tmp_path / "whole", prefix, side, "one")
    monkeypatch.setattr(feature_bank, "BATCHES_BETWEEN_MARKS", 1)

    def stop_at_third(path, data):
        path.write_bytes(data)
        if path.name == "done.npy" and np.load(path).sum() == 24:
            raise _Stop

    with monkeypatch.context() as patch, pytest.raises(_Stop):
        patch.setattr(feature_bank, "write_atomic", stop_at_third)
        fill_bank(tmp_path / "torn", prefix, _with(side, batch_size=8), "one")
    wider = _with(side, batch_size=32)
    again = fill_bank(tmp_path / "torn", prefix, wider, "one")
    for one, two in zip(whole.files, again.files, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-3, atol=1e-3)


def test_the_bank_s_identity_is_not_one_of_layers_names_that_count_up(side):
    def built():
        image = keras.Input((32, 32, 1))
        x = keras.layers.ZeroPadding2D()(image)
        x = keras.layers.Conv2D(2, 3, kernel_initializer="ones")(x)
        return keras.Model(image, x)

    assert bank_identity(built(), side) == bank_identity(built(), side)


def test_other_records_of_the_same_set_share_the_bank_and_only_their_rows_are_computed(
    side, prefix, tmp_path, monkeypatch
):
    records = np.asarray(side.subset.records)
    one, two = (replace(side, subset=side.subset.of(part)) for part in (records[:-4], records[4:]))
    identity = bank_identity(prefix, one)
    assert identity == bank_identity(prefix, two) == bank_identity(prefix, replace(one, training=False))
    whole = fill_bank(tmp_path / "whole", prefix, side, identity)
    read = []
    original = feature_bank.read_dataset

    def counting(prepared, batches, count, cut):
        read.append(np.concatenate([batch.records for batch in batches()]))
        return original(prepared, batches, count, cut)

    monkeypatch.setattr(feature_bank, "read_dataset", counting)
    fill_bank(tmp_path / "shared", prefix, one, identity)
    shared = fill_bank(tmp_path / "shared", prefix, two, identity)
    assert set(read[0]) == set(records[:-4]) and set(read[1]) == set(records[-4:])
    for left, right in zip(whole.files, shared.files, strict=True):
        np.testing.assert_array_equal(left[side.wanted], right[side.wanted])
    others = np.setdiff1d(np.arange(len(whole.files[0])), side.wanted)
    assert len(others) and not whole.files[0][others].any()


def test_a_bank_of_other_weights_is_computed_anew(side, prefix, tmp_path):
    first = np.array(fill_bank(tmp_path, prefix, side, "one").files[0])
    (tmp_path / "bank.json").write_text((tmp_path / "bank.json").read_text().replace("one", "older"))
    np.lib.format.open_memmap(tmp_path / "tensor_0.npy", "r+")[:] = 0
    np.testing.assert_array_equal(fill_bank(tmp_path, prefix, side, "one").files[0], first)


def test_a_bank_that_does_not_fit_on_the_disk_is_refused_before_it_is_begun(
    side, prefix, tmp_path, monkeypatch
):
    full = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: full)
    with pytest.raises(InputError, match="does not fit on the disk"):
        fill_bank(tmp_path, prefix, side, "one")
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


@pytest.mark.parametrize(
    ("values", "same"),
    [
        ({"learning_rate": 0.1, "epochs": 9, "batch_size": 3, "augment_probability": 0.1}, True),
        ({"model_args.dense_units": 5, "loss_weights": "none", "oversample": True}, True),
        ({"augment.random_affine.max_degrees": 3.0}, False),
        ({"normalize": dict(method="shift", offset=1.0)}, False),
        ({"precision": "mixed_bfloat16"}, False),
    ],
)
def test_the_same_bank_is_found_as_long_as_no_feature_changes(thirds, values, same):
    assert (_identity(thirds, values) == _identity(thirds, {})) == same


def test_other_seeds_copies_fitted_values_or_weights_ask_for_another_bank(side, prefix):
    others = [
        replace(side, seed=1), _with(side, feature_bank=1),
        replace(side, subset=replace(side.subset, fitted={"median": 1.0})),
    ]  # fmt: skip
    found = {bank_identity(prefix, one) for one in (side, *others)}
    weights = prefix.get_weights()
    prefix.set_weights([weights[0] + 1, *weights[1:]])
    found.add(bank_identity(prefix, side))
    prefix.set_weights(weights)
    assert len(found) == 2 + len(others)


def _identity(thirds, values: dict) -> str:
    task, *others = thirds
    task = with_values(task, values)
    keras.utils.clear_session()
    prefix = split_at_frozen(build_network(task, others[-1]))[0]
    return bank_identity(prefix, _side((task, *others)))


@pytest.fixture(scope="module")
def pools_run(thirds, small, tmp_path_factory):
    """A finished run of the feature task, its weights drawn."""
    _, _, sides, _ = thirds
    home = tmp_path_factory.mktemp("bank-features")
    file = small["levels"].with_name("pools.py")
    pools = load_task(file)
    own, _ = prepare(pools, file, small["raw"], home / "pools")
    run = new_run(home / "features", replace(pools, epochs=1), own, sides_of(pools, own, sides), 0)
    return with_drawn_weights(fit_run(run, own, None, 1))


@pytest.fixture(scope="module")
def trained(thirds, pools_run, tmp_path_factory):
    """Runs of the same seed, features frozen: without and with a bank."""
    task, prepared, sides, _ = thirds
    home = tmp_path_factory.mktemp("bank-runs")
    runs = {}
    for name, copies, stored in (("plain", 0, None), ("half", 2, "float16"), ("whole", 2, "float32")):
        # Without augmentation both paths see the same images in the same order. By SGD: Adam makes a
        # whole step of the rounding of a gradient near nought.
        values = {"feature_bank": copies, "augment_probability": 0.0, "epochs": 2}
        values = with_values(task, values | {"fine_tune": dict(optimizer="sgd")})
        run = new_run(home / name, values, prepared, sides_of(task, prepared, sides), 0, pools_run)
        with pytest.MonkeyPatch.context() as patch:
            for module in ("feature_bank", "bank_batches"):
                patch.setattr(f"mri_tf.train.{module}.STORED", np.dtype(stored or "float16"))
            runs[name] = fit_run(run, prepared, pools_run, 1)
    return runs


@pytest.mark.slow
def test_without_augmentation_a_run_with_a_bank_learns_what_a_plain_one_learns(trained):
    plain, banked = (load_network(trained[name]) for name in ("plain", "whole"))
    for one, two in zip(plain.weights, banked.weights, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-4, err_msg=one.path)
    scales = [np.array(one) for one in plain.trainable_variables if one.path.endswith("gamma")]
    assert max(np.abs(scale - 1).max() for scale in scales) > 1e-3  # it has learned something


@pytest.mark.slow
def test_half_precision_moves_the_losses_of_the_first_epoch_in_the_third_digit(trained):
    first = {name: pd.read_csv(run.folder / "history.csv").iloc[0] for name, run in trained.items()}
    assert first["half"].loss == pytest.approx(first["plain"].loss, abs=5e-3)
    assert first["half"].loss != first["plain"].loss


@pytest.mark.slow
def test_a_finished_run_holds_the_whole_network_and_no_bank(trained):
    folder = trained["half"].folder
    assert not (folder / ".banks").exists()
    assert load_network(trained["half"]).input_shape == (None, 32, 32, 1)


def test_trainings_of_equal_features_share_one_bank(thirds, pools_run, tmp_path, monkeypatch):
    task, prepared, sides, _ = thirds
    filled = []
    original = feature_bank._fill
    monkeypatch.setattr(feature_bank, "_fill", lambda *given: (filled.append(1), original(*given)))
    losses = []
    for rate in (0.01, 0.001):
        values = with_values(task, {"epochs": 1, "learning_rate": rate})
        run = new_run(
            tmp_path / str(rate), values, prepared, sides_of(task, prepared, sides), 0, pools_run
        )
        run = fit_run(run, prepared, pools_run, 1, banks=tmp_path / "banks")
        losses.append(pd.read_csv(run.folder / "history.csv").loss[0])
        assert len(filled) == 2  # training and validation side, by the first
    assert len([path for path in (tmp_path / "banks").iterdir()]) == 1  # both sides have one bank
    assert losses[0] != losses[1] and (tmp_path / "banks").is_dir()
