"""Compares converted 3D ResNets with PyTorch's: the largest difference of their maps, for each file.

    python benchmarks/resnet3d.py --peers-python /path/to/python-with-torch [--networks 10B 18A 34A 50B]

PyTorch makes networks in MedicalNet's layout with random weights, saves them in both layouts that
torch.save knows and computes the maps of a random volume. `mri_tf.convert` converts the files, and the
networks here answer for the same volume. Exit code 1 where a difference is above 1e-4 of the largest
value of the maps.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import keras
import numpy as np

from mri_tf.convert.medicalnet import convert
from mri_tf.convert.torch_file import read_tensors
from mri_tf.models.resnet3d import resnet3d_maps
from mri_tf.tables import markdown

PEERS = Path(__file__).with_name("resnet3d_peers.py")
MOST = 1e-4  # of the largest value of the maps


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--peers-python", required=True, help="a Python with torch")
    parser.add_argument("--networks", nargs="+", default=["10B", "18A", "18B", "34A", "50B"])
    flags = parser.parse_args()
    rows, worst = [], 0.0
    with tempfile.TemporaryDirectory() as home:
        subprocess.run([flags.peers_python, PEERS, home, *flags.networks], check=True)
        for name in flags.networks:
            image, maps = (np.load(Path(home, f"{name}-{what}.npy")) for what in ("image", "maps"))
            for layout in ("zip", "sequence"):
                found = _maps(Path(home, f"{name}-{layout}.pth"), image)
                difference = np.abs(found - np.moveaxis(maps, 0, -1)).max() / np.abs(maps).max()
                worst = max(worst, difference)
                largest = f"{np.abs(maps).max():.2f}"
                rows.append([name[:-1], name[-1], layout, largest, f"{difference:.1e}"])
    print(markdown(rows, ["depth", "shortcut", "file", "largest map", "largest difference, of that"]))
    return int(worst > MOST)


def _maps(file: Path, image: np.ndarray) -> np.ndarray:
    """Maps (depth, rows, columns, features) of a volume (depth, rows, columns)."""
    converted, layout = convert(read_tensors(file))
    x = keras.Input((*image.shape, 1))
    network = keras.Model(x, resnet3d_maps(x, layout.depth, layout.shortcut, layout.width))
    network.set_weights(converted.get_weights())
    return np.asarray(network(image[None, ..., None], training=False)[0])


if __name__ == "__main__":
    sys.exit(main())
