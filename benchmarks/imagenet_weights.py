"""Weights of ImageNet against random ones, on the levels of real short-axis images.

    python benchmarks/imagenet_weights.py --raw $MRI_SHARED/data/sunnybrook \\
        --weights $MRI_SHARED/weights/resnet18_imagenet_partial.weights.h5 --out studies/imagenet
        [--folds 5] [--repeats 3] [--workers 2] [--set k=v ...]

Writes a task file with two variants, `imagenet` and `random`: a ResNet-18 that ends after its third
stack, all of it trained, everything else equal. Then `mri_tf.study` compares them on identical folds;
each repeat has a seed and a partition of its own. The study's report has the paired difference.
"""

import argparse
import subprocess
import sys
from pathlib import Path

TASK = """
import dataclasses

from mri_tf.tasks.sax_levels import TASK as LEVELS

NETWORK = {network!r}
TASK = dataclasses.replace(
    LEVELS,
    name="sax_levels_resnet",
    features_from="",
    model="backbone_classifier",
    model_args=NETWORK,
    learning_rate=3e-4,
    epochs=40,
    patience=10,
    variants=dict(imagenet={{}}, random={{"model_args.weights": "none"}}),
)
"""
PREP = "from data_prep.sax_levels import *\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--raw", required=True, type=Path, help="the folder of sax_levels' raw data")
    parser.add_argument("--weights", required=True, type=Path, help="resnet18 .weights.h5")
    parser.add_argument("--out", required=True, type=Path, help="folder of the study")
    for name, value in (("folds", 5), ("repeats", 3), ("workers", 2)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--set", nargs="+", default=[])
    flags = parser.parse_args()
    flags.out.mkdir(parents=True, exist_ok=True)
    file = flags.out / "task" / "sax_levels_resnet.py"
    file.parent.mkdir(exist_ok=True)
    network = dict(
        backbone="resnet18", weights=str(flags.weights.absolute()), cut_after="stack2",
        intensities="zscore",
    )  # fmt: skip
    file.write_text(TASK.format(network=network), encoding="utf-8")
    file.with_name("sax_levels_resnet_prep.py").write_text(PREP, encoding="utf-8")
    command = [
        sys.executable, "-m", "mri_tf.study", "--task", str(file), "--raw", str(flags.raw),
        "--out", str(flags.out / "study"), "--folds", str(flags.folds), "--repeats",
        str(flags.repeats), "--workers", str(flags.workers), "--variants", "imagenet;random",
    ]  # fmt: skip
    if flags.set:
        command += ["--set", *flags.set]
    sys.exit(subprocess.run(command).returncode)


if __name__ == "__main__":
    main()
