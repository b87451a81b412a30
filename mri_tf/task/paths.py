"""Paths among the values of a task, of which others see the last part alone: folders may name a person.

Standard library only.
"""

from pathlib import PureWindowsPath
from typing import Any

# Settings that may hold a path, by the last part of their dotted key.
PATH_KEYS = {"weights", "layout", "features_from", "boxes_from", "table"}
ABSOLUTE = ("/", "~", "\\\\")  # how an absolute path begins, beside C:\ of Windows


def last_part(path: str) -> str:
    """The last part of a path of any system; the text itself where it has one part.

    >>> last_part("/home/me/net.h5"), last_part("C:\\\\Users\\\\me\\\\net.h5"), last_part("imagenet")
    ('net.h5', 'net.h5', 'imagenet')
    """
    return PureWindowsPath(path).name or path


def without_folders(value: Any, key: str = "") -> Any:
    """The value with the last part alone of what is a path: by its key, or because it is absolute.

    >>> without_folders({"weights": "nets/net.h5", "class_names": ["I", "II/III"], "epochs": 3})
    {'weights': 'net.h5', 'class_names': ['I', 'II/III'], 'epochs': 3}
    """
    if isinstance(value, dict):
        return {name: without_folders(inner, name) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(without_folders(inner, key) for inner in value)
    if not isinstance(value, str):
        return value
    is_path = key.rpartition(".")[2] in PATH_KEYS or _is_absolute(value)
    return last_part(value) if is_path else value


def _is_absolute(text: str) -> bool:
    return text.startswith(ABSOLUTE) or PureWindowsPath(text).is_absolute()
