"""Makes the cards of this folder, with pictures of the first where Chromium is installed.

    python docs/examples/make_cards.py --work FOLDER --sunnybrook $MRI_SHARED/data/sunnybrook \\
        --weights $MRI_SHARED/weights/resnet18_imagenet_partial.weights.h5

Trains three models in FOLDER by the commands that anybody would give, audits them and writes their
cards: a frozen probe on real hearts (five folds), a phantom with a mark in a corner, and one without.
Training that is finished is not repeated.
"""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
PATIENTS = "60"
KINDS = {"corner_mark": "shortcut_corner", "clean": "clean"}  # card -> kind of phantom
PIXELS = {"wide": (1200, 2600), "narrow": (400, 2600)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--work", type=Path, required=True, help="folder for data and runs")
    parser.add_argument("--sunnybrook", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True, help="resnet18 .weights.h5")
    flags = parser.parse_args()
    flags.work.mkdir(parents=True, exist_ok=True)
    run = flags.work / "sunnybrook"
    call(flags.work, "mri_tf.train", "--task", "sax_levels", "--variant", "frozen_probe", "--raw",
         str(flags.sunnybrook.absolute()), "--folds", "5", "--out", run.name, "--no-export", "--set",
         f"model_args.weights={flags.weights.absolute()}", "model_args.cut_after=stack2")  # fmt: skip
    write_card(flags.work, run.name)
    take_pictures(run.name)
    for name, kind in KINDS.items():
        raw = f"raw_{kind}"
        if not (flags.work / raw).is_dir():
            call(flags.work, "data_prep.phantom", "--kind", kind, "--out", raw, "--patients", PATIENTS)
        call(flags.work, "mri_tf.train", "--raw", raw, "--out", name, "--no-export")
        write_card(flags.work, name)


def write_card(work: Path, run: str) -> None:
    """Audits a run and writes its card into this folder."""
    call(work, "mri_tf.audit", "--run", run, codes=(0, 1))
    card = HERE / f"{run}.html"
    call(work, "mri_tf.report", "--run", run, "--out", str(card))


def take_pictures(run: str) -> None:
    """Of the first sections of a card, wide and on a telephone."""
    card, browser = HERE / f"{run}.html", shutil.which("chromium")
    for name, (width, height) in PIXELS.items() if browser else ():
        picture = HERE / f"{run}-{name}.png"
        subprocess.run(
            [browser, "--headless", "--no-sandbox", "--hide-scrollbars", f"--screenshot={picture}",
             f"--window-size={width},{height}", card.as_uri()],
            check=True, capture_output=True,
        )  # fmt: skip


def call(work: Path, module: str, *arguments: str, codes: tuple[int, ...] = (0,)) -> None:
    """Runs a command in the folder; ends with its exit code where that is none of `codes`."""
    code = subprocess.run([sys.executable, "-m", module, *arguments], cwd=work).returncode
    if code not in codes:
        sys.exit(code)


if __name__ == "__main__":
    main()
