"""A search for values on disk: what was searched, its trials, and where each trial was trained.

The folder is written by tuning/results.py.
"""

import csv
import json
from dataclasses import dataclass
from pathlib import Path

SEARCH, TRIALS, BEST = "search.json", "trials.csv", "best.json"
TRIAL_RUNS = "trials"  # folder with a folder a trial
OBJECTIVE = "validation_log_loss"
COMPLETED, FAILED = "completed", "failed"
STATUS, REASON = "status", "reason"  # columns beside the values


@dataclass(frozen=True)
class Trial:
    """A trial that has ended.

    Attributes:
        name: its id in the search.
        values: dotted key of the task -> value, as text.
        score: mean validation log loss of its inner folds; None where it failed.
        reason: why it failed, else "".
        runs: folders of its trainings, one an inner fold.
    """

    name: str
    values: dict[str, str]
    score: float | None
    reason: str
    runs: list[Path]


def search_of(folder: Path) -> dict | None:
    """What was searched; None where the folder holds no search whose trials are written down."""
    path = Path(folder) / SEARCH
    if not path.is_file() or not (Path(folder) / TRIALS).is_file():
        return None
    return json.loads(path.read_text(encoding="utf-8"))


def trials_of(folder: Path) -> list[Trial]:
    """The trials in the order in which they began."""
    with (Path(folder) / TRIALS).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    found = []
    for row in rows:
        name, status, score, reason = (row.pop(key) for key in ("trial", STATUS, OBJECTIVE, REASON))
        values = {key: text for key, text in row.items() if text != ""}
        runs = sorted((Path(folder) / TRIAL_RUNS / name).glob("fold-*"))
        found.append(
            Trial(name, values, float(score) if status == COMPLETED else None, reason, runs)
        )
    return found
