"""Several devices: two logical CPUs in a process of their own train what one trains."""

import textwrap

import pytest
from trainings import on_two_devices

pytestmark = pytest.mark.slow  # seven trainings in a process of their own

SCRIPT = textwrap.dedent("""
    from mri_tf.train import loop as training
    from data_prep.prepare.prepare import prepare
    from mri_tf.network.build import load_network
    from mri_tf.train.fit import fit_run
    from mri_tf.train.loop import Checkpoints
    from mri_tf.train.new_run import new_run
    from mri_tf.splits.sides import Sides
    from mri_tf.task.overrides import with_values
    from mri_tf.task.files import load_task

    file, raw, home = map(Path, sys.argv[1:])
    prepared, _ = prepare(load_task(file), file, raw, home / "set")
    sides = [np.arange(36), np.arange(36, 48), np.arange(48, 60)]

    def fitted(name, devices, **values):
        # Adam's first steps turn the last bit of a gradient near zero into a whole step.
        values = {"model_args.dropout": 0.0, "learning_rate": 1e-4, "epochs": 2, **values}
        task = with_values(load_task(file), values)
        run = new_run(home / name, task, prepared, Sides(sides, "patient", None), 0)
        return fit_run(run, prepared, None, devices, checkpoints=Checkpoints(0))

    def difference(one, other):
        pairs = zip(load_network(one).get_weights(), load_network(other).get_weights(), strict=True)
        return max(float(np.max(np.abs(first - second))) for first, second in pairs)

    def last_losses(run):
        row = (run.folder / "history.csv").read_text().splitlines()[-1]
        return [float(value) for value in row.split(",")[1:]]

    result = {}
    one, two = fitted("one", 1, batch_size=6), fitted("two", 2, batch_size=6)
    result["even"] = difference(one, two)
    result["uneven"] = [last_losses(fitted(f"uneven-{n}", n, batch_size=7)) for n in (1, 2)]
    class Stop(Exception): pass
    def stop(self, batch, logs=None):
        if (self.epoch, batch) == (1, 2):
            raise Stop
    kept = training._StopAtNaN.on_train_batch_end
    training._StopAtNaN.on_train_batch_end = stop
    try:
        fitted("stopped", 2, batch_size=6)
        result["stopped"] = False
    except Stop:
        result["stopped"] = (home / "stopped" / "checkpoint.npz").is_file()
    training._StopAtNaN.on_train_batch_end = kept
    result["resumed"] = difference(two, fitted("stopped", 2, batch_size=6))
    print(json.dumps(result))
""")


@pytest.fixture(scope="module")
def trained(small, tmp_path_factory) -> dict:
    file = small["levels"].with_name("pools.py")
    return on_two_devices(SCRIPT, file, small["raw"], tmp_path_factory.mktemp("two"))


def test_two_devices_give_the_weights_of_one_for_even_batches(trained):
    assert 0 <= trained["even"] < 1e-5


def test_uneven_batches_are_filled_and_count_as_on_one_device(trained):
    one, two = trained["uneven"]
    assert two == pytest.approx(one, rel=0.02)  # BatchNorm sees the records that fill a batch


def test_a_training_on_two_devices_continues_to_equal_weights(trained):
    assert trained["stopped"]
    assert trained["resumed"] == 0
