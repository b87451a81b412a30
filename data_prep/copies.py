"""What is told of the copies in a set of pictures: groups for the split, numbers for the manifest."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

from data_prep.provenance import main_file
from data_prep.source import Source

NAMED_GROUPS = 10  # on the terminal; the private sidecar names all


@dataclass(frozen=True)
class Copies:
    """Which sources are copies of each other."""

    group_of: list[str]  # a name each, shared by copies; empty for an unreadable one
    exact: int  # sources with the pixels of an earlier one
    compared: int  # pairs of pictures whose hashes were near
    settings: dict


def tied(sources: list[Source], copies: Copies) -> list[Source]:
    """The sources with their groups; where nobody knows the patient, the group stands for it.

    A patient's own image without copies keeps no group. An image of an unknown patient is a group
    of one: it is at least itself.
    """
    sizes = Counter(copies.group_of)
    return [
        replace(source, patient=group, group=group) if not source.patient
        else replace(source, group=group if sizes[group] > 1 else source.group)
        for source, group in zip(sources, copies.group_of, strict=True)
    ]  # fmt: skip


def across_classes(sources: list[Source], copies: Copies) -> list[list[int]]:
    """Numbers of the sources of each group that holds several classes, as the files are labelled."""
    return [
        members for members in members_of(copies)
        if len({sources[number].label for number in members} - {""}) > 1
    ]  # fmt: skip


def members_of(copies: Copies) -> list[list[int]]:
    """Source numbers of each group of two and more."""
    groups: dict[str, list[int]] = {}
    for number, name in enumerate(copies.group_of):
        if name:
            groups.setdefault(name, []).append(number)
    return [members for members in groups.values() if len(members) > 1]


def report(sources: list[Source], copies: Copies, record_ids: Callable[[int], list[str]]) -> dict:
    """For the manifest: how many copies there are, and the records of groups across classes."""
    groups = members_of(copies)
    return {
        **copies.settings,
        "exact_copies": copies.exact,
        "groups": len(groups),
        "in_groups": sum(map(len, groups)),
        "largest_group": max(map(len, groups), default=1),
        "pairs_compared": copies.compared,
        "across_classes": [
            [name for number in members for name in record_ids(number)]
            for members in across_classes(sources, copies)
        ],
    }


def lines(sources: list[Source], copies: Copies) -> list[str]:
    """For the terminal, which may name files."""
    groups, across = members_of(copies), across_classes(sources, copies)
    largest = max(map(len, groups), default=1)
    said = [
        f"duplicates: {sum(map(len, groups))} of {len(sources)} images in {len(groups)} groups "
        f"({copies.exact} exact copies, largest group {largest}); {len(across)} groups hold several "
        "classes"
    ]
    said += [
        "one group, several classes: "
        + " = ".join(main_file(sources[number]) for number in members[:4])
        + (f" and {len(members) - 4} more" if len(members) > 4 else "")
        for members in across[:NAMED_GROUPS]
    ]
    if len(across) > NAMED_GROUPS:
        said.append(f"and {len(across) - NAMED_GROUPS} more, in sources.private.csv")
    return said
