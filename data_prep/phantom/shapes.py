"""Rasterising of simple solids on a voxel grid; knows nothing of anatomy.

Every solid is given in body coordinates (mm).  A grid holds, for every voxel, the body
coordinates of its centre, so that rotations and smooth deformations of the patient are a
property of the grid and the solids stay simple.  A solid yields *pieces*: index boxes with a
boolean mask inside each, so that only the neighbourhood of the solid is ever computed.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicSpline

Box = tuple[slice, slice, slice]
Pieces = Iterator[tuple[Box, np.ndarray]]

_TABLE_STEP_MM = 0.5


@dataclass(frozen=True)
class Grid:
    """Voxel centres in body coordinates.

    x, y, z: float32 (nx, ny, nz), mm; index_from_body: 4x4, without the deformation;
    margin_mm: the largest displacement by the deformation, added to every bounding box.
    """

    x: np.ndarray
    y: np.ndarray
    z: np.ndarray
    index_from_body: np.ndarray
    margin_mm: float

    def box(self, low: np.ndarray, high: np.ndarray) -> Box:
        """Index box that surely holds the body-frame box low..high (mm, 3 each)."""
        low, high = np.asarray(low) - self.margin_mm, np.asarray(high) + self.margin_mm
        corners = np.array(
            [
                [a, b, c, 1.0]
                for a in (low[0], high[0])
                for b in (low[1], high[1])
                for c in (low[2], high[2])
            ]
        )  # (8, 4)
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
    """Grid of `shape` voxels; `affine` maps index to mm about the body origin before `rotation`.

    rotation: 3x3, body axes to scanner axes.  warp_modes: rows (axis, amplitude_mm,
    wave numbers x, y, z in radians/mm, phases x, y, z in radians): standing waves added to the
    body coordinates, cheap because each is an outer product of three one-dimensional waves.
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


@dataclass(frozen=True)
class Ellipsoid:
    """centre and radii (mm, 3 each); axes: 3x3, columns the unit axes in the body frame.

    plane: optional (point, normal); only the side to which the normal points is kept.
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
        offset = [
            c[box] - np.float32(o) for c, o in zip((grid.x, grid.y, grid.z), centre, strict=True)
        ]
        total = np.zeros_like(offset[0])
        for axis, radius in zip(axes.T, radii, strict=True):
            total += (
                sum(np.float32(a / radius) * o for a, o in zip(axis, offset, strict=True))
            ) ** 2
        mask = total <= 1.0
        if self.plane is not None:
            point, normal = self.plane
            level = float(np.dot(normal, np.asarray(point) - centre))
            mask &= sum(np.float32(n) * o for n, o in zip(normal, offset, strict=True)) >= level
        yield box, mask


@dataclass(frozen=True)
class Tube:
    """Polyline points (n, 3) with a radius at each point (n,), mm.

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
            offset = [
                c[box] - np.float32(o) for c, o in zip((grid.x, grid.y, grid.z), a, strict=True)
            ]
            way = b - a
            length2 = max(float(way @ way), 1e-9)
            t = sum(np.float32(w / length2) * o for w, o in zip(way, offset, strict=True))
            s = np.clip(t, 0.0, 1.0)
            distance2 = sum((o - np.float32(w) * s) ** 2 for w, o in zip(way, offset, strict=True))
            radius = self.radii[i] + np.float32(self.radii[i + 1] - self.radii[i]) * s
            mask = distance2 <= radius**2
            if self.flat_ends and i == 0:
                mask &= t >= 0.0
            if self.flat_ends and i == last:
                mask &= t <= 1.0
            yield box, mask


@dataclass(frozen=True)
class Column:
    """Upright solid whose axial section is a superellipse that changes with z.

    z: knots (n,), increasing; x, y: centre; left, right: half widths towards -x and +x;
    depth: half depth (all n,, mm); exponent_left, exponent_right: 2 an ellipse, more a box.
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
        """The same solid, `mm` wider and deeper; as high as before."""
        return Column(
            self.z,
            self.x,
            self.y,
            self.left + mm,
            self.right + mm,
            self.depth + mm,
            self.exponent_left,
            self.exponent_right,
        )

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
        mask = (
            np.where(
                across < 0,
                (np.abs(across) / at[2]) ** self.exponent_left + along**self.exponent_left,
                (np.abs(across) / at[3]) ** self.exponent_right + along**self.exponent_right,
            )
            <= 1.0
        )
        yield box, mask & (z >= self.z[0]) & (z <= self.z[-1])


def smooth_tube(knots: np.ndarray, radii: np.ndarray, steps: int, flat: bool = False) -> Tube:
    """Tube along a cubic spline through `knots` (n, 3) with radii (n,): `steps` a knot interval."""
    knots, radii = np.asarray(knots, float), np.asarray(radii, float)
    chord = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(knots, axis=0), axis=1))])
    at = np.interp(np.arange((len(knots) - 1) * steps + 1) / steps, np.arange(len(knots)), chord)
    return Tube(CubicSpline(chord, knots)(at), np.interp(at, chord, radii), flat)
