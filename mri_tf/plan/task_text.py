"""The text of a task file, Python or TOML, in which every decision stands beside its reason."""

import json
import textwrap
from typing import Any

from mri_tf.plan.rules import Decision

WIDTH = 96


def task_text(name: str, about: list[str], decisions: list[Decision], suffix: str) -> str:
    """A task file.

    Args:
        name: of the task; the file must be called so.
        about: lines that say what the folder holds and how the task is run.
        decisions: values of the task by dotted key, in their order, with the reasons.
        suffix: ".py" or ".toml".

    Returns:
        Text that `load_task` reads; the same for the same arguments.
    """
    return _toml(about, decisions) if suffix == ".toml" else _python(name, about, decisions)


def _toml(about: list[str], decisions: list[Decision]) -> str:
    lines = [f"# {line}".rstrip() for line in about] + [""]
    single = [one for one in decisions if not isinstance(one.value, dict) and "." not in one.key]
    for one in single:
        lines += [*_comment(one.reason), f"{one.key} = {_toml_value(one.value)}"]
    tables: dict[str, list[str]] = {}
    for one in decisions:
        if one in single:
            continue
        head, _, rest = one.key.partition(".")
        body = tables.setdefault(head, [])
        body += _comment(one.reason)
        if rest:
            body.append(f"{rest} = {_toml_value(one.value)}")
        else:
            body += [f"{key} = {_toml_value(value)}" for key, value in one.value.items()]
    for head, body in tables.items():
        lines += ["", f"[{head}]", *body]
    return "\n".join(lines) + "\n"


def _toml_value(value: Any) -> str:
    """A value as TOML writes it on one line: strings, numbers, lists and tables within."""
    if isinstance(value, dict):
        items = (f"{_toml_key(key)} = {_toml_value(inner)}" for key, inner in value.items())
        return "{ " + ", ".join(items) + " }" if value else "{}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_toml_value, value))}]"
    return json.dumps(value, ensure_ascii=False)  # TOML writes strings, numbers and truth as JSON does


def _toml_key(key: str) -> str:
    return key if key.replace("_", "").replace("-", "").isalnum() and key.isascii() else json.dumps(key)


def _python(name: str, about: list[str], decisions: list[Decision]) -> str:
    lines = ['"""' + about[0], *about[1:], '"""', "", "from mri_tf.task import Task", "", "TASK = Task("]
    lines.append(f"    name={name!r},")
    grouped: dict[str, list[Decision]] = {}
    for one in decisions:
        grouped.setdefault(one.key.partition(".")[0], []).append(one)
    for head, members in grouped.items():
        if members[0].key == head:
            lines += _comment(members[0].reason, "    ")
            lines.append(f"    {head}={members[0].value!r},")
            continue
        lines.append(f"    {head}={{")
        for one in members:
            lines += _comment(one.reason, "        ")
            lines.append(f"        {one.key.partition('.')[2]!r}: {one.value!r},")
        lines.append("    },")
    return "\n".join([*lines, ")"]) + "\n"


def _comment(reason: str, indent: str = "") -> list[str]:
    mark = f"{indent}# "
    return textwrap.wrap(reason, WIDTH, initial_indent=mark, subsequent_indent=mark)
