"""Times 3D augmentation against MONAI and TorchIO: gamma, flip, rotation, shift and zoom, trilinear.

    python benchmarks/augment3d.py --peers-python PYTHON [--rounds 15] [--tolerance 1e-3]

PYTHON is an interpreter with torch, monai and torchio (`pip install mri_tf[bench]` in a separate
environment). All change one volume of 96 x 96 x 96 x 4 with the same parameters. The first table has
the differences of the result images, which must lie within the tolerance; the second has wall and CPU
times, measured in turns, also of two plain ways in TensorFlow: the same gather without XLA, and a chain
of three planar passes.
"""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import tensorflow as tf
from peer import Peer
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation

from mri_tf.pipeline.augment3d import Changes, apply_changes, random_affine3d, random_flip
from mri_tf.pipeline.contrast import apply_gamma
from mri_tf.pipeline.known import Known
from mri_tf.pipeline.resample3d import resample_linear

SIZE, CHANNELS = (96, 96, 96), 4
RADII = (0.55, 0.65, 0.5)  # of the head, in halves of the grid
DEGREES = np.array([12.0, -7.0, 18.0])  # about depth, rows, columns
SHIFT_VOXELS = np.array([3.3, -2.1, 4.7])
ZOOM, EXPONENT = 1.07, 0.9
EVERYTHING = {"random_gamma": {}, "random_flip": {}, "random_affine3d": {}}
NAMES = ("mri_tf", "without XLA", "planar passes", "MONAI", "TorchIO")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--peers-python", required=True, help="interpreter with torch, monai, torchio")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--tolerance", type=float, default=1e-3, help="of intensities in 0 to 1")
    flags = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    volumes = {"smooth": phantom(0.0), "noisy": phantom(0.1)}
    with tempfile.TemporaryDirectory() as folder:
        write_case(Path(folder), volumes)
        script = [flags.peers_python, str(Path(__file__).with_name("augment3d_peers.py"))]
        peers = {name: Peer([*script, name, folder, str(cores)], name, Path(folder))
                 for name in ("MONAI", "TorchIO")}  # fmt: skip
        try:
            compare(volumes, peers, flags.tolerance)
            times = timed(tf.constant(volumes["noisy"]), peers, flags.rounds)
        finally:
            for peer in peers.values():
                peer.close()
    table(times, cores)


def phantom(
    noise: float, size: tuple[int, ...] = SIZE, channels: int = CHANNELS, seed: int = 0
) -> np.ndarray:
    """A head of blobs on air of nought, with noise inside: (1, *size, channels), each in 0 to 1."""
    rng = np.random.default_rng(seed)
    lines = [np.linspace(-1, 1, length) for length in size]
    places = np.stack(np.meshgrid(*lines, indexing="ij"), axis=-1)
    head = (((places / RADII[: len(size)]) ** 2).sum(axis=-1) <= 1).astype(float)
    soft = gaussian_filter(head, 2)
    drawn = []
    for _ in range(channels):
        blobs = gaussian_filter(rng.normal(size=size), 6)
        image = soft * (1 + 0.5 * blobs / np.abs(blobs).max()) + head * noise * rng.normal(size=size)
        image = np.where(image < 0.02, 0, image)
        drawn.append(image / image.max())
    return np.stack(drawn, axis=-1)[None].astype(np.float32)


def affine_matrix(size: tuple[int, int, int] = SIZE) -> tf.Tensor:
    """The product's own matrix of given parameters: limits of one degree and voxel, uniforms beyond."""
    uniforms = (np.concatenate([DEGREES, SHIFT_VOXELS]) + 1) / 2
    return random_affine3d(
        tf.constant([[*uniforms, 0.0]], tf.float32), size, 1.0,
        tuple(1 / length for length in size), (ZOOM, ZOOM),
    )  # fmt: skip


def changes() -> Changes:
    flip = random_flip(tf.zeros([1, 1]), SIZE, "left_right", 1.0)
    intensities = {"random_gamma": tf.constant([EXPONENT])}
    return Changes(flip @ affine_matrix(), tf.constant([True]), intensities)


def ours(volumes: tf.Tensor) -> tf.Tensor:
    known = Known(SIZE, tf.ones((1, 3)), tf.zeros((1, CHANNELS)), tf.ones((1, CHANNELS)))
    return apply_changes(volumes, None, changes(), EVERYTHING, known)[0]


plain_gather = tf.function(resample_linear.python_function)


def without_xla(volumes: tf.Tensor) -> tf.Tensor:
    own = changes()
    return plain_gather(apply_gamma(volumes, own.intensities["random_gamma"]), own.matrix)


# ---- the chain of planar passes


@tf.function
def planar_passes(volumes: tf.Tensor) -> tf.Tensor:
    """The same in three passes of ImageProjectiveTransformV3: one turn each, two axes at a time."""
    bent = tf.reverse(apply_gamma(volumes, tf.constant([EXPONENT])), [3])
    depth, row, column = SHIFT_VOXELS
    turned = _planar(bent, (0, 1, 2, 3, 4), DEGREES[0], (row, column), (1, 1))
    turned = _planar(turned, (0, 2, 3, 1, 4), DEGREES[1], (0, 0), (ZOOM, 1), last_shift=depth)
    return _planar(turned, (0, 3, 1, 2, 4), DEGREES[2], (0, 0), (ZOOM, ZOOM))


def _planar(volumes, order, degrees, shift, zoom, last_shift=0.0):
    """Turns the plane of axes order[2:4] by reading at cos, sin, -sin, cos; the rest is the batch."""
    laid = tf.transpose(volumes, order)
    shape = tf.shape(laid)
    first, second = laid.shape[2], laid.shape[3]
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    linear = np.array([[cos, sin], [-sin, cos]]) / zoom  # result -> source; zoom of first, second
    centre = (np.array([first, second]) - 1) / 2
    offset = centre - linear @ centre - (shift[0], shift[1] + last_shift)
    flat = [linear[1, 1], linear[1, 0], offset[1], linear[0, 1], linear[0, 0], offset[0], 0, 0]
    moved = tf.raw_ops.ImageProjectiveTransformV3(
        images=tf.reshape(laid, (-1, first, second, CHANNELS)),
        transforms=tf.constant([flat], tf.float32), output_shape=[first, second], fill_value=0.0,
        interpolation="BILINEAR", fill_mode="NEAREST",
    )  # fmt: skip
    return tf.transpose(tf.reshape(moved, shape), np.argsort(order))


# ---- peers


def write_case(folder: Path, volumes: dict) -> None:
    """Volumes channels first and the parameters as each peer takes them, all from the same numbers."""
    for name, volume in volumes.items():
        np.save(folder / f"{name}.npy", np.ascontiguousarray(np.moveaxis(volume[0], -1, 0)))
    case = peers_affine(affine_matrix()[0].numpy()) | {"exponent": EXPONENT}
    (folder / "case.json").write_text(json.dumps(case))


def peers_affine(matrix: np.ndarray, zooms: tuple[float, float, float] = (ZOOM,) * 3) -> dict:
    """The affine map (4, 4), from the middle of the grid, as MONAI takes it, and as TorchIO does."""
    turn = matrix[:3, :3].astype(float) * np.reshape(zooms, (3, 1))
    # It leads from the result to the source; TorchIO's is its inverse, about z, x, y.
    degrees = Rotation.from_matrix(turn.T).as_euler("ZXY", degrees=True)
    return {
        "matrix": matrix.tolist(),
        "degrees": [degrees[1], degrees[2], degrees[0]],
        "translation": (-turn.T @ matrix[:3, 3]).tolist(),
        "zooms": list(zooms),
    }


# ---- the two parts


def compare(volumes: dict, peers: dict[str, Peer], tolerance: float) -> None:
    """Every result beside ours; ends where a peer's differs by more than the tolerance."""
    print("| difference from mri_tf, intensities 0 to 1 | phantom | largest | mean absolute | "
          "mean absolute in the head |\n" + "|---" * 5 + "|")  # fmt: skip
    differs = []
    for phantom_name, volume in volumes.items():
        mine = ours(tf.constant(volume)).numpy()
        head = ours(tf.constant(volumes["smooth"])).numpy() > 0.1
        others = {
            "without XLA": without_xla(tf.constant(volume)).numpy(),
            "planar passes": planar_passes(tf.constant(volume)).numpy(),
        } | {name: peer.result(phantom_name) for name, peer in peers.items()}
        for name, other in others.items():
            difference = np.abs(other - mine)
            print(f"| {name} | {phantom_name} | {difference.max():.1e} | {difference.mean():.1e} | "
                  f"{difference[head].mean():.1e} |")  # fmt: skip
            if name != "planar passes" and difference.max() > tolerance:
                differs.append(name)
        changed = np.abs(mine - volume)[head].mean()
        print(f"| the volume unchanged | {phantom_name} | | | {changed:.1e} |")
    if differs:
        raise SystemExit(f"other result images than ours: {', '.join(sorted(set(differs)))}")


def timed(volume: tf.Tensor, peers: dict[str, Peer], rounds: int) -> np.ndarray:
    """Wall and CPU seconds, (rounds, NAMES, 2): in turns, so that all bear the machine's load."""
    plain = {"mri_tf": ours, "without XLA": without_xla, "planar passes": planar_passes}
    times = np.zeros((rounds + 2, len(NAMES), 2))
    for row in times:
        for column, name in enumerate(NAMES):
            row[column] = peers[name].run("noisy") if name in peers else once(plain[name], volume)
    return times[2:]  # two rounds of warming up


def once(function, volume: tf.Tensor) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    function(volume).numpy()
    return time.perf_counter() - wall, time.process_time() - cpu


def table(times: np.ndarray, cores: int) -> None:
    print(f"\n{len(times)} rounds in turns, {cores} cores, load average {os.getloadavg()[0]:.1f}")
    print("| 96^3 x 4, one volume | wall, ms (quartiles) | CPU, ms | wall / mri_tf | CPU / mri_tf |\n"
          + "|---" * 5 + "|")  # fmt: skip
    ratios = np.median(times / times[:, :1], axis=0)  # of each round, then their median
    for column, name in enumerate(NAMES):
        low, middle, high = np.percentile(1000 * times[:, column, 0], (25, 50, 75))
        cpu = 1000 * np.median(times[:, column, 1])
        print(f"| {name} | {middle:.0f} ({low:.0f} to {high:.0f}) | {cpu:.0f} | "
              f"{ratios[column, 0]:.1f} | {ratios[column, 1]:.1f} |")  # fmt: skip


if __name__ == "__main__":
    main()
