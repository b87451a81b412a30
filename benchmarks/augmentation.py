"""Each operation of augmentation beside MONAI's and TorchIO's: the same results, and milliseconds.

    python benchmarks/augmentation.py --peers-python PYTHON [--rounds 5] [--only OPERATION ...]

PYTHON is an interpreter with torch, monai and torchio (`pip install mri_tf[bench]` in a separate
environment). The first table has the largest and mean difference of a record that was changed with the
same parameters, intensities 0 to 1, the tolerance, and how definitions differ; exit code 1 where a
tolerance is exceeded. The second has CPU milliseconds a record of drawing and applying, on one thread
and one core each, in turns, and the ratio of each round: its median, least and most. Batches of 16 x
224 x 224 x 3, and of 2 x 64 x 64 x 64 x 4 voxels.
"""

import argparse
import os
import pickle
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import tensorflow as tf
from augment3d import phantom
from augmentation_cases import MONAI, TORCHIO, Case, cases
from peer import Peer

from mri_tf.pipeline.augment2d import augment_images
from mri_tf.pipeline.augment3d import augment_volumes
from mri_tf.pipeline.known import Known
from mri_tf.tables import markdown

BATCHES = {2: (16, 224, 224, 3), 3: (2, 64, 64, 64, 4)}
NOISE = 0.1  # inside the phantom's head
SURE = {"probability": 1.0}
GEOMETRY = {
    2: {"random_affine": {"max_degrees": 10.0, "max_shift_fraction": 0.05, "zoom": (0.9, 1.1)}},
    3: {"random_affine3d": {"max_degrees": 10.0, "max_shift_fraction": 0.05, "zoom": (0.9, 1.1)}},
}
# Name -> what a task asks for; augmentation_peers.py has the same limits.
TIMED = {
    "flip": {"random_flip": SURE},
    "quarter turn": {"random_rot90": {}},
    "affine": GEOMETRY,
    "elastic": {"random_elastic": SURE},
    "contrast": {"random_contrast": {}},
    "gamma": {"random_gamma": {}},
    "bias field": {"random_bias_field": SURE},
    "blur": {"random_blur": SURE},
    "low resolution": {"random_low_resolution": SURE},
    "ghosting": {"random_ghosting": SURE},
    "Rician noise": {"random_noise": SURE},
    "erased box": {"random_erasing": {**SURE, "fill": "low"}},
}
ALL = "all"  # but quarter turns, which images do not have, and ghosts, which MONAI does not have
WITHOUT = {  # operations that a peer does not have
    MONAI: ("ghosting",), TORCHIO: ("contrast", "erased box", "quarter turn"),
}  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--peers-python", required=True, help="interpreter with torch, monai, torchio")
    parser.add_argument("--rounds", type=int, default=5, help="0: compare only")
    parser.add_argument("--only", nargs="+", help="operations to time")
    flags = parser.parse_args()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # the peers inherit it
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    batches = {axes: np.concatenate([phantom(NOISE, size, channels, seed) for seed in range(count)])
               for axes, (count, *size, channels) in BATCHES.items()}  # fmt: skip
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home)
        compared = {axes: cases(batch[:1]) for axes, batch in batches.items()}
        write_inputs(folder, batches, compared)
        script = [flags.peers_python, str(Path(__file__).with_name("augmentation_peers.py"))]
        peers = {name: Peer([*script, name, home], name, folder) for name in (MONAI, TORCHIO)}
        try:
            too_far = compare(batches, compared, peers)
            if flags.rounds:
                timed(batches, peers, flags.rounds, flags.only)
        finally:
            for peer in peers.values():
                peer.close()
    for name in too_far:
        print(f"further from ours than allowed: {name}")
    return int(bool(too_far))


def write_inputs(folder: Path, batches: dict, compared: dict[int, dict[str, Case]]) -> None:
    """Batches with channels first, and the parameters of each operation."""
    for axes, batch in batches.items():
        np.save(folder / f"batch{axes}.npy", np.ascontiguousarray(np.moveaxis(batch, -1, 1)))
    parameters = {
        axes: {
            name: {**case.parameters, "cut": case.cut or slice(None)} for name, case in of_axes.items()
        }
        for axes, of_axes in compared.items()
    }
    (folder / "parameters.pickle").write_bytes(pickle.dumps(parameters))


def compare(batches: dict, compared: dict[int, dict[str, Case]], peers: dict[str, Peer]) -> list[str]:
    """Prints how far the results lie apart; returns what lies further apart than is allowed."""
    rows, too_far = [], []
    for axes, of_axes in compared.items():
        for name, case in of_axes.items():
            mine = case.ours(tf.constant(batches[axes][:1])).numpy()[:, case.cut or slice(None)]
            inside = (slice(None), *[slice(case.margin or None, -case.margin or None)] * axes)
            for library, most in case.tolerances.items():
                other = peers[library].result(f"compare {axes} {name}")
                difference = np.abs(other - mine)[inside]
                if most is not None and not difference.max() <= most:
                    too_far.append(f"{name} in {axes}D, {library}")
                allowed = "another definition" if most is None else f"{most:g}"
                apart = f"{difference.max():.1e}", f"{difference.mean():.1e}"
                rows.append([f"{axes}D", name, library, *apart, allowed, case.note.get(library, "")])
    columns = ["", "operation", "peer", "largest", "mean", "allowed", "how the peer's differs"]
    print(markdown(rows, columns) + "\n", flush=True)
    return too_far


def timed(batches: dict, peers: dict[str, Peer], rounds: int, only: list[str] | None) -> None:
    """Prints CPU milliseconds a record, in turns."""
    rows = []
    for axes, batch in batches.items():
        for name in [*TIMED, ALL]:
            if (axes == 2 and name == "quarter turn") or (only and name not in only):
                continue
            have = [one for one in peers if name not in WITHOUT[one]]
            own = ours(batch, asked(name, axes))
            turns = [
                [own(number)] + [peers[one].run(f"time {axes} {name}") for one in have]
                for number in range(rounds + 1)
            ]  # fmt: skip
            spent = 1000 * np.array(turns[1:]) / len(batch)  # (rounds, who, wall and CPU), ms a record
            ms = np.median(spent[..., 1], axis=0)
            ratios = spent[:, 1:] / spent[:, :1]  # (rounds, peers, wall and CPU)
            place = {one: have.index(one) for one in have}
            rows.append([
                f"{axes}D", name, f"{ms[0]:.2f}",
                *(f"{ms[1 + place[one]]:.2f}" if one in place else "" for one in peers),
                *(_ratio(ratios[:, place[one], 1]) if one in place else "" for one in peers),
                *(_ratio(ratios[:, place[one], 0]) if one in place else "" for one in peers),
            ])  # fmt: skip
    columns = ["", "operation", "mri_tf, ms", *(f"{one}, ms" for one in peers),
               *(f"{one} / mri_tf" for one in peers), *(f"{one}, wall" for one in peers)]  # fmt: skip
    print(f"{rounds} rounds in turns on one core, load average {os.getloadavg()[0]:.1f}\n")
    print(markdown(rows, columns))


def asked(name: str, axes: int) -> dict:
    """The task's `augment` of a timed operation, or of all of them."""
    if name == ALL:
        names = [one for one in TIMED if one not in ("quarter turn", "ghosting")]
        return {key: values for one in names for key, values in asked(one, axes).items()}
    return GEOMETRY[axes] if TIMED[name] is GEOMETRY else TIMED[name]


def ours(batch: np.ndarray, augment: dict):
    """Number of a round -> wall and CPU seconds of drawing and applying, as tf.data runs it."""
    count, *size, channels = batch.shape
    grid = tuple(range(1, batch.ndim - 1))
    known = Known(
        tuple(size), tf.ones((count, len(size))), tf.constant(batch.mean(axis=grid)),
        tf.constant(batch.std(axis=grid)),
    )  # fmt: skip
    change = augment_images if len(size) == 2 else augment_volumes

    @tf.function
    def changed(images: tf.Tensor, seeds: tf.Tensor) -> tf.Tensor:
        return change(images, None, seeds, augment, 1.0, known)[0]

    images = tf.constant(batch)

    def run(number: int) -> tuple[float, float]:
        seeds = tf.stack([tf.fill([count], number), tf.range(count)], axis=-1)
        seeds = tf.cast(seeds, tf.int64)
        wall, cpu = time.perf_counter(), time.process_time()
        changed(images, seeds)  # returns when it is done
        return time.perf_counter() - wall, time.process_time() - cpu

    return run


def _ratio(ratios: np.ndarray) -> str:
    return f"{np.median(ratios):.1f} ({ratios.min():.1f} to {ratios.max():.1f})"


if __name__ == "__main__":
    sys.exit(main())
