"""The sections on how records are prepared, which network was trained how, and how to do it again."""

from pathlib import Path
from typing import Any

from mri_tf.network.views import describe_views
from mri_tf.report.blocks import Author, Block, Facts, Fold, Section, Table, Text, table
from mri_tf.report.markdown import blocks_of
from mri_tf.report.material import MEMBERS, STUDY, Material
from mri_tf.report.options import Options
from mri_tf.store.run import Run
from mri_tf.task import Task
from mri_tf.task.files import FOLDER, load_task, task_names
from mri_tf.task.spec import ACCURACY, BUDGET, VALIDATION, to_json

KEPT_EPOCH = {
    VALIDATION: "the epoch with the lowest validation loss",
    ACCURACY: "the epoch with the highest validation accuracy",
    BUDGET: "the last epoch of a budget that was fixed before",
}
LETTERS = 12  # of a hash; the embedded JSON has all of it
MOST_DIFFERENCES = 40
NOT_KNOWN = "not known: the training is of an earlier version"


def model(material: Material, options: Options) -> Section:
    """Preparation, network and training, in plain words."""
    task, run = material.task, material.run
    operations = (material.prepared.manifest.get("operations", []) if material.prepared else [])
    rows = [
        ("prepared once", ", ".join(word.replace("_", " ") for word in operations) or "not known"),
        ("grid", " x ".join(map(str, task.image_shape)) + _cut(task)),
        ("intensities", _normalised(task)),
        ("augmentation", _augmented(task)),
        ("network", _network(task)),
        ("parameters", _parameters(material)),
        ("first weights", _first_weights(task, run)),
        ("training", _training(task, run)),
        ("classes", _classes(task)),
        ("weights that were kept", _kept(material)),
        ("an answer is about", _about(task)),
        ("precision", f"{run.precision}; evaluation and exports use float32"),
        ("seed", f"{run.values['seed']}"),
    ]  # fmt: skip
    blocks: list[Block] = [Facts(tuple(rows))]
    if material.kind == STUDY and "Epochs" in material.report:
        blocks += blocks_of(material.report["Epochs"], "Epochs and time of the cells")
    if material.kind == STUDY and len(material.judged) > 1:
        blocks.insert(0, Text("The settings are those of the first variant; the table of variants is under "
                              "Performance."))  # fmt: skip
    settings = table("Every setting of the task", ["setting", "value"], sorted(flat(task_values(run)).items()))
    return Section("model", "Preparation and model", (*blocks, Fold("Every setting", (settings,))))


def _cut(task: Task) -> str:
    if task.patch:
        return f"; the network sees patches of {' x '.join(map(str, task.network_shape))}"
    if task.box:
        return f"; the network sees a box around the {task.box.get('around', 'mask')}"
    return "; slices are cut to the mask and resampled to the median spacing" if task.spacing else ""


def _normalised(task: Task) -> str:
    given = task.normalize
    if given.get("method") == "range":
        return f"{given['low']:g} to {given['high']:g} becomes 0 to 1"
    if given.get("method") == "shift":
        return f"{given['offset']:g} is subtracted"
    where = "the brain mask" if given.get("region") == "mask" else "the image"
    return f"z-scores: mean and SD of each channel within {where}"


def _augmented(task: Task) -> str:
    if not task.augment or not task.augment_probability:
        return "none"
    parts = [name.replace("_", " ") + (f" ({_arguments(arguments)})" if arguments else "")
             for name, arguments in task.augment.items()]  # fmt: skip
    return f"{'; '.join(parts)}; of {task.augment_probability:.0%} of the training images in an epoch"


def _network(task: Task) -> str:
    arguments = _arguments(task.model_args)
    built = f"{task.model.replace('_', ' ')}" + (f" ({arguments})" if arguments else "")
    views = describe_views(task) if task.kind == "classification" else ""
    return built + (f"; every answer is the mean over {views}" if views else "")


def _parameters(material: Material) -> str:
    counts = sorted({run.values.get("parameters", 0) for run in material.runs})
    shown = f"{counts[-1]:,}" if len(counts) == 1 else f"{counts[0]:,} to {counts[-1]:,}"
    return shown + (f" in each of {len(material.runs)} networks" if material.kind == MEMBERS else "")


def _first_weights(task: Task, run: Run) -> str:
    if task.pretrained_on:
        return f"drawn at random, behind a {task.pretrained_on} network trained on the same training side"
    weights = str(task.model_args.get("weights", "")) or "none"
    return "drawn at random" if weights == "none" else f"{without_folders(weights)}"


def _training(task: Task, run: Run) -> str:
    epochs = run.values.get("epochs_trained")
    length = f"{epochs} epochs" if epochs else (f"{task.steps} steps" if task.steps else f"{task.epochs} epochs")
    parts = [length, f"batches of {task.batch_size}", f"learning rate {task.learning_rate:g} ({task.schedule})"]
    parts += [f"fine-tuning: {_arguments(task.fine_tune)}"] if task.fine_tune else []
    parts += [f"stopped after {task.patience} epochs without a better one"] if task.patience else []
    parts += [f"label smoothing {task.label_smoothing:g}"] if task.label_smoothing else []
    return "; ".join(parts)


def _classes(task: Task) -> str:
    weights = "none" if task.loss_weights == "none" else task.loss_weights.replace("_", " ")
    drawn = "; every class drawn equally often" if task.oversample else ""
    order = "; the classes are grades" if task.ordered else ""
    return f"{len(task.class_names)}; weights in the loss: {weights}{drawn}{order}"


def _kept(material: Material) -> str:
    chosen = KEPT_EPOCH[material.task.choose_epoch]
    epochs = [run.values["best_epoch"] for run in material.runs if "best_epoch" in run.values]
    named = f": {epochs[0]}" if len(epochs) == 1 else ""
    averaged = f"; a moving average of the weights, decay {material.task.average:g}" if material.task.average else ""
    return f"those of {chosen}{named}{averaged}"


def _about(task: Task) -> str:
    if task.bag:
        return f"a patient: the slices are pooled ({task.bag.get('pooling', '')})"
    if task.kind == "segmentation":
        return "every pixel" if len(task.image_shape) == 2 else "every voxel"
    return "a slice or image" if len(task.image_shape) == 2 else "a volume"


def reproduce(material: Material, options: Options) -> Section:
    """Versions, fingerprints and the command."""
    run = material.run
    code = material.runs[0].values.get("code") or {}
    commit = code.get("commit")
    rows = [
        ("mri_tf", run.values["versions"]["mri_tf"]),
        ("commit", NOT_KNOWN if not code else "not known: mri_tf was installed from a package"
         if commit is None else commit + (", with changes that are not committed" if code["changed"] else "")),
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
        "The same command on the same prepared set and processor gives the same weights, to the bit on CPU."
    ))  # fmt: skip
    blocks.append(Author("where data, code and trained weights can be had; protocol, registration, funding."))
    return Section("reproduce", "How to reproduce it", tuple(blocks))


def command_of(material: Material) -> str:
    """The command, with words in capitals for what the reader has elsewhere."""
    run, name = material.run, material.task.name
    own = "TASK_FILE" if name not in task_names() else name
    seed = f"--seed {run.values['seed']}"
    if material.kind == STUDY:
        results = material.results
        variants = ";".join(dict.fromkeys(results["variant"]))
        return (
            f"python -m mri_tf.study --task {own} --data DATA --out STUDY --folds "
            f"{results['fold'].nunique()} --repeats {results['repeat'].nunique()} --variants "
            f'"{variants}"'
        )
    folds = f" --folds {len({one['fold'] for one in run.values['members']})}" if material.kind == MEMBERS else ""
    split = "" if material.kind == MEMBERS else f" --split {run.values['split']}"
    if run.values["split"] == "file":
        split = " --split-file SIDES.json"
    return f"python -m mri_tf.train --task {own} --data DATA{folds}{split} {seed} --out RUN"


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
    base, own = flat(to_json(load_task(FOLDER / f"{name}.py"))), flat(task_values(run))
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
    return without_folders(values) | {"caution": values.get("caution", "")}  # a sentence


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


def without_folders(value: Any) -> Any:
    """The value with the last part alone of whatever looks like a path.

    >>> without_folders({"weights": "/home/me/net.h5", "epochs": 3})
    {'weights': 'net.h5', 'epochs': 3}
    """
    if isinstance(value, dict):
        return {key: without_folders(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_folders(inner) for inner in value]
    is_path = isinstance(value, str) and ("/" in value or (":\\" in value[:3]))
    return Path(value.replace("\\", "/")).name if is_path else value


def _arguments(values: dict) -> str:
    return ", ".join(f"{key.replace('_', ' ')} {_value(value)}" for key, value in without_folders(values).items())


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return f"({_arguments(value)})"
    if isinstance(value, (list, tuple)):
        return "-".join(map(str, value))
    return f"{value}"
