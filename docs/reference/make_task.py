"""Writes docs/reference/task.md: every key of a task, from the dataclasses that define them.

    python docs/reference/make_task.py
"""

import ast
import inspect
import io
import tokenize
from pathlib import Path

from data_prep.prepare.prep_settings import SettingTypes
from mri_tf.tables import markdown
from mri_tf.task import settings
from mri_tf.task.spec import Task

PAGE = Path(__file__).with_name("task.md")
PARTS = {
    "A task": (Task, ""),
    "`prep`: preparation, part of a prepared set's key": (SettingTypes, "prep."),
    "`patch`": (settings.Patch, "patch."),
    "`box`": (settings.Box, "box."),
    "`spacing`": (settings.Spacing, "spacing."),
    "`bag`": (settings.Bag, "bag."),
    "`test_time`": (settings.Views, "test_time."),
    "`fine_tune`": (settings.FineTuning, "fine_tune."),
    "`fine_tune.groups`, each": (settings.Group, "fine_tune.groups.NAME."),
}
HEAD = """# Every key of a task

A task file is Python (`TASK = Task(...)`) or TOML with the same keys; `mri_tf.plan` writes one for a raw
folder. `--set key=value` sets a key by its dotted name. This page is written by
`python docs/reference/make_task.py`; a test holds it current. [The task file](../task-file.md) explains.
"""
UNITS = {"_mm": "mm", "_voxels": "voxels", "_fraction": "share", "degrees": "degrees"}
WORDS = {"learning_rate": "per step", "warm_up": "steps", "steps": "steps", "epochs": "epochs",
         "patience": "epochs", "batch_size": "records", "finest_mm": "mm"}  # fmt: skip


def reference() -> str:
    """The page."""
    parts = [HEAD]
    for title, (kind, prefix) in PARTS.items():
        rows = [
            (f"`{prefix}{name}`", f"`{hint}`", f"`{default}`" if default else "needed",
             _unit(name), text)
            for name, hint, default, text in fields_of(kind)
        ]  # fmt: skip
        columns = ("key", "type", "default", "unit", "meaning")
        parts.append(f"## {title}\n\n{markdown(rows, columns)}\n")
    return "\n".join(parts)


def fields_of(kind: type) -> list[tuple[str, str, str, str]]:
    """(name, type, default, meaning) of each field of a dataclass; the meaning is its comment."""
    source = inspect.getsource(kind)
    comments = {
        token.start[0]: token.string.lstrip("# ")
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    }
    (definition,) = ast.parse(source).body
    fields, lines = [], source.splitlines()
    for node in definition.body:
        if not isinstance(node, ast.AnnAssign):
            continue
        own = comments.get(node.lineno, "") if comments.get(node.end_lineno) else ""
        above, line = [], node.lineno - 1
        while line in comments and lines[line - 1].lstrip().startswith("#"):
            above.insert(0, comments[line])
            line -= 1
        hint = ast.unparse(node.annotation)
        text = " ".join([*above, own]).strip()
        fields.append((node.target.id, hint, _default(node.value), text))
    return fields


def _default(value: ast.expr | None) -> str:
    """The default as it is written, of a factory what it gives; "" without one."""
    if value is None:
        return ""
    text = ast.unparse(value)
    if text == "field(default_factory=dict)":
        return "{}"
    factory = "field(default_factory=lambda: "
    return text.removeprefix(factory).removesuffix(")") if text.startswith(factory) else text


def _unit(name: str) -> str:
    if name in WORDS:
        return WORDS[name]
    return next((unit for end, unit in UNITS.items() if name.endswith(end)), "")


if __name__ == "__main__":
    PAGE.write_text(reference(), encoding="utf-8")
    print(f"wrote {PAGE}")
