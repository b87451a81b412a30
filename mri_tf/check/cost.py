"""What a training would cost: a few steps are timed, and their memory and files estimated."""

import time

import keras
import numpy as np

from mri_tf.check.findings import GOOD, UNKNOWN, Finding
from mri_tf.core.progress import duration
from mri_tf.core.system import peak_memory_gb
from mri_tf.network.build import build_parts, wrap_for_training
from mri_tf.network.fine_tuning import Steps
from mri_tf.pipeline.batches import batch_function
from mri_tf.pipeline.subset import Subset
from mri_tf.splits.sides import Sides
from mri_tf.store.prepared import Prepared
from mri_tf.task import Task
from mri_tf.task.overrides import with_values
from mri_tf.train.fit import compile_network
from mri_tf.train.inputs import fit_on_training_side

TIMED_STEPS = 3
STATES = 4  # copies of the weights in a checkpoint: weights, two moments of Adam, the best so far
BYTES_OF_A_WEIGHT = 4


def cost(task: Task, prepared: Prepared, sides: Sides) -> Finding:
    """Time, memory and disk of one training, by some of its steps on this machine."""
    if task.pretrained_on:
        return Finding(
            "cost", UNKNOWN, f"it depends on the network of {task.pretrained_on}, which is trained first"
        )
    if task.model_args.get("weights", "none") != "none":
        task = with_values(task, {"model_args.weights": "none"})  # they change nothing of the time
    training = Subset(task, prepared, sides.records[0])
    training = Subset(task, prepared, training.records, fit_on_training_side(training, 0)).thinned()
    plan = training.plan(0, 1)
    make = batch_function(task, training=True, fitted=training.fitted)
    batches = iter(training.training_batches(plan, 0).map(make).take(TIMED_STEPS + 1))
    keras.utils.set_random_seed(0)
    network = wrap_for_training(task, build_parts(task, None))
    steps = Steps(1000, task.warm_up, task.schedule == "cosine", task.clip_norm)
    compile_network(network, task, training.label_counts(), steps)
    network.train_on_batch(*next(batches))  # compiles
    seconds = []
    for batch in batches:
        begun = time.perf_counter()
        network.train_on_batch(*batch)
        seconds.append(time.perf_counter() - begun)
    total = plan.steps * task.epochs_of(plan.steps)
    megabytes = network.count_params() * BYTES_OF_A_WEIGHT * STATES / 2**20
    set_mb = sum(shard["bytes"] for shard in prepared.manifest["shards"]) / 2**20
    text = (
        f"{total} steps of {1000 * float(np.median(seconds or [0])):.0f} ms: "
        f"{duration(total * float(np.median(seconds or [0])))} for one training; "
        f"{_memory()}{megabytes:.0f} MB of files a run, {set_mb:.0f} MB of prepared data"
    )
    return Finding("cost", GOOD, text)


def _memory() -> str:
    peak = peak_memory_gb()
    return "" if peak is None else f"{peak:.1f} GB of memory so far; "
