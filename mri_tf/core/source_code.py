"""Which state of the source code runs: its commit, and the lock file of its libraries."""

import subprocess
from pathlib import Path

from mri_tf.core.hashing import file_hash

ROOT = Path(__file__).resolve().parents[2]
LOCK_FILE = "requirements.lock"
SECONDS = 10


def state_of_the_code() -> dict:
    """What is known of it, for run.json.

    Returns:
        `commit`, `changed` (whether files differ from it) and `lock_sha256`; None what is not known, as
        where mri_tf was installed from a package.
    """
    lock = ROOT / LOCK_FILE
    commit = _git("rev-parse", "HEAD") if (ROOT / ".git").exists() else None
    changed = None if commit is None else bool(_git("status", "--porcelain", "--untracked-files=no"))
    return {
        "commit": commit, "changed": changed,
        "lock_sha256": file_hash(lock) if lock.is_file() else None,
    }  # fmt: skip


def _git(*arguments: str) -> str | None:
    """What git prints about the code; None where it cannot be asked."""
    try:
        done = subprocess.run(
            ["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, timeout=SECONDS,
            check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
