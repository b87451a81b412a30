"""Contact sheets of images, with the outline of a mask, and histograms of intensities."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.ticker import FuncFormatter, MaxNLocator

from mri_tf.core.words import plural, printed_name
from mri_tf.figures import style, text
from mri_tf.figures.overlay import WINDOW

COLUMNS_2D, COLUMNS_3D = 6, 2  # cases a row
TILE_MM = 28.0
BINS = 64


@dataclass(frozen=True)
class Tile:
    """An image of a contact sheet: (rows, columns) or (depth, rows, columns), and what is below it."""

    image: np.ndarray
    caption: str
    mask: np.ndarray | None = None  # of the same shape


def grey_values(image: np.ndarray) -> np.ndarray:
    """An image as a tile shows it: its first channel, or the mean of the three colours of a picture.

    Args:
        image: (rows, columns, channels) or (depth, rows, columns, channels).
    """
    image = image.astype(np.float32)
    return image.mean(axis=-1) if image.ndim == 3 and image.shape[-1] == 3 else image[..., 0]


@style.styled
def draw_sheet(tiles: Sequence[Tile], title: str):
    """A contact sheet; of a volume three planes, through the middle of its mask where it has one."""
    per_row = COLUMNS_3D if tiles[0].image.ndim == 3 else COLUMNS_2D
    planes = 3 if tiles[0].image.ndim == 3 else 1
    rows = -(-len(tiles) // per_row)
    figure = style.new_figure(style.PAGE_MM, 12.0 + rows * (TILE_MM + 6.0))
    panels = figure.subplots(rows, per_row * planes, squeeze=False)
    for axes in panels.flat:
        axes.set_axis_off()
    for number, tile in enumerate(tiles):
        row, column = divmod(number, per_row)
        low, high = np.percentile(tile.image, WINDOW)
        for place, (image, mask) in enumerate(_planes(tile)):
            axes = panels[row, column * planes + place]
            window = dict(vmin=low, vmax=max(high, low + 1e-9))
            axes.imshow(image, cmap="gray", interpolation="nearest", **window)
            if mask is not None and mask.any():
                axes.contour(mask > 0, levels=[0.5], colors=style.COLOURS[1], linewidths=0.8)
            if place == planes // 2:
                axes.set_title(tile.caption, fontsize=text.TEXT_POINTS, pad=2)
    figure.suptitle(title)
    return style.described(figure, f"{title}: {plural(len(tiles), 'record')}.")


def _planes(tile: Tile) -> list[tuple[np.ndarray, np.ndarray | None]]:
    """(image, mask) of each plane that is shown."""
    if tile.image.ndim == 2:
        return [(tile.image, tile.mask)]
    place = [size // 2 for size in tile.image.shape]
    if tile.mask is not None and tile.mask.any():
        place = [int(np.median(where)) for where in np.nonzero(tile.mask)]
    masks = [None if tile.mask is None else tile.mask.take(place[axis], axis) for axis in range(3)]
    return [(tile.image.take(place[axis], axis), masks[axis]) for axis in range(3)]


@style.styled
def draw_histograms(values: dict[str, dict[str, np.ndarray]], title: str):
    """A panel for each channel, a line for each site: how often intensities occur.

    Args:
        values: channel -> site -> intensities.
        title: above the figure, where it has no legend.
    """
    figure, panels = style.small_multiples(len(values), 0.8, common_x=False)
    handles: dict[str, object] = {}
    for axes, (channel, sites) in zip(panels, values.items(), strict=True):
        whole = np.concatenate(list(sites.values()))
        edges = np.linspace(*np.percentile(whole, (0.1, 99.9)), BINS + 1)
        if edges[0] == edges[-1]:
            edges = np.linspace(edges[0] - 0.5, edges[0] + 0.5, BINS + 1)
        for number, (site, own) in enumerate(sorted(sites.items())):
            shares = np.histogram(own, edges)[0] / len(own)
            look = {**style.series(number), "marker": ""}
            (handles[site],) = axes.plot((edges[1:] + edges[:-1]) / 2, shares, **look)
        axes.set_title(printed_name(channel))
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{share:g}"))
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.set_xlabel("intensity")
    panels[0].set_ylabel("share of the voxels")
    if len(handles) > 1:  # above the panels, in the place of the title
        style.add_legend(figure, list(handles.values()), list(handles))
    else:
        figure.suptitle(title)
    return style.described(figure, f"{title}: how often each occurs, a panel for each channel.")
