"""Compares the speed of the input pipeline with that of training, at 630 x 630 pixels.

    python benchmarks/pipeline630.py [--patients 15] [--batches 4]

Uses `size630` of recipe D on phantom pictures. Prints the records a second of the preparation, of the
input pipeline alone (read, augment, normalise), and of the training step of ResNet-18 (random weights)
alone, on batches in memory. The pipeline should be at least three times as fast as the training step.
"""

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from data_prep.phantom.class_pictures.dataset import write_class_pictures
from data_prep.prepare.prepare import prepare
from mri_tf.network.build import build_network
from mri_tf.pipeline.batches import batch_function, training_batches
from mri_tf.pipeline.epoch_plan import TrainingPlan
from mri_tf.task.files import FOLDER, load_task
from mri_tf.task.overrides import with_values


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--patients", type=int, default=15, help="of the phantom, about 7 pictures each")
    parser.add_argument("--batches", type=int, default=4, help="timed of each, after one")
    flags = parser.parse_args()
    file = FOLDER / "brain_tumor_44.py"
    task = load_task(file)
    task = with_values(task, task.variants["size630"])
    task = replace(task, model_args={"backbone": "resnet18", "weights": "none"}, epochs=1000)
    with tempfile.TemporaryDirectory() as home:
        raw = Path(home, "raw")
        write_class_pictures(raw, flags.patients, 0, signal=True)
        started = time.perf_counter()
        prepared, _ = prepare(task, file, raw, Path(home, "data"))
        rows = [("preparation, copies too", len(prepared), time.perf_counter() - started)]
        plan = TrainingPlan(np.arange(len(prepared)), prepared.labels, task.batch_size, seed=0)
        make = batch_function(task, training=True)
        batches = iter(training_batches(prepared, plan, 0, task, {}).map(make))
        kept = [next(batches)]
        started = time.perf_counter()
        # The last batch of an epoch may be smaller: records are counted, not batches.
        kept += [next(batches) for _ in range(3 * flags.batches)]
        rows.append(("input pipeline alone", records(kept[1:]), time.perf_counter() - started))
        rows.append(("training step alone", *steps(task, kept[: flags.batches + 1])))
    rates = [(name, count / seconds) for name, count, seconds in rows]
    print("| what | records a second |\n|---|---:|")
    for name, rate in rates:
        print(f"| {name} | {rate:.1f} |")
    print(f"\npipeline / training step: {rates[1][1] / rates[2][1]:.1f} (wanted: 3)")


def steps(task, batches: list) -> tuple[int, float]:
    """(records, seconds) of training on these batches; the first is not timed."""
    import keras

    network = build_network(task)
    optimizer = keras.optimizers.SGD(task.learning_rate, momentum=0.9)
    network.compile(optimizer, loss="sparse_categorical_crossentropy")
    network.train_on_batch(*batches[0])
    started = time.perf_counter()
    for image, label, weight in batches[1:]:
        network.train_on_batch(image, label, weight)
    return records(batches[1:]), time.perf_counter() - started


def records(batches: list) -> int:
    return sum(len(image) for image, _, _ in batches)


if __name__ == "__main__":
    main()
