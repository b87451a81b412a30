"""Makes the walk through the page, docs/page-walk.md, with its pictures.

    python docs/page/make_walk.py --work FOLDER

Trains three models on phantoms in FOLDER, each for a few epochs: one that grades gliomas, with an audit
and a card; one of three networks that names the level of a slice of the heart; and one that finds a
tumour. Then it starts the page, does in headless Chromium what the walk tells (its words: walk_text.py),
and takes a picture at each step. Training that is finished is not repeated.
"""

import argparse
import contextlib
import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "tests" / "helpers"))  # the browser of the tests

from browser import Page, browser_page  # noqa: E402
from on_page import choose, drop, wait_for  # noqa: E402
from PIL import Image  # noqa: E402
from walk_text import as_markdown  # noqa: E402

PICTURES, TEXT = HERE.parent / "pictures", HERE.parent / "page-walk.md"
WIDE, NARROW = (1360, 900), (400, 860)
MOST_MS = 300_000  # for an answer on a busy machine
COLOURS = 200  # of a picture
CASES = 4  # that are read
GRADES, LEVELS, TUMOURS = "glioma_grading", "sax_levels", "glioma_tumour"  # the models, by their tasks
SLICES = 12  # of hearts, of two patients


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--work", type=Path, required=True, help="folder for data, runs and models")
    flags = parser.parse_args()
    flags.work.mkdir(parents=True, exist_ok=True)
    train_all(flags.work)
    PICTURES.mkdir(exist_ok=True)
    phantoms = {name: flags.work / f"data/{name}-phantom/raw" for name in (GRADES, LEVELS, TUMOURS)}
    brains = sorted(phantoms[GRADES].glob("*/*/"))
    few = [*brains[: CASES // 2], *brains[-CASES // 2 :]]  # of both grades
    hearts = sorted(phantoms[LEVELS].glob("images/*.png"))[:SLICES]
    (tumour, *_) = sorted(phantoms[TUMOURS].glob("*/*/"))
    with serving(flags.work / "saved_models") as address:
        for dark in (False, True):
            with browser_page(flags.work / f"profile-{dark}", dark) as page:
                page.tab.set_default_timeout(MOST_MS)
                if dark:
                    walk_dark(page, address, few[0])
                    continue
                walk(page, address, few)
                look_at_members(page, address, hearts)
                look_at_segmentation(page, address, tumour)
                page.open(address, *WIDE)
                read(page, few)
                walk_narrow(page, address, few[0])
    TEXT.write_text(as_markdown(), encoding="utf-8")


def train_all(work: Path) -> None:
    """Trains and exports the models into the folder; that of the grades is audited too."""
    if train(work, GRADES, "brains", "--variant", "whole_brain,demo", "--no-baselines",
             "--set", "epochs=8"):
        command(work, "mri_tf.audit", "--run", "brains")
        (newest,) = (work / "saved_models" / GRADES).glob("*/assets.extra")
        command(work, "mri_tf.report", "--run", "brains", "--out", str(newest / "card.html"))
    train(work, LEVELS, "hearts", "--variant", "scratch,demo", "--folds", "3", "--no-baselines",
          "--set", "epochs=60", "learning_rate=0.002")  # fmt: skip
    train(work, TUMOURS, "tumours", "--variant", "demo")


def train(work: Path, task: str, run: str, *arguments: str) -> bool:
    """Trains and exports a model into the folder; False where that was done before."""
    if (work / "saved_models" / task).is_dir():
        return False
    command(work, "mri_tf.train", "--task", task, "--out", run, *arguments)
    return True


def command(work: Path, module: str, *arguments: str) -> None:
    """Runs a command of mri_tf in the folder; exit code 1 says that it found something."""
    done = subprocess.run([sys.executable, "-m", module, *arguments], cwd=work)
    if done.returncode not in (0, 1):
        raise SystemExit(f"{module} ended with exit code {done.returncode}")


@contextlib.contextmanager
def serving(models: Path):
    """The address of a page around these models."""
    command = [sys.executable, "-m", "mri_tf.page", "--models", str(models), "--page-port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            line = next(line for line in process.stdout if "http" in line)
            yield re.search(r"http://\S+", line)[0]
        finally:
            process.terminate()


def begin(page: Page, address: str, model: str, size: tuple[int, int] = WIDE) -> None:
    """Opens the page anew and chooses a model."""
    page.open(address, *size)
    choose(page, model)


def walk(page: Page, address: str, brains: list[Path]) -> None:
    """The models, a card, and the answers for volumes."""
    begin(page, address, GRADES)
    picture(page, "page-start", full=True)
    page.tab.get_by_role("button", name=f"Model card of {GRADES}").click()
    page.tab.frame_locator("iframe").locator("h1").wait_for()
    picture(page, "page-card")
    page.tab.keyboard.press("Escape")
    drop(page, *brains)
    wait_for(page, "c1", "map")
    picture(page, "page-volume")
    page.tab.get_by_role("radio", name="Axial").check(force=True)
    page.tab.locator("#case-heading").focus()
    for key in (*["ArrowDown"] * 8, "4"):
        page.tab.keyboard.press(key)
    picture(page, "page-plane")
    page.tab.keyboard.press("?")
    picture(page, "page-keys")
    page.tab.keyboard.press("Escape")


def look_at_members(page: Page, address: str, hearts: list[Path]) -> None:
    """A list of slices, answered by several networks: sorted by their disagreement, and searched."""
    begin(page, address, LEVELS)
    drop(page, *hearts)
    wait_for(page, "c1", "map")
    page.tab.select_option("#order", label="Disagreement first")
    first = page.tab.locator(".case").first
    first.click()
    wait_for(page, first.get_attribute("data-case"), "map")
    picture(page, "page-members")
    page.tab.select_option("#order", label="Least sure first")
    page.tab.fill("#search", "apical")
    first.click()
    wait_for(page, first.get_attribute("data-case"), "map")
    page.tab.focus("#search")
    picture(page, "page-search")


def look_at_segmentation(page: Page, address: str, tumour: Path) -> None:
    """The labels of a tumour and their volume."""
    begin(page, address, TUMOURS)
    drop(page, tumour)
    wait_for(page, "c1", "labels")
    picture(page, "page-segmentation")


def read(page: Page, brains: list[Path]) -> None:
    """A reading of some cases, by a reader who knows nothing of them."""
    choose(page, GRADES)
    page.tab.check("#reading")
    page.tab.fill("#reader", "Reader A")
    drop(page, *brains)
    wait_for(page, "c1")
    picture(page, "page-reading")
    for number in range(1, len(brains) + 1):
        wait_for(page, f"c{number}")
        label = ("LGG", "HGG")[number % 2]
        page.tab.check(f".reading input[value={label}]")
        page.tab.get_by_role("button", name="Save my label").click()
        wait_for(page, f"c{number}", "map")
        if number == 1:
            picture(page, "page-answered")
        page.tab.keyboard.press("n")
    with page.tab.expect_download() as download:
        page.tab.get_by_role("button", name="Download labels").click()
    table = download.value.path().read_text(encoding="utf-8")
    other = {"name": "Reader B.csv", "mimeType": "text/csv",
             "buffer": table.replace("Reader A,HGG", "Reader B,LGG").encode()}  # fmt: skip
    page.tab.get_by_role("button", name="Agreement").click()
    page.tab.set_input_files("#reader-files", [other])
    page.tab.get_by_text("Reader A and Reader B").wait_for()
    picture(page, "page-agreement")


def walk_dark(page: Page, address: str, brain: Path) -> None:
    """One step on a dark screen."""
    begin(page, address, GRADES)
    drop(page, brain)
    wait_for(page, "c1", "map")
    picture(page, "page-dark")


def walk_narrow(page: Page, address: str, brain: Path) -> None:
    """One step on a small screen, from its top to its end."""
    begin(page, address, GRADES, NARROW)
    drop(page, brain)
    wait_for(page, "c1", "map")
    picture(page, "page-narrow", full=True)


def picture(page: Page, name: str, full: bool = False) -> None:
    """Takes a picture of the page into docs/pictures, of few colours and so small."""
    page.tab.wait_for_timeout(500)  # until all is drawn
    path = PICTURES / f"{name}.png"
    page.tab.screenshot(path=path, full_page=full)
    Image.open(path).convert("RGB").quantize(COLOURS, kmeans=1).save(path, optimize=True)


if __name__ == "__main__":
    main()
