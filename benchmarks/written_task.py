"""Runs mri_tf.study on a task file written here; used by imagenet_weights.py, meningioma.py and
planned.py."""

import argparse
import subprocess
import sys
from pathlib import Path


def study_parser(description: str, repeats: int) -> argparse.ArgumentParser:
    """The flags that such benchmarks share."""
    parser = argparse.ArgumentParser(description=description.partition("\n")[0])
    parser.add_argument("--raw", required=True, type=Path, help="folder of raw data")
    parser.add_argument("--out", required=True, type=Path, help="folder for task file and study")
    for name, value in (("folds", 5), ("repeats", repeats), ("workers", 2)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--set", nargs="+", default=[], help="values of the training")
    return parser


def add_weights(parser: argparse.ArgumentParser, variants: str) -> None:
    """The flags of benchmarks of a pre-trained ResNet-18, whose usual variants are `variants`."""
    parser.add_argument("--weights", required=True, type=Path, help="resnet18 .weights.h5")
    parser.add_argument("--variants", default=variants)


def write_task(folder: Path, name: str, base: str, changes: str, before: str = "") -> Path:
    """Writes the task `base` with `changes` (arguments of dataclasses.replace), which may use names that
    the lines `before` define; returns its file."""
    source = (
        f"import dataclasses\n\nfrom mri_tf.tasks.{base} import TASK as BASE\n{before}\n"
        f"TASK = dataclasses.replace(BASE, name={name!r}, {changes})\n"
    )
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}.py"
    file.write_text(source, encoding="utf-8")
    return file


def compare_resnets(
    flags: argparse.Namespace, base: str, changes: str, before: str = ""
) -> None:
    """Compares the variants of `flags` of a task, changed as `write_task` says.

    The prepared sets lie in `flags.out` too, as another raw folder makes other sets. Exits with the code
    of the study.
    """
    file = write_task(flags.out / "task", f"{base}_resnet", base, changes, before)
    data = ["--raw", str(flags.raw.absolute())]
    run_study(flags, file, data, flags.out / "study", flags.variants, home=flags.out)


def run_study(
    flags: argparse.Namespace, file: Path, data: list[str], out: Path, variants: str,
    home: Path | None = None,
) -> None:  # fmt: skip
    """Compares variants of a task file with the flags of `study_parser`; exits with the study's code.

    Sets are prepared into the folder data of `home`, or of the folder where the command was given.
    """
    study = [
        "mri_tf.study", "--task", str(file.absolute()), *data, "--out", str(out.absolute()),
        "--folds", str(flags.folds), "--repeats", str(flags.repeats),
        "--workers", str(flags.workers), "--variants", variants,
        *(["--set", *flags.set] if flags.set else []),
    ]  # fmt: skip
    sys.exit(subprocess.run([sys.executable, "-m", *study], cwd=home).returncode)
