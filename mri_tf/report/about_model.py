"""The section on how records are prepared, and which network was trained how."""

from typing import Any

from mri_tf.models.weights import Origin
from mri_tf.network.views import describe_views
from mri_tf.report.blocks import Block, Facts, Fold, Section, Text, table
from mri_tf.report.markdown import blocks_of
from mri_tf.report.material import MEMBERS, STUDY, Material
from mri_tf.report.options import Options
from mri_tf.report.reproduce import flat, task_values
from mri_tf.store.run import Run
from mri_tf.task import Task
from mri_tf.task.harmonise import describe_harmonise
from mri_tf.task.paths import last_part, without_folders
from mri_tf.task.rules import KEPT_EPOCH

IF_SET = " if set"  # how operations in a manifest end that a setting asks for


def model(material: Material, options: Options) -> Section:
    """Preparation, network and training, in plain words."""
    task, run = material.task, material.run
    rows = [
        ("prepared once", _prepared(material)),
        ("grid", " x ".join(map(str, task.image_shape)) + _cut(task)),
        ("intensities", _normalised(task)),
        *(("harmonisation", one) for one in [describe_harmonise(task)] if one),
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
        blocks.insert(0, Text(
            "The settings are those of the first variant; the variants are compared under Performance."
        ))  # fmt: skip
    rows = sorted(flat(task_values(run)).items())
    settings = table("Every setting of the task", ["setting", "value"], rows)
    return Section("model", "Preparation and model", (*blocks, Fold("Every setting", (settings,))))


def _prepared(material: Material) -> str:
    """The operations of the preparation, those that a setting asks for where it is set."""
    operations = material.prepared.manifest.get("operations", []) if material.prepared else []
    done = []
    for name in operations:
        first, _, other = name.partition(", or ")  # such as "resize_to_grid, or slices if set"
        chosen = other if other and _is_set(material.task, other) else first
        if _is_set(material.task, chosen):
            done.append(chosen.removesuffix(IF_SET).replace("_", " "))
    return ", ".join(done) or "not known"


def _is_set(task: Task, operation: str) -> bool:
    """Whether an operation is made: always, or as a setting asks."""
    name = operation.removesuffix(IF_SET)
    standardised = name == "standardise" and task.standardised
    return name == operation or standardised or bool(task.prep.get(name))


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
    if task.by_white_matter:
        return "z-scores: mean and SD of each channel within normal white matter"
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
        of = task.pretrained_on
        return f"drawn at random, behind a {of} network that was trained on the same training side"
    weights = str(task.model_args.get("weights", "")) or "none"
    if weights == "none":
        return "drawn at random"
    origin = run.values.get("first_weights")
    return last_part(weights) + (f", converted from {Origin(**origin)}" if origin else "")


def _training(task: Task, run: Run) -> str:
    epochs = run.values.get("epochs_trained")
    planned = f"{task.steps} steps" if task.steps else f"{task.epochs} epochs"
    parts = [f"{epochs} epochs" if epochs else planned, f"batches of {task.batch_size}"]
    parts.append(f"learning rate {task.learning_rate:g} ({task.schedule})")
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
    decay = material.task.average
    averaged = f"; a moving average of the weights, decay {decay:g}" if decay else ""
    return f"those of {chosen}{named}{averaged}"


def _about(task: Task) -> str:
    if task.bag:
        return f"a patient: the slices are pooled ({task.bag.get('pooling', '')})"
    if task.kind == "segmentation":
        return "every pixel" if len(task.image_shape) == 2 else "every voxel"
    return "a slice or image" if len(task.image_shape) == 2 else "a volume"


def _arguments(values: dict) -> str:
    given = without_folders(values).items()
    return ", ".join(f"{key.replace('_', ' ')} {_value(value)}" for key, value in given)


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return f"({_arguments(value)})"
    if isinstance(value, (list, tuple)):
        return "-".join(map(str, value))
    return f"{value}"
