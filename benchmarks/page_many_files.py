"""The page given one study of thousands of files, dropped into a real browser (Linux only).

    python benchmarks/page_many_files.py --files 3000
    python benchmarks/page_many_files.py --files 3000 --series

The files are small pictures, each a case of its own, or with --series the slices of one DICOM series,
which are one case. They are made here, and the models are `bright` and `side` of
tests/helpers/marked.py, which cost next to nothing: what is measured is the page. Prints steps, each
with its seconds and the longest time between two frames of the browser in it: nothing for a while (what
the machine itself does), the drop until the page says a word, sending, answering, the first image, going
through cases (or slices) by the keyboard, sorting and searching. Then the memory of the page's two
processes and of the tab, and the processor seconds of both processes. At last one file more than
--max-files is dropped and sent, and what is said and answered is printed.
"""

import argparse
import contextlib
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests" / "helpers"))  # the browser and the models of the tests

import httpx  # noqa: E402
import numpy as np  # noqa: E402
from browser import Page, browser_page  # noqa: E402
from dicom_series import series, write  # noqa: E402
from marked import write_marked  # noqa: E402
from on_page import choose, drop, wait_for  # noqa: E402
from page_load import children_of, used_by  # noqa: E402
from PIL import Image  # noqa: E402

MODEL, OF_SERIES = "bright", "side"
PICTURE, SLICE = (48, 64), (32, 24)  # pixels
STEPS = 20  # by the keyboard
FEW = 50  # --max-files of the second page
MOST_MS = 3_600_000
IDLE_MS = 3000
PEAK = [0, 0]  # MB of the page and of the process that answers
# Counts the longest time between two frames.
FRAMES = """() => {
  let last = performance.now(); window.longest = 0
  const look = (now) => {
    window.longest = Math.max(window.longest, now - last); last = now
    requestAnimationFrame(look)
  }
  requestAnimationFrame(look)
}"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--files", type=int, default=3000)
    parser.add_argument("--series", action="store_true", help="slices of a DICOM series, not pictures")
    flags = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(scratch)
        models, study = write_marked(home / "models"), home / "study"
        (write_series if flags.series else write_pictures)(study, flags.files)
        size = sum(path.stat().st_size for path in study.iterdir())
        kind = "slices of a DICOM series" if flags.series else "pictures"
        print(f"{flags.files} {kind}, {size / 1e6:.1f} MB")
        print("| step | s | longest frame, ms |\n|---|---|---|")
        with serving(models) as (address, pid), browser_page(home / "profile") as page:
            page.tab.set_default_timeout(MOST_MS)
            watch = threading.Thread(target=watch_memory, args=(pid,), daemon=True)
            watch.start()
            look_through(page, address, study, flags.series)
            print(f"memory at its peak: page {PEAK[0]} MB, answering {PEAK[1]} MB")
            (worker,) = children_of(pid)
            print(f"processor: page {cpu_s(pid):.1f} s, answering {cpu_s(worker):.1f} s")
        with serving(models, "--max-files", str(FEW)) as (address, _), browser_page(home / "p2") as page:
            too_many(page, address, study)


def write_pictures(folder: Path, count: int) -> None:
    """Pictures that differ, so that their answers do."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(count):
        array = np.full(PICTURE, number % 256, np.uint8) // 2 + rng.integers(0, 100, PICTURE, np.uint8)
        Image.fromarray(array).save(folder / f"picture-{number:05d}.png")


def write_series(folder: Path, count: int) -> None:
    """A DICOM series of this many small slices."""
    array = np.random.default_rng(0).integers(0, 255, (*SLICE, count)).astype(np.uint16)
    write(folder, series(array, np.diag([1.0, 1.0, 0.5, 1.0])))


@contextlib.contextmanager
def serving(models: Path, *more: str):
    """(address, process id) of a page around the models."""
    command = [sys.executable, "-m", "mri_tf.page", "--models", str(models), "--page-port", "0",
               "--timeout-s", "3600", *more]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            line = next(line for line in process.stdout if "http" in line)
            yield re.search(r"http://\S+", line)[0], process.pid
        finally:
            process.terminate()


def watch_memory(pid: int) -> None:
    """Keeps the largest memory of the page and of the process that answers."""
    with contextlib.suppress(OSError, ValueError):
        while True:
            used = [used_by(pid)[0], max((used_by(child)[0] for child in children_of(pid)), default=0)]
            PEAK[:] = [max(pair) for pair in zip(PEAK, used, strict=True)]
            time.sleep(0.2)


def cpu_s(pid: int) -> float:
    """Processor seconds of a process so far."""
    values = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(values[11]) + int(values[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def step(page: Page, words: str):
    """Prints how long a step took, and the longest time between two frames in it."""
    page.tab.evaluate("window.longest = 0")
    begun = time.perf_counter()
    yield
    seconds = time.perf_counter() - begun
    page.tab.wait_for_timeout(100)  # a frame that began in it ends
    print(f"| {words} | {seconds:.2f} | {page.ask('window.longest'):.0f} |", flush=True)


def look_through(page: Page, address: str, study: Path, is_series: bool) -> None:
    """Drops the study and does with its answers what a reader does."""
    page.open(address, 1360, 900)
    choose(page, OF_SERIES if is_series else MODEL)
    page.tab.evaluate(FRAMES)
    with step(page, "nothing"):
        page.tab.wait_for_timeout(IDLE_MS)
    with step(page, "drop, until the page says something"):
        drop(page, study)
        page.tab.wait_for_selector(".sending")
    with step(page, "sending all files"):
        page.tab.wait_for_selector("h1:has-text('The model reads the study')")
    with step(page, "answering, until the cases are shown"):
        page.tab.wait_for_selector(".reading-room")
    with step(page, "the first image with its map"):
        wait_for(page, "c1", "map")
    with step(page, f"{STEPS} {'slices' if is_series else 'cases'} on by the keyboard"):
        for number in range(2, STEPS + 2):
            page.tab.keyboard.press("ArrowDown" if is_series else "n")
            if not is_series:
                wait_for(page, f"c{number}", "map")
    heap_mb = page.ask("performance.memory.usedJSHeapSize") / 2**20
    elements = page.ask("document.querySelectorAll('*').length")
    if not is_series:
        with step(page, "sorting"):
            page.tab.select_option("#order", label="Least sure first")
        with step(page, "searching"):
            page.tab.fill("#search", "picture-0001")
            page.tab.get_by_text("10 of").wait_for()
    print(f"the tab: {heap_mb:.0f} MB of JavaScript, {elements} elements")


def too_many(page: Page, address: str, study: Path) -> None:
    """Drops and sends one file more than is taken, and prints what is said."""
    paths = sorted(study.iterdir())[: FEW + 1]
    page.open(address, 1360, 900)
    choose(page, MODEL)
    begun = time.perf_counter()
    drop(page, *paths)
    page.tab.wait_for_selector("#problem:not([hidden])")
    said = page.tab.inner_text("#problem")
    print(f"{len(paths)} files with --max-files {FEW}: {time.perf_counter() - begun:.2f} s: {said}")
    with httpx.Client(base_url=address, timeout=60) as client:
        client.headers["x-session"] = client.post("/api/session").json()["session"]
        found = client.post("/api/studies", json={"model": MODEL}).json()["study"]
        address = f"/api/studies/{found}/files"
        answers = [
            client.put(address, params={"path": path.name}, content=path.read_bytes()) for path in paths
        ]
    print(f"sent past the page: {answers[-2].status_code}, then {answers[-1].status_code}, "
          f"{answers[-1].json()['error']}")  # fmt: skip


if __name__ == "__main__":
    main()
