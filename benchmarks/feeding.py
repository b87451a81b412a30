"""Is the input pipeline fast enough? Its rate beside that of the training step it feeds.

    python benchmarks/feeding.py [--works TASK[:VARIANT,...] ...] [--patients 8] [--rounds 3]

For each task it writes the phantom of some patients, prepares it, and times in turns the pipeline alone
(read, augment, normalise) and training steps on batches in memory. Prints records a second of both, and
the least and largest ratio of the rounds. The pipeline should be at least three times as fast.
"""

import argparse
import tempfile
import time
from pathlib import Path

import keras
import numpy as np

from data_prep.phantom.write import write_fake_raw
from data_prep.prepare.prepare import prepare
from mri_tf.network.build import build_parts, wrap_for_training
from mri_tf.network.fine_tuning import Steps
from mri_tf.pipeline.batches import batch_function
from mri_tf.pipeline.subset import Subset
from mri_tf.task.files import FOLDER, load_task
from mri_tf.task.overrides import with_values
from mri_tf.train.fit import compile_network
from mri_tf.train.inputs import fit_on_training_side

# Every demo whose network sees images; classifiers of another network's features are fed from a bank.
WORKS = (
    "cardiac_structures:demo", "cardiac_levels:scratch,demo", "sax_blood_pool:demo",
    "sax_levels:scratch,demo", "brain_structures:demo", "brain_tumor_44:demo",
    "brain_tumor_type:scratch,demo", "glioma_tumour:demo", "glioma_grading:whole_brain,demo",
    "meningioma_grading:demo", "hippocampus:demo", "lgg_tumour:demo", "lgg_grade:scratch,demo",
    "mgmt:demo",
)  # fmt: skip
STEPS = 6  # timed in each round


def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    flags.add_argument("--works", nargs="+", default=WORKS)
    flags.add_argument("--patients", type=int, default=8)
    flags.add_argument("--rounds", type=int, default=3)
    flags = flags.parse_args()
    print("| task | pipeline, records/s | step, records/s | ratio (least to most) |")
    print("|---|---:|---:|---|")
    for work in flags.works:
        name, _, variants = work.partition(":")
        file = FOLDER / f"{name}.py"
        task = base = load_task(file)
        for variant in filter(None, variants.split(",")):
            task = with_values(task, base.variants.get(variant, {}))
        task = with_values(task, {"epochs": 100_000})  # so that batches do not run out
        with tempfile.TemporaryDirectory() as home:
            raw = Path(home, "raw")
            write_fake_raw(file, raw, flags.patients, seed=0)
            prepared, _ = prepare(task, file, raw, Path(home, "data"))
            whole = Subset(task, prepared, np.arange(len(prepared)))
            subset = Subset(task, prepared, whole.records, fit_on_training_side(whole, 0)).thinned()
            print(f"| {work} | {row(task, subset, flags.rounds)} |", flush=True)


def row(task, subset: Subset, rounds: int) -> str:
    """The cells of a task: rates of pipeline and step, and their ratio."""
    make = batch_function(task, training=True, fitted=subset.fitted)
    batches = iter(subset.training_batches(subset.plan(0, 1), 0).map(make).prefetch(2))
    kept = [next(batches) for _ in range(STEPS)]
    keras.utils.set_random_seed(0)
    network = wrap_for_training(task, build_parts(task, None))
    steps = Steps(1000, task.warm_up, task.schedule == "cosine", task.clip_norm)
    compile_network(network, task, subset.label_counts(), steps)
    network.train_on_batch(*kept[0])
    rates = []
    for _ in range(rounds):
        begun = time.perf_counter()
        drawn = [next(batches) for _ in range(3 * STEPS)]
        fed = time.perf_counter()
        for batch in kept:
            network.train_on_batch(*batch)
        ended = time.perf_counter()
        rates.append((records(drawn) / (fed - begun), records(kept) / (ended - fed)))
    pipeline, step = np.median(rates, axis=0)
    ratios = [one / other for one, other in rates]
    spread = f"{np.median(ratios):.1f} ({min(ratios):.1f} to {max(ratios):.1f})"
    return f"{pipeline:.0f} | {step:.1f} | {spread}"


def records(batches: list) -> int:
    """How many records, of bags patients, the batches hold."""
    return sum(len(label) for _, label, _ in batches)


if __name__ == "__main__":
    main()
