"""Markdown tables of metrics that are already computed.

A failed cell or an undefined number is named in its place and left out of averages openly; the
accuracy of always predicting the largest class stands beside every accuracy.
"""

from mri_tf.core.metric_names import name_of
from mri_tf.tables.classes import class_table, confusion_table
from mri_tf.tables.layout import markdown
from mri_tf.tables.looks import looks_sentence
from mri_tf.tables.run import format_interval, run_page, summary
from mri_tf.tables.study import left_out, paired_table, score_table, size_text, spread_table

__all__ = [
    "class_table", "confusion_table", "format_interval", "left_out", "looks_sentence", "markdown",
    "name_of", "paired_table", "run_page", "score_table", "size_text", "spread_table", "summary",
]  # fmt: skip
