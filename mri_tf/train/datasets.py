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


def classifier_set(loaded: LoadedTask, options: DataOptions) -> tuple[Prepared, list]:
    """The prepared set of the task itself, and what was skipped while preparing it."""
    if options.data:
        prepared = Prepared.open(options.data)
        prepared.check_fits(loaded.task)
        return prepared, []
    if options.raw:
        return _prepare(loaded, options.raw, DATA)
    return _prepare(loaded, phantom(loaded), DATA / f"{loaded.task.name}-phantom")


def feature_set(
    loaded: LoadedTask, classifier: LoadedTask, options: DataOptions
) -> tuple[Prepared, list]:
    """The prepared set that the feature network is trained on, from the same source."""
    folder = options.features_data
    if folder is None and options.data:
        folder = options.data.absolute().with_name(loaded.task.name)
        if not folder.is_dir():
            raise InputError(
                f"Task {classifier.task.name} needs a network trained on {loaded.task.name}.",
                f"--data {options.data} and no prepared set {folder}",
                "Give --raw DIR, --features-data DIR or --features RUN.",
            )
    if folder:
        prepared = Prepared.open(folder)
        prepared.check_fits(loaded.task)
        return prepared, []
    if options.raw:
        return _prepare(loaded, options.raw, DATA)
    return _prepare(loaded, phantom(classifier), DATA / f"{classifier.task.name}-phantom")


def phantom(loaded: LoadedTask) -> Path:
    """The raw folder of the task's phantom, written if it is not there (or not whole)."""
    from data_prep.phantom.write import write_fake_raw

    folder = DATA / f"{loaded.task.name}-phantom" / "raw"
    write_fake_raw(loaded.file, folder, loaded.task.demo_patients, seed=0)
    return folder


def _prepare(loaded: LoadedTask, raw: Path, home: Path) -> tuple[Prepared, list]:
    from data_prep.prepare.prepare import prepare

    fingerprint = prep_fingerprint(loaded.task)
    # Sets are keyed by what preparation depends on; the task as its file says has the plain name.
    plain = fingerprint == prep_fingerprint(replace(loaded.base, variants={}))
    name = loaded.task.name if plain else f"{loaded.task.name}-{fingerprint[:8]}"
    return prepare(loaded.task, loaded.file, raw, home / name)
