"""Locks, reading at a place, and what is left of them on Windows, whose modules are stood in for."""

import ast
import builtins
import importlib
import os
import subprocess
import sys
import types
from pathlib import Path

import pytest

import mri_tf.core.system as system

ROOT = Path(__file__).resolve().parents[2]
HOLDER = """
import sys
from mri_tf.core.system import try_lock
with open(sys.argv[1], "ab") as file:
    print(try_lock(file), flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def on_windows(monkeypatch):
    """The module as Windows would load it: without fcntl, resource and os.pread, with a msvcrt."""
    locked = set()

    def locking(descriptor, mode, length):
        here = (os.fstat(descriptor).st_ino, os.lseek(descriptor, 0, os.SEEK_CUR))
        assert mode == 2 and length == 1
        if here in locked:
            raise PermissionError(13, "Permission denied")
        locked.add(here)

    imported = builtins.__import__

    def without(name, *arguments, **keywords):
        if name in ("fcntl", "resource"):
            raise ModuleNotFoundError(name)
        return imported(name, *arguments, **keywords)

    monkeypatch.setitem(sys.modules, "msvcrt", types.SimpleNamespace(locking=locking, LK_NBLCK=2))
    monkeypatch.setattr(builtins, "__import__", without)
    monkeypatch.delattr(os, "pread")
    yield importlib.reload(system)
    monkeypatch.undo()
    importlib.reload(system)


def test_a_file_is_locked_until_its_process_ends(tmp_path):
    path = tmp_path / ".lock"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], cwd=ROOT, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert holder.stdout.readline() == "True\n"
    with path.open("ab") as file:
        assert not system.try_lock(file)
        holder.kill()
        holder.wait()
        assert system.try_lock(file)


def test_windows_locks_a_byte_behind_the_content_and_keeps_the_place(tmp_path, on_windows):
    path = tmp_path / "journal"
    with path.open("a+b") as first, path.open("a+b") as second:
        first.write(b"one line\n")
        first.flush()
        assert on_windows.try_lock(first) and not on_windows.try_lock(second)
        first.write(b"two\n")
    assert path.read_bytes() == b"one line\ntwo\n"
    assert on_windows.peak_memory_gb() is None and not on_windows.INHERITS_LOCKS


def test_bytes_are_read_at_their_place_with_and_without_pread(tmp_path, on_windows):
    path = tmp_path / "shard"
    path.write_bytes(bytes(range(100)))
    with path.open("rb") as file:
        assert on_windows.read_at(file.fileno(), 3, 40) == bytes([40, 41, 42])
        assert on_windows.read_at(file.fileno(), 9, 97) == bytes([97, 98, 99])


def test_the_used_memory_is_known_here():
    assert 0.001 < system.peak_memory_gb() < 1000


def test_what_windows_lacks_is_used_in_one_file_only():
    lacking = {"fcntl", "resource", "pwd", "grp", "termios"}
    calls = {"pread", "pwrite", "fork", "killpg", "getuid", "setsid", "mkfifo"}
    found = []
    for room in ("mri_tf", "data_prep", "tuning"):
        for path in (ROOT / room).rglob("*.py"):
            if path == ROOT / "mri_tf" / "core" / "system.py":
                continue
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                names = []
                if isinstance(node, ast.Import):
                    names = [alias.name for alias in node.names if alias.name in lacking]
                elif isinstance(node, ast.ImportFrom) and node.module in lacking:
                    names = [node.module]
                elif isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == "os":
                    names = [node.attr] if node.attr in calls else []
                found += [f"{path.relative_to(ROOT)}: {name}" for name in names]
    assert not found
