"""The drawing of the house: which package may import which. ROOMS is the drawing."""

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("mri_tf", "data_prep", "tuning")

# Each room may import the rooms named beside it and everything that those may import.
ROOMS = {
    "core": (),
    "task": ("core",),
    "tasks": ("task",),
    "models": ("core",),
    "convert": ("models",),
    "metrics": ("core",),
    "figures": ("core",),
    "tables": ("core",),
    "engines": ("core",),
    "serve": ("engines",),
    "calibration": ("task",),
    "store": ("task",),
    "splits": ("store",),
    "pipeline": ("splits",),
    "network": ("pipeline", "models", "calibration"),
    "data_prep": ("pipeline",),
    "evaluate": ("network", "data_prep", "metrics", "figures", "tables"),
    "derive": ("network", "data_prep", "metrics", "figures", "tables"),
    "explain": ("network", "data_prep", "metrics", "figures", "tables"),
    "export": ("explain", "serve", "evaluate"),
    "plan": ("data_prep",),
    "folds": ("splits",),
    "audit": ("export",),
    "report": ("audit",),
    "train": ("plan", "report", "audit", "export", "evaluate", "derive", "folds", "track"),
    "dicom": ("data_prep",),
    "track": ("store",),
    "predict": ("export", "explain", "dicom"),
    "page": ("predict", "report"),
    "runs": ("store", "metrics", "tables"),
    "check": ("train",),
    "study": ("train",),
    "tuning": ("train",),
    "cli": ("core",),
    "__main__": ("cli",),
}


def _files() -> list[Path]:
    return [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def _room_of(path: Path) -> str:
    """The room a file belongs to; "" for mri_tf/__init__.py, which everything may import."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    if parts[0] != "mri_tf":
        return parts[0]
    return "" if parts[1] == "__init__" else parts[1]


def _imports(tree: ast.AST) -> list[tuple[str, str]]:
    """(module, name) of every import in the tree, those inside functions too."""
    imports = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imports += [(alias.name, "") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            imports += [(node.module, alias.name) for alias in node.names]
    return imports


def _file_of(module: str, name: str) -> Path | None:
    """The file of this project that an import reads; None for other libraries."""
    if module.split(".")[0] not in PACKAGES:
        return None
    for dotted in (f"{module}.{name}", module):
        place = ROOT / Path(*dotted.split("."))
        for path in (place.with_suffix(".py"), place / "__init__.py"):
            if path.is_file():
                return path
    raise AssertionError(f"{module}.{name} is imported but does not exist")


def _allowed(room: str) -> set[str]:
    """The room itself, the rooms below it and the package's own name and version."""
    return {room, ""}.union(*(_allowed(below) for below in ROOMS[room]))


def test_a_room_imports_only_the_rooms_below_it_and_no_private_name_or_command():
    wrong = []
    for path in _files():
        for module, name in _imports(ast.parse(path.read_text(encoding="utf-8"))):
            imported = _file_of(module, name)
            if imported is None:
                continue
            arrow = f"{path.relative_to(ROOT)} -> {module}.{name}"
            room = _room_of(path)
            if room and _room_of(imported) not in _allowed(room):
                wrong.append(f"{arrow}: {room} lies below {_room_of(imported)}")
            if name.startswith("_"):
                wrong.append(f"{arrow}: a private name")
            if imported.stem == "__main__":
                wrong.append(f"{arrow}: a command")
    assert not wrong, "\n".join(wrong)


def test_no_modules_import_each_other_in_a_circle():
    arrows = {}
    for path in _files():
        imports = _imports(ast.parse(path.read_text(encoding="utf-8")))
        arrows[path] = {_file_of(*one) for one in imports} - {None, path}
    left = dict(arrows)
    while free := [path for path, targets in left.items() if not targets & left.keys()]:
        for path in free:
            del left[path]
    assert not left, "\n".join(str(path.relative_to(ROOT)) for path in left)


def test_heads_of_commands_import_the_standard_library_only():
    """So that --help answers at once: all else is imported inside functions."""
    commands = [path for path in _files() if "\ndef main(" in path.read_text(encoding="utf-8")]
    assert len(commands) >= 12
    wrong, checked = [], set()
    while commands:
        path = commands.pop()
        if path in checked:
            continue
        checked.add(path)
        head = ast.parse(path.read_text(encoding="utf-8")).body
        nodes = [node for node in head if isinstance(node, (ast.Import, ast.ImportFrom))]
        for module, name in (found for node in nodes for found in _imports(node)):
            imported = _file_of(module, name)
            if imported:
                commands.append(imported)  # what a head imports is part of the head
                commands += [parent / "__init__.py" for parent in imported.parents if parent != ROOT
                             and (parent / "__init__.py").is_file()]  # fmt: skip
            elif module.split(".")[0] not in sys.stdlib_module_names:
                wrong.append(f"{path.relative_to(ROOT)} -> {module}")
    assert not wrong, "\n".join(wrong)
