"""Figures for papers, each drawn by `draw_...` and written by `save` as PNG and SVG.

They are colour-blind safe and legible at journal width. Metrics and intervals are computed elsewhere.
"""

from mri_tf.figures.confusion import draw_confusion, draw_confusion_spread, save_confusion
from mri_tf.figures.curves import draw_class_curves, draw_curves
from mri_tf.figures.forest import draw_forest
from mri_tf.figures.inline import inline_svg
from mri_tf.figures.maps import MapTile, draw_map, draw_map_sheet
from mri_tf.figures.overlay import Overlay
from mri_tf.figures.paired import draw_paired
from mri_tf.figures.reliability import CalibrationCurve, draw_decision_curve, draw_reliability
from mri_tf.figures.roc import draw_roc
from mri_tf.figures.style import alt_text, save, save_png

__all__ = [
    "CalibrationCurve", "MapTile", "Overlay", "alt_text", "draw_class_curves", "draw_confusion",
    "draw_confusion_spread", "draw_curves", "draw_decision_curve", "draw_forest", "draw_map",
    "draw_map_sheet", "draw_paired", "draw_reliability", "draw_roc", "inline_svg", "save",
    "save_confusion", "save_png",
]  # fmt: skip
