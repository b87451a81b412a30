"""Compares lgg_tumour's network and recipe with MONAI's UNet: Dice on held-out lower-grade gliomas.

    python benchmarks/lgg_dice.py --raw $MRI_SHARED/data/lgg --peers-python PYTHON \
        [--minutes 12] [--seed 1] [--peers plain,same]

PYTHON is an interpreter with torch and monai (`pip install mri_tf[bench]` in a separate environment).
All get the same prepared grid, normalised voxels, training patients, batch size and kinds and ranges of
augmentation (from each library), and the same minutes of processor time on one thread, counted after
the first step, so that other work on the machine takes nothing from anyone. The last weights count.
The peer is trained as MONAI's examples do ("plain": weighted cross entropy, a constant rate of Adam) and
once more with the loss and the schedule of lgg_tumour ("same"). Test patients are a third, stratified by
site. Prints a row for each: parameters, steps, Dice and Hausdorff 95.
"""

import argparse
import json
import os
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

TEST_SHARE = 1 / 3
TASK = "lgg_tumour"
PLAIN_RATE = 1e-3  # of Adam, as in the peer's examples


@dataclass(frozen=True)
class Case:
    """What both are given: the prepared set and its sides."""

    task: object  # Task
    prepared: object  # Prepared
    train: np.ndarray  # positions
    test: np.ndarray
    weights: np.ndarray  # of the classes, in the loss


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--raw", type=Path, required=True, help="the folder of lgg_tumour's raw data")
    parser.add_argument("--peers-python", required=True, help="interpreter with torch and monai")
    parser.add_argument(
        "--minutes", type=float, default=12.0, help="of processor time on one thread, each"
    )
    parser.add_argument("--peers", default="plain,same", help="recipes of the peer; empty for none")
    parser.add_argument("--seed", type=int, default=0, help="of split, weights and augmentation")
    parser.add_argument(
        "--data", type=Path, help="keep the prepared set here (default: a temporary one)"
    )
    flags = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ["TF_NUM_INTRAOP_THREADS"] = "1"  # of this process, before TensorFlow starts
    with tempfile.TemporaryDirectory() as home:
        case = prepare_case(flags.raw, flags.data or Path(home, "data"), flags.seed)
        print(f"{len(case.train)} patients to train on, {len(case.test)} held out; {flags.minutes:g} "
              f"minutes of processor time each, seed {flags.seed}")  # fmt: skip
        print("| network | parameters | steps | Dice a volume | Hausdorff 95, voxels |")
        print("|---" * 5 + "|", flush=True)
        print_row(f"mri_tf {case.task.model}", case, *train_ours(case, flags.minutes, flags.seed))
        write_arrays(case, Path(home))
        for recipe in filter(None, flags.peers.split(",")):
            print_row(f"MONAI UNet, {recipe}", case, *train_peer(flags, Path(home), case, recipe))


def prepare_case(raw: Path, data: Path, seed: int) -> Case:
    from data_prep.prepare.prepare import prepare
    from mri_tf.calibration.class_balance import class_weights
    from mri_tf.pipeline.subset import Subset
    from mri_tf.splits.split import split_units
    from mri_tf.task.files import find_task_file, load_task

    file = find_task_file(TASK)
    task = load_task(file)
    prepared, skipped = prepare(task, file, raw, data)
    for item in skipped:
        print(f"skipped: {item.reason}")
    train, test = split_units(
        prepared.patients, prepared.sites.astype(str), (1 - TEST_SHARE, TEST_SHARE), seed
    )
    counts = Subset(task, prepared, train).label_counts()
    return Case(task, prepared, train, test, class_weights(counts, task.loss_weights))


# ---- ours


def train_ours(case: Case, minutes: float, seed: int) -> tuple[int, int, np.ndarray]:
    """Parameters, steps, and predicted masks (volumes, *grid) of the test side."""
    import dataclasses

    import keras

    from mri_tf.models.registry import builder
    from mri_tf.pipeline.batches import batch_function, eval_batches, read_in_order, training_batches
    from mri_tf.pipeline.epoch_plan import TrainingPlan
    from mri_tf.train.loss import weighted_cross_entropy, with_soft_dice

    task = dataclasses.replace(case.task, epochs=10**6)
    keras.utils.set_random_seed(seed)
    shape = (*task.network_shape, len(task.channels))
    model = builder(task.model)(shape, len(task.class_names), **task.model_args)
    entropy = weighted_cross_entropy(case.weights, task.label_smoothing)
    model.compile(
        optimizer=keras.optimizers.Adam(task.learning_rate),
        loss=with_soft_dice(entropy, task.dice_share),
    )
    plan = TrainingPlan(case.train, np.zeros(len(case.train), int), task.batch_size, seed)
    raw = training_batches(case.prepared, plan, 0, task, {})
    batches = raw.map(batch_function(task, training=True, fitted={}), num_parallel_calls=1).prefetch(2)
    steps, start = 0, None
    for image, mask, weight in batches:
        model.optimizer.learning_rate = rate_at(task, steps, spent(start) / (60 * minutes))
        model.train_on_batch(image, mask, sample_weight=weight)
        start = time.process_time() if start is None else start
        steps += 1
        if spent(start) > 60 * minutes:
            break
    tests = eval_batches(read_in_order(case.prepared, case.test, 2), task, {})
    predicted = [model.predict_on_batch(image).argmax(axis=-1) for image, _, _ in tests]
    return model.count_params(), steps, np.concatenate(predicted)


def spent(start: float | None) -> float:
    """Seconds of processor time of all threads since then; 0 before the first step."""
    return 0.0 if start is None else time.process_time() - start


def rate_at(task, step: int, share: float) -> float:
    """The learning rate of the task's schedule after a share of the time."""
    warm = min(1.0, (step + 1) / max(1, task.warm_up))
    falls = 0.5 * (1 + np.cos(np.pi * min(1.0, share))) if task.schedule == "cosine" else 1.0
    return float(task.learning_rate * warm * falls)


# ---- the peer


def write_arrays(case: Case, home: Path) -> None:
    """Normalised voxels, channels first, masks, and what else the peer needs, into the folder."""
    from mri_tf.pipeline.batches import eval_batches, read_in_order

    for side, records in (("train", case.train), ("test", case.test)):
        images, masks = [], []
        for image, mask, _ in eval_batches(read_in_order(case.prepared, records, 4), case.task, {}):
            images.append(np.moveaxis(image.numpy(), -1, 1).astype(np.float16))
            masks.append(mask.numpy().astype(np.uint8))
        np.save(home / f"{side}_images.npy", np.concatenate(images))
        np.save(home / f"{side}_masks.npy", np.concatenate(masks))
    np.save(home / "weights.npy", case.weights)


def train_peer(flags, home: Path, case: Case, recipe: str) -> tuple[int, int, np.ndarray]:
    """The same as `train_ours`, by the script for the other interpreter; recipe: "plain" or "same"."""
    task, script = case.task, Path(__file__).with_name("lgg_dice_peer.py")
    same = recipe == "same"
    values = dict(
        minutes=flags.minutes, seed=flags.seed,
        learning_rate=task.learning_rate if same else PLAIN_RATE, batch_size=task.batch_size,
        dice_share=task.dice_share if same else 0.0, cosine=same and task.schedule == "cosine",
    )  # fmt: skip
    subprocess.run([flags.peers_python, str(script), str(home), json.dumps(values)], check=True)
    parameters, steps = np.load(home / "counts.npy")
    return int(parameters), int(steps), np.load(home / "predicted.npy")


# ---- numbers


def print_row(name: str, case: Case, parameters: int, steps: int, predicted: np.ndarray) -> None:
    from mri_tf.metrics import hausdorff95, volume_metrics
    from mri_tf.network.inference import label_pairs
    from mri_tf.tables import format_interval

    confusions, distances = [], []
    for position, guess in zip(case.test, predicted, strict=True):
        truth = case.prepared.record(int(position)).mask
        confusions.append(label_pairs(truth.astype(int), guess, len(case.task.class_names)))
        distances.append([hausdorff95(truth == 1, guess == 1)])  # spacings are nominal
    patients = case.prepared.patients[case.test]
    found = volume_metrics(np.array(confusions), distances, patients, case.task.class_names)
    distance = found["hausdorff95_mean"]
    text = format_interval(distance) + (f"; {distance['reason']}" if "reason" in distance else "")
    print(f"| {name} | {parameters:,} | {steps} | {format_interval(found['dice_mean'])} | {text} |",
          flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
