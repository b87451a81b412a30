"""What the ends of stacks are worth to a network that sees neighbouring slices."""

from mri_tf.core.metric_names import name_of
from mri_tf.core.words import plural
from mri_tf.tables.layout import markdown, number_text, value_text

SHOWN = ("accuracy", "balanced_accuracy", "kappa", "auc")
ROWS = {
    "without_ends": "the network, without the first and last slice of each stack",
    "neighbours_alone": "no network: the usual class of slices with the same neighbours",
}


def context_section(metrics: dict) -> str:
    """Section of a run's page; empty where slices are seen alone."""
    found = metrics.get("context")
    if not found:
        return ""
    title = "## Neighbouring slices"
    if "slices" not in found:
        return f"{title}\n\nNot told apart by the ends of stacks: {found['reason']}."
    of_all = (number_text(metrics[name]) for name in SHOWN)
    rows = [["the network, all slices", found["records"], *of_all]]
    for key, name in ROWS.items():
        rows.append([name, found[key]["n"], *(number_text(found[key][score]) for score in SHOWN)])
    count = found["slices"]
    text = (
        f"The network sees {plural(count, 'neighbouring slice')} on each side. At the end of a stack "
        "the last slice takes the place of those that are missing, so that the network can see that it "
        "is the end; the last row is what this alone says of the class."
    )
    return f"{title}\n\n{text}\n\n{markdown(rows, ['what answers', 'slices', *map(name_of, SHOWN)])}"


def context_line(metrics: dict) -> str:
    """Cohen's κ in a line for the terminal; empty where slices are seen alone."""
    found = metrics.get("context")
    if not found or "slices" not in found:
        return ""
    without, alone = (value_text(found[key]["kappa"]) for key in ROWS)
    return (
        f"{name_of('kappa')} without the first and last slice of each stack: {without}; of the "
        f"existing neighbours alone: {alone}"
    )
