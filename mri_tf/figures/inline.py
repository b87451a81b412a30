"""Figures inside an HTML page: SVG without a file, its ids unique on the page, with a spoken title."""

import io
import re
from html import escape

from mri_tf.figures import style

# What surrounds the picture in a file: declarations, where the file comes from, and rules that would
# hold for the whole page.
AROUND = (r"<\?xml.*?\?>", r"<!DOCTYPE.*?>", r"<!--.*?-->", r"<metadata>.*?</metadata>",
          r"<title>.*?</title>", r"<style[^>]*>.*?</style>")  # fmt: skip
# Verdana is as wide as DejaVu Sans, which is not on every computer.
FONTS = {"'DejaVu Sans'": "'DejaVu Sans', Verdana, sans-serif"}


@style.styled
def inline_svg(figure, name: str) -> str:
    """A figure as an SVG element for a page, see `svg_for_page`."""
    picture = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(picture, format="svg", metadata=nothing)
    return svg_for_page(picture.getvalue(), name, style.alt_text(figure))


def svg_for_page(text: str, name: str, title: str) -> str:
    """The SVG element of a file, for a page with others.

    Args:
        text: of the file.
        name: of the figure, unique on the page; every id begins with it.
        title: what is read out in place of the picture.

    Returns:
        One element without anything that is loaded from elsewhere.
    """
    for pattern in AROUND:
        text = re.sub(pattern, "", text, flags=re.DOTALL)
    text = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', text)
    text = re.sub(r'(?:xlink:)?href="#([^"]+)"', rf'href="#{name}-\1"', text)
    text = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", text)
    text = re.sub(r"""\sxmlns(:\w+)?=(["'])[^"']*\2""", "", text)
    for old, new in FONTS.items():
        text = re.sub(rf"{re.escape(old)}(?!\s*,)", new, text)
    head = f'<svg role="img" aria-labelledby="{name}-title" stroke-linejoin="round"'
    said = f'<title id="{name}-title">{escape(title)}</title>'
    return re.sub(r"<svg([^>]*)>", lambda found: f"{head}{found[1]}>{said}", text.strip(), count=1)
