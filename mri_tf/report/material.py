"""What a card is made from: the files of a run, of a model of several members, or of a study."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from mri_tf.audit.finding import AUDIT, FOUND, STATUSES
from mri_tf.audit.written import FINDINGS
from mri_tf.core.errors import InputError
from mri_tf.core.words import printed_name
from mri_tf.evaluate.evaluation import COMPARED
from mri_tf.metrics.classifier import Predictions, predictions_of
from mri_tf.store.cells import BASELINES, NUMBERS, RESULTS, DoneCell, done_cells
from mri_tf.store.prepared import Prepared
from mri_tf.store.run import METRICS, PREDICTIONS, REPORT, RUN_FILE, TEST, Run, open_run
from mri_tf.task import Task

RUN, MEMBERS, STUDY = "run", "members", "study"  # kinds of material


@dataclass(frozen=True)
class Judged:
    """Something that has numbers: a network, the networks of several folds, or a variant of a study.

    Attributes:
        name: of the variant; "" where there is one thing only.
        metrics: of metrics.json, as they stand; empty where nothing was evaluated.
        table: the rows of predictions.parquet; None of a segmentation, and where it is gone.
    """

    name: str
    metrics: dict
    table: pd.DataFrame | None = None

    def predictions(self, class_names: tuple[str, ...]) -> Predictions:
        """The rows as arrays."""
        return predictions_of(self.table, class_names)


@dataclass(frozen=True)
class Material:
    """All that the sections of a card are made from.

    Attributes:
        kind: RUN, MEMBERS or STUDY.
        folder: of the run or study.
        run: the run; of a study its first finished cell.
        runs: the trainings: that run, those of its members, or those of the cells.
        judged: whose numbers are shown; the first has the headline.
        prepared: the set; None where it is gone.
        findings: of the audit, as findings.json holds them, or of the certain checks of the training.
        whole_audit: whether they are of python -m mri_tf.audit.
        test: the numbers of a model of several members on a test side; empty without one.
        report: of a study: title of a section of report.md -> its text.
        results: of a study: a row a cell.
    """

    kind: str
    folder: Path
    run: Run
    runs: tuple[Run, ...]
    judged: tuple[Judged, ...]
    prepared: Prepared | None
    findings: list[dict] | None
    whole_audit: bool
    test: dict = field(default_factory=dict)
    report: dict[str, str] = field(default_factory=dict)
    results: pd.DataFrame | None = None

    @property
    def task(self) -> Task:
        """The task of the run."""
        return self.run.task

    @property
    def metrics(self) -> dict:
        """The numbers with the headline; may be empty."""
        return self.judged[0].metrics if self.judged else {}

    @property
    def is_classifier(self) -> bool:
        """Whether it answers with classes, not with masks."""
        return self.task.kind == "classification"

    @property
    def unit(self) -> str:
        """What is counted: patients, or groups of images where nobody knows the patients."""
        known = self.prepared is None or self.prepared.patients_known
        return "patients" if known else "groups of images"

    @property
    def leaves_sites_out(self) -> bool:
        """Whether each fold of the study tests one site as a whole."""
        results = self.results
        return results is not None and "site" in results and bool(results["site"].notna().any())

    @cached_property
    def places(self) -> dict[str, int]:
        """Record id -> position in the set."""
        return {name: place for place, name in enumerate(self.prepared.record_ids)}

    def positions(self, side: str) -> np.ndarray:
        """Positions in the set of the records of a side of the run."""
        return np.array([self.places[name] for name in self.run.sides[side]], int)

    @property
    def class_titles(self) -> list[str]:
        """The classes as people write them."""
        return [printed_name(name) for name in self.task.class_names]


def material_of_run(folder: Path) -> Material:
    """Raises InputError for a folder without a finished run."""
    run = open_run(folder)
    if not run.finished:
        raise InputError(
            "The training of this run is not finished.", folder, "Run its train command again."
        )
    findings, whole = _findings(folder, run.members)
    judged = Judged("", _json(folder / METRICS), _table(folder / PREDICTIONS))
    return Material(
        MEMBERS if run.has_members else RUN, Path(folder), run, tuple(run.members), (judged,),
        _prepared(run), findings, whole, _json(folder / TEST / METRICS),
    )  # fmt: skip


def material_of_study(folder: Path) -> Material:
    """Raises InputError for a folder without a finished cell."""
    folder = Path(folder)
    cells = [cell for cell in done_cells(folder) if (cell.run / RUN_FILE).is_file()]
    if not cells or not (folder / RESULTS).is_file():
        raise InputError(
            "This folder is no study with a finished cell.", folder,
            "Make one with python -m mri_tf.study, or give --run.",
        )  # fmt: skip
    runs = [open_run(cell.run) for cell in cells]
    findings, whole = _findings(folder, runs)
    return Material(
        STUDY, folder, runs[0], tuple(runs), tuple(_variants(folder, cells)), _prepared(runs[0]),
        findings, whole, report=sections_of(folder / REPORT),
        results=pd.read_parquet(folder / RESULTS),
    )  # fmt: skip


def sections_of(page: Path) -> dict[str, str]:
    """Title -> text of the second-level sections of a Markdown page; empty where there is none."""
    if not page.is_file():
        return {}
    parts = f"\n{page.read_text(encoding='utf-8')}".split("\n## ")[1:]
    return {part.partition("\n")[0].strip(): part.partition("\n")[2].strip() for part in parts}


def _variants(folder: Path, cells: list[DoneCell]) -> list[Judged]:
    """Each variant at its largest size, with the numbers of all its folds together."""
    numbers, compared = (_json(folder / name) or [] for name in (NUMBERS, BASELINES))
    judged = []
    for name in dict.fromkeys(cell.variant for cell in cells):
        own = [cell for cell in cells if cell.variant == name]
        size = max(map(_size, own))
        tables = [
            _table(cell.run / PREDICTIONS).assign(repeat=cell.repeat, fold=cell.fold)
            for cell in own if _size(cell) == size and (cell.run / PREDICTIONS).is_file()
        ]  # fmt: skip
        metrics = _of_variant(numbers, name, size).get("numbers", {})
        of_baselines = _of_variant(compared, name, size)
        if metrics:
            metrics |= {key: of_baselines[key] for key in COMPARED if key in of_baselines}
        table = pd.concat(tables, ignore_index=True) if tables else None
        judged.append(Judged(name, metrics, table))
    return judged


def _of_variant(rows: Sequence[dict], variant: str, size: float) -> dict:
    """The row of a variant at a size in a file of a study; empty where there is none."""
    return next((one for one in rows if one["variant"] == variant
                 and (one["train_size"] or np.inf) == size), {})  # fmt: skip


def _size(cell: DoneCell) -> float:
    """Training records of each class; infinite where all were used."""
    return cell.train_size or np.inf


def _findings(folder: Path, runs: Sequence[Run]) -> tuple[list[dict] | None, bool]:
    """The findings of an audit of the folder, or those that training kept; and whether they are all."""
    file = Path(folder) / AUDIT / FINDINGS
    if file.is_file():
        return json.loads(file.read_text(encoding="utf-8")), True
    return worst_findings([run.values.get(AUDIT) for run in runs]), False


def worst_findings(kept: Sequence[list[dict] | None]) -> list[dict] | None:
    """Of each check the worst finding of several trainings; None where one of them was not checked.

    >>> clean = {"name": "copies", "status": "not found", "certain": False, "evidence": "none"}
    >>> torn = {**clean, "status": "found", "certain": True, "evidence": "two"}
    >>> worst_findings([[clean], [torn]])[0]["evidence"]
    'in 1 of 2 trainings: two'
    """
    if not kept or None in kept:
        return None
    worst = {}
    for findings in kept:
        for one in findings:
            known = worst.get(one["name"], one)
            worst[one["name"]] = min(known, one, key=_severity)
    told = []
    for name, one in worst.items():
        same = sum(any(other["name"] == name and other["status"] == one["status"] for other in findings)
                   for findings in kept)  # fmt: skip
        where = f"in {same} of {len(kept)} trainings: " if same < len(kept) else ""
        told.append({**one, "evidence": f"{where}{one['evidence']}"})
    return told


def _severity(finding: dict) -> tuple:
    """The smaller, the worse."""
    found = finding["status"] == FOUND
    return not (found and finding.get("certain")), STATUSES.index(finding["status"])


def _prepared(run: Run) -> Prepared | None:
    """The set of a run, if it is still there and is the one it was trained on."""
    try:
        prepared = Prepared.open(run.data_folder)
    except InputError:
        return None
    return prepared if prepared.content_fingerprint() == run.values["data"] else None


def _table(file: Path) -> pd.DataFrame | None:
    return pd.read_parquet(file) if file.is_file() else None


def _json(file: Path):
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
