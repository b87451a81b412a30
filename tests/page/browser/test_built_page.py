"""The committed files of the page are what its source builds, small, and without a place elsewhere."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[3] / "mri_tf" / "page"
STATIC, SOURCE = PAGE / "static", PAGE / "web"
MOST_BYTES = 1_000_000  # of all files together
NO_NETWORK = re.compile("ENOTFOUND|ECONNREFUSED|EAI_AGAIN|ETIMEDOUT|ENOTCACHED")


def test_the_built_page_is_small():
    assert sum(path.stat().st_size for path in STATIC.iterdir()) <= MOST_BYTES


def test_the_page_has_no_script_or_style_in_its_text_and_asks_nobody_else():
    text = (STATIC / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"<style|\sstyle=|\son\w+=|https?://|<script(?![^>]*\ssrc=)", text)
    styles = (STATIC / "page.css").read_text(encoding="utf-8")
    assert not re.search(r"@import|url\(", styles)


def test_the_lock_names_no_place_to_fetch_from():
    assert '"resolved"' not in (SOURCE / "package-lock.json").read_text(encoding="utf-8")


def test_the_licence_of_every_package_inside_stands_beside_it():
    parts = (STATIC / "licences.txt").read_text(encoding="utf-8").split("\n\n----\n\n")
    assert any(part.startswith("@niivue/niivue 0.69.0") for part in parts)
    assert all(len(part) > 500 for part in parts)  # a name alone is no licence


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("npm") is None, reason="no npm here (Debian: apt-get install npm)")
def test_the_committed_files_are_what_the_source_builds(tmp_path):
    web, built = tmp_path / "web", tmp_path / "static"
    shutil.copytree(SOURCE, web, ignore=shutil.ignore_patterns("node_modules"))
    installed = subprocess.run(["npm", "ci"], cwd=web, capture_output=True, text=True)
    if installed.returncode and NO_NETWORK.search(installed.stderr):
        pytest.skip("npm reaches no registry")
    assert installed.returncode == 0, installed.stderr
    command = ["npm", "run", "build", "--", "--outDir", str(built)]
    made = subprocess.run(command, cwd=web, capture_output=True, text=True)
    assert made.returncode == 0, made.stdout + made.stderr
    names = sorted(path.name for path in STATIC.iterdir())
    assert sorted(path.name for path in built.iterdir()) == names
    for name in names:
        assert (built / name).read_bytes() == (STATIC / name).read_bytes(), name
