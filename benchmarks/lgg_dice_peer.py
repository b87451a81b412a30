"""Trains MONAI's UNet for benchmarks/lgg_dice.py, in a separate interpreter.

    python benchmarks/lgg_dice_peer.py FOLDER MINUTES CORES SEED LEARNING_RATE BATCH_SIZE

Trains on the arrays of FOLDER for the given minutes and writes predicted.npy and counts.npy
(parameters, steps) there. The UNet is that of MONAI's 3D examples: 16 to 256 channels, two residual
units a level; channels last, on the number of threads that is fastest here.
"""

import sys
import time
from math import radians
from pathlib import Path

import numpy as np
import torch
from monai.data import set_track_meta
from monai.networks.nets import UNet
from monai.transforms import Compose, RandAffined, RandFlipd
from monai.utils import set_determinism

KEYS = ("image", "mask")
DEGREES = (10.0, 5.0, 5.0)  # about depth, rows, columns: those of the task
LEFT_RIGHT = 2


def augmentation(grid: tuple[int, ...]):
    """The task's ranges: with probability 0.8 turned, shifted and zoomed; flipped in half of those."""
    return Compose(
        [
            RandFlipd(KEYS, prob=0.4, spatial_axis=LEFT_RIGHT),
            RandAffined(
                KEYS, prob=0.8, rotate_range=[radians(angle) for angle in DEGREES],
                translate_range=[0.05 * side for side in grid], scale_range=[0.1] * 3,
                mode=("bilinear", "nearest"), padding_mode="border",
            ),
        ]
    )  # fmt: skip


def fastest_threads(model: UNet, images: np.ndarray, batch_size: int, cores: int) -> int:
    """Sets and returns the number of threads with the fastest step: beside other work, two threads
    that wait for each other can be slower than one."""
    seconds = {}
    image = torch.from_numpy(images[:batch_size].astype(np.float32))
    image = image.contiguous(memory_format=torch.channels_last_3d)
    for threads in range(1, cores + 1):
        torch.set_num_threads(threads)
        for _ in range(3):
            start = time.perf_counter()
            model(image).mean().backward()
            seconds[threads] = time.perf_counter() - start
    best = min(seconds, key=seconds.get)
    torch.set_num_threads(best)
    return best


def main() -> None:
    home, minutes = Path(sys.argv[1]), float(sys.argv[2])
    cores, seed, rate, batch_size = (
        int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5]), int(sys.argv[6]),
    )  # fmt: skip
    set_determinism(seed)
    set_track_meta(False)
    images = np.load(home / "train_images.npy", mmap_mode="r")
    masks = np.load(home / "train_masks.npy", mmap_mode="r")
    change = augmentation(images.shape[2:])
    model = UNet(
        spatial_dims=3, in_channels=images.shape[1], out_channels=2,
        channels=(16, 32, 64, 128, 256), strides=(2, 2, 2, 2), num_res_units=2, norm="batch",
    )  # fmt: skip
    model = model.to(memory_format=torch.channels_last_3d)
    print(f"the peer on {fastest_threads(model, images, batch_size, cores)} threads", flush=True)
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    weights = torch.from_numpy(np.load(home / "weights.npy"))
    # The weighted sum over voxels by their number, as the other network's loss.
    loss_of = torch.nn.CrossEntropyLoss(weight=weights, reduction="none")
    rng, steps, end = np.random.default_rng(seed), 0, float("inf")
    while time.monotonic() < end:
        order = rng.permutation(len(images))
        for start in range(0, len(order), batch_size):
            chosen = [
                change(
                    {
                        "image": torch.from_numpy(images[k].astype(np.float32)),
                        "mask": torch.from_numpy(masks[k][None].astype(np.float32)),
                    }
                )
                for k in order[start : start + batch_size]
            ]
            image = torch.stack([one["image"] for one in chosen])
            image = image.contiguous(memory_format=torch.channels_last_3d)
            mask = torch.stack([one["mask"] for one in chosen])[:, 0].long()
            optimizer.zero_grad()
            loss_of(model(image), mask).mean().backward()
            optimizer.step()
            if not steps:
                end = time.monotonic() + 60 * minutes
            steps += 1
            if time.monotonic() > end:
                break
    model.eval()
    tests = np.load(home / "test_images.npy", mmap_mode="r")
    with torch.no_grad():
        predicted = [
            model(torch.from_numpy(image[None].astype(np.float32))).argmax(1)[0].numpy()
            for image in tests
        ]
    np.save(home / "predicted.npy", np.stack(predicted).astype(np.uint8))
    parameters = sum(weight.numel() for weight in model.parameters())
    np.save(home / "counts.npy", np.array([parameters, steps]))


if __name__ == "__main__":
    main()
