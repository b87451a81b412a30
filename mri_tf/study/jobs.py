"""From a study's plan to jobs: splits, pre-trainings that cells share, and train commands."""

from dataclasses import dataclass
from pathlib import Path

from mri_tf.core.hashing import fingerprint
from mri_tf.splits.sides import sides_for_features
from mri_tf.splits.split import split_by_patients
from mri_tf.store.fingerprints import task_fingerprint
from mri_tf.store.prepared import Prepared
from mri_tf.study.design import TUNED, Cell, Plan, cells_of, split_file
from mri_tf.task.spec import BASE_VARIANT, SIDES
from mri_tf.train.datasets import LoadedTask


@dataclass(frozen=True)
class Variant:
    """One variant of a study: its task and its prepared sets."""

    name: str
    given: LoadedTask
    prepared: Prepared
    feature_given: LoadedTask | None
    feature_prepared: Prepared | None
    skipped: tuple = ()  # inputs that could not be read, with their reasons


@dataclass(frozen=True)
class Place:
    """Where and how a study's processes run: values of its flags."""

    out: Path
    assignments: tuple[str, ...]  # of --set
    threads: int
    keep: str


def cell_jobs(
    variants: dict[str, Variant], plan: Plan, sides: dict, place: Place
) -> tuple[list[dict], list[dict]]:
    """(pre-trainings, cells) as jobs of `cells.run_cell`; nothing is written.

    A pre-training holds nobody of its fold's validation and test side, and cells whose feature
    task and patients are equal share one. Each cell's `needs` names its pre-training, or nothing.
    """
    features: dict[tuple[str, int, int], dict] = {}
    for name, variant in variants.items():
        if variant.feature_given:
            for (repeat, fold), patients in sides.items():
                features[name, repeat, fold] = _feature_job(variant, patients, plan, place)
    jobs = []
    for cell in cells_of(plan):
        needed = features.get((cell.variant, cell.repeat, cell.fold))
        patients = sides[cell.repeat, cell.fold]
        jobs.append(_cell_job(variants[cell.variant], cell, patients, plan, place, needed))
    return list({job["name"]: job for job in features.values()}.values()), jobs


def _feature_job(variant: Variant, patients: dict, plan: Plan, place: Place) -> dict:
    given, prepared = variant.feature_given, variant.feature_prepared
    records = split_by_patients(patients, variant.prepared.patients, variant.prepared.groups)
    own = sides_for_features(prepared, given.task, variant.prepared, records, plan.seed)
    values = {
        side: sorted(set(prepared.patients[positions]))
        for side, positions in zip(SIDES, own.records, strict=True)
    }
    identity = fingerprint(
        [task_fingerprint(given.task), prepared.content_fingerprint(), values, plan.seed]
    )
    name = f"{given.task.name}-{identity[:8]}"
    settings = [f"{key}={value}" for key, value in variant.given.task.features.items()]
    return {
        "name": name,
        "folder": str(place.out / "features" / name),
        "arguments": [
            "--task", str(given.file), "--data", str(prepared.folder.absolute()),
            *(["--set", *settings] if settings else []),
        ],
        "search": [],
        "split": values,
        "seeds": [plan.seed],
        "threads": place.threads,
        "identity": identity,
        "keep": "runs",
        "needs": "",
        "row": {"task": given.task.name, "variant": name},
    }  # fmt: skip


def _cell_job(
    variant: Variant, cell: Cell, patients: dict, plan: Plan, place: Place, features: dict | None
) -> dict:
    task = variant.given.task
    values = split_file(plan, task.class_names, patients, cell)
    # The file, not what --task said: a worker of a cluster may work in another folder.
    arguments = [
        "--task", str(variant.given.file), "--data", str(variant.prepared.folder.absolute())
    ]  # fmt: skip
    name = cell.variant.removesuffix(TUNED)
    if name != BASE_VARIANT:
        arguments.append(f"--variant={name}")
    if features:
        weights = Path(features["folder"]) / f"s{features['seeds'][0]}"
        arguments += ["--features", str(weights)]
    if place.assignments:
        arguments += ["--set", *place.assignments]
    seeds = plan.seeds(cell.repeat)
    search = []
    if name != cell.variant:
        search = [*arguments, "--trials", str(plan.trials), "--seed", str(seeds[0])]
    identity = fingerprint(
        [
            task_fingerprint(task), variant.prepared.content_fingerprint(), values, seeds,
            features["identity"] if features else "", *([plan.trials] if search else []),
        ]
    )  # fmt: skip
    return {
        "name": cell.name,
        "folder": str(place.out / "cells" / cell.name),
        "arguments": arguments,
        "search": search,
        "split": values,
        "seeds": seeds,
        "threads": place.threads,
        "identity": identity,
        "keep": place.keep,
        "needs": features["name"] if features else "",
        "row": {
            "cell": cell.name,
            "task": task.name,
            "variant": cell.variant,
            "fold": cell.fold,
            "repeat": cell.repeat,
            "train_size": cell.train_size or None,
        },
    }
