"""What the plain values of a task may be, where that needs neither data nor a network.

`mri_tf.task.settings` checks what is inside the dictionaries.
"""

from typing import Any

from mri_tf.core.errors import InputError

KINDS = ("classification", "segmentation")
AUTO = "auto"  # bfloat16 where it is faster, else float32
PRECISIONS = (AUTO, "float32", "mixed_float16", "mixed_bfloat16")
LOSS_WEIGHTS = ("none", "sqrt_inverse_frequency", "inverse_frequency")
HEADS = ("softmax", "cumulative")
SCHEDULES = ("constant", "cosine")
OF_GRADES = ("quadratic_kappa", "mean_absolute_grade_error")
PRIMARY_METRICS = (
    "auc", "accuracy", "balanced_accuracy", "kappa", *OF_GRADES, "f1_macro", "average_precision",
    "brier", "log_loss",
)  # fmt: skip
VALIDATION, ACCURACY, BUDGET = EPOCH_CHOICES = ("validation", "accuracy", "budget")
KEPT_EPOCH = {  # whose weights a run keeps, in words
    VALIDATION: "the epoch with the lowest validation loss",
    ACCURACY: "the epoch with the highest validation accuracy",
    BUDGET: "the last epoch of a budget that was fixed before",
}
BASE_VARIANT = "manual"  # the reserved name of a task without variants
CHANGE = "Change {} in the task file or with --set."


def check_rules(task: Any) -> None:
    """Raises InputError for the first value that breaks a rule.

    Args:
        task: a Task, which calls this when it is made.
    """

    def require(holds: bool, name: str, rule: str) -> None:
        if not holds:
            field_name, _, part = name.partition(".")
            value = getattr(task, field_name)
            raise InputError(
                f"{name} of a task must {rule}.", value[part] if part else value, CHANGE.format(name)
            )

    require(task.name.isidentifier(), "name", "be letters, digits and _: it is also a file name")
    require(len(task.channels) >= 1, "channels", "name at least one channel")
    require(
        len(task.image_shape) in (2, 3) and min(task.image_shape) >= 1, "image_shape",
        "be (rows, columns) or (depth, rows, columns)",
    )  # fmt: skip
    require(
        task.context_slices == 0 or (task.context_slices > 0 and len(task.image_shape) == 2),
        "context_slices", "be at least 0, and 0 unless image_shape is (rows, columns)",
    )  # fmt: skip
    classes = len(task.class_names)
    require(
        classes >= 2 and len(set(task.class_names)) == classes, "class_names",
        "hold at least two different names",
    )  # fmt: skip
    for part, values in task.class_parts.items():
        require(
            isinstance(values, tuple) and len(values) == classes
            and all(isinstance(value, str) for value in values),
            f"class_parts.{part}", f"name one value for each of {classes} classes",
        )  # fmt: skip
    choices = dict(kind=KINDS, head=HEADS, loss_weights=LOSS_WEIGHTS, precision=PRECISIONS,
                   schedule=SCHEDULES, choose_epoch=EPOCH_CHOICES,
                   primary_metric=PRIMARY_METRICS)  # fmt: skip
    for name, known in choices.items():
        require(getattr(task, name) in known, name, f"be one of {', '.join(known)}")
    require(
        task.ordered or task.primary_metric not in OF_GRADES, "primary_metric",
        f"not be {task.primary_metric} unless the classes are grades: set ordered to true, or choose "
        "another metric",
    )  # fmt: skip
    require(
        classes > 2 or task.primary_metric != "mean_absolute_grade_error", "primary_metric",
        "be of three grades or more for mean_absolute_grade_error",
    )  # fmt: skip
    require(
        task.head != "cumulative"
        or (task.kind == "classification" and task.ordered and classes > 2), "head",
        "be softmax unless three or more grades are classified: set ordered",
    )  # fmt: skip
    require(0 <= task.augment_probability <= 1, "augment_probability", "lie between 0 and 1")
    require(
        len(task.split_fractions) == 3 and min(task.split_fractions) > 0
        and abs(sum(task.split_fractions) - 1) < 1e-6,
        "split_fractions", "be three positive numbers (train, validation, test) that sum to 1",
    )  # fmt: skip
    for name in ("batch_size", "epochs", "demo_patients"):
        require(getattr(task, name) >= 1, name, "be at least 1")
    require(
        task.intensity_classes == 0 or (task.kind == "segmentation" and task.intensity_classes > 1),
        "intensity_classes", "be 0, or at least 2 in a segmentation task",
    )  # fmt: skip
    require(
        not (task.intensity_classes and task.context_slices), "intensity_classes",
        "be 0 with context_slices, where they would be classes of several slices together",
    )  # fmt: skip
    require(task.feature_bank >= 0, "feature_bank", "be at least 0")
    require(
        task.feature_bank == 0 or task.kind == "classification", "feature_bank",
        "be 0 unless classes are learned: stored features have no mask",
    )  # fmt: skip
    require(
        not task.bag or (task.kind == "classification" and len(task.image_shape) == 2), "bag",
        "be empty unless 2D slices are classified",
    )  # fmt: skip
    for name in ("patience", "steps", "warm_up", "clip_norm"):
        require(getattr(task, name) >= 0, name, "be at least 0")
    for name in ("label_smoothing", "average", "dice_share"):
        require(0 <= getattr(task, name) < 1, name, "be at least 0 and below 1")
    require(
        not task.dice_share or task.kind == "segmentation", "dice_share",
        "be 0 unless masks are learned",
    )  # fmt: skip
    require(
        task.choose_epoch != BUDGET or not task.patience, "patience",
        'be 0 with choose_epoch="budget", which trains to the end',
    )  # fmt: skip
    require(
        task.choose_epoch != ACCURACY or task.kind == "classification", "choose_epoch",
        "be validation or budget for a segmentation, whose accuracy says little",
    )  # fmt: skip
    require("\n" not in task.caution, "caution", "be one line")
    require(task.learning_rate > 0, "learning_rate", "be positive")
    require(
        BASE_VARIANT not in task.variants, "variants",
        f"have other names than {BASE_VARIANT}, which means the task without variants",
    )  # fmt: skip
