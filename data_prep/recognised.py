"""What layouts recognise in a raw folder that no task describes yet.

A layout may have a function `recognise(raw, labels) -> Recognised | None`. It says from names, tables
and a few headers whether the folder is organised as the layout reads it. A folder should fit one only.
"""

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from data_prep.cases.mask_names import is_mask
from data_prep.cases.sequences import choose_sequences
from data_prep.cases.usual_sequences import RULES, SLICES, last_word
from data_prep.io.folders import IMAGES, TABLES, VOLUMES
from data_prep.io.table import Row, is_empty, path_in, read_table
from mri_tf.core.errors import InputError

MOST_ROWS_LOOKED_AT = 200  # of a table, for its columns of paths
MOST_FOLDERS_LOOKED_AT = 40
LEAST_SHARE = 0.3  # of the cases that must have a sequence for it to be a channel
NEARLY_ALL = 0.8


@dataclass(frozen=True)
class Recognised:
    """A raw folder that a layout can read.

    Attributes:
        why: how it was recognised, a clause for people.
        channels: what the images of a case are called, in order.
        images: the cases are single 2D images; else volumes.
        rows: of the table with the labels; none where folders say the class.
        class_names: of the folders, where they say the class.
        prep: settings that the layout needs.
        no_labels: columns of the table that are no labels, beside the usual ones.
        may_be_label: usual columns that are labels here.
        agreed: columns that the table does not have, made from those of its readers.
    """

    why: str
    channels: tuple[str, ...]
    images: bool = False
    rows: tuple[Row, ...] = ()
    class_names: tuple[str, ...] = ()
    prep: dict = field(default_factory=dict)
    no_labels: tuple[str, ...] = ()
    may_be_label: tuple[str, ...] = ()
    agreed: tuple[str, ...] = ()


def tables_at(raw: Path, labels: Path | None) -> list[Path]:
    """The table that --labels names, or all in the raw folder itself, sorted."""
    if labels:
        return [labels]
    return sorted(
        path for path in raw.glob("[!.]*")
        if path.is_file() and path.suffix.lower() in TABLES and not path.name.startswith("~")
    )  # fmt: skip


def only_table_of_files(
    raw: Path, labels: Path | None
) -> tuple[Path, list[Row], tuple[str, ...]] | None:
    """The table with columns of paths, its rows and these columns; None where there is none.

    Raises InputError if several tables name files: each would give other cases or labels.
    """
    found = []
    for table in tables_at(raw, labels):
        rows = rows_of(table)
        if paths := path_columns(raw, rows) if rows else ():
            found.append((table, rows, paths))
    if len(found) > 1:
        raise InputError(
            "Several tables of the raw folder name files.", ", ".join(table.name for table, *_ in found),
            "Name the one that is meant with --labels, or move the others away.",
        )  # fmt: skip
    return found[0] if found else None


def rows_of(table: Path) -> list[Row]:
    """The rows of a table; none where it cannot be read as one."""
    try:
        return read_table(table, ())
    except InputError:
        return []


def path_columns(raw: Path, rows: list[Row]) -> tuple[str, ...]:
    """The columns whose cells are paths in the raw folder."""
    some = rows[:: max(1, len(rows) // MOST_ROWS_LOOKED_AT)]
    found = []
    for column in rows[0]:
        cells = [path_in(raw, row[column]) for row in some if not is_empty(row[column])]
        paths = [cell for cell in cells if "." in cell or "/" in cell]
        exist = sum(os.path.exists(raw / cell) for cell in paths)  # False for a text too long
        if cells and exist >= NEARLY_ALL * len(cells):
            found.append(column)
    return tuple(found)


def visible_folders(folder: Path) -> list[Path]:
    """The folders in a folder that are not hidden, sorted."""
    return sorted(path for path in folder.iterdir() if path.is_dir() and path.name[0] not in "._")


def channels_of_folders(folders: Iterable[Path]) -> tuple[str, ...]:
    """The last words of the names of volume files that many of the folders hold, masks left out.

    Words that several files of a folder share, such as a number, are none.
    """
    counts, looked_at = Counter(), 0
    for folder in list(folders)[:MOST_FOLDERS_LOOKED_AT]:
        files = [path.name for path in folder.glob("[!.]*") if is_volume(path.name)]
        words = Counter(map(last_word, files))
        looked_at += bool(words)
        images = {last_word(name) for name in files if not is_mask(name, folder.name)}
        counts.update(word for word in images if words[word] == 1)
    least = max(LEAST_SHARE * looked_at, min(2, looked_at))
    known = [word for word, number in counts.items() if number >= least]
    return tuple(sorted(known, key=lambda word: (-counts[word], word)))


def is_volume(name: str) -> bool:
    """Whether a file is a volume, by its name."""
    return name.lower().endswith(VOLUMES)


def is_image(name: str) -> bool:
    """Whether a file is a 2D image, by its name."""
    return name.lower().endswith((*IMAGES, ".gif"))


def dicom_sequences(cases: Iterable[tuple[Path, list[Path]]]) -> dict[str, dict]:
    """Sequence -> rule, for the sequences that many of some cases of DICOM files have.

    Args:
        cases: (folder, files) of each.

    Where no series has a usual name, and every case has one series of slices, that one is the channel,
    named by its modality.
    """
    from data_prep.case import Unreadable
    from data_prep.io.dicom.series import find_series

    counts, modalities, single, looked_at = Counter(), Counter(), 0, 0
    for folder, files in list(cases)[:MOST_FOLDERS_LOOKED_AT]:
        try:
            contents = find_series(folder, files=files)
        except Unreadable:
            continue
        stacks = [one for one in contents.series if one.facts.get("slices", 0) >= SLICES[0]]
        looked_at += 1
        single += len(stacks) == 1
        modalities.update({one.facts.get("modality", "image").lower() for one in stacks})
        found = set()
        for series in stacks:
            for name, rule in RULES.items():
                if choose_sequences([series], {name: {**rule, "slices": SLICES}}).chosen:
                    found.add(name)
                    break
        counts.update(found)
    known = {name: {**rule, "slices": SLICES} for name, rule in RULES.items()
             if counts[name] >= max(1, LEAST_SHARE * looked_at)}  # fmt: skip
    if known or not looked_at or single < NEARLY_ALL * looked_at:
        return known
    return {modalities.most_common(1)[0][0]: {"slices": SLICES}}
