"""Compares true labels with shuffled ones, from which nothing can be learned.

    python benchmarks/shuffled_labels.py [--seeds 20] [--patients 60] [--epochs 12]

Uses the short-axis phantom on 32 x 32 and a tiny network from scratch; half of the patients are held
out. Each seed has another exchange of labels among all records, another split and other weights, and
runs through preparation, training, calibration, operating point and evaluation. Prints a row for the
true labels and one for each seed. Fails when fewer than 17 of 20 of the 95 % intervals of balanced
accuracy cover chance; a number without an interval (a network that always names one class) covers
nothing.
"""

import argparse
import os
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

MIN_COVERED = 17 / 20
SMALL = {
    "image_shape": (32, 32), "model_args": dict(conv_filters=4, dense_units=16),
    "split_fractions": (0.4, 0.1, 0.5), "learning_rate": 1e-2, "patience": 0,
}  # fmt: skip


@dataclass(frozen=True)
class Phantom:
    """Raw images written once, with their true manifest, and the task that is trained on them."""

    raw: Path
    manifest: pd.DataFrame
    task: object  # Task
    task_file: Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--patients", type=int, default=60)
    parser.add_argument("--epochs", type=int, default=12)
    flags = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    start, found = time.monotonic(), {"balanced_accuracy": Counter(), "auc": Counter()}
    with tempfile.TemporaryDirectory() as home:
        phantom = write_phantom(Path(home, "raw"), flags.patients, flags.epochs)
        chance = {"balanced_accuracy": 1 / len(phantom.task.class_names), "auc": 0.5}
        print("| labels | balanced accuracy | covers | AUC | covers | accuracy | majority |")
        print("|---" * 7 + "|", flush=True)
        print_row("true", count(phantom, None, Path(home, "true")), chance)
        for seed in range(flags.seeds):
            metrics = count(phantom, seed, Path(home, f"seed-{seed}"))
            print_row(f"shuffled, seed {seed}", metrics, chance)
            for name, counter in found.items():
                counter[covers(metrics[name], chance[name])] += 1
    print(f"\n95 % intervals of {flags.seeds} seeds, {time.monotonic() - start:.0f} s:")
    for name, counter in found.items():
        print(f"{name}: {counter['yes']} cover chance, {counter['no']} do not, {counter['none']} none")
    if found["balanced_accuracy"]["yes"] < MIN_COVERED * flags.seeds:
        raise SystemExit("too few intervals cover chance")


def write_phantom(raw: Path, patients: int, epochs: int) -> Phantom:
    """The phantom of sax_levels: six slices a patient, two of each third of the heart."""
    from data_prep.phantom.short_axis import write_short_axis_phantom
    from mri_tf.task.files import find_task_file, load_task
    from mri_tf.task.overrides import with_values

    raw.mkdir()
    write_short_axis_phantom(raw, patients, seed=0, signal=True)
    file = find_task_file("sax_levels")
    task = load_task(file)
    task = with_values(task, {**task.variants["scratch"], **SMALL, "epochs": epochs})
    return Phantom(raw, pd.read_csv(raw / "manifest.csv"), task, file)


def count(phantom: Phantom, seed: int | None, home: Path) -> dict:
    """metrics.json of one run; labels are exchanged by the seed, None leaves them as they are."""
    import keras

    from data_prep.prepare.prepare import prepare
    from mri_tf.evaluate.evaluation import evaluate_run
    from mri_tf.pipeline.subset import subset_of
    from mri_tf.splits.sides import SplitOptions, choose_sides
    from mri_tf.train.fit import fit_run
    from mri_tf.train.new_run import new_run

    keras.backend.clear_session()
    labels = phantom.manifest["axial_level"].to_numpy()
    if seed is not None:
        labels = np.random.default_rng([seed, len(labels)]).permutation(labels)
    phantom.manifest.assign(axial_level=labels).to_csv(phantom.raw / "manifest.csv", index=False)
    prepared, _ = prepare(phantom.task, phantom.task_file, phantom.raw, home / "data")
    chosen = choose_sides(prepared, phantom.task, SplitOptions("patient", None, None, seed or 0))
    run = new_run(home / "run", phantom.task, prepared, chosen, seed or 0)
    run = fit_run(run, prepared, None, devices=1)
    held_out = subset_of(run, prepared, chosen.records[2])
    return evaluate_run(run, held_out, chosen.mode, run.folder).metrics


def covers(number: dict, chance: float) -> str:
    """yes, no, or none where there is no interval."""
    if number["low"] is None:
        return "none"
    return "yes" if number["low"] <= chance <= number["high"] else "no"


def print_row(name: str, metrics: dict, chance: dict[str, float]) -> None:
    from mri_tf.tables import format_interval

    cells = [name]
    for measure in chance:
        cells += [format_interval(metrics[measure]), covers(metrics[measure], chance[measure])]
    cells += [format_interval(metrics["accuracy"]), f"{metrics['majority_accuracy']:.3f}"]
    print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
