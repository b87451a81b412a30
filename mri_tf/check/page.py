"""One HTML page that holds all findings and pictures of a check, without anything from elsewhere."""

import base64
from pathlib import Path

import jinja2

from mri_tf.check.findings import ATTENTION
from mri_tf.check.pictures import Picture

TEMPLATE = Path(__file__).with_name("page.html")


def page(task: str, findings: list[dict], pictures: list[Picture], version: str) -> str:
    """The page as HTML; pictures are in it as PNG."""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    return template.render(
        task=task,
        findings=findings,
        attention=[finding for finding in findings if finding["status"] == ATTENTION],
        pictures=[
            {"title": one.title, "data": base64.b64encode(one.file.read_bytes()).decode()}
            for one in pictures
        ],
        version=version,
    )  # fmt: skip
