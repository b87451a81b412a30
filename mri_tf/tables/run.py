"""One run's numbers as a page: what may be believed first, then parts and classes."""

import numpy as np

from mri_tf.tables.classes import class_table
from mri_tf.tables.layout import markdown, with_interval

MAX_GROUPS = 50  # manifest.json has all
SCORES = ("accuracy", "balanced_accuracy", "kappa", "f1_macro", "auc")


def run_page(name: str, metrics: dict, class_names: tuple[str, ...]) -> str:
    """Markdown of a classifier's metrics.json; classes sorted by F1, with support and averages."""
    notes = [part for part in metrics["note"].split("; ") if part]
    parts = [f"# {name}, split by {metrics['split']}", *(f"- {note}" for note in notes)]
    rows = [[score, _number(metrics[score])] for score in SCORES if score in metrics]
    rows.append(["largest class", f"{metrics['majority_accuracy']:.3f} accuracy"])
    text = ["\n".join(parts), markdown(rows, ["score", "value (95 % interval)"])]
    for part, values in metrics.get("parts", {}).items():
        rows = [
            [value, _number(number), values["records"][value]]
            for value, number in values["accuracy"].items()
        ]
        agreement = _number(values["agreement"])
        rows.append([f"**{part} right, whatever the rest**", agreement, metrics["records"]])
        text.append(f"## By {part}\n\n" + markdown(rows, [part, "accuracy (95 % interval)", "records"]))
    if "duplicates" in metrics:
        text.append(f"## Copies\n\n{_copies(metrics['duplicates'])}")
    table = class_table(np.array(metrics["confusion"]), class_names)
    return "\n\n".join([*text, f"## Classes\n\n{table}"]) + "\n"


def _copies(found: dict) -> str:
    across = found["across_classes"]
    lines = [
        f"{found['in_groups']} images of the prepared set are in {found['groups']} groups of copies, "
        f"the largest of {found['largest_group']}; {found['exact_copies']} are exact copies.",
        f"{len(across)} groups hold several classes"
        + (f"; of the first {MAX_GROUPS} of them the records:" if across else "."),
    ]
    return "\n".join(lines) + "".join(f"\n- {', '.join(names)}" for names in across[:MAX_GROUPS])


def _number(number: dict) -> str:
    return with_interval(number["value"], number["low"], number["high"], number.get("reason") or "")


MAX_PART_VALUES = 6  # values of a part on the terminal


def summary(metrics: dict) -> list[str]:
    """Lines for the terminal: each number with its interval."""
    lines = []
    for name in ("accuracy", "balanced_accuracy", "kappa", "f1_macro", "auc", "dice_mean"):
        if name in metrics:
            lines.append(f"{name:<17} {format_interval(metrics[name])}")
    if "hausdorff95_mean" in metrics:
        distance = metrics["hausdorff95_mean"]
        unit = f" {distance['measured_in']}" if distance["value"] is not None else ""
        lines.append(f"{'hausdorff95_mean':<17} {format_interval(distance)}{unit}")
    for part, values in metrics.get("parts", {}).items():
        told = ", ".join(f"{value} {_plain(number)} ({values['records'][value]})"
                         for value, number in values["accuracy"].items() if number["n"])  # fmt: skip
        if len(values["accuracy"]) <= MAX_PART_VALUES:
            lines.append(f"by {part}: {told}")
    if "majority_accuracy" in metrics:
        lines.append(f"{'majority':<17} {metrics['majority_accuracy']:.3f} accuracy")
    if metrics["note"]:
        lines.append(f"note: {metrics['note']}")
    return lines


def _plain(number: dict) -> str:
    return "undefined" if number["value"] is None else f"{number['value']:.3f}"


def format_interval(number: dict) -> str:
    """`0.612 (95 % interval 0.520 to 0.704, 24 patients)`."""
    if number["value"] is None:
        return "undefined"
    if number["low"] is None:
        return f"{number['value']:.3f} (no interval, {number['n']} {number['unit']})"
    return (
        f"{number['value']:.3f} (95 % interval {number['low']:.3f} to {number['high']:.3f}, "
        f"{number['n']} {number['unit']})"
    )
