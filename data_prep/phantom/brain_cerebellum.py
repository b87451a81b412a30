"""The cerebellum: two hemispheres with folia, and the vermis in three groups of lobules."""

import numpy as np

from data_prep.phantom.brain_cortex import ramp, tentorium
from data_prep.phantom.brain_parts import LABEL
from data_prep.phantom.brain_patient import Head
from data_prep.phantom.shapes import Grid

_FASTIGIUM = (-50.0, -32.0)  # y, z of the roof of the fourth ventricle


def cerebellum(head: Head, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Depth (reference mm, positive inside) and the label of every voxel there; (x, y, z)."""
    size = np.float32(head.cerebellum)
    side = np.abs(grid.x)
    x, y, z = side - 22 * size, grid.y + 65, grid.z + 37
    level = (x / (30 * size)) ** 2 + (y / (30 * size)) ** 2 + (z / (24 * size)) ** 2
    lobes = np.float32(25) * (1 - np.sqrt(level))
    vy, vz = grid.y - np.float32(_FASTIGIUM[0]), grid.z - np.float32(_FASTIGIUM[1])
    level = (side / 12) ** 2 + ((vy + 10) / 27) ** 2 + (vz / 25) ** 2
    middle = np.float32(18) * (1 - np.sqrt(level))
    depth = np.minimum(np.maximum(lobes, middle), tentorium(grid) - 1.5 - grid.z)
    # folia: thin white sheets between layers of cortex, about the white core
    layers = np.cos(2 * np.pi / 9 * (z + 0.25 * y + 0.002 * x * x))
    core = ((side - 17) / 14) ** 2 + ((grid.y + 56) / 13) ** 2 + (z / 9) ** 2
    white = (core < 1) | ((layers > 0.45) & (depth > 4.0) & (core < 3.6))
    labels = np.where(white, LABEL["cerebellar_white"], LABEL["cerebellar_grey"]).astype(np.uint8)
    labels[depth <= 0] = 0
    vermis = (depth > 0) & (side < head.vermis_mm) & (vy < 12)
    angle = np.degrees(np.arctan2(vz, -vy))  # 0: backwards, 90: up
    turn = head.vermis_degrees
    labels[vermis & (angle > 30 + turn)] = LABEL["cvl_1_5"]
    labels[vermis & (angle <= 30 + turn) & (angle > -4 + turn)] = LABEL["cvl_6_7"]
    labels[vermis & (angle <= -4 + turn)] = LABEL["cvl_8_10"]
    return depth, labels


def arbor_vitae(head: Head, grid: Grid, depth: np.ndarray) -> np.ndarray:
    """Share of white matter in the vermis, a tree from the fastigium outwards, (x, y, z)."""
    vy, vz = grid.y - np.float32(_FASTIGIUM[0]), grid.z - np.float32(_FASTIGIUM[1])
    branches = np.cos(5 * np.arctan2(vz, -vy) + np.radians(head.vermis_degrees))
    return ramp(branches, 0.55, 0.95) * ramp(depth, 2, 5) * 0.8
