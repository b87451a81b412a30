"""Sections of a classifier's page: the AUC within sites, and the numbers of subgroups."""

from mri_tf.core.metric_names import name_of
from mri_tf.core.words import plural, printed_name
from mri_tf.tables.layout import markdown, with_interval, with_notes

NUMBERS = ("accuracy", "balanced_accuracy", "auc")
BY_CHANCE = (
    "Nothing is corrected for the number of groups: by chance alone some are better and some worse than "
    "others."
)


def site_section(metrics: dict) -> str:
    """The AUC within each site and its mean; empty where fewer than two sites are known."""
    found = metrics.get("within_sites")
    if not found:
        return ""
    return f"## Within sites\n\n{site_table(found)}"


def site_table(found: dict) -> str:
    """The table of `within_sites` in metrics.json, and below it what its mean says."""
    classes = list(found["sites"][0]["patients"])
    rows = [[row["site"], *row["patients"].values(), _number(row["auc"])] for row in found["sites"]]
    counts = [sum(row["patients"][name] for row in found["sites"]) for name in classes]
    mean = "mean, weighted by pairs"
    rows.append([f"**{mean}**", *counts, _number(found["auc"])])
    columns = ["site", *(f"patients of {printed_name(name)}" for name in classes),
               "AUC within (95 % interval)"]  # fmt: skip
    notes = [
        "A record is compared with records of the same site only, so that what differs between sites "
        "cannot help. An AUC over all sites that is much higher rests on their differences."
    ]
    if found["reason"]:
        notes.append(f"No statement about sites: {found['reason']}.")
    aucs = [(row["site"], row["auc"]) for row in found["sites"]] + [(mean, found["auc"])]
    return "\n\n".join([with_notes(markdown(rows, columns), _reasons(aucs)), *notes])


def subgroup_section(metrics: dict) -> str:
    """A line for each group; empty where no fact parts the records."""
    found = metrics.get("subgroups")
    if not found:
        return ""
    return f"## Subgroups\n\n{subgroup_table(found)}"


def subgroup_table(found: list[dict]) -> str:
    """The table of `subgroups` in metrics.json: those with too few patients say so."""
    classes = list(found[0]["patients"])
    rows = [
        [row["by"], row["group"], *row["patients"].values(), row["records"],
         *(_number(row["numbers"][name]) for name in NUMBERS)]
        for row in found
    ]  # fmt: skip
    columns = ["by", "group", *(f"patients of {printed_name(name)}" for name in classes), "records",
               *map(name_of, NUMBERS)]  # fmt: skip
    kinds = {row["by"] for row in found}
    note = f"{plural(len(found), 'group')} of {plural(len(kinds), 'kind')}. {BY_CHANCE}"
    numbers = [one for row in found for one in _named(row)]
    return f"{with_notes(markdown(rows, columns), _reasons(numbers))}\n\n{note}"


def _named(row: dict) -> list[tuple[str, dict]]:
    """The numbers of a group with whose they are; one for all where the same is to be said of them."""
    group = f"{row['by']} {row['group']}"
    if len({row["numbers"][name].get("reason") for name in NUMBERS}) == 1:
        return [(group, row["numbers"][NUMBERS[0]])]
    return [(f"{group}, {name_of(name)}", row["numbers"][name]) for name in NUMBERS]


def _number(number: dict) -> str:
    """A number in a cell; why it has no value or no interval stands below the table."""
    if number["value"] is None:
        return "none"
    return with_interval(number["value"], number["low"], number["high"])


def _reasons(numbers: list[tuple[str, dict]]) -> list[str]:
    """A line for each reason, with whose numbers it is about."""
    names: dict[str, list[str]] = {}
    for name, number in numbers:
        if reason := number.get("reason"):
            names.setdefault(reason, []).append(name)
    return [f"{'; '.join(whose)}: {reason}." for reason, whose in names.items()]
