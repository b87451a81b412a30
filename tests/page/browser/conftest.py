"""A page with models whose maps are known, files for them, and a tab of a headless Chromium."""

import pytest
from browser import browser_here, browser_page
from made_up_export import CARD
from marked import write_dicom, write_marked, write_nifti_volume, write_pictures
from paged import Tab
from paged import page as served


@pytest.fixture(scope="session")
def files(tmp_path_factory):
    """Inputs by name: dicom (22 slices), nifti, pictures (a folder of three), broken."""
    home = tmp_path_factory.mktemp("inputs")
    broken = home / "broken.nii.gz"
    broken.write_bytes(b"this is no image")
    return {
        "dicom": write_dicom(home / "series"), "nifti": write_nifti_volume(home / "scan.nii.gz"),
        "pictures": write_pictures(home / "pictures", dim=20, grey=128, pale=220), "broken": broken,
    }  # fmt: skip


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """The exports of `marked`; `bright` has a card, of which the audit says LEAK."""
    folder = write_marked(tmp_path_factory.mktemp("models"))
    (folder / "bright/1/assets.extra/card.html").write_text(CARD, encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def server(tmp_path_factory, models, files):
    """A page that has answered once, as one that has been running."""
    home = tmp_path_factory.mktemp("page")
    (home / "uploads").mkdir()
    with served(models, home / "uploads") as running:
        tab = Tab(running)
        found = tab.run(tab.add("bright", {"dim.png": files["pictures"] / "dim.png"}))
        assert found["state"] == "done", found
        tab.close()
        yield running


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    if browser_here() is None:
        pytest.skip("no Chromium on this machine (Debian: apt-get install chromium)")
    with browser_page(tmp_path_factory.mktemp("profile")) as opened:
        yield opened
