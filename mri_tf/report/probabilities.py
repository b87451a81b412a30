"""The section on probabilities: reliability, intercept and slope, net benefit, prediction sets."""

import numpy as np

from mri_tf.core.words import printed_name
from mri_tf.figures import draw_decision_curve, draw_reliability, inline_svg
from mri_tf.metrics.net_benefit import decision_band, decision_curve
from mri_tf.metrics.reliability import reliability_curve
from mri_tf.report.blocks import Block, Figure, Heading, Section, Text
from mri_tf.report.markdown import blocks_of
from mri_tf.report.material import STUDY, Judged, Material
from mri_tf.report.options import Options
from mri_tf.report.performance import TOO_FEW, has_small_class
from mri_tf.tables.run import calibration_text, sets_sentence

MEANING = (
    "Intercept above 0: events are more frequent than predicted. Slope below 1: probabilities are too "
    "extreme. Net benefit weighs true positives against false ones at the odds of the threshold "
    "(Vickers and Elkin 2006); the band is pointwise, over patients, and approximate."
)


def probabilities(material: Material, options: Options) -> Section:
    """The section of a classifier."""
    blocks: list[Block] = []
    for number, judged in enumerate(material.judged):
        if len(material.judged) > 1:
            blocks.append(Heading(f"Variant {judged.name}"))
        blocks += _of_one(material, judged, options, f"-{number}" if len(material.judged) > 1 else "")
    return Section("probabilities", "Probabilities", (*blocks, Text(MEANING)))


def _of_one(material: Material, judged: Judged, options: Options, suffix: str) -> list[Block]:
    metrics, names = judged.metrics, material.task.class_names
    blocks: list[Block] = []
    if "calibration" in metrics:
        blocks += blocks_of(calibration_text(metrics), "Calibration of each class")
    if judged.table is None:
        blocks.append(Text("No reliability curve: the predictions are gone.", "missing"))
    elif has_small_class(material, judged, options):
        blocks.append(Text(f"Reliability and decision curve {TOO_FEW}.", "missing"))
    else:
        blocks += [_reliability(material, judged, suffix), *_decision_curve(material, judged, suffix)]
    if len(names) > 2:
        blocks.append(Text("A decision curve is for two classes only.", "missing"))
    return [*blocks, *_sets(material, metrics)]


def _reliability(material: Material, judged: Judged, suffix: str) -> Figure:
    names = material.task.class_names
    arrays = judged.predictions(names)
    two = len(names) == 2
    curve = reliability_curve(arrays.probabilities, arrays.truth, arrays.patients, 1 if two else None)
    what = names[1] if two else "the most probable class"
    figure = draw_reliability({judged.name or material.task.name: curve}, what)
    caption = f"How often what was predicted came true: the probability of {printed_name(what)}."
    return Figure(inline_svg(figure, f"reliability{suffix}"), caption)


def _decision_curve(material: Material, judged: Judged, suffix: str) -> list[Block]:
    names = material.task.class_names
    arrays = judged.predictions(names)
    if len(names) != 2:
        return []
    if len(np.unique(arrays.truth)) < 2:
        return [Text("No decision curve: one class only was tested.", "missing")]
    name = judged.name or material.task.name
    benefit = decision_curve(arrays.probabilities, arrays.truth)
    band = decision_band(arrays.probabilities, arrays.truth, arrays.patients, benefit.thresholds)
    figure = draw_decision_curve(
        benefit.thresholds, {name: benefit.model}, benefit.treat_all, names[1],
        {name: band} if band else None,
    )  # fmt: skip
    of = printed_name(names[1])
    caption = f"Decision curve: net benefit of acting on the probability of {of}."
    return [Figure(inline_svg(figure, f"decision{suffix}"), caption)]


def _sets(material: Material, metrics: dict) -> list[Block]:
    if sentence := sets_sentence(metrics) if metrics else "":
        return [Text(f"Prediction sets. {sentence}")]
    if material.kind == STUDY:
        return [Text("Prediction sets are those of each cell, not of the study.", "missing")]
    return [Text("There are no prediction sets.", "missing")]
