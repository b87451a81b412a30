"""The segmentation network that a classifier takes features or boxes from: given, found or trained."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mri_tf.core.errors import InputError
from mri_tf.evaluate.evaluation import evaluate_run
from mri_tf.network.build import check_features, check_task
from mri_tf.pipeline.subset import run_sides
from mri_tf.splits.leakage import check_features_unseen
from mri_tf.splits.sides import sides_for_features
from mri_tf.store.prepared import Prepared
from mri_tf.store.run import FEATURES, METRICS, Run, open_finished, open_run
from mri_tf.tables import summary
from mri_tf.task import Task
from mri_tf.task.files import feature_task, load_task
from mri_tf.train.datasets import DataOptions, LoadedTask, feature_set
from mri_tf.train.fit import fit_run, new_run


@dataclass(frozen=True)
class PretrainOptions:
    """--features, the flags that name data, --seed and --devices as given."""

    features: Path | None
    where: DataOptions
    seed: int
    devices: int


def feature_task_of(given: LoadedTask, how: PretrainOptions) -> LoadedTask | None:
    """The checked feature task of a classifier that takes features; None of one that does not."""
    if not given.task.pretrained_on or (given.task.boxes_from and _is_derived(how.where.data)):
        if how.features or how.where.features_data:
            raise InputError(
                "--features and --features-data go with a task that trains another network first.",
                given.task.name,
                "Leave the flag away, or choose another variant.",
            )
        return None
    task, file = feature_task(given.task, given.file)
    check_task(task)
    check_features(given.task, task)
    return LoadedTask(task, load_task(file), file)


def _is_derived(data: Path | None) -> bool:
    """Whether --data names a set that holds predicted masks already."""
    return data is not None and "predicted_mask" in Prepared.open(data).masks


def features_for(
    feature_given: LoadedTask, given: LoadedTask, prepared: Prepared, sides: list[np.ndarray],
    folder: Path, how: PretrainOptions,
) -> tuple[Run, list]:  # fmt: skip
    """The finished feature run, and what was skipped while its data were prepared.

    It is the one named by --features, or a twin beside `folder`, or lies in `folder/features`, trained
    if need be. Nobody of the classifier's validation or test side is in its training or validation
    side; raises InputError otherwise.
    """
    if how.features:
        return _given_features(how.features, given.task, prepared, sides), []
    task = feature_given.task
    data, skipped = feature_set(feature_given, given, how.where)
    own = sides_for_features(data, task, prepared, sides, how.seed)
    run = new_run(folder / FEATURES, task, data, own, how.seed)
    twin = _finished_twin(run, folder.parent)
    if twin:
        print(f"features: {twin.folder}, of the same task and patients")
        run = open_finished(twin.folder)
    else:
        print(
            f"features: {task.name} on {len(own.records[0])} images of "
            f"{len(run.values['patients']['train'])} patients"
        )
        run = fit_run(run, data, None, how.devices)
    if not (run.folder / METRICS).is_file():
        test_side = run_sides(run, data)[2]
        print("\n".join(summary(evaluate_run(run, test_side, own.mode, run.folder).metrics)))
    check_features_unseen(run, prepared, sides)
    return run, skipped


def _given_features(folder: Path, task: Task, prepared: Prepared, sides: list[np.ndarray]) -> Run:
    """The finished run named by --features, if it fits the task and saw nobody held out."""
    features = open_finished(folder)
    check_features(task, features.task)
    check_features_unseen(features, prepared, sides)
    return features


def _finished_twin(run: Run, runs: Path) -> Run | None:
    """A finished feature run of the same task, seed, data and patients among the runs beside."""
    for place in sorted(runs.glob(f"*/{FEATURES}/run.json")):
        try:
            found = open_run(place.parent)
        except InputError:
            continue  # damaged, and somebody else's
        if found.finished and found.identity() == run.identity():
            return found
    return None
