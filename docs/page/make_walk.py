"""Makes the walk through the page, docs/page-walk.md, with its pictures.

    python docs/page/make_walk.py --work FOLDER

Trains a model on a phantom of brain tumours in FOLDER, for a few epochs. Then it starts the page, does
in headless Chromium what the walk tells, and takes a picture at each step. Training that is finished is
not repeated.
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

PICTURES, TEXT = HERE.parent / "pictures", HERE.parent / "page-walk.md"
WIDE, NARROW = (1360, 900), (400, 860)
MOST_MS = 300_000  # for an answer on a busy machine
COLOURS = 160  # of a picture
CASES = 4  # that are read
STEPS = (
    ("page-start", "Choose a model, and drop a study",
     "Each model says what it answers, of which images, and what its audit found. A study is a "
     "folder, files or a zip; it is answered as soon as it is dropped, or chosen with a button."),
    ("page-volume", "See the answer and where the network looked",
     "Here a phantom of a brain with four sequences, and a network of few epochs, whose map lies "
     "where no brain is: that is what one looks for. The crosshair starts at the largest value of "
     "the map. The three planes have the same scale, with the patient's right at the left. Beside "
     "the probabilities stand the classes that cannot be ruled out, and whether the images are "
     "like the training data."),
    ("page-plane", "One plane, another opacity",
     "A plane alone, by the arrows from slice to slice; the keys 1 to 9 set the opacity of the "
     "map, `c` hides the crosshair, `n` and `p` lead to the next and the previous case."),
    ("page-keys", "The keys",
     "`?` shows them. Letters and digits can be switched off."),
    ("page-reading", "Reading mode: a label first",
     "The server sends no answer before the reader's label has arrived."),
    ("page-answered", "Then the answer",
     "With the map. Of a model of several networks it also says how far they are apart (SD). A "
     "correction is kept beside the label, not in its place."),
    ("page-agreement", "Agreement at the end",
     "With the model, and with other readers whose tables are added. Here the second reader is "
     "made up."),
    ("page-dark", "Dark",
     "As the system asks for it."),
    ("page-narrow", "On a telephone",
     "400 pixels wide: nothing scrolls sideways."),
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--work", type=Path, required=True, help="folder for data, runs and models")
    flags = parser.parse_args()
    flags.work.mkdir(parents=True, exist_ok=True)
    train(flags.work, "glioma_grading", "brains", "--variant", "whole_brain,demo", "--no-baselines",
          "--no-audit", "--set", "epochs=8")  # fmt: skip
    PICTURES.mkdir(exist_ok=True)
    brains = sorted((flags.work / "data/glioma_grading-phantom/raw").glob("*/*/"))
    few = [*brains[: CASES // 2], *brains[-CASES // 2 :]]  # of both grades
    with serving(flags.work / "saved_models") as address:
        for dark in (False, True):
            with browser_page(flags.work / f"profile-{dark}", dark) as page:
                page.tab.set_default_timeout(MOST_MS)
                walk_dark(page, address, few[0]) if dark else walk(page, address, few)
    write_text()


def train(work: Path, task: str, run: str, *arguments: str) -> None:
    """Trains and exports a model into the folder."""
    command = [sys.executable, "-m", "mri_tf.train", "--task", task, "--out", run, *arguments]
    if not (work / "saved_models" / task).is_dir():
        subprocess.run(command, cwd=work, check=True)


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


def walk(page: Page, address: str, brains: list[Path]) -> None:
    """All steps on a light screen, wide and narrow."""
    page.open(address, *WIDE)
    page.tab.wait_for_selector(".model")
    picture(page, "page-start")
    choose(page, "glioma_grading")
    drop(page, *brains)
    wait_for(page, "c1", "map")
    picture(page, "page-volume")
    page.tab.get_by_role("radio", name="Axial").check(force=True)
    page.tab.locator("#case-heading").focus()
    for key in ("ArrowUp", "ArrowUp", "4"):
        page.tab.keyboard.press(key)
    picture(page, "page-plane")
    page.tab.keyboard.press("?")
    picture(page, "page-keys")
    page.tab.keyboard.press("Escape")
    page.open(address, *WIDE)
    read(page, brains)
    page.open(address, *NARROW)
    choose(page, "glioma_grading")
    drop(page, brains[0])
    wait_for(page, "c1", "map")
    picture(page, "page-narrow", full=True)


def read(page: Page, brains: list[Path]) -> None:
    """A reading of some cases, by a reader who knows nothing of them."""
    choose(page, "glioma_grading")
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
    page.open(address, *WIDE)
    choose(page, "glioma_grading")
    drop(page, brain)
    wait_for(page, "c1", "map")
    picture(page, "page-dark")


def picture(page: Page, name: str, full: bool = False) -> None:
    """Takes a picture of the page into docs/pictures, of few colours and so small."""
    page.tab.wait_for_timeout(500)  # until all is drawn
    path = PICTURES / f"{name}.png"
    page.tab.screenshot(path=path, full_page=full)
    Image.open(path).convert("RGB").quantize(COLOURS).save(path, optimize=True)


def write_text() -> None:
    """Writes the walk with its pictures."""
    parts = ["# A walk through the page", "Made by `docs/page/make_walk.py`, which does each step in a "
             "browser and takes the pictures. How the page is started and what it takes: "
             "[the page](page.md)."]  # fmt: skip
    for name, title, words in STEPS:
        parts += [f"## {title}", words, f"![{title}](pictures/{name}.png)"]
    TEXT.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
