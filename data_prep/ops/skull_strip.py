"""Brain masks by a program that the user has installed: SynthStrip (FreeSurfer) or HD-BET.

A program is looked for on the PATH and run on one volume as NIfTI. If it is missing or fails, that is
an error: nothing else takes its place.

Sources: Hoopes et al. 2022, SynthStrip; Isensee et al. 2019, HD-BET.
"""

import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data_prep.case import Unreadable
from data_prep.io.nifti import read_nifti, write_nifti
from data_prep.ops.stack import fits_grid
from data_prep.volume import Volume
from mri_tf.core.errors import InputError

SECONDS = 1800  # for one volume
IMAGE, BRAIN, MASK = "image.nii.gz", "brain.nii.gz", "mask.nii.gz"


@dataclass(frozen=True)
class Program:
    """How a program is called: its name, and its arguments for files in the folder it runs in."""

    name: str
    arguments: tuple[str, ...]


PROGRAMS = {
    "synthstrip": Program("mri_synthstrip", ("-i", IMAGE, "-o", BRAIN, "-m", MASK)),
    "hd-bet": Program("hd-bet", ("-i", IMAGE, "-o", BRAIN, "-device", "cpu", "--save_bet_mask")),
}


def program_version(which: str) -> str:
    """What an installed program says of its version, for the manifest.

    Raises InputError for one that is not on the PATH.
    """
    program = PROGRAMS[which]
    path = _path_of(program)
    try:
        asked = subprocess.run(
            [path, "--version"], capture_output=True, text=True, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return f"{program.name}, version unknown"
    first = (asked.stdout or asked.stderr).strip().partition("\n")[0]
    return first if first and not asked.returncode else f"{program.name}, version unknown"


def strip_skull(volume: Volume, which: str) -> np.ndarray:
    """(x, y, z) bool: the brain, as a program of PROGRAMS finds it; raises Unreadable if it fails."""
    program = PROGRAMS[which]
    path = _path_of(program)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        write_nifti(home / IMAGE, volume)
        try:
            run = subprocess.run(
                [path, *program.arguments], cwd=home, capture_output=True, timeout=SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            raise Unreadable(f"{program.name} took more than {SECONDS // 60} minutes") from None
        if run.returncode:
            raise Unreadable(f"{program.name} failed with exit code {run.returncode}")
        masks = [read_nifti(file) for file in sorted(home.glob("*.nii.gz")) if file.name != IMAGE]
    binary = [mask for mask in masks if set(np.unique(mask.array).tolist()) <= {0, 1}]
    if not binary or not fits_grid(binary[0], volume) or not binary[0].array.any():
        raise Unreadable(f"{program.name} gave no brain mask on the grid of the image")
    return binary[0].array > 0


def _path_of(program: Program) -> str:
    path = shutil.which(program.name)
    if path is None:
        raise InputError(
            f"prep.brain_mask needs the program {program.name}.", "no such program on the PATH",
            'Install it, or choose brain_mask="otsu" or "file".',
        )  # fmt: skip
    return path
