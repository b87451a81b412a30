"""The cranial cavity, the folded cerebrum and the cerebellum, as depth maps on a voxel grid.

Depths are signed distances in reference mm, positive inside, exact near the surface only. All maps
are (x, y, z), float32 unless stated otherwise.
"""

import numpy as np

from data_prep.phantom.brain.patient import Head, sum_of_waves
from data_prep.phantom.brain.structures import LABEL
from data_prep.phantom.shapes import Grid

CENTRE = (0.0, -17.0, 10.0)  # of the cranial cavity
RADII = (70.0, 89.0, 71.0)
_CALLOSUM = (-8.0, 2.0, 38.0, 26.0)  # centre y, z and radii y, z of the callosal arch, side view
_FASTIGIUM = (-50.0, -32.0)  # y, z of the roof of the fourth ventricle
_RADIAL = 0.65  # direction of the sulci: 1 straight towards the core, 0 any


def ramp(value: np.ndarray, start: float, end: float) -> np.ndarray:
    """0 before `start`, 1 after `end`, a straight line between (start > end: falling)."""
    return np.clip((value - np.float32(start)) / np.float32(end - start), 0, 1)


def vault_depth(head: Head, grid: Grid) -> np.ndarray:
    """Depth below the inner table of the skull's vault."""
    a, b, c = RADII
    x, y, z = (v - np.float32(o) for v, o in zip((grid.x, grid.y, grid.z), CENTRE, strict=True))
    width = a * (1 - head.egg * ramp(y, -40, 110))
    e = np.float32(head.exponent)
    level = (np.abs(x) / width) ** e + (np.abs(y) / np.float32(b)) ** e
    level = (level + (np.abs(z) / np.float32(c)) ** e) ** (1 / e)
    radius = np.sqrt(x * x + y * y + z * z)
    return radius * (1 / np.maximum(level, 1e-3) - 1)


def posterior_fossa_depth(grid: Grid) -> np.ndarray:
    """Depth below the wall of the posterior fossa."""
    level = (grid.x / 60) ** 2 + ((grid.y + 60) / 42) ** 2 + ((grid.z + 34) / 34) ** 2
    return np.float32(42) * (1 - np.sqrt(level))


def skull_floor(grid: Grid) -> np.ndarray:
    """Height (reference mm) of the floor of the anterior and middle fossa."""
    side = np.abs(grid.x)
    middle = -48 + 26 * ramp(side, 17, 12) * ramp(grid.y, -24, -16)  # the sella
    return middle + (-29 - middle) * ramp(grid.y, 18, 27)


def tentorium(grid: Grid) -> np.ndarray:
    """Height (reference mm) of the tentorium."""
    return 1 - 0.45 * np.abs(grid.x) + 0.36 * np.minimum(grid.y + 45, 0)


def cerebrum_depth(head: Head, grid: Grid, vault: np.ndarray) -> np.ndarray:
    """Depth below the hull of the cerebrum, with sulci and fissures filled."""
    side = np.abs(grid.x)
    # The temporal lobes, and between them the floor of the third ventricle.
    base = -46 + 31 * ramp(side, 17, 11) * ramp(grid.y, 22, 12)
    base = base + (-27 - base) * ramp(grid.y, 17, 25)
    ridge = grid.y + 34 + 0.25 * side  # the petrous ridge: behind it lies the tentorium
    base = base + (tentorium(grid) + 1 - base) * ramp(ridge, 4, -4)
    return np.minimum(vault - np.float32(head.gap_mm), grid.z - base - np.float32(0.4 * head.gap_mm))


def _beyond(value: np.ndarray, low: float, high: float) -> np.ndarray:
    """How far the value lies outside low..high."""
    return np.maximum(np.maximum(low - value, value - high), 0)


def _fissures(
    head: Head, x: np.ndarray, y: np.ndarray, z: np.ndarray, wobble: np.ndarray
) -> np.ndarray:
    """Distance to the fluid in the fissure between the hemispheres and in the Sylvian fissures.

    Negative in the fluid. wobble: about -2 to 2, bends the Sylvian fissures.
    """
    cy, cz, ry, rz = _CALLOSUM
    arch = np.sqrt(((y - cy) / ry) ** 2 + ((z - cz) / rz) ** 2)
    midline = np.hypot(np.abs(x), np.maximum((1 - arch) * rz, 0)) - (0.4 + 0.5 * head.sulcus_mm)
    side = np.abs(x) + wobble
    half_mm = np.where(x > 0, head.size("sylvian_fissure", 1), head.size("sylvian_fissure", -1))
    off = (z + 2 + 0.42 * y) * 0.92 + 2.5 * wobble  # above the sheet that rises backwards
    lips = np.sqrt(off**2 + _beyond(side, 36, 200) ** 2 + _beyond(y, -42, 21) ** 2)
    insula = side - 38.5 + 0.008 * (y + 2) ** 2 + 0.012 * off**2
    insula = np.sqrt(insula**2 + _beyond(off, -12, 15) ** 2 + _beyond(y, -22, 20) ** 2)
    return np.minimum(midline, np.minimum(lips, insula) - half_mm.astype(np.float32))


def fold(
    head: Head, grid: Grid, depth: np.ndarray, voxel_mm: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The folded cerebrum as a mixture of fluid, grey and white matter.

    Sulci are the sheets where a sum of waves over the surface is zero, carried inwards nearly along
    the way to the core of the hemisphere.

    Args:
        head: the head.
        grid: voxel centres in body coordinates.
        depth: of `cerebrum_depth`.
        voxel_mm: width of the mixed border between two tissues.

    Returns:
        Where the cerebrum is (bool), its share of fluid, and the share of grey in the rest.
    """
    inside = depth > 0
    x, y, z, deep = (v[inside] for v in (grid.x, grid.y, grid.z, depth))  # (voxels,)
    core_x = np.copysign(np.float32(20), x)
    way = [x - core_x, y - np.clip(y, -55, 30), z - np.float32(8)]
    reach = np.sqrt(way[0] ** 2 + way[1] ** 2 + way[2] ** 2) + np.float32(1)
    stretch = (45 / reach) ** np.float32(_RADIAL)
    surface = [v - w + w * stretch for v, w in zip((x, y, z), way, strict=True)]
    waves = sum_of_waves(head.folding, *surface)
    steepness = np.sqrt(np.mean(np.square(np.asarray(head.folding)[:, :3]).sum(axis=1)) / 2)
    sulcus = np.abs(waves) / np.float32(steepness) / np.maximum(stretch, 0.8)
    wobble = sum_of_waves(head.fold_depth, x, y, z)
    limit = np.maximum(head.sulcus_depth_mm * (1 + 0.3 * wobble), 1)
    half = head.sulcus_mm * np.maximum(1 - 0.7 * deep / limit, 0)
    sulcus = np.hypot(sulcus, np.maximum(deep - limit, 0)) - half
    nearest = np.minimum(sulcus, _fissures(head, x, y, z, wobble))
    fluid, grey = np.zeros(depth.shape, np.float32), np.zeros(depth.shape, np.float32)
    fluid[inside] = np.clip(0.5 - nearest / voxel_mm, 0, 1)
    nearest = np.minimum(nearest, deep)
    grey[inside] = np.clip(0.5 + (head.cortex_mm - nearest) / voxel_mm, 0, 1)
    return inside, fluid, grey


def cerebellum(head: Head, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Depth below the surface of the cerebellum, and the label (uint8, 0 outside) of every voxel."""
    size = np.float32(head.cerebellum)
    side = np.abs(grid.x)
    x, y, z = side - 22 * size, grid.y + 65, grid.z + 37
    level = (x / (30 * size)) ** 2 + (y / (30 * size)) ** 2 + (z / (24 * size)) ** 2
    lobes = np.float32(25) * (1 - np.sqrt(level))
    vy, vz = grid.y - np.float32(_FASTIGIUM[0]), grid.z - np.float32(_FASTIGIUM[1])
    level = (side / 12) ** 2 + ((vy + 10) / 27) ** 2 + (vz / 25) ** 2
    middle = np.float32(18) * (1 - np.sqrt(level))
    depth = np.minimum(np.maximum(lobes, middle), tentorium(grid) - 1.5 - grid.z)
    # Folia: thin white sheets between layers of cortex, around the white core.
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
    """Share of white matter in the vermis, a tree from the fastigium outwards."""
    vy, vz = grid.y - np.float32(_FASTIGIUM[0]), grid.z - np.float32(_FASTIGIUM[1])
    branches = np.cos(5 * np.arctan2(vz, -vy) + np.radians(head.vermis_degrees))
    return ramp(branches, 0.55, 0.95) * ramp(depth, 2, 5) * 0.8
