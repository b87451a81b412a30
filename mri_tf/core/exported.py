"""The file of an exported model that says which weights it holds. Standard library only."""

import json
from pathlib import Path

ASSETS = "assets.extra"  # folder in an export for what TensorFlow Serving does not load
EXPORT = "export.json"  # in it; described in mri_tf/export/assets.py


def weights_of_export(folder: Path) -> str:
    """SHA-256 of the weights of an exported version; "" where its folder does not say."""
    try:
        export = json.loads((folder / ASSETS / EXPORT).read_text(encoding="utf-8"))
        return str(export["weights_sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""  # written by hand, or by an earlier version of mri_tf
