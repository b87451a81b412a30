"""Lists the files below a folder, in folders that are symbolic links as well."""

import os
from pathlib import Path

from data_prep.case import Unreadable

# How files end, by what they hold.
IMAGES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
VOLUMES = (".nii", ".nii.gz", ".mgh", ".mgz", ".nrrd", ".mha", ".hdr")
TABLES = (".csv", ".tsv", ".xlsx")
TEXTS = (
    *TABLES, ".txt", ".md", ".json", ".xml", ".html", ".htm", ".pdf", ".doc", ".docx", ".xls", ".log",
    ".ini", ".yaml", ".yml", ".py", ".url", ".zip",
)  # fmt: skip


def require_file(path: Path) -> None:
    """Raises Unreadable for what exists and is no file, such as a folder, a pipe or a device."""
    if os.path.exists(path) and not os.path.isfile(path):
        raise Unreadable("it is a folder" if os.path.isdir(path) else "it is not a regular file")


def files_below(folder: Path) -> list[Path]:
    """All regular files below a folder, sorted; a folder reached by several links is listed once."""
    paths, seen = [], set()
    for parent, folders, names in os.walk(folder, followlinks=True):
        folders.sort()
        place = os.stat(parent)
        if (place.st_dev, place.st_ino) in seen:  # a loop, or a second link
            folders.clear()
            continue
        seen.add((place.st_dev, place.st_ino))
        paths += [Path(parent, name) for name in names]
    return sorted(path for path in paths if path.is_file())  # no sockets, no broken links
