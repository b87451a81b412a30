"""The cells of a study on disk: which are done, what each is, and the run that gave its numbers.

CELLS/NAME/row.json is written by mri_tf/folds/cell.py.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path

from mri_tf.store.run import RUN_FILE

CELLS, ROW, SPLIT = "cells", "row.json", "split.json"
# Beside the cells: a row a cell, the paired differences, and of each variant and size the numbers of all
# folds together and what metrics.json of a run has of baselines.
RESULTS, DIFFERENCES = "results.parquet", "differences.parquet"
NUMBERS, BASELINES = "numbers.json", "baselines.json"
DONE, FAILED = "done", "failed"
TUNED = "+tuned"  # suffix of a variant whose values are searched inside each fold


@dataclass(frozen=True)
class DoneCell:
    """A cell that was trained to its end.

    Attributes:
        folder: of the cell.
        run: folder of the run that gave its numbers; with --keep metrics without its weights.
        variant: its name.
        repeat: number of the assignment to folds.
        fold: whose patients were tested.
        train_size: training records of each class; 0 where all were used.
        site: that was held out as a whole; "" of other folds.
        test_share: records of the test side over those of the training side.
    """

    folder: Path
    run: Path
    variant: str
    repeat: int
    fold: int
    train_size: int
    site: str
    test_share: float

    @property
    def split_file(self) -> Path:
        """Holds the patients of each side, as --split-file takes them."""
        return self.folder / SPLIT


def done_cells(study: Path) -> list[DoneCell]:
    """The cells that are done, by the names of their folders; none of a folder that is no study."""
    found = []
    for path in sorted((Path(study) / CELLS).glob(f"*/{ROW}")):
        saved = json.loads(path.read_text(encoding="utf-8"))
        row = saved["row"]
        if row is not None and row["status"] == DONE:
            run = Path(os.path.normpath(path.parent / saved["run"]))
            found.append(DoneCell(
                path.parent, run, row["variant"], row["repeat"], row["fold"], row["train_size"] or 0,
                row.get("site") or "", row["n_test"] / row["n_train"],
            ))  # fmt: skip
    return found


def run_folders(study: Path) -> list[Path]:
    """Folders of all runs in the cells of a study, finished or not, in the order of their names."""
    return [path.parent for path in sorted((Path(study) / CELLS).glob(f"*/*/{RUN_FILE}"))]


def of_first_variant(cells: list[DoneCell]) -> list[DoneCell]:
    """Those of the first variant by name, trained on the most records, in order of repeat and fold."""
    if not cells:
        return []
    first = min(cell.variant for cell in cells)
    mine = [cell for cell in cells if cell.variant == first]
    # 0 is all records.
    largest = 0 if any(not cell.train_size for cell in mine) else max(cell.train_size for cell in mine)
    kept = [cell for cell in mine if cell.train_size == largest]
    return sorted(kept, key=lambda cell: (cell.repeat, cell.fold))
