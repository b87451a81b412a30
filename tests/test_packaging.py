"""The lock files hold what setup.cfg asks for, pinned with hashes and without places to fetch from."""

import configparser
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LOCKS = {
    "requirements.lock": [], "requirements-test.lock": ["test"], "requirements-gpu.lock": ["gpu"],
    "requirements-serve.lock": ["serve"],
}  # fmt: skip


def _pins(lock: str) -> dict[str, set[str]]:
    pins: dict[str, set[str]] = {}
    for line in (ROOT / lock).read_text(encoding="utf-8").splitlines():
        found = re.match(r"([\w.-]+)==(\S+)", line)
        if found:
            pins.setdefault(found[1].lower(), set()).add(found[2])
    return pins


def _wanted(extras: list[str]) -> set[str]:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    texts = [config["options"]["install_requires"]]
    texts += [config["options.extras_require"][extra] for extra in extras]
    lines = "\n".join(texts).split()
    return {re.match(r"[\w.-]+", line)[0].lower() for line in lines}


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_holds_every_dependency(lock):
    assert _wanted(LOCKS[lock]) - set(_pins(lock)) == set()


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_has_hashes_and_no_line_names_a_place_to_fetch_from(lock):
    text = (ROOT / lock).read_text(encoding="utf-8")
    assert not re.search(r"index-url|find-links|https?://|file:|trusted-host", text)
    for block in re.split(r"\n(?=[\w.-]+==)", text):
        if "==" in block.partition("\n")[0]:
            assert "--hash=sha256:" in block, block.partition("\n")[0]


def test_the_locks_agree():
    tests = _pins("requirements-test.lock")
    for name, versions in _pins("requirements.lock").items():
        assert tests[name] == versions


def test_every_file_beside_the_code_is_in_the_wheel():
    """But the page's sources, from which the files in `static` are built."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    patterns = config["options.package_data"]["mri_tf"].split()
    home = ROOT / "mri_tf"
    found = {path for pattern in patterns for path in home.glob(pattern)}
    others = {path for path in home.rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")}
    assert others - found - set((home / "page/web").rglob("*")) == set()
