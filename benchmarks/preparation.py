"""Times the preparation of a case against MONAI's PersistentDataset and TorchIO, on one core.

    taskset -c 0 python benchmarks/preparation.py --peers-python PYTHON [--rounds 7]

PYTHON is an interpreter with torch, monai and torchio. A case is three sequences of 128 x 128 x 40
voxels, 1.9 x 1.9 x 3.9 mm, as NIfTI stored left-posterior-superior. All read it, turn it to
right-anterior-superior, resample it linearly to cubes of 1.95 mm on 128 x 128 x 80 voxels, and make
z-scores of each sequence. The results are compared first, but for the outermost voxels, whose
neighbours are padding. Then the same operations are timed in turns, and with writing what is kept: a
record, a cache file. The last line is all that mri_tf does with a case: also brain mask, statistics
inside it, and a look at whether the sequences lie on each other.
"""

import argparse
import json
import os
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np

from data_prep.case import Case
from data_prep.io.nifti import read_nifti, write_nifti
from data_prep.ops.resample import resize_to_grid
from data_prep.ops.stack import stack_channels
from data_prep.phantom.glioma.dataset import draw_case, render_case
from data_prep.volume import Volume
from mri_tf.store.record import Record, encode_example
from mri_tf.task import Task

SEQUENCES = ("t1", "t2", "flair")
SHAPE, SPACING_MM = (128, 128, 40), (1.9, 1.9, 3.9)
GRID = (80, 128, 128)  # depth, rows, columns
TOLERANCE = 2e-3  # of z-scores
PEERS = ("MONAI", "TorchIO")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--peers-python", required=True, help="interpreter with torch, monai, torchio")
    parser.add_argument("--rounds", type=int, default=7)
    flags = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home)
        write_case(folder)
        own, affine = prepared(folder)
        np.save(folder / "affine.npy", affine)
        peers = {name: Peer(flags.peers_python, name, folder) for name in PEERS}
        try:
            for name, peer in peers.items():
                peer.once(writes=False)
                compare(name, own, np.load(folder / f"{name}.npy"))
            times = {}
            for turn in range(flags.rounds + 1):
                for writes in (False, True):
                    rows = {"mri_tf": timed(lambda w=writes: own_case(folder, w))}
                    rows |= {name: peer.once(writes) for name, peer in peers.items()}
                    for name, seconds in rows.items():
                        if turn:  # the first warms up
                            times.setdefault((name, writes), []).append(seconds)
                whole = timed(lambda: whole_case(folder))
                if turn:
                    times.setdefault(("all that mri_tf does", True), []).append(whole)
        finally:
            for peer in peers.values():
                peer.close()
    table(times)


def write_case(folder: Path) -> None:
    images, _ = render_case(draw_case("HGG", np.random.default_rng(0)), SHAPE)
    affine = np.diag([*SPACING_MM, 1.0])
    affine[:3, 3] = -np.array(SHAPE) * SPACING_MM / 2
    for name in SEQUENCES:
        write_nifti(folder / f"{name}.nii.gz", Volume(images[name], affine), "LPS")


def prepared(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """(depth, rows, columns, channels) z-scores, and the affine from (x, y, z) of the grid to RAS mm."""
    volumes = {name: read_nifti(folder / f"{name}.nii.gz") for name in SEQUENCES}
    joined = stack_channels(volumes, SEQUENCES).volume
    image, affine = resize_to_grid(joined, GRID)
    voxels = image.reshape(-1, image.shape[-1])  # (voxels, channels)
    for channel in range(image.shape[-1]):
        values = voxels[:, channel]
        mean = values.mean(dtype=np.float64)
        deviation = values.std(dtype=np.float64)
        values -= np.float32(mean)  # a view: changes the image
        values /= np.float32(deviation)
    return image, affine


def own_case(folder: Path, writes: bool) -> None:
    image, affine = prepared(folder)
    if writes:
        stats = np.tile(np.float32([0, 1]), (2, len(SEQUENCES), 1))  # of z-scores
        record = Record("0", "p", image, affine=affine, intensity_stats=stats)
        (folder / "record").write_bytes(encode_example(record))


def whole_case(folder: Path) -> None:
    """What preparation does with this case: brain mask, statistics and a look at the alignment too."""
    from data_prep.layouts.cases_table import read_case

    task = Task(
        name="timed", channels=SEQUENCES, image_shape=GRID, class_names=("a", "b"), model="grader3d",
        normalize={"method": "zscore", "region": "mask"},
    )  # fmt: skip
    case = Case("p", {name: f"{name}.nii.gz" for name in SEQUENCES}, "a")
    (record,) = read_case(folder, case, task)
    (folder / "record").write_bytes(encode_example(record))


def compare(name: str, own: np.ndarray, other: np.ndarray) -> None:
    """Ends the program where a peer's result is another one."""
    inside = slice(2, -2), slice(2, -2), slice(2, -2)
    difference = float(np.abs(own[inside] - other[inside]).max())
    print(f"largest difference from {name}: {difference:.1e}")
    if difference > TOLERANCE:
        raise SystemExit(f"the results differ by more than {TOLERANCE}")


def timed(run) -> float:
    begun = time.perf_counter()
    run()
    return time.perf_counter() - begun


class Peer:
    """A library in another interpreter, which prepares the case once for each line that it is sent."""

    def __init__(self, python: str, name: str, folder: Path):
        script = Path(__file__).with_name("preparation_peers.py")
        self.process = subprocess.Popen(
            [python, str(script), name, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip

    def once(self, writes: bool) -> float:
        self.process.stdin.write("write\n" if writes else "keep\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait(timeout=30)


def table(times: dict) -> None:
    print("\n| who | what | ms a case | over mri_tf (least to most) |\n|---|---|---:|---|")
    for (name, writes), seconds in times.items():
        ratios = np.array(seconds) / times["mri_tf", writes]
        spread = f"{np.median(ratios):.2f} ({ratios.min():.2f} to {ratios.max():.2f})"
        what = "and written" if writes else "the same operations"
        print(f"| {name} | {what} | {1000 * np.median(seconds):.0f} | {spread} |")


if __name__ == "__main__":
    main()
