"""The command that trains a run's pipeline again on another set of labels, and who exchanges them.

A split that the training drew is drawn anew, as it depends on the labels. Where the sides were supplied,
or a network was trained before this one that must not have seen whom it is judged on, they stay as they
are, and patients exchange labels within their side only.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mri_tf.audit.subject import feature_run
from mri_tf.core.errors import InputError
from mri_tf.core.files import write_atomic
from mri_tf.metrics.label_exchanges import drawn_exchanges, exchange_units
from mri_tf.splits.sides import units_of
from mri_tf.splits.units import answering_records
from mri_tf.store.prepared import Prepared
from mri_tf.store.record import NO_LABEL
from mri_tf.store.run import MEMBERS, METRICS, Run, positions_of
from mri_tf.task.spec import SIDES

TASK_FILE = '''"""The task of a run, as it was trained. Written by python -m mri_tf.audit --deep."""

import json

from mri_tf.task.files import saved_task

TASK = saved_task(json.loads({values!r}))
'''
DRAWN = ("patient", "group", "random")  # splits that a training draws from the labels
SPLIT = "split.json"


@dataclass(frozen=True)
class Pipeline:
    """How a run was trained.

    Attributes:
        run: of one network or of several folds.
        prepared: its set.
        home: folder of the model or study that it belongs to, where a feature network may lie.
        split_file: of a study's cell; None of a run.
    """

    run: Run
    prepared: Prepared
    home: Path
    split_file: Path | None = None

    @property
    def features(self) -> Run | None:
        """The network that was trained before, which never sees a label; that of a first member."""
        return feature_run(self.run.members[0], self.home)

    @property
    def sides_stay(self) -> bool:
        """Whether the sides are not drawn anew."""
        run = self.run
        if run.has_members:
            return False
        return run.values["split"] not in DRAWN or bool(run.task.pretrained_on)


def check_can_train_again(pipeline: Pipeline) -> None:
    """Raises InputError for a run whose pipeline cannot be repeated, before anything is trained."""
    run, prepared = pipeline.run, pipeline.prepared
    if run.task.kind != "classification":
        raise InputError(
            "--deep exchanges the labels of classifiers.", f"a run of the segmentation {run.task.name}",
            "Leave out --deep.",
        )  # fmt: skip
    if not run.finished or not (run.folder / METRICS).is_file():
        raise InputError(
            "--deep compares the number of a finished training, and this one has none.", run.folder,
            "Finish it with its train command; open a locked test side with mri_tf.evaluate.",
        )  # fmt: skip
    if not prepared.patients_known:
        raise InputError(
            "--deep lets patients exchange their labels, and the patients of this set are not known.",
            prepared.folder, "Put the images into folders of patients, or into a table with patient_id.",
        )  # fmt: skip
    if run.task.boxes_from and run.has_members:
        raise InputError(
            "--deep cannot repeat folds that each find boxes with a network of their own.", run.folder,
            "Audit a run of one split.",
        )  # fmt: skip
    if run.task.features_from and pipeline.features is None:
        raise InputError(
            "The feature network of the run is not in its folder, nor beside it.", run.folder,
            "Audit it where it was trained, with its features folder.",
        )  # fmt: skip
    if run.values["split"] == "random" and run.task.pretrained_on:
        raise InputError(
            "--deep cannot repeat a random split with a network that was trained before.", run.folder,
            "Split by patient.",
        )  # fmt: skip


def exchanged_labels(pipeline: Pipeline, number: int) -> np.ndarray:
    """(records,) class numbers of the whole set after an exchange among patients; the same each time.

    Args:
        pipeline: of a run.
        number: of the exchange.
    """
    run, prepared = pipeline.run, pipeline.prepared
    labelled = np.flatnonzero(prepared.labels != NO_LABEL)
    units = exchange_units(
        prepared.labels[labelled], prepared.patients[labelled], units_of(prepared, "group")[labelled]
    )
    blocks = units.blocks
    if pipeline.sides_stay:
        side = np.full(len(prepared), -1)
        for place, records in enumerate(positions_of(run, prepared)):
            side[records] = place
        of_unit = np.zeros(len(units.labels), int)
        of_unit[units.unit_of] = side[labelled]
        blocks = np.unique(np.stack([blocks, of_unit]), axis=1, return_inverse=True)[1].ravel()
    drawn = next(drawn_exchanges(units.labels, blocks, 1, np.random.default_rng([number, 20])))[0]
    labels = prepared.labels.copy()
    labels[labelled] = drawn[units.unit_of]
    return labels


def train_command(pipeline: Pipeline, folder: Path) -> list[str]:
    """The arguments of mri_tf.train without --data and --out; writes the files that they name.

    Args:
        pipeline: of a run.
        folder: where task file and split file are kept.
    """
    run = pipeline.run
    folder.mkdir(parents=True, exist_ok=True)
    file = _write_task(run, folder)
    arguments = ["--task", str(file), "--seed", str(run.values["seed"]),
                 "--no-export", "--no-audit", "--no-baselines", "--no-card"]  # fmt: skip
    features = pipeline.features
    if features is not None and run.task.features_from:
        _write_task(features, folder)
    if run.has_members:
        folds, repeats = (1 + max(one[key] for one in run.values[MEMBERS]) for key in ("fold", "repeat"))
        arguments += ["--folds", str(folds), "--fold-repeats", str(repeats)]
        if features is not None:
            arguments += ["--features-data", str(features.data_folder)]
    elif pipeline.sides_stay:
        if features is not None and run.task.features_from:
            arguments += ["--features", str(features.folder.absolute())]
        arguments += _supplied_split(pipeline, folder)
    else:
        arguments += ["--split", run.values["split"]]
        if limit := _limit(pipeline):
            arguments += ["--train-size", str(max(limit.values()))]
    return [*arguments, "--set", f"precision={run.members[0].precision}"]


def _write_task(run: Run, folder: Path) -> Path:
    values = {**run.values["task"], "variants": {}}
    file = folder / f"{values['name']}.py"
    write_atomic(file, TASK_FILE.format(values=json.dumps(values)).encode())
    return file.absolute()


def _supplied_split(pipeline: Pipeline, folder: Path) -> list[str]:
    """The flags that give the sides of the run."""
    run, copies = pipeline.run, pipeline.run.values.get("known_copies")
    # Those that were dropped are on no side; those that were kept are kept again.
    flags = ["--known-copies", "keep"] if copies and copies["choice"] == "keep" else []
    if pipeline.split_file is not None:
        return ["--split-file", str(pipeline.split_file.absolute()), *flags]
    values = {side: run.values["patients"][side] for side in SIDES}
    if limit := _limit(pipeline):
        values["limit"] = {"per_class": limit, "seed": run.values["seed"]}
    write_atomic(folder / SPLIT, json.dumps(values, indent=1).encode())
    return ["--split-file", str((folder / SPLIT).absolute()), *flags]


def _limit(pipeline: Pipeline) -> dict[str, int]:
    """Training records of each class where a limit left some out; {} where all were used."""
    run, prepared, task = pipeline.run, pipeline.prepared, pipeline.run.task
    records = answering_records(task, prepared, positions_of(run, prepared)[0])
    natural = run.values["natural_counts"]
    if not natural or len(records) >= sum(natural):
        return {}
    counts = np.bincount(prepared.labels[records], minlength=len(task.class_names)).tolist()
    return dict(zip(task.class_names, counts, strict=True))
