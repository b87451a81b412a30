"""The card as one HTML page, in which everything is: style, figures, and the numbers as JSON."""

import dataclasses
import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2

import mri_tf
from mri_tf.report.blocks import Section

TEMPLATE, STYLE = (Path(__file__).with_name(name) for name in ("page.html", "page.css"))
WIDTH = re.compile(r'\bwidth="([\d.]+)')
WIDE_POINTS = 400.0  # of a figure that a narrow screen scrolls: shrunk, nobody could read it
# A cell of a column that is right-aligned.
NUMBER = re.compile(r"[-+−<]? ?\d[\d.,]*( \([-+−\d.]+ to [-+−\d.]+\))?( %)?")


def page(title: str, subtitle: str, sections: Sequence[Section], data: dict) -> str:
    """The HTML of a card.

    Args:
        title: of the page.
        subtitle: a sentence below it.
        sections: in their order; the first stands in a box above the list of the others.
        data: plain values that are embedded.
    """
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    return template.render(
        title=title, subtitle=subtitle, css=STYLE.read_text(encoding="utf-8"),
        sections=[dataclasses.replace(one, blocks=tuple(map(_plain, one.blocks))) for one in sections],
        titles={one.name: one.title for one in sections},
        data=script_text(data), version=mri_tf.__version__,
    )  # fmt: skip


def script_text(data: dict) -> str:
    """JSON that cannot end the script element it stands in.

    >>> script_text({"note": "</script>"})
    '{"note": "\\\\u003c/script>"}'
    """
    return json.dumps(_finite(data), allow_nan=False).replace("<", "\\u003c")


def data_of_page(html: str) -> dict:
    """The numbers that `page` embedded; empty where there are none."""
    _, start, rest = html.partition('<script type="application/json" id="card-data">')
    try:
        values = json.loads(rest.partition("</script>")[0]) if start else {}
    except ValueError:
        values = {}
    return values if isinstance(values, dict) else {}


def _finite(value: Any) -> Any:
    """The value with None for numbers that JSON does not have."""
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _plain(block) -> dict:
    """The block as the template reads it: its fields, and its type."""
    values = {spec.name: getattr(block, spec.name) for spec in dataclasses.fields(block)}
    if "rows" in values and "columns" in values:
        columns = zip(*values["rows"], strict=True)
        values["right"] = [all(map(NUMBER.fullmatch, texts)) for texts in columns]
    if "svg" in values:
        values["wide"] = float(WIDTH.search(block.svg)[1]) > WIDE_POINTS
    if "blocks" in values:
        values["blocks"] = [_plain(inner) for inner in block.blocks]
    return {"type": type(block).__name__, **values}
