"""What is logged of runs, studies and searches: never an id of a patient, nor an image or a path.

Ids of records stand in card.html alone, which lists the wrong answers by them.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path

from mri_tf.core.errors import InputError
from mri_tf.core.exported import ASSETS, weights_of_export
from mri_tf.store.cells import done_cells
from mri_tf.store.run import CARD, HISTORY, METRICS, Run, open_run
from mri_tf.store.searches import BEST, OBJECTIVE, TRIALS, search_of, trials_of
from mri_tf.task.paths import last_part, without_folders
from mri_tf.task.spec import SIDES
from mri_tf.track.numbers import history, json_of, numbers_of, numbers_of_study

IMAGE = b"<img "  # how an image of a record begins in a card, whose figures are SVG
LONGEST_VALUE = 500  # characters of a parameter, as all versions of MLflow take them
BY_KEY = {  # of run.json: values that tell how the network was trained
    "seed", "split", "precision", "known_copies", "weights_sha256", "epochs_trained", "best_epoch",
    "parameters", "fold_repeats",
}  # fmt: skip
OF_SEARCH = ("tuner", "seed", "split", "inner_folds", "records", "patients")  # of search.json
NO_PARAMETERS = {"variants", "name"}  # of a task


@dataclass(frozen=True)
class Tracked:
    """One run of a tracker.

    Attributes:
        experiment: its name there: of the task.
        name: of the run.
        parameters: name -> value.
        metrics: name -> value; lower and upper ends of intervals as "NAME.low", "NAME.high".
        history: (epoch, name -> value) of the training.
        files: path -> the folder that it is put into there; a folder is put there with all it holds.
        inside: further runs that belong to it: the cells of a study, the trials of a search.
        failed: whether it ended without a number.
    """

    experiment: str
    name: str
    parameters: dict[str, str]
    metrics: dict[str, float]
    history: list[tuple[int, dict[str, float]]] = field(default_factory=list)
    files: dict[Path, str] = field(default_factory=dict)
    inside: tuple["Tracked", ...] = ()
    failed: bool = False


def tracked_run(folder: Path) -> Tracked:
    """A finished run with its card and its exported model; raises InputError for another folder."""
    run = open_run(folder)
    if not run.finished:
        raise InputError(
            "The training of this run is not finished.", folder, "Run its train command again."
        )
    files = _files(folder)
    files |= _model_files(run)
    return Tracked(
        run.task.name, folder.resolve().name, _parameters(run), numbers_of(json_of(folder / METRICS)),
        history(folder / HISTORY), files,
    )  # fmt: skip


def tracked_study(folder: Path) -> Tracked:
    """A study with a run inside for each cell that is done; raises InputError where none is."""
    cells = done_cells(folder)
    if not cells:
        raise InputError(
            "The folder holds no study with a finished cell.", folder,
            "Run python -m mri_tf.study with this --out first.",
        )  # fmt: skip
    inside = []
    for cell in cells:
        run = open_run(cell.run)
        of_cell = {
            "variant": cell.variant, "repeat": str(cell.repeat), "fold": str(cell.fold),
            "train_size": str(cell.train_size or "all"),
        }  # fmt: skip
        inside.append(Tracked(
            run.task.name, cell.folder.name, {**_parameters(run), **of_cell},
            numbers_of(json_of(cell.run / METRICS)), history(cell.run / HISTORY),
        ))  # fmt: skip
    first = inside[0]
    design = {
        "variants": ", ".join(sorted({cell.variant for cell in cells})),
        "folds": str(len({cell.fold for cell in cells})),
        "repeats": str(len({cell.repeat for cell in cells})), "cells_done": str(len(cells)),
    }  # fmt: skip
    of_cells = [(cell, one.metrics) for cell, one in zip(cells, inside, strict=True)]
    metrics = numbers_of_study(folder, of_cells)
    return Tracked(
        first.experiment, folder.resolve().name, design, metrics, [], _files(folder), tuple(inside)
    )


def tracked_search(folder: Path) -> Tracked:
    """A search with a run inside for each trial that has ended; raises InputError where none is."""
    values = search_of(folder)
    trials = [] if values is None else trials_of(folder)
    scored = [trial for trial in trials if trial.score is not None]
    if not scored:
        raise InputError(
            "The folder holds no search with a finished trial.", folder,
            f"Give the folder with {TRIALS}, as python -m tuning.search names it at its end.",
        )  # fmt: skip
    experiment, best = values["task"]["name"], min(scored, key=lambda trial: trial.score)
    inside = [
        Tracked(
            experiment, f"trial-{trial.name}",
            _as_parameters(trial.values | ({"reason": last_part(trial.reason)} if trial.reason else {})),
            {} if trial.score is None else {OBJECTIVE: trial.score},
            history(trial.runs[0] / HISTORY) if len(trial.runs) == 1 else [],  # of several: none's
            failed=trial.score is None,
        )
        for trial in trials
    ]  # fmt: skip
    about = {key: values[key] for key in OF_SEARCH} | _origin(values) | {
        "trials": len(trials), "trials_failed": len(trials) - len(scored), "best_trial": best.name,
        **{f"best.{key}": text for key, text in best.values.items()},
    }  # fmt: skip
    files = {folder / name: "" for name in (TRIALS, BEST) if (folder / name).is_file()}
    return Tracked(
        experiment, f"{folder.resolve().parent.name}-{len(trials)}-trials", _as_parameters(about),
        {OBJECTIVE: best.score}, [], files, tuple(inside),
    )  # fmt: skip


def _parameters(run: Run) -> dict[str, str]:
    values = run.values
    found = {key: values[key] for key in BY_KEY if values.get(key) not in (None, "")}
    found |= {f"records.{side}": len(values["sides"].get(side, ())) for side in SIDES}
    found |= {f"patients.{side}": len(set(values["patients"].get(side, ()))) for side in SIDES}
    return _as_parameters(found | _origin(values))


def _origin(values: dict) -> dict:
    """Of a run or a search: versions, commit, and the settings of its task by dotted names."""
    found = {f"version.{name}": text for name, text in (values.get("versions") or {}).items()}
    found |= {"commit": (values.get("code") or {}).get("commit") or "unknown"}
    task = {key: value for key, value in values["task"].items() if key not in NO_PARAMETERS}
    return found | {f"task.{key}": value for key, value in _flat(task).items()}


def _as_parameters(found: dict) -> dict[str, str]:
    """Values as texts; of a path, which may name a person, the last part."""
    return {key: _as_text(value) for key, value in sorted(without_folders(found).items())}


def _flat(values: dict, before: str = "") -> dict:
    """Dotted key -> value of nested dictionaries."""
    found = {}
    for key, value in values.items():
        name = f"{before}{key}"
        if isinstance(value, dict) and value:
            found |= _flat(value, f"{name}.")
        else:
            found[name] = value
    return found


def _as_text(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 3]}..."


def _model_files(run: Run) -> dict[Path, str]:
    """The exported model, where the folder that run.json names holds the weights of this run: a relative
    path leads elsewhere from another working directory."""
    exported = Path(run.values.get("exported") or "")
    weights = run.values.get("weights_sha256")
    if not run.values.get("exported") or not weights or weights_of_export(exported) != weights:
        return {}
    card = exported / ASSETS / CARD
    if not _shows_images(card):
        return {exported: "model"}
    return {
        path: (Path("model") / path.parent.relative_to(exported)).as_posix()
        for path in sorted(exported.rglob("*")) if path.is_file() and path != card
    }  # fmt: skip


def _files(folder: Path) -> dict[Path, str]:
    """Of the files beside a run or study those that name no patient and show no image of one."""
    found = [folder / name for name in (CARD, HISTORY) if (folder / name).is_file()]
    return {path: "" for path in found if not _shows_images(path)}


def _shows_images(path: Path) -> bool:
    """Whether a file is a card with images of records, as --thumbnails makes it."""
    return path.name == CARD and path.is_file() and IMAGE in path.read_bytes()
