"""Trainings that several tests make: their sides, a stop in the middle, equal weights, two devices."""

import contextlib
import json
import subprocess
import sys

import numpy as np
import pytest

from mri_tf.network.build import load_network
from mri_tf.splits.split import split_units, tie_together
from mri_tf.train import loop

TWO_DEVICES = """
import json, sys
from pathlib import Path
import numpy as np
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
"""


def split_of(task, prepared, fractions=None) -> list[np.ndarray]:
    """Record positions a side, of the task's fractions unless others are given."""
    units = tie_together(prepared.patients, prepared.groups)
    return split_units(units, prepared.labels, fractions or task.split_fractions, seed=0)


@contextlib.contextmanager
def stopped_at(epoch: int, step: int):
    """The training inside is interrupted, as by Ctrl-C, at the end of a step."""

    def stop(self, batch, logs=None):
        if (self.epoch, batch) == (epoch, step):
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(loop._StopAtNaN, "on_train_batch_end", stop)
        with pytest.raises(KeyboardInterrupt):
            yield


def assert_equal_weights(first, second) -> None:
    """The networks of two runs are equal to the bit."""
    pairs = zip(*(load_network(run).get_weights() for run in (first, second)), strict=True)
    for one, other in pairs:
        np.testing.assert_array_equal(one, other)


def on_two_devices(script: str, *arguments):
    """What a script prints last, as JSON; it runs in a process of two logical CPUs."""
    done = subprocess.run(
        [sys.executable, "-c", TWO_DEVICES + script, *map(str, arguments)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])
