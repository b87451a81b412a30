"""From the flags of a command to prepared sets: raw folders are prepared, phantoms are written."""

from dataclasses import dataclass, replace
from pathlib import Path

from mri_tf.core.errors import InputError
from mri_tf.store.fingerprints import prep_fingerprint
from mri_tf.store.prepared import Prepared
from mri_tf.task import Task

DATA = Path("data")


@dataclass(frozen=True)
class LoadedTask:
    """A task as it will be trained, the task as its file says, and that file."""

    task: Task
    base: Task
    file: Path


@dataclass(frozen=True)
class DataOptions:
    """--raw, --data and --features-data as given; with neither of the first two, the phantom."""

    raw: Path | None
    data: Path | None
    features_data: Path | None = None


def classifier_set(given: LoadedTask, where: DataOptions) -> tuple[Prepared, list]:
    """The prepared set of the task itself, and what was skipped while preparing it."""
    if where.data:
        prepared = Prepared.open(where.data)
        prepared.check_fits(given.task)
        return prepared, []
    if where.raw:
        return _prepare(given, where.raw, DATA)
    return _prepare(given, phantom(given), DATA / f"{given.task.name}-phantom")


def feature_set(
    given: LoadedTask, classifier: LoadedTask, where: DataOptions
) -> tuple[Prepared, list]:
    """The prepared set that the feature network is trained on, from the same source."""
    beside = where.features_data
    if beside is None and where.data:
        beside = where.data.absolute().with_name(given.task.name)
        if not beside.is_dir():
            raise InputError(
                f"Task {classifier.task.name} needs a network trained on {given.task.name}.",
                f"--data {where.data} and no prepared set {beside}",
                "Give --raw DIR, --features-data DIR or --features RUN.",
            )
    if beside:
        prepared = Prepared.open(beside)
        prepared.check_fits(given.task)
        return prepared, []
    if where.raw:
        return _prepare(given, where.raw, DATA)
    return _prepare(given, phantom(classifier), DATA / f"{classifier.task.name}-phantom")


def phantom(given: LoadedTask) -> Path:
    """The raw folder of the task's phantom, written if it is not there (or not whole)."""
    from data_prep.phantom.write import write_fake_raw

    folder = DATA / f"{given.task.name}-phantom" / "raw"
    write_fake_raw(given.file, folder, given.task.demo_patients, seed=0)
    return folder


def _prepare(given: LoadedTask, raw: Path, home: Path) -> tuple[Prepared, list]:
    from data_prep.prepare.prepare import prepare

    own = prep_fingerprint(given.task)
    # Sets are keyed by what preparation depends on; the task as its file says has the plain name.
    plain = own == prep_fingerprint(replace(given.base, variants={}))
    name = given.task.name if plain else f"{given.task.name}-{own[:8]}"
    return prepare(given.task, given.file, raw, home / name)
