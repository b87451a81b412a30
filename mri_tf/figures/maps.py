"""Pictures of a saliency map: one of a record, and a sheet of several."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize

from mri_tf.figures import style, text
from mri_tf.figures.overlay import COLOURS, HALF, Overlay, Plane, show_image, show_overlay

ZERO = "The map is 0 everywhere: no region speaks for the class."
IN_AIR = 0.01  # least share of a map in the air of which a note tells
PER_ROW = 3  # records of a sheet of slices; of volumes one
TILE_MM = 29.0


@style.styled
def draw_map(overlay: Overlay, title: str, note: str):
    """Draws an image beside the image with its map; of a volume three planes, one above the other.

    The more opaque, the higher the value; the line is at half of the map's maximum. Of a map that is 0
    everywhere only the image is drawn, with a line that says so.

    Args:
        overlay: image and map.
        title: above the figure.
        note: small print below it.
    """
    planes, top = overlay.planes(), overlay.top
    rows, columns = ((2, 3) if top > 0 else (1, 3)) if len(planes) > 1 else (1, 2 if top > 0 else 1)
    if overlay.share_in_air >= IN_AIR:
        note += f" {overlay.share_in_air:.0%} of the map lies in the air around, where it has no colour."
    note = f"{note} {ZERO}" if top == 0 else note
    width_mm = style.COLUMN_MM if len(planes) == 1 and top == 0 else style.PAGE_MM
    side_mm = (width_mm - (22.0 if top > 0 else 4.0)) / columns
    tallest = max(plane.image.shape[0] * plane.aspect / plane.image.shape[1] for plane in planes)
    title = text.wrapped(title, width_mm - style.BESIDE_NOTE_MM, text.LABEL_POINTS)
    height_mm = rows * (side_mm * tallest + 6.0) + 9.0 + style.note_mm(note, width_mm)
    figure = style.new_figure(width_mm, height_mm + title.count("\n") * text.LINE_MM)
    panels = figure.subplots(rows, columns, squeeze=False)
    plain, covered = (panels[0], panels[1:].flat) if len(planes) > 1 else (panels[0, :1], panels[0, 1:])
    for axes, plane in zip(plain, planes, strict=True):
        show_image(axes, plane)
        axes.set_title(plane.name if len(planes) > 1 else "image" if top > 0 else "")
    for axes, plane in zip(covered, planes if top > 0 else [], strict=True):
        show_overlay(axes, plane, top)
        axes.set_title("" if len(planes) > 1 else "with the map")
    for axes, plane in zip(panels[-1], planes, strict=False):
        axes.set_xlabel(f"{plane.left}  –  {plane.right}" if plane.left else "")
    if top > 0:
        _add_scale(figure, panels, top)
    figure.suptitle(title, fontsize=text.LABEL_POINTS)
    style.add_note(figure, note)
    return style.described(figure, f"{' '.join(title.split())}. {note}")


def _add_scale(figure, panels, top: float) -> None:
    """The colour bar: raw values of the map, and the line at half of the maximum."""
    values = ScalarMappable(Normalize(0, top), COLOURS)
    scale = figure.colorbar(values, ax=list(panels.flat), shrink=0.75)
    scale.solids.set(edgecolor="none", antialiased=False, rasterized=True)
    scale.set_ticks([0, HALF * top, top], labels=["0", f"{HALF * top:.2g}", f"{top:.2g}"])
    scale.ax.set_facecolor("0.35")  # as over grey tissue
    scale.ax.axhline(HALF * top, color="black", linewidth=1.4)
    scale.set_label("value of the map; line: half of its maximum")


@dataclass(frozen=True)
class MapTile:
    """A record of a sheet: its planes, the maximum of its map, and what stands above it."""

    planes: Sequence[Plane]
    top: float
    caption: str


@style.styled
def draw_map_sheet(tiles: Sequence[MapTile], title: str, note: str):
    """Draws several records on one page, each as image beside the image with its map.

    Args:
        tiles: in the order in which they are shown; all of slices, or all of volumes.
        title: above the sheet.
        note: small print below it.
    """
    planes = len(tiles[0].planes)
    per_row = 1 if planes > 1 else min(PER_ROW, len(tiles))
    rows = -(-len(tiles) // per_row)
    pair_mm = 2 * planes * TILE_MM
    width_mm = max(per_row * pair_mm + 6.0, style.COLUMN_MM)
    captions = [text.wrapped(tile.caption, pair_mm - 2.0) for tile in tiles]
    lines = max(caption.count("\n") + 1 for caption in captions)
    title = text.wrapped(title, width_mm - style.BESIDE_NOTE_MM, text.LABEL_POINTS)
    height_mm = rows * (TILE_MM + 2.0 + lines * text.LINE_MM) + (title.count("\n") + 1) * 5.0
    figure = style.new_figure(width_mm, height_mm + 4.0 + style.note_mm(note, width_mm))
    figure.suptitle(title, fontsize=text.LABEL_POINTS)
    style.add_note(figure, note)
    for place, part in enumerate(figure.subfigures(rows, per_row, squeeze=False).flat):
        if place >= len(tiles):
            continue
        tile = tiles[place]
        part.suptitle(captions[place], fontsize=text.TEXT_POINTS)
        panels = part.subplots(1, 2 * planes, squeeze=False)[0]
        for plain, covered, plane in zip(panels, panels[planes:], tile.planes, strict=False):
            show_image(plain, plane)
            if tile.top > 0:
                show_overlay(covered, plane, tile.top)
            else:
                covered.set_axis_off()
        if tile.top == 0:
            middle = panels[planes + planes // 2]
            middle.text(0.5, 0.5, "map is 0\neverywhere", transform=middle.transAxes, ha="center",
                        va="center")  # fmt: skip
    return style.described(figure, f"{' '.join(title.split())}. {note}")
