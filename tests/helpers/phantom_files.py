"""What a phantom wrote: its folder with the calls of its progress, and the rows of its tables."""

import csv
from pathlib import Path


def written_phantom(tmp_path_factory, write, *counts: int) -> tuple[Path, list[tuple[int, int]]]:
    """The folder that `write` fills with seed 5, and its calls of progress."""
    folder, calls = tmp_path_factory.mktemp("phantom"), []
    write(folder, *counts, seed=5, progress=lambda *call: calls.append(call))
    return folder, calls


def rows_of(table: Path) -> list[dict[str, str]]:
    with table.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
