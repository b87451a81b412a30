"""Tables of the synthetic brains, whole or not there."""

import csv
import os
from pathlib import Path


def write_table(path: Path, columns: tuple[str, ...], rows: list[tuple]) -> None:
    """Write a CSV table with a header."""
    partial = path.with_name("." + path.name)
    with partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
    os.replace(partial, path)
