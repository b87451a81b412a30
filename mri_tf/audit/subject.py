"""What is audited: a prepared set with the sides of a training, and the networks that came before it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mri_tf.core.errors import InputError
from mri_tf.store.cells import run_folders
from mri_tf.store.prepared import Prepared
from mri_tf.store.run import FEATURES, RUN_FILE, Run, open_run, positions_of
from mri_tf.task import Task
from mri_tf.task.files import FOLDER, load_task, task_names
from mri_tf.task.spec import SIDES


@dataclass(frozen=True)
class Before:
    """A network whose weights a run uses, and what decided them.

    Attributes:
        seen: `patients` and `contents`, as run.json holds them.
        prepared: the set that it was trained on; None where that is not at hand.
        records: positions in that set of its training and validation side.
    """

    seen: dict
    prepared: Prepared | None = None
    records: np.ndarray | None = None


@dataclass(frozen=True)
class Subject:
    """A prepared set as an audit looks at it.

    Attributes:
        prepared: the set.
        labelled: whether its records have classes.
        modality: of the images, as DICOM writes it; "" where it is not known.
        label_from_position: the label is a position in the stack by definition.
        sides: positions of the training, validation and test side; None where nothing is split.
        before: networks that were trained before the one that is judged on these sides.
        weights: what that one starts from besides them, as the task says; "" where there is none.
    """

    prepared: Prepared
    labelled: bool
    modality: str = ""
    label_from_position: bool = False
    sides: list[np.ndarray] | None = None
    before: tuple[Before, ...] = ()
    weights: str = ""


def of_set(folder: Path) -> Subject:
    """A prepared set with the sides of its split column as it stands, if it has one.

    What the images are is known from the manifest, or from the task of its name that comes with mri_tf.
    Raises InputError for a folder that holds no prepared set.
    """
    prepared = Prepared.open(folder)
    manifest, name = prepared.manifest, prepared.manifest["task"]
    known = load_task(FOLDER / f"{name}.py") if name in task_names() else None
    sides = [np.flatnonzero(prepared.splits == side) for side in SIDES]
    return Subject(
        prepared, bool((prepared.labels >= 0).any()),
        manifest.get("modality", known.modality if known else ""),
        manifest.get("label_from_position", bool(known and known.label_from_position)),
        sides if any(map(len, sides)) else None,
    )  # fmt: skip


def of_run(folder: Path) -> dict[str, Subject]:
    """The training of a run, named ""; of a model of several members every member's by its folder.

    Raises InputError for a folder without a run, or whose data are gone.
    """
    run = open_run(folder)
    runs = {str(member.folder.relative_to(run.folder)): member for member in run.members}
    return _of_runs({"" if name == "." else name: one for name, one in runs.items()}, run.folder)


def of_study(folder: Path) -> dict[str, Subject]:
    """The trainings of a study by the names of their cells; raises InputError where there are none."""
    runs = {
        f"{path.parent.name}/{path.name}": open_run(path) for path in run_folders(folder)
    }
    if not runs:
        raise InputError(
            "This folder is no study with a trained cell.", folder,
            "Make one with python -m mri_tf.study, or give --run or --data.",
        )  # fmt: skip
    return _of_runs(runs, Path(folder))


def _of_runs(runs: dict[str, Run], home: Path) -> dict[str, Subject]:
    sets: dict[Path, Prepared] = {}
    found = {}
    for name, run in runs.items():
        if run.data_folder not in sets:
            sets[run.data_folder] = Prepared.open(run.data_folder)
        prepared = sets[run.data_folder]
        sides, before = positions_of(run, prepared), before_of(run, prepared, home)
        found[name] = of_training(run.task, prepared, sides, before)
    return found


def of_training(
    task: Task, prepared: Prepared, sides: list[np.ndarray], before: tuple[Before, ...] = ()
) -> Subject:
    """A training, finished or not yet begun.

    Args:
        task: what is trained.
        prepared: its set.
        sides: positions of its training, validation and test side.
        before: of `before_of`.
    """
    weights = "" if before else str(task.model_args.get("weights", ""))
    return Subject(
        prepared, task.kind == "classification", task.modality, task.label_from_position, sides,
        before, weights,
    )  # fmt: skip


def before_of(run: Run, prepared: Prepared, home: Path) -> tuple[Before, ...]:
    """The feature network of a run, if it has one.

    It is recognised by its weights, in the run's folder, in those beside it and in that of its study.
    Where it is not found, run.json still says whom it saw.

    Args:
        run: which may not be trained yet.
        prepared: its set.
        home: folder of the study or of the model that the run belongs to.
    """
    if not run.values["feature_weights"]:
        return ()
    if features := feature_run(run, home):
        return (network_before(features),)
    trained = np.concatenate(positions_of(run, prepared)[:2])
    seen = run.values["seen"]  # with what the run itself was trained on
    return (
        Before({
            "patients": sorted(set(seen["patients"]) - set(prepared.patients[trained])),
            "contents": sorted(set(seen["contents"]) - set(prepared.contents[trained])),
        }),
    )  # fmt: skip


def feature_run(run: Run, home: Path) -> Run | None:
    """The feature network of a run, where it is found by its weights; `home` as of `before_of`."""
    weights = run.values["feature_weights"]
    beside = run.folder.parent.glob(f"*/{FEATURES}")
    for place in (run.folder / FEATURES, *beside, *home.glob("features/*/*")):
        if weights and (place / RUN_FILE).is_file():
            features = open_run(place)
            if features.values.get("weights_sha256") == weights:
                return features
    return None


def network_before(features: Run) -> Before:
    """A feature run, with its data where they are still there."""
    try:
        prepared = Prepared.open(features.data_folder)
        sides = positions_of(features, prepared)
    except InputError:  # its data are gone; ids and pixels are still known
        return Before(features.values["seen"])
    return Before(features.values["seen"], prepared, np.concatenate(sides[:2]))
