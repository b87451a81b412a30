"""What audit --deep says of pipelines of which it is known whether they leak.

    python benchmarks/audit_deep.py --out DIR [--patients 24] [--exchanges 19] [--seed 0] [--table]

On phantom hearts of six slices a patient a small network is trained three times, and each training is
repeated on exchanged labels by `python -m mri_tf.audit --run RUN --deep`:

    levels           honest: the level is in the image, patients are split; it must be better than all
                     exchanges
    split_of_slices  patients are of classes that were drawn, which no image shows, and slices of one
                     patient are on both sides (--split random): a network that knows the patient again
                     knows the class; it must leak
    drawn_classes    honest: the same classes, patients are split; it must not be shown to be better,
                     nor to leak

Prints the commands and a table, and fails where another answer is given. Runs and exchanges are kept in
DIR: an interrupted call continues. --table prints what is done.
"""

import argparse
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mri_tf.audit.exchanged_pipeline import FEWEST, LEAKS, NAME, NOT_SHOWN
from mri_tf.tables import markdown

HEARTS, CLASSES = "hearts", "drawn_class"
QUIET = ("--no-export", "--no-baselines", "--no-card")
TASK = """layout = "cases_table"
class_names = {classes}
channels = ["cine"]
modality = "MR"
model = "vgg"
image_shape = [32, 32]
batch_size = 16
epochs = 20
patience = 0
learning_rate = 3e-3
split_fractions = [0.5, 0.1, 0.4]
[model_args]
conv_filters = 8
dense_units = 32
blocks = 2
dropout = 0.0
[prep]
label_column = "{column}"
"""
TASKS = {
    "levels": {"classes": '["basal", "mid", "apical"]', "column": "axial_level"},
    "drawn_classes": {"classes": '["first", "second"]', "column": CLASSES},
}


@dataclass(frozen=True)
class Row:
    """A pipeline: its task, how it is split, and what the audit must say of it."""

    task: str
    split: str
    answer: str


ROWS = {
    "levels": Row("levels", "patient", "better than all exchanges"),
    "split_of_slices": Row("drawn_classes", "random", "leaks"),
    "drawn_classes": Row("drawn_classes", "patient", "not shown to be better"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="folder of data, runs and exchanges")
    parser.add_argument("--patients", type=int, default=24)
    parser.add_argument("--exchanges", type=int, default=FEWEST)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--table", action="store_true", help="only print the table of what is done")
    flags = parser.parse_args()
    flags.out.mkdir(parents=True, exist_ok=True)
    if not flags.table:
        write_hearts(flags.out, flags.patients, flags.seed)
        for name, row in ROWS.items():
            audit_deeply(flags.out, name, row, flags.seed, flags.exchanges)
    done = {name: told(flags.out / name) for name in ROWS if (flags.out / name / "audit").is_dir()}
    columns = ("pipeline", "AUC", "of exchanges", "their mean", "p", "status", "what is said")
    print("\n" + markdown([(name, *cells) for name, cells in done.items()], columns))
    wrong = [name for name, cells in done.items() if cells[-1] != ROWS[name].answer]
    if wrong:
        raise SystemExit(f"another answer than the known one: {', '.join(wrong)}")


def write_hearts(home: Path, patients: int, seed: int) -> None:
    """Phantom hearts, in their table a class of each patient that no image shows; and the task files."""
    for name, values in TASKS.items():
        (home / f"{name}.toml").write_text(TASK.format(**values), encoding="utf-8")
    command(home, "data_prep.phantom", "--task", "sax_levels", "--out", HEARTS, "--patients",
            str(patients), "--seed", str(seed))  # fmt: skip
    path = home / HEARTS / "manifest.csv"
    table = pd.read_csv(path)
    place = pd.factorize(table["patient_id"])[0]
    drawn = np.random.default_rng([seed, 22]).permutation(np.arange(place.max() + 1) % 2)
    table[CLASSES] = np.array(["first", "second"])[drawn[place]]
    table.to_csv(path, index=False)


def audit_deeply(home: Path, name: str, row: Row, seed: int, exchanges: int) -> None:
    """Trains a pipeline, unless that is done, and the exchanges that are not done."""
    if not (home / name / "metrics.json").is_file():
        command(home, "mri_tf.train", "--task", f"{row.task}.toml", "--raw", HEARTS, "--out", name,
                "--split", row.split, "--seed", str(seed), *QUIET)  # fmt: skip
    more = () if exchanges == FEWEST else ("--exchanges", str(exchanges))
    command(home, "mri_tf.audit", "--run", name, "--deep", *more)


def told(run: Path) -> list[str]:
    """What the audit of a run says of the exchanges, as cells."""
    findings = json.loads((run / "audit" / "findings.json").read_text(encoding="utf-8"))
    found = next(one for one in findings if one["name"] == NAME)
    files = sorted((run / "audit" / "deep").glob("exchange-*.json"))
    aucs = [json.loads(path.read_text(encoding="utf-8"))["auc"] for path in files]
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    answers = {LEAKS: "leaks", NOT_SHOWN: "not shown to be better", "": "better than all exchanges"}
    aucs = np.array([one for one in aucs if one is not None])
    p = found["evidence"].rpartition("p = ")[2].partition(";")[0]
    return [
        f"{metrics['auc']['value']:.2f}", f"{aucs.min():.2f} to {aucs.max():.2f}", f"{aucs.mean():.2f}",
        p, found["status"], answers.get(found["meaning"], found["meaning"]),
    ]  # fmt: skip


def command(home: Path, module: str, *flags: str) -> None:
    """Prints and runs a command in a folder; an audit that finds a certain leak ends with 1."""
    print(f"python -m {module} {' '.join(flags)}", flush=True)
    with (home / "log.txt").open("a", encoding="utf-8") as log:
        done = subprocess.run([sys.executable, "-m", module, *flags], cwd=home, stdout=log, stderr=log)
    if done.returncode not in (0, 1):
        sys.exit(f"{module} ended with {done.returncode}: {home / 'log.txt'} says why")


if __name__ == "__main__":
    main()
