"""Markdown that mri_tf.tables writes, as blocks: paragraphs, lists, tables and the figures it names."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

from mri_tf.figures.inline import svg_for_page
from mri_tf.report.blocks import Block, Figure, Heading, Listed, Table, Text

IMAGE = re.compile(r"!\[(.*)\]\((\S+\.svg)\)")


def blocks_of(text: str, caption: str = "", folder: Path | None = None) -> list[Block]:
    """The blocks of a page's part.

    Args:
        text: Markdown, of which only what mri_tf.tables writes is understood.
        caption: of its tables, until a heading gives another.
        folder: where the figures lie that it names (default: they are left out).
    """
    blocks: list[Block] = []
    for lines in _paragraphs(text):
        if lines[0].startswith("|"):
            rows = [_cells(line) for line in lines]
            blocks.append(Table(caption, tuple(rows[0]), tuple(map(tuple, rows[2:]))))
        elif lines[0].startswith("#"):
            caption = lines[0].lstrip("# ")
            blocks.append(Heading(caption))
        elif lines[0].startswith("- "):
            blocks.append(Listed(tuple(_plain(line[2:]) for line in lines)))
        elif IMAGE.match(lines[0]):
            found = [IMAGE.match(line) for line in lines]
            blocks += [_figure(one[1], folder / unquote(one[2])) for one in found if one and folder]
        else:
            blocks.append(Text(_plain(" ".join(lines))))
    return [block for block in blocks if block is not None]


def _paragraphs(text: str) -> Iterator[list[str]]:
    """Lines that belong together: between empty lines, and where a list or table begins or ends."""
    kind, lines = "", []
    for line in [*text.splitlines(), ""]:
        here = line[:1] if line[:1] in "|#-!" else "text"
        if lines and (not line.strip() or here != kind or here == "#"):
            yield lines
            lines = []
        if line.strip():
            kind = here
            lines.append(line.strip())


def _cells(line: str) -> list[str]:
    return [_plain(cell.replace("\\|", "|")) for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def _plain(text: str) -> str:
    return text.replace("**", "").replace("`", "").strip()


def _figure(title: str, file: Path) -> Figure | None:
    if not file.is_file():
        return None
    name = re.sub(r"\W+", "-", file.stem)
    return Figure(svg_for_page(file.read_text(encoding="utf-8"), f"file-{name}", title), title)
