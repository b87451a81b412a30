"""Markdown tables from tidy data: numbers that others counted, laid out so that nothing is hidden.

A failed cell and an undefined number are named where they would have stood, never averaged in
silence; the majority class stands beside every accuracy.
"""

from mri_tf.tables.classes import class_table, confusion_table
from mri_tf.tables.layout import markdown
from mri_tf.tables.run import format_interval, run_page, summary
from mri_tf.tables.study import left_out, paired_table, score_table, spread_table

__all__ = [
    "class_table",
    "confusion_table",
    "format_interval",
    "left_out",
    "markdown",
    "paired_table",
    "run_page",
    "score_table",
    "spread_table",
    "summary",
]
