"""The networks of a cross-validation: a row each, and how alike two of them answer."""

from mri_tf.core.metric_names import NAMES
from mri_tf.tables.layout import markdown, number_text

NUMBERS = ("auc", "balanced_accuracy")


def member_section(metrics: dict) -> str:
    """Section of the page of a cross-validation; "" of an ordinary run.

    The numbers of a member in its row are by its own answers, which its validation side chose.
    """
    members = metrics.get("members")
    if not members:
        return ""
    rows = [
        [member["repeat"], member["fold"],
         *(member["patients"][side] for side in ("train", "validation", "test")), member["best_epoch"],
         *(number_text(member[name]) for name in NUMBERS)]
        for member in members
    ]  # fmt: skip
    columns = ["repeat", "fold", "trained on", "validated on", "left out (patients)", "epoch kept",
               *(f"{NAMES[name]} on those left out" for name in NUMBERS)]  # fmt: skip
    table = markdown(rows, columns)
    found = metrics["correlation"]
    alike = (
        f"Within a class, what two members say of a patient that neither has seen has a correlation of "
        f"{found['value']:.2f}, measured on {found['patients']} patients; the mean probabilities of all "
        "members are made more extreme by what follows from it."
    )
    if found["reason"]:
        alike = f"Members are taken as wholly alike: {found['reason']}."
    return f"## The networks of the folds\n\n{alike}\n\n{table}"
