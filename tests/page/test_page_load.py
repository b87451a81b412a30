"""Memory and open files of the page stay flat; benchmarks/page_load.py does it with 500 studies."""

import subprocess
import sys
from pathlib import Path

import pytest
from test_page_answers import png

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks/page_load.py"


@pytest.mark.slow
def test_many_uploads_and_answers_leave_memory_and_files_flat(exports, tmp_path):
    (tmp_path / "a.png").write_bytes(png(30))
    command = [sys.executable, str(SCRIPT), "--models", str(exports), "--model", "bright",
               "--file", str(tmp_path / "a.png"), "--studies", "60"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "flat" and len(done.stdout.splitlines()) == 14
