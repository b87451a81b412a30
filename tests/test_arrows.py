"""The drawing of the house: who may import whom. This dictionary is the drawing."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

CORE = {"errors"}
ON_DISK = CORE | {"task", "schema", "fingerprint", "prepared", "checkpoint", "runs", "splits"}
ANYTHING = {"*"}

# Room -> rooms it may import. A room is a module of mri_tf, or a package.
ARROWS = {
    "mri_tf": set(),
    "errors": set(),
    "bfloat16": set(),
    "version_folders": set(),
    "command": CORE,
    "cli": CORE | {"command"},
    "progress": set(),
    "task": CORE,
    "tasks": CORE | {"task"},
    "schema": CORE,
    "fingerprint": {"task", "schema"},
    "prepared": CORE | {"task", "schema", "fingerprint"},
    "splits": CORE,
    "checkpoint": CORE,
    "runs": CORE | {"task", "fingerprint", "checkpoint", "splits"},
    "compute": CORE | {"processes"},
    "images": set(),
    "arguments": CORE,
    "devices": CORE,
    "models": CORE | {"arguments"},
    "losses": set(),
    "windows": CORE,
    "frozen_prefix": set(),
    "bags": CORE,
    "fine_tuning": CORE | {"arguments"},
    "bank": ON_DISK | {"data", "progress"},
    "feeding": ON_DISK | {"answered", "bank", "data", "training"},
    "saliency": CORE,
    "attribution": set(),
    "metrics": set(),
    "calibration": set(),
    "decisions": CORE,
    "net_benefit": CORE,
    "conformal": CORE,
    "figures": {"checkpoint"},
    "tables": set(),
    "data": CORE | {"arguments", "task", "schema", "prepared"},
    "leakage": ON_DISK,
    "caveats": ON_DISK,
    "answered": ON_DISK,
    "studies": ON_DISK,
    "sides": ON_DISK | {"answered"},
    "training": CORE | {"checkpoint", "data", "progress"},
    "assemble": CORE | {
        "task", "runs", "models", "bags", "data", "decisions", "fine_tuning", "training",
    },
    "predicting": ON_DISK | {"answered", "data", "progress", "studies", "windows"},
    "volume_scores": ON_DISK | {"metrics", "predicting"},
    "answers": {"calibration", "conformal", "decisions", "losses", "task"},
    "folds": ON_DISK | {"sides"},
    "jobs": ON_DISK | {"folds", "inputs", "sides"},
    "processes": CORE | {"command"},
    "cells": ON_DISK | {"command", "processes"},
    "deriving": ON_DISK | {"assemble", "data", "data_prep", "predicting", "progress"},
    "derive": ANYTHING,
    "explaining": ON_DISK | {"attribution", "data", "data_prep", "saliency"},
    "explain": ANYTHING,
    "study": ANYTHING,
    "study_report": ANYTHING,
    "study_method": ON_DISK | {"cells", "folds", "metrics", "tables"},
    "fitting": ON_DISK | {
        "mri_tf", "answered", "answers", "assemble", "data", "devices", "feeding", "fine_tuning",
        "frozen_prefix", "leakage", "losses", "predicting", "sides", "studies", "training",
    },
    "data_prep": ON_DISK | {"mri_tf", "tasks", "compute", "command", "images", "progress"},
    "inputs": ON_DISK | {"data_prep"},
    "record_arrays": CORE | {"data", "task"},
    "out_of_distribution": {"schema"},
    "served_ranges": ON_DISK | {
        "data", "fitting", "out_of_distribution", "progress", "record_arrays", "studies",
    },
    "served_assets": ON_DISK | {"mri_tf", "exported", "version_folders"},
    "served_graph": CORE | {
        "answers", "bags", "calibration", "data", "decisions", "images", "task", "windows",
    },
    "card_signatures": ON_DISK | {"out_of_distribution", "saved_model"},
    "model_card": ON_DISK | {
        "answers", "card_signatures", "caveats", "out_of_distribution", "saved_model", "tables",
    },
    "warm_up": {"record_arrays", "saved_model", "served_graph", "task"},
    "onnx_file": CORE | {"saved_model"},
    "saved_model": ON_DISK | {
        "bags", "data", "out_of_distribution", "record_arrays", "saliency", "served_graph",
    },
    "parity": ON_DISK | {
        "answered", "data", "fitting", "predicting", "progress", "record_arrays", "saliency",
        "saved_model", "served_graph", "studies",
    },
    "evaluating": ON_DISK | {
        "answered", "answers", "assemble", "calibration", "caveats", "figures", "fitting", "metrics",
        "net_benefit", "predicting", "tables", "volume_scores",
    },
    "pretraining": ON_DISK | {
        "assemble", "evaluating", "fitting", "inputs", "leakage", "sides", "tables", "tasks",
    },
    "train": ANYTHING,
    "evaluate": ANYTHING,
    "export": ANYTHING,
    "serving": CORE | {"version_folders"},
    "exported": CORE | {"answers", "task", "version_folders"},
    "rest_client": CORE,
    "study_answers": CORE | {
        "conformal", "exported", "out_of_distribution", "record_arrays", "schema", "studies",
    },
    "prediction_files": CORE | {"checkpoint", "data_prep", "schema", "study_answers"},
    "study_outputs": CORE | {
        "data_prep", "explaining", "figures", "prediction_files", "schema", "study_answers",
    },
    "asking": CORE | {
        "data_prep", "exported", "fingerprint", "record_arrays", "rest_client", "study_answers",
        "tasks",
    },
    "predict": ANYTHING,
    "predict_checks": CORE,
    "serve": ANYTHING,
    "tuning": ANYTHING,
}
COMMANDS = (
    "train", "evaluate", "export", "study", "derive", "explain", "serve", "predict",
    "data_prep.write", "data_prep.phantom.__main__", "cli", "tuning.search",
)  # fmt: skip
# Standard library only themselves.
HEADS = {"mri_tf.command", "mri_tf.errors", "mri_tf.task", "mri_tf.version_folders"}


def _files() -> list[Path]:
    packages = ("mri_tf", "data_prep", "tuning")
    return [path for package in packages for path in (ROOT / package).rglob("*.py")]


def _room(module: str) -> str:
    parts = module.split(".")
    if parts[0] != "mri_tf":
        return parts[0]
    return parts[1] if len(parts) > 1 else "mri_tf"


def _room_of(path: Path) -> str:
    return _room(".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"))


def _imports(path: Path, only_head: bool = False) -> list[tuple[str, str]]:
    """(module, name) of every import; inside functions too, unless `only_head`."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = []
    for node in tree.body if only_head else ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, "") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found += [(node.module, alias.name) for alias in node.names]
    return found


def _ours(module: str) -> bool:
    return module.split(".")[0] in ("mri_tf", "data_prep", "tuning")


@pytest.mark.parametrize("path", _files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_imports_only_what_the_drawing_allows(path):
    room = _room_of(path)
    assert room in ARROWS, f"{room} is not in the drawing"
    if ARROWS[room] == ANYTHING:
        return
    for module, name in _imports(path):
        if not _ours(module):
            continue
        target = _room(f"{module}.{name}" if module == "mri_tf" and name else module)
        if module == "mri_tf" and (ROOT / "mri_tf" / f"{name}.py").is_file() is False:
            target = "mri_tf"
        assert target == room or target in ARROWS[room], f"{room} may not import {target}"


@pytest.mark.parametrize("path", _files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_imports_a_private_name_of_another(path):
    for module, name in _imports(path):
        if _ours(module):
            assert not name.startswith("_"), f"{module}.{name}"


@pytest.mark.parametrize("command", COMMANDS)
def test_the_head_of_a_command_imports_the_standard_library_only(command):
    import sys

    name = command if command.split(".")[0] in ("data_prep", "tuning") else f"mri_tf.{command}"
    path = ROOT / Path(*name.split(".")).with_suffix(".py")
    for module, _ in _imports(path, only_head=True):
        assert module in HEADS or module.split(".")[0] in sys.stdlib_module_names, module


def test_models_never_see_a_task():
    for path in (ROOT / "mri_tf" / "models").glob("*.py"):
        assert not any(module.startswith("mri_tf.task") for module, _ in _imports(path)), path.name
