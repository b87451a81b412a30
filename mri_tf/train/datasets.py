"""From the flags of a command to prepared sets: raw folders are prepared, phantoms are written."""

import sys
from dataclasses import dataclass, replace
from pathlib import Path

from data_prep.layout import find_layout, is_user_layout
from data_prep.layout_calls import ListOptions
from mri_tf.core.deadline import NO_LIMIT, Deadline
from mri_tf.core.errors import InputError, first_few
from mri_tf.splits.sides import SplitOptions
from mri_tf.splits.split import check_patients_known, read_split_file
from mri_tf.store.fingerprints import prep_fingerprint
from mri_tf.store.prepared import Prepared
from mri_tf.task.loaded import LoadedTask
from mri_tf.task.spec import SIDES

DATA = Path("data")


@dataclass(frozen=True)
class DataOptions:
    """--raw, --data and --features-data as given; with neither of the first two, the phantom.

    `deadline` is when preparing stops at a case, and what is trained on the sets at an epoch.
    """

    raw: Path | None
    data: Path | None
    features_data: Path | None = None
    listing: ListOptions = ListOptions()
    deadline: Deadline = NO_LIMIT


def look_before_preparing(loaded: LoadedTask, options: DataOptions, split: SplitOptions) -> None:
    """Says what the names of raw files and their table already show: missing files, classes, sides.

    Raises InputError for what would stop the training after hours of preparing.
    """
    if not options.raw:
        return
    from data_prep.prepare.listed_cases import cases_to_prepare, missing_files

    task, raw, layout = loaded.task, options.raw, find_layout(loaded.task, loaded.file)
    cases = cases_to_prepare(layout, raw, task, options.listing, quiet=True)
    missing = missing_files(raw, cases)
    if missing:
        print(
            f"{len(missing)} of {len(cases)} cases will be skipped, because their files do not exist: "
            f"{first_few(missing)}", file=sys.stderr, flush=True,
        )  # fmt: skip
    labels = {case.label for case in cases} | {label for case in cases for _, label in case.slices}
    known = [name for name in task.class_names if name in labels]
    if task.kind == "classification" and len(known) < 2 and not is_user_layout(task):
        raise InputError(
            "Training needs cases of at least two classes.", ", ".join(known) or "none",
            "Add cases of other classes.",
        )  # fmt: skip
    patients = {case.patient for case in cases}
    if split.file and "" not in patients and not getattr(layout, "IDS_FROM_HEADERS", False):
        check_patients_known(read_split_file(split.file)[0], patients)
    sides = {case.split for case in cases} - {""}
    if sides and split.mode in (None, "column") and not split.file and not {"train", "test"} <= sides:
        raise InputError(
            "A split column must name cases to train on and to test on.",
            f"only {', '.join(sorted(sides))}",
            "Complete it, or choose another --split.",
        )  # fmt: skip
    if split.mode == "column" and not sides:
        raise InputError(
            "--split column needs a column split in the table.", "no such column",
            "Add it, or choose another --split.",
        )  # fmt: skip
    if "" not in patients and len(patients) < len(SIDES) and split.mode != "random":
        raise InputError(
            "A split into training, validation and test side needs at least 3 patients.",
            f"{len(patients)}", "Add patients.",
        )  # fmt: skip


def classifier_set(loaded: LoadedTask, options: DataOptions) -> tuple[Prepared, list]:
    """The prepared set of the task itself, and what was skipped while preparing it."""
    if options.data:
        prepared = Prepared.open(options.data)
        prepared.check_fits(loaded.task)
        return prepared, []
    if options.raw:
        return _prepare(loaded, options.raw, DATA, options)
    return _prepare(loaded, phantom(loaded), DATA / f"{loaded.task.name}-phantom", options)


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
        return _prepare(loaded, options.raw, DATA, options)
    return _prepare(loaded, phantom(classifier), DATA / f"{classifier.task.name}-phantom", options)


def phantom(loaded: LoadedTask) -> Path:
    """The raw folder of the task's phantom, written if it is not there (or not whole)."""
    from data_prep.phantom.write import write_fake_raw

    folder = DATA / f"{loaded.task.name}-phantom" / "raw"
    write_fake_raw(loaded.file, folder, loaded.task.demo_patients, seed=0)
    return folder


def _prepare(
    loaded: LoadedTask, raw: Path, home: Path, options: DataOptions
) -> tuple[Prepared, list]:
    from data_prep.prepare.prepare import prepare
    from data_prep.prepare.pseudonyms import pseudonyms_for
    from data_prep.prepare.source import PrepareOptions

    fingerprint = prep_fingerprint(loaded.task)
    # Sets are keyed by what preparation depends on; the task as its file says has the plain name.
    plain = fingerprint == prep_fingerprint(replace(loaded.base, variants={}))
    name = loaded.task.name if plain else f"{loaded.task.name}-{fingerprint[:8]}"
    out = home / name
    layout = find_layout(loaded.task, loaded.file)
    pseudonyms = pseudonyms_for(layout, out)
    settings = PrepareOptions(
        pseudonyms=pseudonyms, listing=options.listing, deadline=options.deadline
    )
    prepared, skipped = prepare(loaded.task, loaded.file, raw, out, settings)
    print(f"prepared set: {out}", flush=True)
    for item in skipped:  # now, and not after the training
        print(f"skipped {item.file}: {item.reason}", file=sys.stderr, flush=True)
    return prepared, skipped
