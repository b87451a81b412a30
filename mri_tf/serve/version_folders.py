"""Which folders of a model are versions of it: TF Serving's numbers, 0 to 2**63 - 1, in ASCII."""

from pathlib import Path

LARGEST = 2**63 - 1


def version_number(name: str) -> int | None:
    """The number that a folder's name is, or None."""
    if not (name.isascii() and name.isdigit()) or int(name) > LARGEST:
        return None
    return int(name)


def version_folders(home: Path) -> dict[int, Path]:
    """Number -> folder of every version in a model's folder, if it is there; of 01 and 1 the first.

    Raises PermissionError where it may not be read: what is in it is not gone.
    """
    found: dict[int, Path] = {}
    try:
        inside = sorted(Path(home).iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return found
    for folder in inside:
        number = version_number(folder.name)
        if number is not None and folder.is_dir():
            found.setdefault(number, folder)
    return found
