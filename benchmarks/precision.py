"""Is bfloat16 as good as float32? Trains both with the same splits and seeds, and compares their AUC.

    python benchmarks/precision.py --task T [--data DIR | --raw DIR] --out FOLDER [--variant V]
        [--seeds 5] [--set KEY=VALUE ...]

Prints AUC and CPU seconds of each run, and the mean difference bfloat16 - float32 with its 90 % interval
over the seeds, corrected for the training sides that random splits share (Nadeau and Bengio 2003). They
are called equivalent where that interval lies within 0.03 on either side of 0. Finished runs are used
again, so an interrupted call continues; their CPU seconds are summed over the calls.
"""

import argparse
import json
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
from scipy.stats import t as student

from mri_tf.tables import markdown

PRECISIONS = ("float32", "mixed_bfloat16")
MARGIN = 0.03


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--task", required=True)
    data = parser.add_mutually_exclusive_group()
    data.add_argument("--data", type=Path, help="prepared set")
    data.add_argument("--raw", type=Path, help="folder of raw data")
    parser.add_argument("--out", required=True, type=Path, help="folder of the runs")
    parser.add_argument("--variant", default="")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--set", nargs="+", default=[])
    flags = parser.parse_args()
    if flags.seeds < 2:
        parser.error("an interval needs at least 2 --seeds")
    rows, auc, shares = [], [], []
    for seed in range(flags.seeds):
        runs = [train(flags, precision, seed) for precision in PRECISIONS]
        numbers = [json.loads((run / "metrics.json").read_text(encoding="utf-8")) for run in runs]
        auc.append([found["auc"]["value"] for found in numbers])
        sides = json.loads((runs[0] / "run.json").read_text(encoding="utf-8"))["patients"]
        shares.append(len(sides["test"]) / (len(sides["train"]) + len(sides["validation"])))
        seconds = [(run / "cpu_seconds").read_text() for run in runs]
        rows.append([seed, *(f"{value:.3f}" for value in auc[-1]), *seconds])
    columns = [f"{what} {name}" for what in ("AUC", "CPU s") for name in PRECISIONS]
    print(markdown(rows, ["seed", *columns]))
    mean, low, high = corrected(np.diff(auc, axis=1)[:, 0], float(np.mean(shares)))
    verdict = "equivalent" if low > -MARGIN and high < MARGIN else "not shown to be equivalent"
    print(f"\nAUC bfloat16 - float32: {mean:.3f} (90 % interval {low:.3f} to {high:.3f}): {verdict}")


def train(flags, precision: str, seed: int) -> Path:
    """The run folder of one precision and seed."""
    folder = flags.out / f"{precision}-s{seed}"
    source = ["--data", str(flags.data)] if flags.data else ["--raw", str(flags.raw)]
    command = [
        sys.executable, "-m", "mri_tf.train", "--task", flags.task, "--out", str(folder),
        *(source if flags.data or flags.raw else []), "--seed", str(seed), "--no-export",
        "--variant", flags.variant, "--set", *flags.set, f"precision={precision}",
    ]  # fmt: skip
    note = folder / "cpu_seconds"
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    seconds = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
    earlier = float(note.read_text()) if note.is_file() else 0.0
    note.write_text(f"{earlier + seconds:.0f}")
    return folder


def corrected(differences: np.ndarray, share: float) -> tuple[float, float, float]:
    """Mean and 90 % interval; `share` is the size of a test side over that of its training sides."""
    count, mean = len(differences), float(np.mean(differences))
    error = np.std(differences, ddof=1) * np.sqrt(1 / count + share)
    half = float(student.ppf(0.95, count - 1) * error)
    return mean, mean - half, mean + half


if __name__ == "__main__":
    main()
