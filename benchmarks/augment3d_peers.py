"""Runs MONAI or TorchIO for benchmarks/augment3d.py, in a separate interpreter.

    python benchmarks/augment3d_peers.py MONAI|TorchIO FOLDER CORES

Each line on stdin names a volume of the folder. The volume is changed once and written as
NAME_result.npy; the wall and CPU seconds of the change, without the writing, go to stdout.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import torch


def monai_change(case: dict):
    from monai.data import set_track_meta
    from monai.transforms import AdjustContrast, Affine, Compose, Flip

    set_track_meta(False)  # plain tensors: faster
    return Compose(
        [
            AdjustContrast(case["exponent"]),
            Flip(spatial_axis=2),
            Affine(affine=torch.tensor(case["matrix"]), padding_mode="border", image_only=True),
        ]
    )


def torchio_change(case: dict):
    import torchio

    change = torchio.Compose(
        [
            torchio.Gamma(case["exponent"], copy=False),
            torchio.Flip(2, copy=False),
            torchio.Affine(case["zooms"], case["degrees"], case["translation"], copy=False),
        ],
        copy=False,
    )
    return lambda volume: change(torchio.Subject(image=torchio.ScalarImage(tensor=volume))).image.data


def main() -> None:
    name, folder, cores = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    torch.set_num_threads(cores)
    case = json.loads((folder / "case.json").read_text())
    change = {"MONAI": monai_change, "TorchIO": torchio_change}[name](case)
    for line in sys.stdin:
        given = torch.from_numpy(np.load(folder / f"{line.strip()}.npy"))
        wall, cpu = time.perf_counter(), time.process_time()
        result = change(given)
        seconds = time.perf_counter() - wall, time.process_time() - cpu
        np.save(folder / f"{name}_result.npy", np.asarray(result))
        print(*seconds, flush=True)


if __name__ == "__main__":
    main()
