"""What augmentation is worth where test patients have other images than those to train on: phantoms.

    python benchmarks/augmentation_gain.py --out DIR [--seeds 5] [--patients 400 300] [--only PHANTOM]

shifted_scanner   pictures of one scanner to train on. New patients of the same scanner, and of another
                  one with another contrast, receive field, blur and noise. Variants: nothing is
                  augmented, the geometry alone, what `mri_tf.plan` writes for such pictures, and every
                  change of intensities that a scanner makes with its usual values.
missing_sequence  volumes in two sequences to train on. New patients who have both, and who lack one.
                  Variants: what `mri_tf.plan` writes for such volumes, without `sequence_dropout` and
                  with it.

Each seed writes a phantom of its own and trains every variant on it with that seed. Prints the AUC of
new patients, mean and SD over the seeds, and the paired difference from the first variant with a 95 %
interval: that of Student's t over the seeds, which share no patients, or of patients drawn anew where it
is wider. What is trained is kept in DIR, so that the command continues where it was stopped.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import pandas as pd

from data_prep.phantom.other_images.dataset import SEQUENCES, SHIFTED
from data_prep.phantom.write import write_kind
from data_prep.prepare.prepare import prepare
from mri_tf.core.files import write_atomic
from mri_tf.metrics.classifier import Predictions, classifier_numbers
from mri_tf.metrics.paired import paired_differences
from mri_tf.network.build import load_network
from mri_tf.network.inference import predict_records
from mri_tf.pipeline.subset import Subset
from mri_tf.splits.sides import SplitOptions, choose_sides
from mri_tf.tables import markdown
from mri_tf.task.files import load_task, resolve_task
from mri_tf.train.fit import fit_run
from mri_tf.train.new_run import new_run

TRAINING = """
    class_names=("benign", "malignant"), modality="MR", learning_rate=1e-3, schedule="cosine",
    warm_up=20, average=0.98, choose_epoch="budget",
"""
PICTURES = f"""from mri_tf.task import Task

GEOMETRY = dict(random_affine=dict(max_degrees=15.0, max_shift_fraction=0.08, zoom=(0.9, 1.1)))
PLANNED = dict(
    **GEOMETRY, random_contrast=dict(low=0.8, high=1.25), random_bias_field=dict(max_coefficient=0.2),
    random_noise=dict(max_sd=0.1),
)
EVERY_CHANGE = dict(
    **GEOMETRY, random_contrast=dict(), random_gamma=dict(), random_bias_field=dict(),
    random_blur=dict(), random_low_resolution=dict(), random_noise=dict(),
)
TASK = Task(
    name="shifted_scanner", channels=("flair",), image_shape=(64, 64), model="vgg",
    model_args=dict(conv_filters=8, dense_units=50, dropout=0.2), augment_probability=0.6, batch_size=16,
    steps=300,{TRAINING}    variants=dict(
        nothing={{}}, geometry={{"augment": GEOMETRY}}, planned={{"augment": PLANNED}},
        every_change={{"augment": EVERY_CHANGE}},
    ),
)
"""
VOLUMES = f"""from mri_tf.task import Task

PLANNED = dict(
    random_affine3d=dict(max_degrees=(10.0, 5.0, 5.0), max_shift_fraction=0.05, zoom=(0.9, 1.1)),
    random_contrast=dict(low=0.8, high=1.25), random_bias_field=dict(max_coefficient=0.2),
    random_noise=dict(max_sd=0.1),
)
TASK = Task(
    name="missing_sequence", channels=("flair", "t2", "has_flair", "has_t2"), image_shape=(16, 32, 32),
    prep=dict(missing="zero_fill", crop_to_brain=True), normalize=dict(method="zscore", region="mask"),
    model="vgg3d", model_args=dict(conv_filters=8, dense_units=50, blocks=3), augment_probability=0.8,
    batch_size=8, steps=400,{TRAINING}    variants=dict(
        without_dropout={{"augment": PLANNED}},
        with_dropout={{"augment": dict(**PLANNED, sequence_dropout=dict())}},
    ),
)
"""


class Question(NamedTuple):
    """A phantom, and whose answers are compared."""

    task: str  # the text of its file
    variants: tuple[str, ...]  # the others are compared with the first
    groups: dict[str, Callable]  # name -> which rows of cases.csv, of the test side


SITE = {name: scanner.site for name, (scanner, _) in SHIFTED.items()}
QUESTIONS = {
    "shifted_scanner": Question(
        PICTURES, ("nothing", "geometry", "planned", "every_change"),
        {
            "of the same scanner": lambda cases: cases["site"] == SITE["familiar"],
            "of another scanner": lambda cases: cases["site"] == SITE["other"],
        },
    ),
    "missing_sequence": Question(
        VOLUMES, ("without_dropout", "with_dropout"),
        {
            "with both sequences": lambda cases: cases[list(SEQUENCES)].notna().all(axis=1),
            "who lack one": lambda cases: cases[list(SEQUENCES)].isna().any(axis=1),
        },
    ),
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--patients", type=int, nargs=2, default=[400, 300], help="of each phantom")
    parser.add_argument("--only", choices=QUESTIONS, help="one of the phantoms")
    parser.add_argument("--set", nargs="+", default=[], help="values of the training")
    flags = parser.parse_args()
    flags.out = flags.out.absolute()
    seconds, rows = 0.0, []
    for (kind, question), patients in zip(QUESTIONS.items(), flags.patients, strict=True):
        if flags.only not in (None, kind):
            continue
        home = flags.out / kind
        home.mkdir(parents=True, exist_ok=True)
        (home / f"{kind}.py").write_text(question.task, encoding="utf-8")
        answers = {variant: [] for variant in question.variants}
        for seed in range(flags.seeds):
            raw = home / f"s{seed}" / "raw"
            write_kind(kind, raw, patients, seed)
            for variant in question.variants:
                found = answered(home / f"{kind}.py", raw, variant, seed, flags.set)
                answers[variant].append(found)
                seconds += found["cpu_seconds"][0]
        rows += compared(kind, question, answers)
    columns = ["phantom", "new patients", "variant", "AUC, mean ± SD", "from the first (95 % interval)"]
    print("\n" + markdown(rows, columns))
    print(f"\n{flags.seeds} seeds, {seconds / 60:.1f} CPU minutes of trainings")


def answered(task_file: Path, raw: Path, variant: str, seed: int, settings: list[str]) -> pd.DataFrame:
    """The rows of cases.csv of the test side, with the probability of malignant and the CPU seconds of
    the training; ids differ by seed. Trained unless that was done."""
    home = raw.parent
    kept = home / f"{variant}.csv"
    if not kept.is_file():
        begun = time.process_time()
        task = resolve_task(load_task(task_file), [variant], settings)
        prepared, _ = prepare(task, task_file, raw, home / "prepared")
        sides = choose_sides(prepared, task, SplitOptions(None, None, None, seed))
        run = fit_run(new_run(home / variant, task, prepared, sides, seed), prepared, None, devices=1)
        test = Subset(task, prepared, sides.records[2], run.values["fitted"])
        found = pd.DataFrame({
            "patient_id": test.patients, "malignant": test.labels,
            "probability": predict_records(load_network(run), test)[:, 1],
        })  # fmt: skip
        keras.backend.clear_session()
        cases = pd.read_csv(raw / "cases.csv")
        table = cases.merge(found, on="patient_id", validate="one_to_one")
        table["patient_id"] = [f"s{seed} {name}" for name in table["patient_id"]]
        table["cpu_seconds"] = time.process_time() - begun
        write_atomic(kept, table.to_csv(index=False).encode())
        print(f"{task.name}, seed {seed}, {variant}: {table['cpu_seconds'][0]:.0f} s", flush=True)
    return pd.read_csv(kept)


def compared(kind: str, question: Question, answers: dict[str, list[pd.DataFrame]]) -> list[list]:
    """A row for each group of new patients and each variant."""
    rows = []
    for group, belongs in question.groups.items():
        cells = {variant: [predictions(table[belongs(table)]) for table in tables]
                 for variant, tables in answers.items()}  # fmt: skip
        for variant in question.variants:
            aucs = [auc(one) for one in cells[variant]]
            told = ""
            if variant != question.variants[0]:
                first = cells[question.variants[0]]
                found = paired_differences(cells[variant], first, test_share=0.0)["auc"]
                told = f"{found['difference']:+.3f}"
                if found["low"] is not None:
                    told += f" ({found['low']:+.3f} to {found['high']:+.3f})"
            people = sum(len(one.truth) for one in cells[variant])
            spread = f"{np.mean(aucs):.3f} ± {np.std(aucs, ddof=1) if len(aucs) > 1 else np.nan:.3f}"
            rows.append([kind, f"{people} {group}", variant, spread, told])
    return rows


def predictions(table: pd.DataFrame) -> Predictions:
    chances = table["probability"].to_numpy(float)
    both = np.stack([1 - chances, chances], axis=1)
    names = table["patient_id"].to_numpy(str)
    return Predictions(table["malignant"].to_numpy(int), both, both.argmax(axis=1), names)


def auc(one: Predictions) -> float:
    return float(classifier_numbers(one, np.ones((1, len(one.truth)), int))["auc"][0])


if __name__ == "__main__":
    main()
