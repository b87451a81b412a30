"""Runs mri_tf.study on a task file written here; used by imagenet_weights.py and meningioma.py."""

import argparse
import subprocess
import sys
from pathlib import Path


def study_parser(description: str, repeats: int) -> argparse.ArgumentParser:
    """The flags that such benchmarks share."""
    parser = argparse.ArgumentParser(description=description.partition("\n")[0])
    parser.add_argument("--raw", required=True, type=Path, help="folder of raw data")
    parser.add_argument("--weights", required=True, type=Path, help="resnet18 .weights.h5")
    parser.add_argument("--out", required=True, type=Path, help="folder for task file and study")
    for name, value in (("folds", 5), ("repeats", repeats), ("workers", 2)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--set", nargs="+", default=[], help="values of the training")
    return parser


def run_study(
    flags: argparse.Namespace, base: str, changes: str, variants: str, before: str = ""
) -> None:
    """Compares `variants` of the task `base` with `changes` (arguments of dataclasses.replace), which
    may use names that the lines `before` define.

    The prepared set lies in `flags.out` too: another raw folder is another set. Exits with the code of
    the preparation, if it has none to go on with, or of the study.
    """
    name = f"{base}_resnet"
    source = (
        f"import dataclasses\n\nfrom mri_tf.tasks.{base} import TASK as BASE\n{before}\n"
        f"TASK = dataclasses.replace(BASE, name={name!r}, {changes})\n"
    )
    folder = flags.out / "task"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.py").write_text(source, encoding="utf-8")
    task, data = ["--task", str(folder / f"{name}.py")], str(flags.out / "data")
    write = ["data_prep.write", *task, "--raw", str(flags.raw), "--out", data]
    code = subprocess.run([sys.executable, "-m", *write]).returncode
    if code > 1:  # 1: some inputs were skipped
        sys.exit(code)
    study = [
        "mri_tf.study", *task, "--data", data, "--out", str(flags.out / "study"), "--folds",
        str(flags.folds), "--repeats", str(flags.repeats), "--workers", str(flags.workers),
        "--variants", variants, *(["--set", *flags.set] if flags.set else []),
    ]  # fmt: skip
    sys.exit(subprocess.run([sys.executable, "-m", *study]).returncode)
