"""The sections on subgroups and sites, and on baselines and what the image adds to other facts."""

from collections.abc import Sequence

from mri_tf.audit.finding import BASELINE
from mri_tf.core.metric_names import NAMES
from mri_tf.core.words import printed_name
from mri_tf.figures import draw_forest, inline_svg
from mri_tf.report.blocks import NOT_COMPUTED, Block, Figure, Heading, Section, Table, Text, table
from mri_tf.report.markdown import blocks_of
from mri_tf.report.material import Judged, Material
from mri_tf.report.numbers import is_number, name_of, shown
from mri_tf.report.options import Options

MOST_IN_FIGURE = 24  # groups
NO_GROUPS = (
    "There are no subgroups: the records do not differ in site, scanner, sex, age or spacing, or do not "
    "name them."
)
FIRST = ("auc", "balanced_accuracy", "accuracy", "recall", "f1_macro")  # shown before other numbers


def subgroups(material: Material, options: Options) -> Section:
    """Numbers by site, scanner, sex, age and spacing, and within sites."""
    blocks: list[Block] = []
    for number, judged in enumerate(material.judged):
        if len(material.judged) > 1:
            blocks.append(Heading(f"Variant {judged.name}"))
        blocks += _groups(material, judged.metrics.get("subgroups"), f"{number}", options)
        blocks += _within_sites(material, judged.metrics.get("within_sites"), options)
    blocks += _of_report(material)
    blocks += _findings_on_sites(material)
    return Section("subgroups", "Subgroups and sites", tuple(blocks))


def _of_report(material: Material) -> list[Block]:
    """What a study's report says of sites beside its tables, whose numbers stand above."""
    blocks: list[Block] = []
    for title, text in material.report.items():
        if "site" in title.lower():
            told = blocks_of(text, title, material.folder)
            blocks += [Heading(title), *(one for one in told if not isinstance(one, Table))]
    return blocks


def _groups(
    material: Material, groups: Sequence[dict] | None, suffix: str, options: Options
) -> list[Block]:
    if not groups:
        return [Text(NO_GROUPS, "missing")]
    found = {name for one in groups for name, number in one["numbers"].items() if is_number(number)}
    names = [name for name in FIRST if name in found] + sorted(found - set(FIRST))
    rows = []
    for one in groups:
        counts = _class_counts(material, one["patients"], options)
        rows.append([f"{printed_name(one['by'])}: {one['group']}", counts,
                     "hidden" if "<" in counts else one.get("records", ""),
                     *(shown(one["numbers"].get(name)) for name in names)])  # fmt: skip
    columns = ["group", f"{material.unit} of each class", "records", *map(name_of, names)]
    caption = "Numbers of subgroups; small ones are kept and say why they have no number"
    blocks: list[Block] = [table(caption, columns, rows)]
    drawn = {f"{one['by']}: {one['group']}": one["numbers"] for one in groups if _has_value(one)}
    from_0_to_1 = [name for name in names if name in FIRST][:3]
    if from_0_to_1 and drawn and len(drawn) <= MOST_IN_FIGURE:
        figure = draw_forest(drawn, from_0_to_1, NAMES)
        blocks.append(Figure(inline_svg(figure, f"subgroups-{suffix}"), "The same as a figure."))
    return blocks


def _has_value(group: dict) -> bool:
    numbers = filter(is_number, group["numbers"].values())
    return any(number["value"] is not None for number in numbers)


def _within_sites(material: Material, found: dict | None, options: Options) -> list[Block]:
    if found is None:
        return [Text("There is no AUC within sites: the records do not name two sites.", "missing")]
    rows = [[one["site"], _class_counts(material, one["patients"], options), shown(one["auc"])]
            for one in found.get("sites", [])]  # fmt: skip
    auc = shown(found.get("auc"))
    blocks: list[Block] = [Text(f"AUC within sites, which the site alone cannot raise: {auc}.")]
    if rows:
        columns = ["site", f"{material.unit} of each class", "AUC"]
        blocks.append(table("AUC of each site", columns, rows))
    if found.get("reason"):
        blocks.append(Text(f"No statement about sites: {found['reason']}.", "note"))
    return blocks


def _class_counts(material: Material, patients: dict, options: Options) -> str:
    names = [printed_name(name) for name in patients]
    return ", ".join(f"{name} {count}" for name, count in
                     zip(names, options.row(list(patients.values())), strict=True))  # fmt: skip


def _findings_on_sites(material: Material) -> list[Block]:
    """What the audit says of sites and scanners."""
    rows = [[one["name"], one["status"], one["evidence"]] for one in material.findings or []
            if "site" in one["name"] or "scanner" in one["name"]]  # fmt: skip
    columns = ["finding", "status", "evidence"]
    return [table("Sites and scanners in the audit", columns, rows)] if rows else []


def baselines(material: Material, options: Options) -> Section:
    """What a network has to beat, and what the image adds to the other facts of a patient."""
    blocks: list[Block] = []
    for judged in material.judged:
        if len(material.judged) > 1:
            blocks.append(Heading(f"Variant {judged.name}"))
        blocks += [*_baselines(judged), *_added(judged.metrics.get("added_value"))]
    blocks += _of_the_audit(material)
    return Section("baselines", "Baselines and what the image adds", tuple(blocks))


def _baselines(judged: Judged) -> list[Block]:
    metrics, blocks = judged.metrics, []
    if "majority_accuracy" in metrics:
        blocks.append(Text(f"Always naming the largest class has an accuracy of "
                           f"{metrics['majority_accuracy']:.3f}; the network's is "
                           f"{shown(metrics.get('accuracy'))}."))  # fmt: skip
    found = metrics.get("baselines")
    if found is None:
        return [*blocks, Text(f"Other baselines: {NOT_COMPUTED}", "missing")]
    rows = []
    for one in found:
        numbers, differences = one.get("numbers") or {}, one.get("difference") or {}
        if not numbers:
            rows.append([one["name"], "none", one.get("reason") or "no reason recorded", ""])
        for name, number in numbers.items():
            difference = shown(differences.get(name), signed=True)
            rows.append([one["name"], name_of(name), shown(number), difference])
    caption = "Baselines on the same patients, and the network minus each"
    return [*blocks, table(caption, ["baseline", "score", "its value", "network minus baseline"], rows)]


def _added(found: dict | None) -> list[Block]:
    if found is None:
        return [Text(f"What the image adds to the table's facts: {NOT_COMPUTED}", "missing")]
    if not is_number(found.get("both")) or found["both"]["value"] is None:
        why = found.get("reason") or "no reason recorded"
        return [Text(f"What the image adds: cannot be told ({why}).", "missing")]
    metric = name_of(found["metric"])
    rows = [
        ["facts of the table alone", shown(found.get("covariates"))],
        ["image alone", shown(found.get("image"))],
        ["both", shown(found["both"])],
        ["both minus the facts alone", shown(found.get("difference"), signed=True)],
    ]
    verdict = "The image is shown to add to them." if found.get("shown") else (
        "It is not shown that the image adds anything to them."
    )  # fmt: skip
    reason = f" {found['reason']}" if found.get("reason") else ""
    return [table(f"What the image adds ({metric})", ["from", metric], rows),
            Text(verdict + reason, "good" if found.get("shown") else "note")]  # fmt: skip


def _of_the_audit(material: Material) -> list[Block]:
    """The correlations that the audit calls baselines."""
    rows = [[one["name"], "" if one.get("statistic") is None else f"{one['statistic']:.2f}", one["n"]]
            for one in material.findings or [] if one["status"] == BASELINE]  # fmt: skip
    if not rows:
        return []
    caption = "Baselines of the audit: correlation of held-out scores with the label, without a network"
    return [table(caption, ["from", "correlation", material.unit], rows)]
