"""The sections of a segmentation's card: overlap and distances, and the worst volumes."""

import numpy as np

from mri_tf.core.metric_names import NAMES
from mri_tf.core.words import printed_name
from mri_tf.figures import draw_forest, inline_svg
from mri_tf.report.blocks import Block, Figure, Heading, Section, Text, table
from mri_tf.report.markdown import blocks_of
from mri_tf.report.material import STUDY, Judged, Material
from mri_tf.report.numbers import is_number, name_of, shown
from mri_tf.report.options import Options
from mri_tf.report.performance import score_table

FROM_0_TO_1 = ("dice", "sensitivity", "precision", "recall", "iou")
DICE = "dice_"  # how columns of predictions.parquet begin, one a label
WORST = 10


def overlap(material: Material, options: Options) -> Section:
    """Numbers of the labels."""
    blocks: list[Block] = []
    if material.kind == STUDY:
        blocks += [part for title in ("Scores", "Paired differences") if title in material.report
                   for part in (Heading(title), *blocks_of(material.report[title], title))]  # fmt: skip
    for judged in material.judged:
        blocks += _of_one(material, judged, options)
    return Section("performance", "Performance", tuple(blocks))


def _of_one(material: Material, judged: Judged, options: Options) -> list[Block]:
    metrics = judged.metrics
    if not metrics:
        if material.kind == STUDY:
            return []
        return [Text("Nothing was evaluated: python -m mri_tf.evaluate --run RUN.", "missing")]
    blocks: list[Block] = [score_table(metrics, options)]
    classes = metrics.get("per_class", {})
    names = list(dict.fromkeys(name for values in classes.values() for name, number in values.items()
                               if is_number(number)))  # fmt: skip
    if not names:
        return blocks
    rows = [[printed_name(label), *(shown(values.get(name)) for name in names)]
            for label, values in classes.items()]  # fmt: skip
    blocks.append(table("Numbers of each label", ["label", *map(name_of, names)], rows))
    drawn = [name for name in names if name in FROM_0_TO_1]
    if drawn:
        figure = draw_forest(classes, drawn, NAMES)
        blocks.append(Figure(inline_svg(figure, "labels"), "Each label."))
    return blocks


def worst_volumes(material: Material, options: Options) -> Section:
    """The volumes with the smallest overlap, by the ids of their records."""
    title, scores = "Failures", material.judged[0].table
    columns = [] if scores is None else [
        name for name in scores if name.startswith(DICE) and not name.endswith("_reason")
    ]  # fmt: skip
    if not columns:
        why = "Slices have no numbers of their own here, so the worst are not known."
        return Section("failures", title, (Text(why, "missing"),))
    mean = scores[columns].mean(axis=1)
    worst = scores.assign(mean=mean).sort_values(["mean", "record_id"], kind="stable").head(WORST)
    rows = [[row["record_id"], *(_dice(row[name]) for name in ("mean", *columns))]
            for row in worst.to_dict("records")]  # fmt: skip
    names = [printed_name(name.removeprefix(DICE)) for name in columns]
    return Section("failures", title, (
        Text(f"The {len(rows)} of {len(scores)} volumes with the smallest mean Dice, by record id."),
        table("Worst volumes", ["record", "mean Dice", *names], rows),
    ))  # fmt: skip


def _dice(value: float) -> str:
    return "none" if np.isnan(value) else f"{value:.3f}"
