"""The version folders of a model: names are numbers from 0 to 2**63 - 1, as in TensorFlow Serving."""

from pathlib import Path

LARGEST_VERSION = 2**63 - 1


def version_number(name: str) -> int | None:
    """The version number that a folder name stands for, or None.

    >>> version_number("0012"), version_number("draft")
    (12, None)
    """
    if not (name.isascii() and name.isdigit()) or int(name) > LARGEST_VERSION:
        return None
    return int(name)


def version_folders(home: Path) -> dict[int, Path]:
    """Version number -> folder in a model's folder; empty where that does not exist.

    Of names with the same number (01 and 1) the first is taken. Raises PermissionError for a folder that
    may not be read, because versions that cannot be listed are not gone.
    """
    folders: dict[int, Path] = {}
    try:
        children = sorted(Path(home).iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return folders
    for folder in children:
        number = version_number(folder.name)
        if number is not None and folder.is_dir():
            folders.setdefault(number, folder)
    return folders
