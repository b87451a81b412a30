"""How often familiar patients are flagged as unlike the training data, and how often other images are.

    python benchmarks/out_of_distribution.py TASK:DIR [TASK:DIR ...] --other TASK:DIR
        [--patients 10,20,40,60] [--resplits 30] [--seed 0]

Each DIR is a prepared set of a task. Its patients are split anew `--resplits` times: the statistics of
so many are fitted, and the others are new patients of the same source. The images of `--other`, a set of
another modality, are fitted to the grid of each DIR and should all be flagged; then the reverse. Several
channels are given the same image. Where a task standardises images, the others are standardised too.
"""

import argparse
from pathlib import Path

import numpy as np
import tensorflow as tf
from scipy.ndimage import zoom

from mri_tf.calibration.familiar_images import familiar_scores, fit_familiar
from mri_tf.core.command_line import run_command
from mri_tf.evaluate.familiarity import columns_of
from mri_tf.pipeline.image_statistics import statistics_of
from mri_tf.store.prepared import Prepared
from mri_tf.task import Task
from mri_tf.task.files import find_task_file, load_task

BATCH = 32
MOST = 100  # images of the other modality


def main(arguments: list[str]) -> int:
    flags = _parser().parse_args(arguments)
    other = flags.other
    print(f"{flags.resplits} resplits, seed {flags.seed}; shares of records, patients weighted alike")
    print("| trained on | patients | stated | flagged (SE) | difference | other flagged, least | mean |")
    print("|---|---|---|---|---|---|---|")
    for source in flags.data:
        _print_rows(source, other, flags)
        _print_rows(other, source, flags)
    return 0


def _source(text: str) -> tuple[Task, Prepared]:
    name, _, folder = text.partition(":")
    return load_task(find_task_file(name)), Prepared.open(Path(folder))


def _print_rows(source: tuple[Task, Prepared], other: tuple[Task, Prepared], flags) -> None:
    """A row for each number of training patients."""
    task, prepared = source
    columns = columns_of(task)
    values = _of_records(prepared)
    foreign = _of_images(_fitted_to(prepared, other[1], task))
    patients, rng = prepared.patients.astype(str), np.random.default_rng(flags.seed)
    everybody = np.unique(patients)
    for count in (int(text) for text in flags.patients.split(",")):
        if count + 4 > len(everybody):
            continue
        rates, caught, stated = [], [], None
        for _ in range(flags.resplits):
            chosen = np.isin(patients, rng.choice(everybody, count, replace=False))
            familiar = fit_familiar(values[chosen], patients[chosen], columns, bags=False)
            if familiar.limits.records.value is None:
                break
            stated = familiar.limits.records.rate
            flagged = familiar_scores(values[~chosen], familiar) > familiar.limits.records.value
            _, owner, records = np.unique(patients[~chosen], return_inverse=True, return_counts=True)
            rates.append(np.average(flagged, weights=1 / records[owner]))
            caught.append((familiar_scores(foreign, familiar) > familiar.limits.records.value).mean())
        if stated is None:
            print(f"| {task.name} | {count} | {familiar.limits.records.reason} | | | | |")
            continue
        error = np.std(rates, ddof=1) / np.sqrt(len(rates))
        print(
            f"| {task.name} | {count} | {100 * stated:.1f} % | {100 * np.mean(rates):.1f} % "
            f"({100 * error:.1f}) | {100 * (np.mean(rates) - stated):+.1f} points | "
            f"{100 * np.min(caught):.0f} of 100 | {100 * np.mean(caught):.1f} |", flush=True,
        )  # fmt: skip


def _of_records(prepared: Prepared) -> np.ndarray:
    records = [prepared.record(position) for position in range(len(prepared))]
    parts = [records[start : start + BATCH] for start in range(0, len(records), BATCH)]
    return np.concatenate(
        [statistics_of(tf.constant(np.stack([r.image for r in part]).astype(np.float32)), None,
                       [r.facts for r in part]) for part in parts]
    )  # fmt: skip


def _of_images(images: np.ndarray) -> np.ndarray:
    parts = [images[start : start + BATCH] for start in range(0, len(images), BATCH)]
    return np.concatenate([statistics_of(tf.constant(part), None, [{}] * len(part)) for part in parts])


def _fitted_to(prepared: Prepared, other: Prepared, task: Task) -> np.ndarray:
    """MOST images of `other` on the grid of `prepared`; slices of a patient are stacked for a volume."""
    shape, channels = task.image_shape, len(task.channels)
    images = []
    for volume in _volumes(other, len(shape)):
        factors = [size / old for size, old in zip(shape, volume.shape, strict=True)]
        fitted = zoom(volume, factors, order=1)
        if task.standardised:
            fitted = (fitted - fitted.mean()) / fitted.std()
        image = np.repeat(fitted[..., None], channels, axis=-1)
        template = prepared.record(0).image
        for channel in range(channels):  # what says whether a sequence is there stays as it is
            if np.ptp(template[..., channel]) == 0:
                image[..., channel] = template[..., channel]
        images.append(image)
    return np.stack(images).astype(np.float32)


def _volumes(other: Prepared, axes: int) -> list[np.ndarray]:
    """Up to MOST images with `axes` axes; of slices a volume is a patient's stack, of which parts follow
    until there are enough, and of volumes a slice is the middle one."""
    first = other.record(0).image.ndim - 1
    places = np.linspace(0, len(other) - 1, min(len(other), MOST)).round().astype(int)
    if first == axes:
        return [other.record(int(place)).image[..., 0].astype(np.float32) for place in places]
    if first > axes:
        images = [other.record(int(place)).image[..., 0].astype(np.float32) for place in places]
        return [image[len(image) // 2] for image in images]
    stacks = []
    for name in np.unique(other.patients):
        own = np.flatnonzero(other.patients == name)
        stacks.append(np.stack([other.record(int(r)).image[..., 0] for r in own]).astype(np.float32))
    parts = [stack[start:] for start in range(0, 5) for stack in stacks]
    return parts[:MOST]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="+", type=_source, help="tasks and their prepared sets")
    parser.add_argument("--other", required=True, type=_source, help="a set of another modality")
    parser.add_argument("--patients", default="10,20,40,60", help="to fit on")
    parser.add_argument("--resplits", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    return parser


if __name__ == "__main__":
    raise SystemExit(run_command(main))
