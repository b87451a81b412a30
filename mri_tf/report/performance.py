"""The section with the numbers: scores, confusion, ROC, classes, spread, and both ways to decide."""

import numpy as np

from mri_tf.core.metric_names import NAMES
from mri_tf.core.words import plural
from mri_tf.figures import draw_forest, draw_roc, inline_svg
from mri_tf.metrics.roc import roc_curves
from mri_tf.report.blocks import Block, Figure, Fold, Heading, Section, Text, table
from mri_tf.report.markdown import blocks_of
from mri_tf.report.material import MEMBERS, RUN, STUDY, Judged, Material
from mri_tf.report.numbers import brief, counted, is_number, name_of, shown
from mri_tf.report.options import Options
from mri_tf.tables.context import context_section
from mri_tf.tables.members import member_section
from mri_tf.tables.run import better_than_chance, operating_point_sentence
from mri_tf.tables.units import reader_section, unit_section

OF_CLASS = ("recall", "precision", "f1", "auc")
MOST_CLASSES = 20  # with more the confusion is not a table of the card
OF_STUDY = ("Scores", "Paired differences", "Restarts", "Spread", "Neighbouring slices")
TOO_FEW = "left out, as a class of the test side has too few patients for --merge-small-cells"


def performance(material: Material, options: Options) -> Section:
    """The section of a classifier."""
    blocks: list[Block] = []
    if material.kind == STUDY:
        for title in OF_STUDY:
            if title in material.report:
                blocks += [Heading(title), *blocks_of(material.report[title], title, material.folder)]
    for judged in material.judged:
        several = len(material.judged) > 1
        part = _of_one(material, judged, options)
        if several:
            blocks.append(Heading(f"Variant {judged.name}"))
        blocks += part
    blocks += _spread(material)
    if material.test:
        blocks.append(Heading("The model of all members, on the test side that no member saw"))
        blocks.append(score_table(material.test, options))
        blocks.append(Text(better_than_chance(material.test)))
    return Section("performance", "Performance", tuple(blocks))


def has_small_class(material: Material, judged: Judged, options: Options) -> bool:
    """Whether a curve would show how few patients a class has."""
    counts = [values.get("patients", 0) for values in judged.metrics.get("per_class", {}).values()]
    return any(map(options.is_small, counts))


def _of_one(material: Material, judged: Judged, options: Options) -> list[Block]:
    metrics = judged.metrics
    if not metrics:
        return [Text("Nothing was evaluated: python -m mri_tf.evaluate --run RUN.", "missing")]
    blocks: list[Block] = [score_table(metrics, options)]
    said = (better_than_chance(metrics), operating_point_sentence(metrics))
    blocks += [Text(sentence) for sentence in said if sentence]
    blocks.append(_decisions(metrics))
    blocks += _confusion(material, judged, options)
    blocks += _roc(material, judged, options)
    blocks += _forest(material, judged)
    further = [unit_section(metrics), context_section(metrics), reader_section(metrics)]
    for text in filter(None, further):
        blocks += blocks_of(text)
    return blocks


def score_table(metrics: dict, options: Options) -> Block:
    """Every number with its interval, on how many, and by which method."""
    numbers = {name_of(name, number): number for name, number in metrics.items() if is_number(number)}
    numbers |= {f"AUC, {cut}": number for cut, number in metrics.get("auc_per_cut", {}).items()}
    rows = [[name, shown(number), counted(number, options), number.get("method") or "none"]
            for name, number in numbers.items()]  # fmt: skip
    if "majority_accuracy" in metrics:
        rows.append(["accuracy of always naming the largest class",
                     f"{metrics['majority_accuracy']:.3f}", "", "none"])  # fmt: skip
    columns = ["score", "value (95 % interval)", "counted", "method of the interval"]
    return table("Scores with 95 % intervals", columns, rows)


def _decisions(metrics: dict) -> Block:
    """The same scores by argmax and by the operating point."""
    other = metrics.get("most_probable", {})
    rows = [[name_of(name), brief(metrics.get(name)), brief(number)] for name, number in other.items()]
    if not rows:
        return Text("Decisions by the most probable class were not counted apart.", "missing")
    columns = ["score", "at the operating point", "the most probable class"]
    return table("Two ways to decide", columns, rows)


def _confusion(material: Material, judged: Judged, options: Options) -> list[Block]:
    """Records of each true and answered class, and of how many patients they are."""
    names, titles = material.task.class_names, material.class_titles
    if "confusion" not in judged.metrics:
        return []
    if len(names) > MOST_CLASSES:
        return [Text(f"The confusion of {len(names)} classes is not shown; it is in the embedded data.")]
    counts = np.array(judged.metrics["confusion"])
    patients = None if judged.table is None else _patients_in_cells(judged, names)
    rows = []
    for label, title in enumerate(titles):
        if patients is None:
            rows.append([title, *counts[label]])
            continue
        owners = options.row(patients[label].tolist())
        total = len(set(judged.table.loc[judged.table["truth"] == names[label], "patient"]))
        cells = [f"{count} ({who})" if who.isdigit() else who for count, who in
                 zip(counts[label], owners, strict=True)]  # fmt: skip
        hidden = options.smallest_cell and not all(who.isdigit() for who in owners)
        rows.append([f"{title} ({'hidden' if hidden and options.is_small(total) else total})", *cells])
    what = "records" if patients is None else f"records ({material.unit})"
    return [
        table(f"Confusion: {what}", ["true class \\ answer", *titles], rows),
        Text("A patient with records in several cells counts in each of them.") if patients is not None
        else Text(f"The predictions are gone, so {material.unit} are not counted.", "missing"),
    ]  # fmt: skip


def _patients_in_cells(judged: Judged, names: tuple[str, ...]) -> np.ndarray:
    rows = judged.table.groupby(["truth", "predicted"])["patient"].nunique()
    return np.array([[int(rows.get((truth, said), 0)) for said in names] for truth in names])


def _roc(material: Material, judged: Judged, options: Options) -> list[Block]:
    if judged.table is None or "per_class" not in judged.metrics:
        return [Text("No ROC curve: the predictions are gone.", "missing")]
    if has_small_class(material, judged, options):
        return [Text(f"ROC curve {TOO_FEW}.", "missing")]
    names = material.task.class_names
    curves = roc_curves(judged.predictions(names), names, judged.metrics["per_class"])
    figure = draw_roc({("", name): curve for name, curve in curves.items()})
    caption = "ROC curve of the predictions" + (f" of {judged.name}" if judged.name else "")
    return [Figure(inline_svg(figure, f"roc{_suffix(material, judged)}"), f"{caption}, with a band over "
                   f"{material.unit}.")]  # fmt: skip


def _forest(material: Material, judged: Judged) -> list[Block]:
    classes = judged.metrics.get("per_class", {})
    shown_metrics = [name for name in OF_CLASS if any(name in values for values in classes.values())]
    if not shown_metrics:
        return []
    figure = draw_forest(classes, shown_metrics, NAMES)
    drawn = Figure(inline_svg(figure, f"classes{_suffix(material, judged)}"),
                   "Each class against the rest.")  # fmt: skip
    rows = [[title, *(brief(values.get(name)) for name in shown_metrics)]
            for title, values in zip(material.class_titles, classes.values(), strict=True)]  # fmt: skip
    numbers = table("Numbers of each class", ["class", *(NAMES[name] for name in shown_metrics)], rows)
    return [drawn, Fold("The same as a table", (numbers,))]


def _suffix(material: Material, judged: Judged) -> str:
    """What makes the names of figures of several variants different."""
    return f"-{material.judged.index(judged)}" if len(material.judged) > 1 else ""


def _spread(material: Material) -> list[Block]:
    """The spread over folds and seeds, or why none is known."""
    if material.kind == RUN:
        return [Text(
            "Spread over folds and seeds: not known from one split and one seed. python -m mri_tf.train "
            "--folds 5, or python -m mri_tf.study, tells it.", "missing",
        )]  # fmt: skip
    if material.kind == MEMBERS:
        return blocks_of(member_section(material.metrics), "Networks of the cross-validation")
    if "Spread" in material.report:
        return []
    cells = plural(len(material.runs), "cell")
    said = f"Mean ± SD over the {cells} is in the table of scores"
    return [Text(f"{said}; the spread of seeds alone needs --restarts 2 or more.")]
