"""Compares training on banked features with training on images: seconds an epoch, and AUC.

    python benchmarks/feature_bank.py --raw $MRI_SHARED/data/sunnybrook [--weights FILE]
        [--cut-after stack2] [--seeds 5]

The task is thirds of the heart; the network is a ResNet-18, whole or cut after a stack, with all but
the last convolution, its BatchNorm and the dense layer frozen. Both paths augment. The first table has
the seconds of whole epochs, validation included, measured in turns, and of filling the bank. The second
has the AUC (one-vs-rest, macro) on the held-out patients of the same split, for each seed and path.
"""

import argparse
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

TURNS = 3
LAST = "{stack}_block1_2_.*"
TASK = """
from mri_tf.task import Task

TASK = Task(
    name="thirds", channels=("cine",), image_shape=(128, 128), class_names=("basal", "mid", "apical"),
    prep=dict(dtype="uint8", label_column="axial_level"), normalize=dict(method="zscore"),
    model="backbone_classifier",
    model_args=dict(weights={weights!r}, cut_after={cut_after!r}, intensities="zscore"),
    fine_tune=dict(train=({last!r}, "probabilities/.*")),
    augment=dict(random_affine=dict(max_degrees=20.0, max_shift_fraction=0.08, zoom=(0.85, 1.15))),
    augment_probability=0.6, split_fractions=(0.6, 0.2, 0.2), batch_size=16, epochs={epochs},
    learning_rate=1e-3, feature_bank={copies},
)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--raw", required=True, type=Path)
    parser.add_argument("--weights", default="none", help="a .weights.h5 of ResNet-18, or none")
    parser.add_argument("--cut-after", default="", help="the backbone's last stack (default: stack3)")
    parser.add_argument("--copies", type=int, default=10)
    parser.add_argument("--epochs", type=int, default=20, help="of the trainings for the AUC")
    parser.add_argument("--rounds", type=int, default=3, help="timed epochs a turn")
    parser.add_argument("--seeds", type=int, default=5)
    flags = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        file = Path(home) / "thirds.py"
        weights = flags.weights if flags.weights == "none" else str(Path(flags.weights).absolute())
        text = TASK.format(
            weights=weights, cut_after=flags.cut_after, epochs=flags.epochs, copies=flags.copies,
            last=LAST.format(stack=flags.cut_after or "stack3"),
        )  # fmt: skip
        file.write_text(text, encoding="utf-8")
        task, prepared = prepare_set(file, flags.raw, Path(home))
        print(time_epochs(task, prepared, Path(home), flags.rounds), "\n", flush=True)
        if flags.seeds:
            print(compare_auc(task, prepared, Path(home), flags.seeds))


def prepare_set(file: Path, raw: Path, home: Path):
    """(task, prepared set)."""
    from data_prep.prepare.prepare import prepare
    from mri_tf.task.files import load_task

    task = load_task(file)
    prepared, _ = prepare(task, file, raw, home / "data")
    return task, prepared


def run_of(task, prepared, folder: Path, seed: int):
    """A run that has not started; the split is the seed's."""
    from mri_tf.splits.sides import SplitOptions, choose_sides
    from mri_tf.train.new_run import new_run

    sides = choose_sides(prepared, task, SplitOptions("patient", None, None, seed))
    return new_run(folder, task, prepared, sides, seed)


def time_epochs(task, prepared, home: Path, rounds: int) -> str:
    """Seconds an epoch of both paths: three short trainings each, in turns."""
    import keras

    from mri_tf.network.build import build_parts, wrap_for_training
    from mri_tf.pipeline.epoch_plan import TrainingPlan
    from mri_tf.pipeline.subset import Subset
    from mri_tf.store.run import positions_of
    from mri_tf.train.feed import feed_features, feed_images
    from mri_tf.train.frozen_prefix import split_at_frozen

    run = run_of(task, prepared, home / "timed", seed=0)
    training, validation, _ = (
        Subset(task, prepared, records) for records in positions_of(run, prepared)
    )
    plan = TrainingPlan(training.records, training.labels, task.batch_size, 0)
    keras.utils.set_random_seed(0)
    parts = build_parts(task)
    prefix, suffix = split_at_frozen(parts.network)
    started = time.perf_counter()
    banked = feed_features(training, validation, plan, prefix, home / "banks")
    filling = time.perf_counter() - started
    paths = {
        "plain": (wrap_for_training(task, parts), feed_images(training, validation, plan)),
        "bank": (wrap_for_training(task, parts, suffix), banked),
    }
    seconds: dict[str, list[float]] = {name: [] for name in paths}
    for model, _ in paths.values():
        model.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy")
    for _ in range(TURNS):
        for name, (model, data) in paths.items():
            seconds[name] += seconds_of_epochs(model, data, rounds)
    images = np.random.default_rng(0).normal(size=(8, *task.image_shape, 1)).astype(np.float32)
    whole, cut = parts.network.predict_on_batch(images), suffix.predict_on_batch(prefix(images))
    plain, bank = (statistics.median(found) for found in seconds.values())
    stored = sum(file.stat().st_size for file in (home / "banks").rglob("*.npy")) / 1e6
    return (
        f"{len(training)} images to train on, {len(validation)} of validation, "
        f"{task.feature_bank} copies\n\n"
        f"| path | seconds an epoch (median of {TURNS * rounds}) |\n|---|---|\n"
        f"| plain | {plain:.2f} |\n| bank | {bank:.2f} |\n\nratio plain / bank: {plain / bank:.1f}; "
        f"filling: {filling:.1f} s, {stored:.0f} MB; with it the bank is ahead after "
        f"{filling / max(plain - bank, 1e-9):.0f} epochs; cut and whole network differ by "
        f"{np.max(np.abs(whole - cut)):.1e}"
    )


def seconds_of_epochs(model, data, count: int) -> list[float]:
    """Of training and validation, an epoch; the first of a training sets up what the others use."""
    import keras

    ends = []
    note = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: ends.append(time.perf_counter()))
    raw = data.training(0)
    batches = raw.map(data.prepare) if data.prepare else raw
    model.fit(
        batches.prefetch(2), epochs=1 + count, steps_per_epoch=data.steps, shuffle=False, verbose=0,
        validation_data=data.validation, callbacks=[note],
    )  # fmt: skip
    return np.diff(ends).tolist()


def compare_auc(task, prepared, home: Path, seeds: int) -> str:
    """AUC of the held-out patients, a row a seed, and the mean of the differences."""
    from mri_tf.evaluate.evaluation import evaluate_run
    from mri_tf.pipeline.subset import run_sides
    from mri_tf.train.fit import fit_run

    rows, differences = [], []
    for seed in range(seeds):
        values = []
        for copies in (0, task.feature_bank):
            variant = replace(task, feature_bank=copies)
            run = fit_run(
                run_of(variant, prepared, home / f"{copies}-s{seed}", seed), prepared, None, devices=1
            )
            held_out = run_sides(run, prepared)[2]
            values.append(evaluate_run(run, held_out, "patient", run.folder).metrics["auc"]["value"])
        differences.append(values[1] - values[0])
        rows.append(f"| {seed} | {values[0]:.3f} | {values[1]:.3f} | {differences[-1]:+.3f} |")
    mean, sd = np.mean(differences), np.std(differences, ddof=1) if seeds > 1 else float("nan")
    return "\n".join(
        ["| seed | AUC plain | AUC bank | difference |", "|---|---|---|---|", *rows, "",
         f"bank minus plain: mean {mean:+.3f}, SD {sd:.3f} over {seeds} seeds"]
    )  # fmt: skip


if __name__ == "__main__":
    main()
