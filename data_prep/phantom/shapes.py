"""Rasterises simple solids on a voxel grid.

Solids are given in body coordinates (mm). A grid holds the body coordinates of every voxel centre, so
that rotations and smooth deformations of the patient are properties of the grid and solids stay
simple. A solid yields *pieces*: index boxes with a boolean mask inside each, so that only the
neighbourhood of the solid is ever computed.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from scipy.interpolate import CubicSpline

Box = tuple[slice, slice, slice]
Pieces = Iterator[tuple[Box, np.ndarray]]

_TABLE_STEP_MM = 0.5


@dataclass(frozen=True)
class Grid:
    """Voxel centres in body coordinates.

    x, y, z: float32 (nx, ny, nz), mm. index_from_body: (4, 4), without the deformation.
    margin_mm: the largest displacement by the deformation, added to every bounding box.
    """

    x: np.ndarray
    y: np.ndarray
    z: np.ndarray
    index_from_body: np.ndarray
    margin_mm: float

    def box(self, low: np.ndarray, high: np.ndarray) -> Box:
        """An index box that contains the body-frame box from `low` to `high` (mm, 3 each)."""
        low, high = np.asarray(low) - self.margin_mm, np.asarray(high) + self.margin_mm
        corners = np.array([(*xyz, 1.0) for xyz in product(*zip(low, high, strict=True))])  # (8, 4)
        index = corners @ self.index_from_body.T  # (8, 4)
        first = np.maximum(np.floor(index.min(axis=0)[:3]), 0).astype(int)
        last = np.ceil(index.max(axis=0)[:3]).astype(int) + 1
        last = np.clip(last, first, np.maximum(first, self.x.shape))
        return tuple(slice(int(a), int(b)) for a, b in zip(first, last, strict=True))


def make_grid(
    shape: tuple[int, int, int],
    affine: np.ndarray,
    rotation: np.ndarray,
    warp_modes: tuple[tuple[float, ...], ...],
) -> Grid:
    """The grid of a rotated and smoothly deformed patient.

    Args:
        shape: voxels along x, y, z.
        affine: (4, 4), diagonal and shift, from indices to mm about the body origin before `rotation`.
        rotation: (3, 3), body axes to scanner axes.
        warp_modes: rows (axis, amplitude in mm, 3 wave numbers in radians/mm, 3 phases in radians) of
            standing waves added to the body coordinates. Each is an outer product of three
            one-dimensional waves, which is fast.
    """
    axes = [affine[i, 3] + affine[i, i] * np.arange(shape[i]) for i in range(3)]
    x, y, z = np.meshgrid(*axes, indexing="ij", sparse=True)
    inverse = rotation.T
    body = [(r[0] * x + r[1] * y + r[2] * z).astype(np.float32) for r in inverse]  # 3 (x, y, z)
    reach = np.zeros(3)
    for axis, amplitude, kx, ky, kz, px, py, pz in warp_modes:
        wave = (amplitude * np.sin(kx * x + px)) * np.sin(ky * y + py) * np.sin(kz * z + pz)
        body[int(axis)] += wave.astype(np.float32)
        reach[int(axis)] += abs(amplitude)
    index_from_body = np.linalg.inv(affine)
    to_scanner = np.eye(4)
    to_scanner[:3, :3] = rotation
    return Grid(*body, index_from_body @ to_scanner, float(reach.max()))


def _offset(grid: Grid, box: Box, point: np.ndarray) -> list[np.ndarray]:
    """x, y and z of the voxels of a box, relative to a point."""
    return [c[box] - np.float32(p) for c, p in zip((grid.x, grid.y, grid.z), point, strict=True)]


@dataclass(frozen=True)
class Ellipsoid:
    """An ellipsoid, optionally cut by a plane.

    centre, radii: mm, 3 each. axes: (3, 3), its unit axes in the body frame as columns.
    plane: (point, normal); only the side to which the normal points is kept.
    """

    centre: np.ndarray
    radii: np.ndarray
    axes: np.ndarray | None = None
    plane: tuple[np.ndarray, np.ndarray] | None = None

    def grown(self, mm: float) -> "Ellipsoid":
        """The same solid, `mm` larger on every side; not cut by the plane."""
        return Ellipsoid(self.centre, np.asarray(self.radii) + mm, self.axes)

    def pieces(self, grid: Grid) -> Pieces:
        """One box with its mask."""
        axes = np.eye(3) if self.axes is None else self.axes
        centre, radii = np.asarray(self.centre, float), np.asarray(self.radii, float)
        half = np.sqrt(((axes * radii) ** 2).sum(axis=1))  # exact half sizes of the bounding box
        box = grid.box(centre - half, centre + half)
        offset = _offset(grid, box, centre)
        total = np.zeros_like(offset[0])
        for axis, radius in zip(axes.T, radii, strict=True):
            total += sum(np.float32(a / radius) * o for a, o in zip(axis, offset, strict=True)) ** 2
        mask = total <= 1.0
        if self.plane is not None:
            point, normal = self.plane
            level = float(np.dot(normal, np.asarray(point) - centre))
            mask &= sum(np.float32(n) * o for n, o in zip(normal, offset, strict=True)) >= level
        yield box, mask


@dataclass(frozen=True)
class Tube:
    """A tube along a polyline: points (n, 3) and the radius at each point (n,), mm.

    flat_ends: the ends are cut across the path instead of being round.
    """

    points: np.ndarray
    radii: np.ndarray
    flat_ends: bool = False

    def grown(self, mm: float) -> "Tube":
        """The same path, `mm` thicker."""
        return Tube(self.points, np.asarray(self.radii) + mm, self.flat_ends)

    def pieces(self, grid: Grid) -> Pieces:
        """One box with its mask for each segment of the polyline."""
        last = len(self.points) - 2
        for i in range(last + 1):
            a, b = self.points[i], self.points[i + 1]
            widest = max(self.radii[i], self.radii[i + 1])
            box = grid.box(np.minimum(a, b) - widest, np.maximum(a, b) + widest)
            offset = _offset(grid, box, a)
            path = b - a
            length2 = max(float(path @ path), 1e-9)
            t = sum(np.float32(p / length2) * o for p, o in zip(path, offset, strict=True))
            s = np.clip(t, 0.0, 1.0)  # place of the nearest point: 0 at a, 1 at b
            distance2 = sum((o - np.float32(p) * s) ** 2 for p, o in zip(path, offset, strict=True))
            radius = self.radii[i] + np.float32(self.radii[i + 1] - self.radii[i]) * s
            mask = distance2 <= radius**2
            if self.flat_ends and i == 0:
                mask &= t >= 0.0
            if self.flat_ends and i == last:
                mask &= t <= 1.0
            yield box, mask


@dataclass(frozen=True)
class Column:
    """An upright solid whose axial section is a superellipse that changes with z.

    All (n,), mm: z: knots, increasing. x, y: centre. left, right: half widths towards -x and +x.
    depth: half depth. exponent_left, exponent_right: 2 an ellipse, more: nearer to a box.
    """

    z: np.ndarray
    x: np.ndarray
    y: np.ndarray
    left: np.ndarray
    right: np.ndarray
    depth: np.ndarray
    exponent_left: float = 2.0
    exponent_right: float = 2.0

    def grown(self, mm: float) -> "Column":
        """The same solid, `mm` wider and deeper on every side, of the same height."""
        wider = dict(left=self.left + mm, right=self.right + mm, depth=self.depth + mm)
        return replace(self, **wider)

    def pieces(self, grid: Grid) -> Pieces:
        """One box with its mask."""
        low = np.array([(self.x - self.left).min(), (self.y - self.depth).min(), self.z[0]])
        high = np.array([(self.x + self.right).max(), (self.y + self.depth).max(), self.z[-1]])
        box = grid.box(low, high)
        x, y, z = grid.x[box], grid.y[box], grid.z[box]
        # A table in z instead of an interpolation at every voxel: ten times faster.
        heights = np.arange(self.z[0], self.z[-1] + _TABLE_STEP_MM, _TABLE_STEP_MM)
        row = ((z - np.float32(self.z[0])) / np.float32(_TABLE_STEP_MM)).astype(np.int32)
        row = np.clip(row, 0, len(heights) - 1)  # (x, y, z)
        at = [
            np.interp(heights, self.z, knots).astype(np.float32)[row]
            for knots in (self.x, self.y, self.left, self.right, self.depth)
        ]
        across, along = x - at[0], np.abs(y - at[1]) / at[4]
        level = np.where(
            across < 0,
            (np.abs(across) / at[2]) ** self.exponent_left + along**self.exponent_left,
            (np.abs(across) / at[3]) ** self.exponent_right + along**self.exponent_right,
        )
        yield box, (level <= 1.0) & (z >= self.z[0]) & (z <= self.z[-1])


def smooth_tube(knots: np.ndarray, radii: np.ndarray, steps: int, flat: bool = False) -> Tube:
    """A tube along a cubic spline.

    Args:
        knots: (n, 3), mm; the spline goes through them.
        radii: (n,), mm, at the knots; linear between them.
        steps: segments between two knots.
        flat: whether its ends are flat.
    """
    knots, radii = np.asarray(knots, float), np.asarray(radii, float)
    chord = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(knots, axis=0), axis=1))])
    at = np.interp(np.arange((len(knots) - 1) * steps + 1) / steps, np.arange(len(knots)), chord)
    return Tube(CubicSpline(chord, knots)(at), np.interp(at, chord, radii), flat)
