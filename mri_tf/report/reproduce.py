"""The section on how to do it again: versions, fingerprints, the command, settings of the task."""

from mri_tf.report.blocks import Author, Block, Facts, Section, Table, Text, table
from mri_tf.report.markdown import blocks_of
from mri_tf.report.material import MEMBERS, STUDY, Material
from mri_tf.report.options import Options
from mri_tf.store.cells import TUNED
from mri_tf.store.run import Run
from mri_tf.task.files import FOLDER, load_task, task_names
from mri_tf.task.paths import without_folders
from mri_tf.task.spec import to_json

MOST_DIFFERENCES = 40
# Flags of mri_tf.study and the columns of results.parquet that hold their values.
OF_ALL_CELLS = {"--seed": "study_seed", "--restarts": "restarts", "--tuned": "trials"}
NOT_KNOWN = "not known: the training is of an earlier version"


def reproduce(material: Material, options: Options) -> Section:
    """Versions, fingerprints and the command."""
    run = material.run
    code = material.runs[0].values.get("code") or {}
    rows = [
        ("mri_tf", run.values["versions"]["mri_tf"]),
        ("commit", _commit(code)),
        ("lock file (SHA-256)", code.get("lock_sha256") or ("no lock file" if code else NOT_KNOWN)),
        ("versions", _versions(material)),
        ("fingerprint of the prepared set", run.values["data"]),
        ("fingerprint of the weights", run.values.get("weights_sha256", "not kept")),
        ("command", command_of(material)),
    ]  # fmt: skip
    if material.prepared:
        rows.insert(5, ("fingerprint of the preparation", material.prepared.manifest["prep"]))
    blocks: list[Block] = [Facts(tuple(rows)), *_differences(run)]
    if material.kind == STUDY and "Method" in material.report:
        blocks += blocks_of(material.report["Method"], "Plan of the study")
    blocks.append(Text(
        "The same command, with --variant or --set for each setting that differs from the task file, "
        "gives the same weights on the same prepared set and processor, to the bit on CPU."
    ))  # fmt: skip
    blocks.append(Author(
        "where data, code and trained weights can be had; protocol, registration, funding."
    ))  # fmt: skip
    return Section("reproduce", "How to reproduce it", tuple(blocks))


def _commit(code: dict) -> str:
    """The commit that trained, as run.json keeps it."""
    if not code:
        return NOT_KNOWN
    if code["commit"] is None:
        return "not known: mri_tf was installed from a package"
    return code["commit"] + (", with changes that were not committed" if code["changed"] else "")


def command_of(material: Material) -> str:
    """The command, with words in capitals for what the reader has elsewhere."""
    run, name = material.run, material.task.name
    own = "TASK_FILE" if name not in task_names() else name
    seed = f"--seed {run.values['seed']}"
    if material.kind == STUDY:
        return f"python -m mri_tf.study --task {own} --data DATA --out STUDY {_of_study(material)}"
    if material.kind == MEMBERS:
        folds, repeats = (len({one[key] for one in run.values["members"]}) for key in ("fold", "repeat"))
        sides = f"--folds {folds}" + (f" --fold-repeats {repeats}" if repeats > 1 else "")
    else:
        mode = run.values["split"]
        sides = "--split-file SIDES.json" if mode == "file" else f"--split {mode}"
    return f"python -m mri_tf.train --task {own} --data DATA {sides} {seed} --out RUN"


def _of_study(material: Material) -> str:
    """The flags that the cells of a study tell of."""
    results, left_out = material.results, material.leaves_sites_out
    flags = ["--leave-one-site-out" if left_out else f"--folds {results['fold'].nunique()}"]
    flags.append(f"--repeats {results['repeat'].nunique()}")
    if "train_size" in results and results["train_size"].notna().any():
        sizes = sorted(results["train_size"].dropna().unique())
        flags.append(f"--train-sizes {','.join(f'{size:g}' for size in sizes)}")
    for flag, column in OF_ALL_CELLS.items():
        if column in results and results[column].notna().any():
            flags.append(f"{flag} {results[column].max():g}")
    # --tuned adds the variants that are searched.
    names = (name for name in results["variant"] if not name.endswith(TUNED))
    return f'{" ".join(flags)} --variants "{";".join(dict.fromkeys(names))}"'


def _versions(material: Material) -> str:
    versions = dict(material.run.values["versions"])
    if material.prepared:
        versions |= {key: value for key, value in material.prepared.manifest.get("versions", {}).items()
                     if key not in versions}  # fmt: skip
    return ", ".join(f"{key} {value}" for key, value in versions.items())


def _differences(run: Run) -> list[Block]:
    """The settings of the run that the task file of this version has not."""
    name = run.task.name
    if name not in task_names():
        return [Text("The task is a file of its own; every setting stands under Preparation and model.")]
    base = flat(without_folders(to_json(load_task(FOLDER / f"{name}.py"))))
    own = flat(task_values(run))
    ignored = ("variants", "caution", "precision")
    changed = [[key, own.get(key, "left out"), base.get(key, "not set")] for key in sorted(base | own)
               if own.get(key) != base.get(key) and key.partition(".")[0] not in ignored]  # fmt: skip
    if not changed:
        return [Text("Every setting is that of the task file of this version.")]
    found: Table = table("Settings that differ from the task file of this version, by variants or --set",
                         ["setting", "this run", "task file"], changed[:MOST_DIFFERENCES])  # fmt: skip
    return [found]


def task_values(run: Run) -> dict:
    """The task of a run for a card: without its other variants, and of paths the last part alone."""
    values = {key: value for key, value in run.values["task"].items() if key != "variants"}
    return without_folders(values)


def flat(values: dict, prefix: str = "") -> dict[str, str]:
    """Dotted key -> value as text.

    >>> flat({"box": {"grid": [8, 8]}, "epochs": 3})
    {'box.grid': '[8, 8]', 'epochs': '3'}
    """
    found: dict[str, str] = {}
    for key, value in values.items():
        if isinstance(value, dict) and value:
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = f"{value}"
    return found
