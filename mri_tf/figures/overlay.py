"""A map laid over its image: which planes are shown, how opaque it is, and the contour at its half."""

from dataclasses import dataclass

import matplotlib
import numpy as np
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.patheffects import withStroke

PLANES = (  # axis that is cut, name of the plane, what is at the left and right of the picture
    (0, "axial", "R", "L"), (1, "coronal", "R", "L"), (2, "sagittal", "front", "back"),
)  # fmt: skip
WINDOW = (0.5, 99.5)  # percentiles of the image that are black and white
MAX_OPACITY = 0.55  # at the maximum of the map: the image is seen through it everywhere
HALF = 0.5  # of the maximum: where the contour runs
SHADES = 256


def _colours() -> ListedColormap:
    """From red to yellow, brighter and more opaque with the value, and nothing at 0."""
    colours = matplotlib.colormaps["inferno"](np.linspace(0.45, 0.95, SHADES))
    colours[:, 3] = np.linspace(0, MAX_OPACITY, SHADES)
    return ListedColormap(colours, "overlay").with_extremes(bad=(0, 0, 0, 0))


COLOURS = _colours()


@dataclass(frozen=True)
class Plane:
    """What one panel shows: arrays (rows, columns), and the words beside it."""

    image: np.ndarray  # from 0, black, to 1, white
    values: np.ndarray  # of the map
    air: np.ndarray  # bool, where the map is not coloured
    name: str = ""
    left: str = ""
    right: str = ""
    aspect: float = 1.0  # height of a pixel over its width


@dataclass(frozen=True)
class Overlay:
    """A map over an image.

    Attributes:
        image: (rows, columns), or (depth, rows, columns) head to foot, front to back, right to left.
        values: the map, of the same shape, 0 or above.
        air: of the same shape, bool: where there is nothing to see, so that nothing is coloured.
        spacing_mm: of each axis; None where it is not known, and voxels are shown as cubes.
    """

    image: np.ndarray
    values: np.ndarray
    air: np.ndarray
    spacing_mm: tuple[float, ...] | None = None

    @property
    def top(self) -> float:
        """The maximum of the map; 0 of a map that is 0 everywhere."""
        return max(float(self.values.max()), 0.0)

    @property
    def share_in_air(self) -> float:
        """How much of the map lies where it is not coloured; 0 of a map that is 0 everywhere."""
        whole = float(np.clip(self.values, 0, None).sum())
        return float(np.clip(self.values[self.air], 0, None).sum()) / whole if whole else 0.0

    def planes(self) -> list[Plane]:
        """The image itself, or of a volume three planes through the map's maximum (through the middle if
        it is 0 everywhere)."""
        low, high = np.percentile(self.image, WINDOW)
        shown = np.clip((self.image.astype(np.float32) - low) / max(high - low, 1e-9), 0, 1)
        if shown.ndim == 2:
            return [Plane(shown, self.values, self.air, aspect=self._aspect(0, 1))]
        place = [size // 2 for size in shown.shape]
        if self.top > 0:
            place = np.unravel_index(int(np.argmax(self.values)), shown.shape)
        return [
            Plane(*(array.take(place[axis], axis) for array in (shown, self.values, self.air)), *words,
                  self._aspect(*(other for other in range(3) if other != axis)))
            for axis, *words in PLANES
        ]  # fmt: skip

    def _aspect(self, rows: int, columns: int) -> float:
        spacing = self.spacing_mm
        return 1.0 if spacing is None else spacing[rows] / spacing[columns]


def show_image(axes, plane: Plane) -> None:
    """Draws the image of a plane."""
    axes.imshow(plane.image, cmap="gray", vmin=0, vmax=1, interpolation="nearest", aspect=plane.aspect)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(False)
    axes.spines[:].set_visible(False)


def show_overlay(axes, plane: Plane, top: float) -> None:
    """Draws a plane with its map, whose maximum over all planes is `top`, above 0.

    What lies in the air has no colour, but the contour runs through it.
    """
    show_image(axes, plane)
    coloured = np.ma.masked_array(plane.values, plane.air)
    axes.imshow(coloured, cmap=COLOURS, norm=Normalize(0, top), interpolation="nearest",
                aspect=plane.aspect)  # fmt: skip
    if plane.values.min() < HALF * top <= plane.values.max():
        contour = axes.contour(plane.values, levels=[HALF * top], colors="white", linewidths=0.9)
        contour.set(path_effects=[withStroke(linewidth=2.2, foreground="black")])
