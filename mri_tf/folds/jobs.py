"""The jobs of a study: pre-trainings that cells share, and one training command for each cell."""

from dataclasses import dataclass, replace
from pathlib import Path

from mri_tf.core.hashing import fingerprint
from mri_tf.folds.design import Cell, Plan, cells_of, split_file
from mri_tf.folds.site_folds import without_site
from mri_tf.splits.sides import sides_for_features
from mri_tf.splits.split import split_by_patients
from mri_tf.store.cells import CELLS, TUNED
from mri_tf.store.fingerprints import task_fingerprint
from mri_tf.store.prepared import Prepared
from mri_tf.task.loaded import LoadedTask
from mri_tf.task.rules import BASE_VARIANT
from mri_tf.task.spec import SIDES

MEMBER_CELLS = ".cells"  # in the run folder of a model of several members


@dataclass(frozen=True)
class Variant:
    """One variant of a study: its task and prepared set, and those of a feature network."""

    name: str
    loaded: LoadedTask
    prepared: Prepared
    feature_loaded: LoadedTask | None
    feature_prepared: Prepared | None
    skipped: tuple = ()  # inputs that could not be read, with their reasons


@dataclass(frozen=True)
class JobOptions:
    """Where and how the processes of a study run, as its flags say."""

    out: Path  # absolute
    assignments: tuple[str, ...]  # KEY=VALUE of --set
    threads: int  # per cell
    keep: str  # "runs" or "metrics"
    members: bool = False  # whether a cell's run is a member of one model, and lies in `member_folder`
    held_back: tuple[str, ...] = ()  # patients that are in no fold and that nothing may learn from
    feature_banks: str = ""  # absolute folder of frozen features that cells share; "": none
    no_audit: bool = False  # trainings do not look for leaks before their first epoch


def cell_jobs(
    variants: dict[str, Variant], plan: Plan, sides: dict, options: JobOptions
) -> tuple[list[dict], list[dict]]:
    """Returns the jobs of a study without writing anything: (pre-trainings, cells) for `cell.run_cell`.

    A pre-training uses no patient of its fold's validation and test side. Cells with the same feature
    task and patients share one; a cell's `needs` is its name, or empty.

    Args:
        variants: by name, every name of `plan.variants`.
        plan: folds, repeats, training sizes and seeds of the cells.
        sides: (repeat, fold) -> {side: patients}, from `design.fold_patients`.
        options: where the cells lie, and what all trainings are given.
    """
    features: dict[tuple[str, int, int], dict] = {}
    for name, variant in variants.items():
        if variant.feature_loaded:
            for (repeat, fold), patients in sides.items():
                site = plan.sites[fold] if plan.sites else ""
                features[name, repeat, fold] = _feature_job(variant, patients, plan, options, site)
    if len({job["name"] for job in features.values()}) > 1:
        options = replace(options, feature_banks="")  # every fold has features of its own
    jobs = []
    for cell in cells_of(plan):
        needed = features.get((cell.variant, cell.repeat, cell.fold))
        patients = sides[cell.repeat, cell.fold]
        jobs.append(_cell_job(variants[cell.variant], cell, patients, plan, options, needed))
    return list({job["name"]: job for job in features.values()}.values()), jobs


def member_folder(out: Path, plan: Plan, cell: Cell) -> Path:
    """The run folder of a cell that is a member of one model."""
    home = out / f"repeat-{cell.repeat}" if plan.repeats > 1 else out
    return home / f"fold-{cell.fold}"


def _feature_job(
    variant: Variant, patients: dict, plan: Plan, options: JobOptions, site: str = ""
) -> dict:
    """The pre-training of a fold, which sees nobody of the `site` that the fold tests, if it does."""
    loaded, prepared = variant.feature_loaded, variant.feature_prepared
    apart = {**patients, SIDES[2]: [*patients[SIDES[2]], *options.held_back]}
    records = split_by_patients(apart, variant.prepared.patients, variant.prepared.groups)
    sides = sides_for_features(prepared, loaded.task, variant.prepared, records, plan.seed)
    values = {
        side: sorted(set(prepared.patients[positions]))
        for side, positions in zip(SIDES, sides.records, strict=True)
    }
    if site:
        values = without_site(values, prepared, site, variant.prepared, patients)
    identity = fingerprint(
        [task_fingerprint(loaded.task), prepared.content_fingerprint(), values, plan.seed]
    )
    name = f"{loaded.task.name}-{identity[:8]}"
    settings = [f"{key}={value}" for key, value in variant.loaded.task.features.items()]
    settings.append(f"precision={loaded.task.precision}")
    return {
        "name": name,
        "folder": str(options.out / "features" / name),
        "arguments": [
            "--task", str(loaded.file), "--data", str(prepared.folder.absolute()),
            "--set", *settings,
        ],
        "search": [],
        "split": values,
        "seeds": [plan.seed],
        "runs": [str(options.out / "features" / name / f"s{plan.seed}")],
        "threads": options.threads,
        "identity": identity,
        "keep": "runs",
        "needs": "",
        "row": {"task": loaded.task.name, "variant": name},
    }  # fmt: skip


def _cell_job(
    variant: Variant, cell: Cell, patients: dict, plan: Plan, options: JobOptions, features: dict | None
) -> dict:
    task = variant.loaded.task
    values = split_file(plan, task.class_names, patients, cell)
    # The task file and not the --task value: a cluster worker may run in another folder.
    arguments = ["--task", str(variant.loaded.file), "--data", str(variant.prepared.folder.absolute())]
    name = cell.variant.removesuffix(TUNED)
    if name != BASE_VARIANT:
        arguments.append(f"--variant={name}")
    if features:
        arguments += ["--features", features["runs"][0]]
    arguments += ["--set", *options.assignments, f"precision={task.precision}"]
    shared = options.feature_banks and task.feature_bank
    further = ["--feature-banks", options.feature_banks] if shared else []
    further += ["--no-audit"] if options.no_audit else []
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
    folder = options.out / (MEMBER_CELLS if options.members else CELLS) / cell.name
    runs = [folder / f"s{seed}" for seed in seeds]
    if options.members:
        runs = [member_folder(options.out, plan, cell)]
    return {
        "name": cell.name,
        "folder": str(folder),
        # All cells are compared with baselines at the end, where the set is read once.
        "arguments": ["--no-baselines", *arguments, *further],
        "search": search,
        "split": values,
        "seeds": seeds,
        "runs": [str(run) for run in runs],
        "threads": options.threads,
        "identity": identity,
        "keep": options.keep,
        "needs": features["name"] if features else "",
        "row": {"cell": cell.name, "task": task.name, "variant": cell.variant, "fold": cell.fold,
                "repeat": cell.repeat, "train_size": cell.train_size or None,
                "study_seed": plan.seed, "restarts": plan.restarts,
                **({"trials": plan.trials} if search else {}),
                **({"site": plan.sites[cell.fold]} if plan.sites else {})},
    }  # fmt: skip
