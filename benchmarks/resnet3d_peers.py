"""PyTorch's side of benchmarks/resnet3d.py: networks in MedicalNet's layout, their files and maps.

Run by that script with a Python that has torch: writes <depth><shortcut>.pth in both layouts that
torch.save knows, and image.npy and maps.npy of each.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

BLOCKS = {10: (1, 1, 1, 1), 18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3)}
STAGES = ((64, 1, 1), (128, 2, 1), (256, 1, 2), (512, 1, 4))  # channels, stride, dilation


class Block(nn.Module):
    """A residual block, with two convolutions or, as a bottleneck, with three."""

    def __init__(
        self, before: int, width: int, stride: int, dilation: int, bottleneck: bool, shortcut: str
    ):
        super().__init__()
        after = width * (4 if bottleneck else 1)
        wide = dict(kernel_size=3, padding=dilation, dilation=dilation, bias=False)
        if bottleneck:
            self.conv1 = nn.Conv3d(before, width, 1, bias=False)
            self.conv2 = nn.Conv3d(width, width, stride=stride, **wide)
            self.conv3 = nn.Conv3d(width, after, 1, bias=False)
        else:
            self.conv1 = nn.Conv3d(before, width, stride=stride, **wide)
            self.conv2 = nn.Conv3d(width, width, **wide)
        self.count = 3 if bottleneck else 2
        for number in range(1, self.count + 1):
            channels = getattr(self, f"conv{number}").out_channels
            setattr(self, f"bn{number}", nn.BatchNorm3d(channels))
        self.stride, self.after = stride, after
        self.changes = stride != 1 or before != after
        if self.changes and shortcut == "B":
            self.downsample = nn.Sequential(
                nn.Conv3d(before, after, 1, stride, bias=False), nn.BatchNorm3d(after)
            )

    def forward(self, x):
        y = x
        for number in range(1, self.count + 1):
            y = getattr(self, f"bn{number}")(getattr(self, f"conv{number}")(y))
            y = functional.relu(y) if number < self.count else y
        if hasattr(self, "downsample"):
            x = self.downsample(x)
        elif self.changes:
            x = functional.avg_pool3d(x, 1, self.stride)
            x = functional.pad(x, (0, 0, 0, 0, 0, 0, 0, self.after - x.shape[1]))
        return functional.relu(x + y)


class ResNet(nn.Module):
    """The maps of MedicalNet's ResNet, without its decoder."""

    def __init__(self, depth: int, shortcut: str):
        super().__init__()
        bottleneck = depth == 50
        self.conv1 = nn.Conv3d(1, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm3d(64)
        before = 64
        for stage, (width, stride, dilation) in enumerate(STAGES, 1):
            blocks = []
            for number in range(BLOCKS[depth][stage - 1]):
                first = stride if number == 0 else 1
                blocks.append(Block(before, width, first, dilation, bottleneck, shortcut))
                before = blocks[-1].after
            setattr(self, f"layer{stage}", nn.Sequential(*blocks))

    def forward(self, x):
        x = functional.max_pool3d(functional.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        for stage in range(1, 5):
            x = getattr(self, f"layer{stage}")(x)
        return x


def main() -> None:
    folder = Path(sys.argv[1])
    for name in sys.argv[2:]:
        depth, shortcut = int(name[:-1]), name[-1]
        torch.manual_seed(depth)
        network = ResNet(depth, shortcut)
        for module in network.modules():
            if isinstance(module, nn.BatchNorm3d):
                for values, low, high in ((module.weight.data, 0.5, 1.5), (module.bias.data, -0.2, 0.2),
                                          (module.running_mean, -0.2, 0.2),
                                          (module.running_var, 0.5, 1.5)):  # fmt: skip
                    values.uniform_(low, high)
        image = torch.randn(1, 1, 24, 33, 40)
        with torch.no_grad():
            maps = network.eval()(image)
        np.save(folder / f"{name}-image.npy", image[0, 0].numpy())
        np.save(folder / f"{name}-maps.npy", maps[0].numpy())
        for zipped in (True, False):
            state = {"state_dict": nn.DataParallel(network).state_dict(), "epoch": 1}
            path = folder / f"{name}-{'zip' if zipped else 'sequence'}.pth"
            torch.save(state, path, _use_new_zipfile_serialization=zipped)


if __name__ == "__main__":
    main()
