"""Gets the segmentation run that a classifier takes features or boxes from; trains it if needed."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mri_tf.core.errors import InputError
from mri_tf.evaluate.evaluation import evaluate_run
from mri_tf.network.build import check_features, check_task
from mri_tf.pipeline.subset import run_sides
from mri_tf.splits.leakage import check_features_unseen
from mri_tf.splits.sides import sides_for_features
from mri_tf.store.looks import is_closed, with_lock
from mri_tf.store.prepared import Prepared
from mri_tf.store.run import FEATURES, METRICS, Run, open_finished, open_run
from mri_tf.tables import summary
from mri_tf.task import Task
from mri_tf.task.files import feature_task, load_task
from mri_tf.task.loaded import LoadedTask
from mri_tf.train.datasets import DataOptions, feature_set
from mri_tf.train.fit import fit_run
from mri_tf.train.loop import Checkpoints
from mri_tf.train.new_run import new_run


@dataclass(frozen=True)
class PretrainOptions:
    """--features, the flags that name data, --seed, --devices and --lock-test as given."""

    features: Path | None
    sets: DataOptions
    seed: int
    devices: int
    lock_test: bool = False


def feature_task_of(loaded: LoadedTask, options: PretrainOptions) -> LoadedTask | None:
    """The checked feature task of a classifier that takes features; None of one that does not."""
    if not loaded.task.pretrained_on or (loaded.task.boxes_from and _is_derived(options.sets.data)):
        if options.features or options.sets.features_data:
            raise InputError(
                "--features and --features-data are for tasks that train another network first.",
                loaded.task.name,
                "Leave out the flag, or choose another variant.",
            )
        return None
    task, file = feature_task(loaded.task, loaded.file)
    check_task(task)
    check_features(loaded.task, task)
    return LoadedTask(task, load_task(file), file)


def _is_derived(data: Path | None) -> bool:
    """Whether --data names a set that holds predicted masks already."""
    return data is not None and "predicted_mask" in Prepared.open(data).masks


def features_for(
    feature_loaded: LoadedTask, loaded: LoadedTask, prepared: Prepared, sides: list[np.ndarray],
    folder: Path, options: PretrainOptions,
) -> tuple[Run, list]:  # fmt: skip
    """The finished feature run, and what was skipped while its data were prepared.

    It is the one named by --features, or a twin beside `folder`, or lies in `folder/features`, trained
    if need be. Nobody of the classifier's validation or test side is in its training or validation
    side; raises InputError otherwise. With a lock its test side, on which the classifier's held-out
    patients are, is locked too. Raises OutOfTime where its data or the network stop at the deadline.
    """
    if options.features:
        return _named_features(options.features, loaded.task, prepared, sides), []
    task = feature_loaded.task
    data, skipped = feature_set(feature_loaded, loaded, options.sets)
    feature_sides = sides_for_features(data, task, prepared, sides, options.seed)
    run = new_run(folder / FEATURES, task, data, feature_sides, options.seed)
    if options.lock_test:
        run = with_lock(run, data)
    twin = _finished_twin(run, folder.parent)
    if twin:
        print(f"features: {twin.folder}, of the same task and patients")
        run = open_finished(twin.folder)
    else:
        print(
            f"features: {task.name} on {len(feature_sides.records[0])} images of "
            f"{len(run.values['patients']['train'])} patients"
        )
        run = fit_run(run, data, None, options.devices, Checkpoints(deadline=options.sets.deadline))
    if is_closed(run):
        print("features: not evaluated, as the test side is locked")
    elif options.lock_test:
        print("features: trained before without a lock, so that their own test side is not locked")
    elif not (run.folder / METRICS).is_file():
        test_side = run_sides(run, data)[2]
        print("\n".join(summary(evaluate_run(run, test_side, feature_sides.mode, run.folder).metrics)))
    check_features_unseen(run, prepared, sides)
    return run, skipped


def _named_features(folder: Path, task: Task, prepared: Prepared, sides: list[np.ndarray]) -> Run:
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
