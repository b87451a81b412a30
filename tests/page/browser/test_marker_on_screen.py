"""The map lies on a planted marker, in each plane, by what the page says and by what it draws.

The volume is anisotropic and stored with two axes turned around; the marker lies to the patient's
right, in front and high, so that an exchange of sides or axes is seen.
"""

import io

import numpy as np
import pytest
from marked import AFFINE, MARKER, SHAPE, millimetres
from on_page import millimetres_at_crosshair, show
from PIL import Image
from scipy import ndimage

RIM = 8  # pixels at the stage's round corners, through which the page is seen
STEP_MM = np.abs(np.diag(AFFINE)[:3])  # of a voxel, along x, y, z
# Which mm run along the columns and the rows of a plane as it is drawn, and whether they grow.
PLANES = {
    "Axial": ((0, -1), (1, -1)),  # the patient's right is at the left, the front at the top
    "Coronal": ((0, -1), (2, -1)),  # the head at the top
    "Sagittal": ((1, -1), (2, -1)),  # the front at the left
}
CORNERS = np.array([millimetres(corner) for corner in ((-0.5,) * 3, np.array(SHAPE) - 0.5)])
LOW, HIGH = CORNERS.min(axis=0), CORNERS.max(axis=0)


@pytest.fixture(scope="module", params=["dicom", "nifti"])
def shown(request, page, server, files):
    """A page that shows the marker and its map."""
    show(page, server, "side", files[request.param])
    return page


def test_the_crosshair_starts_on_the_marker(shown):
    assert off(millimetres_at_crosshair(shown)) <= 1


@pytest.mark.parametrize("plane", PLANES)
def test_what_is_drawn_of_the_map_lies_on_what_is_drawn_of_the_marker(shown, plane):
    only(shown, plane)
    shown.tab.keyboard.press("0")
    marker = middle(picture(shown), is_white)
    shown.tab.keyboard.press("9")
    coloured = middle(picture(shown), is_of_the_map)
    size = shown.tab.locator(".stage").bounding_box()
    wanted, step = on_screen(plane, size["width"], size["height"])
    assert np.all(np.abs(marker - coloured) <= step), (marker, coloured)
    assert np.all(np.abs(coloured - wanted) <= step), (coloured, wanted)


@pytest.mark.parametrize("plane", PLANES)
def test_a_click_on_the_drawn_map_finds_the_marker(shown, plane):
    only(shown, plane)
    shown.tab.keyboard.press("9")
    column, row = middle(picture(shown), is_of_the_map)
    shown.tab.locator(".stage").click(position={"x": 5, "y": 5})  # elsewhere first
    shown.tab.locator(".stage").click(position={"x": float(column), "y": float(row)})
    assert off(millimetres_at_crosshair(shown)) <= 1
    assert "map 3" in shown.tab.inner_text("#where") or "map 4" in shown.tab.inner_text("#where")


def is_white(*colours: np.ndarray) -> np.ndarray:
    return np.min(colours, axis=0) > 180


def is_of_the_map(red: np.ndarray, green: np.ndarray, blue: np.ndarray) -> np.ndarray:
    return red > blue + 100


def off(place_mm) -> float:
    """The largest distance to the marker along an axis, in voxels."""
    return float(np.max(np.abs(np.array(place_mm) - millimetres(MARKER)) / STEP_MM))


def only(page, plane: str) -> None:
    """Shows one plane alone, without the lines of the crosshair over the marker."""
    page.tab.get_by_role("radio", name=plane).check(force=True)
    page.tab.uncheck("#crosshair")
    page.tab.locator("#case-heading").focus()


def picture(page) -> np.ndarray:
    """(rows, columns, 3) of the stage, as floats."""
    page.tab.wait_for_timeout(200)  # until it is drawn
    data = page.tab.locator(".stage").screenshot()
    pixels = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), float)
    inside = np.pad(np.ones(np.array(pixels.shape[:2]) - 2 * RIM), RIM)
    return pixels * inside[..., None]


def middle(pixels: np.ndarray, chosen) -> np.ndarray:
    """(column, row) of the middle of the largest area that is chosen by its red, green and blue.

    Smaller ones are letters.
    """
    areas, _ = ndimage.label(chosen(*np.moveaxis(pixels, -1, 0)))
    sizes = np.bincount(areas.ravel())[1:]
    assert sizes.max(initial=0) > 20, "nothing of this colour is drawn"
    rows, columns = np.nonzero(areas == 1 + sizes.argmax())
    return np.array([(columns.min() + columns.max()) / 2, (rows.min() + rows.max()) / 2])


def on_screen(plane: str, width: float, height: float) -> tuple[np.ndarray, np.ndarray]:
    """Where the marker must be drawn (column, row), and how large a voxel is, in pixels.

    The plane fills the stage as far as its shape allows, in the middle.
    """
    axes = [axis for axis, _ in PLANES[plane]]
    extent = (HIGH - LOW)[axes]
    scale = min(width / extent[0], height / extent[1])
    mm = millimetres(MARKER)[axes]
    from_start = [HIGH[axis] - place for axis, place in zip(axes, mm, strict=True)]  # all run down
    border = (np.array([width, height]) - extent * scale) / 2
    return border + np.array(from_start) * scale, STEP_MM[axes] * scale
