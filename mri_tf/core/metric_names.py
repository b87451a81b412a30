"""What the numbers of metrics.json are called, as people write them."""

NAMES = {
    "accuracy": "accuracy", "balanced_accuracy": "balanced accuracy", "kappa": "Cohen's κ",
    "quadratic_kappa": "quadratic κ", "mean_absolute_grade_error": "mean error in grades",
    "f1_macro": "macro F1", "auc": "AUC", "auc_within_folds": "AUC, mean of the folds",
    "average_precision": "average precision", "sensitivity_at_specificity": "sensitivity",
    "brier": "Brier score", "log_loss": "log loss", "ece": "expected calibration error",
    "calibration_in_the_large": "largest difference of mean probability and share of a class",
    "recall": "sensitivity", "precision": "precision", "f1": "F1",
    "dice_mean": "Dice, mean of the labels", "hausdorff95_mean": "Hausdorff 95, mean of the labels",
    "dice": "Dice", "hausdorff95": "Hausdorff 95", "specificity": "specificity",
    "accuracy_without_ends": "accuracy without ends", "kappa_without_ends": "Cohen's κ without ends",
    "accuracy_neighbours_alone": "accuracy of neighbours alone",
    "kappa_neighbours_alone": "Cohen's κ of neighbours alone",
}  # fmt: skip


def name_of(metric: str) -> str:
    """The name of a metric.

    >>> name_of("f1_macro"), name_of("my_own_number")
    ('macro F1', 'my own number')
    """
    return NAMES.get(metric, metric.replace("_", " "))
