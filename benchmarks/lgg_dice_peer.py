"""Trains MONAI's UNet for benchmarks/lgg_dice.py, in a separate interpreter.

    python benchmarks/lgg_dice_peer.py FOLDER VALUES

VALUES are JSON: minutes, seed, learning_rate, batch_size, dice_share, cosine. Trains on the arrays of
FOLDER on one thread for the given minutes of processor time and writes predicted.npy and counts.npy
there. The UNet is that of MONAI's 3D examples: 16 to 256 channels, two residual units a level; its
tensors have the channels last.
"""

import json
import sys
import time
from math import cos, pi, radians
from pathlib import Path

import numpy as np
import torch
from monai.data import set_track_meta
from monai.losses import DiceLoss
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


def loss_function(weights: torch.Tensor, dice_share: float):
    """The weighted cross entropy over all voxels, and soft Dice where it has a share."""
    # The weighted sum over voxels by their number, as the other network's loss.
    entropy = torch.nn.CrossEntropyLoss(weight=weights, reduction="none")
    dice = DiceLoss(include_background=False, to_onehot_y=True, softmax=True)

    def loss(scores: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
        found = (1 - dice_share) * entropy(scores, masks).mean()
        return found + dice_share * dice(scores, masks[:, None]) if dice_share else found

    return loss


def main() -> None:
    home, values = Path(sys.argv[1]), json.loads(sys.argv[2])
    seconds, batch_size = 60 * values["minutes"], values["batch_size"]
    set_determinism(values["seed"])
    set_track_meta(False)
    torch.set_num_threads(1)
    images = np.load(home / "train_images.npy", mmap_mode="r")
    masks = np.load(home / "train_masks.npy", mmap_mode="r")
    change = augmentation(images.shape[2:])
    model = UNet(
        spatial_dims=3, in_channels=images.shape[1], out_channels=2,
        channels=(16, 32, 64, 128, 256), strides=(2, 2, 2, 2), num_res_units=2, norm="batch",
    )  # fmt: skip
    model = model.to(memory_format=torch.channels_last_3d)
    optimizer = torch.optim.Adam(model.parameters(), lr=values["learning_rate"])
    loss_of = loss_function(torch.from_numpy(np.load(home / "weights.npy")), values["dice_share"])
    rng, steps, start = np.random.default_rng(values["seed"]), 0, None
    share = 0.0
    while share < 1:
        order = rng.permutation(len(images))
        for first in range(0, len(order), batch_size):
            chosen = [
                change(
                    {
                        "image": torch.from_numpy(images[k].astype(np.float32)),
                        "mask": torch.from_numpy(masks[k][None].astype(np.float32)),
                    }
                )
                for k in order[first : first + batch_size]
            ]
            image = torch.stack([one["image"] for one in chosen])
            image = image.contiguous(memory_format=torch.channels_last_3d)
            mask = torch.stack([one["mask"] for one in chosen])[:, 0].long()
            if values["cosine"]:
                falls = 0.5 * (1 + cos(pi * share))
                optimizer.param_groups[0]["lr"] = values["learning_rate"] * falls
            optimizer.zero_grad()
            loss_of(model(image), mask).backward()
            optimizer.step()
            start = time.process_time() if start is None else start
            steps += 1
            share = min(1.0, (time.process_time() - start) / seconds)
            if share == 1:
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
