"""The section that leads from the items of two checklists for publications to those of the card."""

import json
from collections.abc import Collection
from pathlib import Path

from mri_tf.report.blocks import Block, Fold, Section, Table, Text

FILE = Path(__file__).with_name("checklists.json")
NOT_CHECKED = "†"
AUTHOR = "☐ author to complete"
NOT_APPLICABLE = "not applicable"


def checklist(sections: Collection[str], kind: str) -> Section:
    """CLAIM 2024 and TRIPOD+AI by item number, in our own words.

    Args:
        sections: names of the sections that this card has; what another kind of card would hold is left
            to the authors.
        kind: of the material, for items that are not applicable to it.
    """
    lists = json.loads(FILE.read_text(encoding="utf-8"))
    blocks: list[Block] = [Text(lists["about"], "note")]
    for one in lists["lists"]:
        rows = tuple(
            (number_of(item), item["about"], _where(item, sections, kind)) for item in one["items"]
        )
        known = sum(row[2].startswith("#") for row in rows)
        caption = f"{one['name']}: {known} of {len(rows)} items lead to a section"
        blocks.append(Text(f"{one['name']}: {one['citation']}"))
        items = Table(one["name"], ("item", "what it asks for", "where"), rows, links=True)
        blocks.append(Fold(caption, (items,)))
    return Section("checklist", "Checklists", tuple(blocks))


def number_of(item: dict) -> str:
    """The number, with a mark where it was not checked against the paper."""
    return item["number"] if item["checked"] else f"{item['number']} {NOT_CHECKED}"


def _where(item: dict, sections: Collection[str], kind: str) -> str:
    if why := item.get("not_applicable", {}).get(kind):
        return f"{NOT_APPLICABLE}: {why}"
    return f"#{item['section']}" if item.get("section") in sections else AUTHOR
