"""A saliency map over its image: one picture in 2D, three planes through the map's maximum in 3D."""

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize

from mri_tf.figures import style

PLANES = (  # axis that is cut, name of the plane, what is at the left and right of the picture
    (0, "axial", "R", "L"), (1, "coronal", "R", "L"), (2, "sagittal", "front", "back"),
)  # fmt: skip
MAX_OPACITY = 0.7


@style.styled
def draw_map(image: np.ndarray, values: np.ndarray, title: str, note: str):
    """Draws a map over an image; the colour bar shows the raw values of the map.

    Args:
        image: (rows, columns), or (depth, rows, columns) head to foot, front to back, right to left.
        values: the map, of the same shape.
        title: above the figure.
        note: small print below it.
    """
    planes = _planes(image, values) if image.ndim == 3 else [(image, values, "", "", "")]
    width_mm = style.PAGE_MM if len(planes) > 1 else style.COLUMN_MM
    figure = style.new_figure(width_mm, width_mm / len(planes) + 16.0)
    panels = figure.subplots(1, len(planes), squeeze=False)[0]
    low, high = np.percentile(image, (0.5, 99.5))
    top = float(values.max()) if values.max() > 0 else 1.0
    for axes, (under, over, name, left, right) in zip(panels, planes, strict=True):
        axes.imshow(under, cmap="gray", vmin=low, vmax=max(high, low + 1e-9), interpolation="nearest")
        # Transparent where the map is small, so that the anatomy stays visible.
        opacity = MAX_OPACITY * np.sqrt(np.clip(over / top, 0, 1))
        axes.imshow(over, cmap="inferno", vmin=0, vmax=top, alpha=opacity, interpolation="nearest")
        axes.set_title(name)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.set_xlabel(f"{left}  –  {right}" if left else "")
    scale = ScalarMappable(Normalize(0, top), "inferno")
    figure.colorbar(scale, ax=list(panels), shrink=0.75, label="map, raw values")
    figure.suptitle(title)
    style.add_note(figure, note)
    return figure


def _planes(image: np.ndarray, values: np.ndarray) -> list[tuple]:
    """(image, map, name, left, right) of each plane through the map's maximum, or through the middle
    if the map is 0 everywhere."""
    place = tuple(size // 2 for size in values.shape)
    if values.max() > 0:
        place = np.unravel_index(int(np.argmax(values)), values.shape)
    return [
        (image.take(place[axis], axis), values.take(place[axis], axis), name, left, right)
        for axis, name, left, right in PLANES
    ]
