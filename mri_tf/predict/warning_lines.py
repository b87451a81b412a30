"""What the terminal says of all answers together: inputs and maps that a reader should look at."""

from collections import Counter

from mri_tf.core.errors import first_few
from mri_tf.explain.attribution import outside_warnings
from mri_tf.task import Task
from mri_tf.task.harmonise import combat_batch


def warning_lines(rows: list[dict], task: Task) -> list[str]:
    """Of inputs unlike the training data, of features that were not corrected, and of maps outside the
    brain.

    Args:
        rows: of the answers, as `outputs.Predictor` makes them.
        task: of the model.
    """
    maps = [
        (row["input"], row["map_outside_brain"], row["map_outside_enrichment"])
        for row in rows if "map_outside_enrichment" in row
    ]  # fmt: skip
    lines = [_unlike(rows), _uncorrected(rows, task), *outside_warnings(maps)]
    return [line for line in lines if line]


def _unlike(rows: list[dict]) -> str:
    """Says how many answers are about inputs unlike the training data, and why; "" for none."""
    unlike = [row for row in rows if row["out_of_distribution"]]
    far = sum(bool(row.get("feature_out_of_distribution")) for row in rows)
    parts = []
    if unlike:
        counts = Counter(reason for row in unlike for reason in row["reasons"]).most_common()
        why = first_few((f"{reason} ({count})" for reason, count in counts), 3)
        parts.append(f"{len(unlike)} of {len(rows)} unlike the training data: {why}")
    if far:
        parts.append(f"{far} of {len(rows)} unlike the training data in the network's features")
    untold = [row for row in rows if row["out_of_distribution"] is None and row["reasons"]]
    if untold:
        why = first_few(dict.fromkeys(reason for row in untold for reason in row["reasons"]))
        parts.append(f"of {len(untold)} of {len(rows)} it is not known whether they are unlike the "
                     f"training data ({why})")  # fmt: skip
    return f"warning: {'; '.join(parts)}" if parts else ""


def _uncorrected(rows: list[dict], task: Task) -> str:
    """Says how many inputs are of a site or scanner that the training did not know; "" for none."""
    inputs = {row["input"] for row in rows}
    unknown = {row["input"] for row in rows if row.get("features_corrected") is False}
    if not unknown:
        return ""
    return (
        f"warning: the features of {len(unknown)} of {len(inputs)} inputs were not corrected, because "
        f"their {combat_batch(task)} is not named or was not in the training data"
    )
