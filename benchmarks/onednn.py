"""Seconds a training step with oneDNN, as mri_tf asks for it, and without, on this processor.

    python benchmarks/onednn.py [--works mnet resnet18 grader3d unet3d] [--rounds 3] [--steps 2]

On processors without AVX512_VNNI TensorFlow computes by its own kernels unless it is asked otherwise
(mri_tf/__init__.py). Both train the same networks on the same batch, each in a process of its own, one
after the other; the losses of their first three steps are compared before anything is timed. The ratio
is that of the medians of each round.
"""

import argparse
import json
import os
import subprocess
import sys

import numpy as np
from step_profile import WORKS  # with the 3D U-Net
from steps import Ours, compare, processor

TOLERANCE = 2e-3  # of the losses, relative and absolute


def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    flags.add_argument("--works", nargs="+", choices=list(WORKS), default=list(WORKS))
    flags.add_argument("--rounds", type=int, default=3)
    flags.add_argument("--steps", type=int, default=2, help="steps a round")
    flags.add_argument("--child", help=argparse.SUPPRESS)
    flags = flags.parse_args()
    if flags.child:
        return answer(flags.child)
    print(f"{processor()}\n")
    print("| network | with oneDNN, ms a step | without / with (least to most) |\n|---|---|---|")
    for work in flags.works:
        given, left_out = (Training(work, choice) for choice in ("1", "0"))
        compare({"ours": given.first, "without oneDNN": left_out.first}, TOLERANCE)
        rounds = [(given.median(flags.steps), left_out.median(flags.steps))
                  for _ in range(flags.rounds + 1)][1:]  # fmt: skip
        own, other = np.array(rounds).T
        ratios = other / own
        spread = f"{np.median(ratios):.1f} ({ratios.min():.1f} to {ratios.max():.1f})"
        print(f"| {work} | {1000 * np.median(own):.0f} | {spread} |", flush=True)
        given.end()
        left_out.end()


class Training:
    """A training in a process of its own, which waits between its rounds."""

    def __init__(self, work: str, choice: str):
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--child", work], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"TF_ENABLE_ONEDNN_OPTS": choice, "TF_CPP_MIN_LOG_LEVEL": "3"},
        )  # fmt: skip
        self.first = json.loads(self._process.stdout.readline())

    def median(self, steps: int) -> float:
        """Seconds a step."""
        print(steps, file=self._process.stdin, flush=True)
        return float(np.median(json.loads(self._process.stdout.readline())))

    def end(self) -> None:
        self._process.stdin.close()
        self._process.wait()


def answer(work: str) -> None:
    """Trains one network, as many steps as each line of stdin says."""
    training = Ours(work, "float32", fused=True)
    print(json.dumps(training.first), flush=True)
    for line in sys.stdin:
        print(json.dumps(training.steps(int(line))), flush=True)


if __name__ == "__main__":
    main()
