"""How numbers of metrics.json are written on a card, and what they are called."""

from mri_tf.report.options import Options
from mri_tf.tables.layout import with_interval

NAMES = {
    "accuracy": "accuracy", "balanced_accuracy": "balanced accuracy", "kappa": "Cohen's κ",
    "quadratic_kappa": "quadratic κ", "mean_absolute_grade_error": "mean error in grades",
    "f1_macro": "F1, mean of the classes", "auc": "AUC", "auc_within_folds": "AUC, mean of the folds",
    "average_precision": "average precision", "sensitivity_at_specificity": "sensitivity",
    "brier": "Brier score", "log_loss": "log loss", "ece": "expected calibration error",
    "recall": "sensitivity", "precision": "precision", "f1": "F1",
    "dice_mean": "Dice, mean of the labels", "hausdorff95_mean": "Hausdorff 95, mean of the labels",
    "dice": "Dice", "hausdorff95": "Hausdorff 95", "specificity": "specificity",
}  # fmt: skip


def name_of(metric: str, number: dict | None = None) -> str:
    """The name of a metric as people write it, with the specificity that it is at."""
    name = NAMES.get(metric, metric.replace("_", " "))
    at = (number or {}).get("specificity")
    return f"{name} at a specificity of {at:g}" if isinstance(at, float) else name


def shown(number: dict | None, signed: bool = False) -> str:
    """`0.801 (0.741 to 0.858)`, with the reason where there is no value; "" where there is no number."""
    if not number:
        return ""
    reason = (number.get("reason") or "").replace("`", "")
    text = with_interval(number["value"], number.get("low"), number.get("high"), reason, signed)
    measured = f" {number['measured_in']}" if number.get("measured_in") else ""
    return text + measured


def brief(number: dict | None, signed: bool = False) -> str:
    """The same without the reason for a missing interval, for narrow tables."""
    if number and number["value"] is not None:
        return shown({**number, "reason": ""}, signed)
    return shown(number, signed)


def counted(number: dict, options: Options) -> str:
    """Over how many the interval is: `24 patients`."""
    return f"{options.count(number['n'])} {number['unit']}" if "n" in number else ""


def p_text(p: float | None) -> str:
    """`p = 0.034`; "" where there is none.

    >>> p_text(0.0341), p_text(0.00001), p_text(None)
    ('p = 0.034', 'p = 1e-05', '')
    """
    return "" if p is None else f"p = {p:.2g}"


def is_number(value: object) -> bool:
    """Whether a value of metrics.json is a number with its interval."""
    return isinstance(value, dict) and {"value", "low", "high"} <= set(value)
