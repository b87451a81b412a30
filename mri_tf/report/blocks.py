"""What a card is made of: sections of paragraphs, tables, figures and boxes, without any HTML.

Texts are plain. Only `Figure.svg` is markup, which mri_tf.figures writes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

NOT_COMPUTED = (
    "not in the numbers of this run. It was left out (--no-baselines), or was evaluated by an earlier "
    "version."
)


@dataclass(frozen=True)
class Text:
    """A paragraph; `kind` is "plain", "note" (a limit), "missing" (what is not there and why), "good" or
    "attention"."""

    text: str
    kind: str = "plain"


@dataclass(frozen=True)
class Listed:
    """Sentences as a list."""

    items: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """A table with its caption; the first cell of a row names the row."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    links: bool = False  # a last cell "#name" is a link to a section of the card


@dataclass(frozen=True)
class Facts:
    """Terms and what is said of each."""

    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Figure:
    """A drawing and the line below it."""

    svg: str
    caption: str


@dataclass(frozen=True)
class Picture:
    """An image of a patient as PNG in a data URI, what is read out in its place, and its caption."""

    source: str
    alt: str
    caption: str


@dataclass(frozen=True)
class Pictures:
    """Images beside each other."""

    pictures: tuple[Picture, ...]


@dataclass(frozen=True)
class Author:
    """A box that the authors of a publication complete by hand."""

    text: str


@dataclass(frozen=True)
class Heading:
    """A heading within a section."""

    text: str


@dataclass(frozen=True)
class Fold:
    """Blocks that are shown when the reader opens them; a printed card shows them."""

    summary: str
    blocks: tuple


Block = Text | Listed | Table | Facts | Figure | Pictures | Author | Heading | Fold


@dataclass(frozen=True)
class Section:
    """A part of the card with a heading; `name` is what links point to."""

    name: str
    title: str
    blocks: tuple[Block, ...]


def table(caption: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Table:
    """A table of anything that has a text.

    >>> table("Sides", ["side", "patients"], [["train", 12]]).rows
    (('train', '12'),)
    """
    return Table(caption, tuple(columns), tuple(tuple(map(str, row)) for row in rows))
