"""Runs MONAI or TorchIO for benchmarks/preparation.py, in a separate interpreter.

    python benchmarks/preparation_peers.py MONAI|TorchIO FOLDER

For each line on stdin the case in the folder is prepared once, and the seconds go to stdout; with the
line "write" what the library keeps is written too. The first result is saved as NAME.npy.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import torch

SEQUENCES = ("t1", "t2", "flair")


def grid_of(folder: Path) -> tuple[np.ndarray, tuple[int, int, int]]:
    """The affine of the result's (x, y, z) in RAS order, and its shape; from mri_tf's reversed grid."""
    reversed_affine = np.load(folder / "affine.npy")
    shape = (128, 128, 80)
    turn = np.diag([-1.0, -1.0, -1.0, 1.0])
    turn[:3, 3] = np.array(shape) - 1
    return reversed_affine @ turn, shape


def monai_case(folder: Path):
    from monai.data import PersistentDataset
    from monai.transforms import (
        Compose,
        ConcatItemsd,
        EnsureChannelFirstd,
        LoadImaged,
        NormalizeIntensityd,
        Orientationd,
        SpatialResample,
    )

    affine, shape = grid_of(folder)
    resample = SpatialResample(mode="bilinear", padding_mode="border", align_corners=True)

    def onto_grid(data: dict) -> dict:
        image = resample(data["image"], dst_affine=torch.tensor(affine), spatial_size=shape)
        return {"image": image}

    item = {name: str(folder / f"{name}.nii.gz") for name in SEQUENCES}
    transforms = Compose(
        [
            LoadImaged(SEQUENCES),
            EnsureChannelFirstd(SEQUENCES),
            Orientationd(SEQUENCES, axcodes="RAS"),
            ConcatItemsd(SEQUENCES, "image"),
            onto_grid,
            NormalizeIntensityd("image", channel_wise=True),
        ]
    )

    def run(writes: bool) -> np.ndarray:
        if writes:
            cache = folder / "cache"
            for file in cache.glob("*") if cache.exists() else ():
                file.unlink()
            return PersistentDataset([item], transforms, cache)[0]["image"]
        return transforms(item)["image"]

    return run


def torchio_case(folder: Path):
    import torchio

    affine, shape = grid_of(folder)
    transforms = torchio.Compose(
        [torchio.ToCanonical(), torchio.Resample((shape, affine)), torchio.ZNormalization()]
    )

    def run(writes: bool) -> np.ndarray:
        subject = torchio.Subject(
            {name: torchio.ScalarImage(folder / f"{name}.nii.gz") for name in SEQUENCES}
        )
        done = transforms(subject)
        image = torch.cat([done[name].data.float() for name in SEQUENCES])
        if writes:
            torch.save(image, folder / "torchio.pt")
        return image

    return run


def main() -> None:
    name, folder = sys.argv[1], Path(sys.argv[2])
    torch.set_num_threads(1)
    run = {"MONAI": monai_case, "TorchIO": torchio_case}[name](folder)
    for line in sys.stdin:
        begun = time.perf_counter()
        image = run(line.strip() == "write")
        seconds = time.perf_counter() - begun
        if not (folder / f"{name}.npy").exists():
            array = np.asarray(image)  # (channels, x, y, z)
            np.save(folder / f"{name}.npy", np.moveaxis(array, (0, 1, 3), (3, 2, 0))[::-1, ::-1, ::-1])
        print(json.dumps(seconds), flush=True)


if __name__ == "__main__":
    main()
