"""Compares a random split of a set with copies with a split that keeps copies together.

    python benchmarks/leaky_split.py --task brain_tumor_44 --data DIR --out DIR [--seeds 5]
        [--variant size100] [--set epochs=10] [--metrics accuracy,f1_macro]

Trains the task on the same prepared set with the split by group or patient and with --split random,
once for each seed, and prints a row for each split: mean and SD of the metrics over the seeds.
`held-out records met` is the share of held-out records whose patient or group is also in the training.
Finished runs are used again, so an interrupted call continues.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import numpy as np

from mri_tf.store.prepared import Prepared, positions_in
from mri_tf.tables import markdown


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--task", required=True)
    parser.add_argument("--data", required=True, type=Path, help="prepared set")
    parser.add_argument("--out", required=True, type=Path, help="folder of the runs")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--variant", default="")
    parser.add_argument("--metrics", default="accuracy,balanced_accuracy,f1_macro,auc")
    parser.add_argument("--set", nargs="+", default=[])
    flags = parser.parse_args()
    prepared = Prepared.open(flags.data)
    honest = "group" if any(prepared.groups) else "patient"
    names = flags.metrics.split(",")
    rows = []
    for mode, title in ((honest, f"split by {honest}"), ("random", "random split: LEAKY")):
        runs = [train(flags, mode, seed) for seed in range(flags.seeds)]
        numbers = [json.loads((run / "metrics.json").read_text(encoding="utf-8")) for run in runs]
        met = [share_met(prepared, run) for run in runs]
        cells = [mean_sd([found[name]["value"] for found in numbers]) for name in names]
        rows.append([title, *cells, mean_sd(met)])
    print(markdown(rows, ["protocol", *names, "held-out records met"]))


def train(flags, mode: str, seed: int) -> Path:
    """The run folder of one protocol and seed."""
    folder = flags.out / f"{mode}-s{seed}"
    command = [
        sys.executable, "-m", "mri_tf.train", "--task", flags.task, "--data", str(flags.data),
        "--out", str(folder), "--split", mode, "--seed", str(seed), "--no-export",
        "--variant", flags.variant, *(["--set", *flags.set] if flags.set else []),
    ]  # fmt: skip
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return folder


def share_met(prepared: Prepared, run: Path) -> float:
    """Of the held-out records, those whose patient or group the training side has too."""
    sides = json.loads((run / "run.json").read_text(encoding="utf-8"))["sides"]
    decided, held_out = (
        positions_in(prepared, [name for side in part for name in sides[side]])
        for part in (("train", "validation"), ("test",))
    )
    seen = set(prepared.patients[decided]) | (set(prepared.groups[decided]) - {""})
    return float(np.mean([prepared.patients[k] in seen or prepared.groups[k] in seen for k in held_out]))


def mean_sd(values: list[float | None]) -> str:
    defined = [value for value in values if value is not None]
    if not defined:
        return "undefined"
    spread = f" ± {np.std(defined, ddof=1):.3f}" if len(defined) > 1 else ""
    return f"{np.mean(defined):.3f}{spread}"


if __name__ == "__main__":
    main()
