"""Numbers of a run as lines for the terminal."""

MOST_TOLD = 6  # values of a part on the terminal


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
        if len(values["accuracy"]) <= MOST_TOLD:
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
