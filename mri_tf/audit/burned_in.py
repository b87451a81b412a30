"""Whether text is written into the pixels of an image. Pure functions of images.

Text is a line of glyphs: small pieces of thin strokes, of one brightness, with edges of a pixel, about
as high as each other and on one line, as letters are and anatomy and noise are not. It is looked for
where there is no anatomy, in air or on the dark border that a scanner leaves around the image. Text
lower than five pixels cannot be read, and is not looked for.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import ndimage

LOWEST, HIGHEST = 5, 1 / 8  # rows of a glyph, and the share of all rows
WIDEST = 1.6  # heights of a glyph
GLYPHS = 4  # in a line
THIN = 2  # of them at least so many have holes or gaps in their box
FILLED = 0.75  # of its box, of a glyph with holes or gaps
CONTRAST = 0.35  # of the range of the image, between a glyph and what is around it
EVEN = 0.25  # of the contrast, the SD of a glyph's middle brightness
SHARP = 0.25  # of the contrast that is left two pixels beyond the glyph
ON_LINE, ALIKE = 0.35, 0.5  # heights: between the feet of glyphs on a line; between their heights
GAP = 1.2  # heights between glyphs of a word
PERCENTILES = (1, 99.8)
ALL = ndimage.generate_binary_structure(2, 2)
COMMON_PATIENTS = 8  # with fewer nothing is common to all
COMMON_PIXELS = 12
COMMON_SPREAD = 0.02  # of the range, between the patients' values of a pixel
COMMON_CONTRAST = 0.25  # of the range, between a pixel and a neighbour


class Glyph(NamedTuple):
    """A piece of strokes: first and last row and column, and the share of its box that it fills."""

    top: int
    bottom: int
    left: int
    right: int
    filled: float

    @property
    def height(self) -> int:
        """Rows."""
        return self.bottom - self.top + 1


def shows_text(image: np.ndarray, inside: np.ndarray) -> bool:
    """Whether a line of glyphs is written beside the anatomy.

    Args:
        image: (depth, rows, columns) of one channel; of a picture the depth is 1.
        inside: (depth, rows, columns) bool: the head or body.
    """
    low, high = np.percentile(image, PERCENTILES)
    if high <= low:
        return False
    return any(
        has_line(glyphs_of((plane - low) / (high - low), ~around))
        for plane, around in zip(image.astype(np.float32), inside, strict=True)
    )


def glyphs_of(picture: np.ndarray, where: np.ndarray) -> list[Glyph]:
    """The pieces of thin, even and sharp strokes, bright on dark.

    Args:
        picture: (rows, columns), 0 for air and 1 for the brightest.
        where: (rows, columns) bool, where they are looked for.
    """
    # Above half of what is brightest there, letters that were smoothed do not touch.
    level = max(CONTRAST, float(picture[where].max(initial=0.0)) / 2)
    pieces, count = ndimage.label((picture > level) & where, ALL)
    found = []
    highest = max(LOWEST, HIGHEST * picture.shape[0])
    for number, place in enumerate(ndimage.find_objects(pieces, max_label=count), 1):
        rows, columns = place
        height, width = rows.stop - rows.start, columns.stop - columns.start
        if not (LOWEST <= height <= highest and width <= WIDEST * height):
            continue
        own = pieces[place] == number
        if not _is_written(picture, place, own):
            continue
        found.append(
            Glyph(rows.start, rows.stop - 1, columns.start, columns.stop - 1, float(own.mean()))
        )
    return found


def _is_written(picture: np.ndarray, place: tuple[slice, slice], own: np.ndarray) -> bool:
    """Whether a piece is of one brightness, and ends within two pixels."""
    margin = 3
    around = tuple(slice(max(0, one.start - margin), one.stop + margin) for one in place)
    values = picture[around]
    wide = np.zeros(values.shape, bool)
    wide[tuple(slice(one.start - rim.start, one.stop - rim.start)
               for one, rim in zip(place, around, strict=True))] = own  # fmt: skip
    beyond = ndimage.binary_dilation(wide, ALL, iterations=3) & ~ndimage.binary_dilation(
        wide, ALL, iterations=1
    )
    bright = values[wide]
    bright = bright[bright >= np.median(bright)]  # edges that were smoothed are darker
    outside = values[beyond & (values <= CONTRAST)]
    if not len(outside):
        return False
    level, ground = float(bright.mean()), float(np.median(outside))
    contrast = level - ground
    soft = float(np.percentile(outside, 90)) - ground
    return contrast >= CONTRAST and bright.std() <= EVEN * contrast and soft <= SHARP * contrast


def has_line(glyphs: Sequence[Glyph]) -> bool:
    """Whether enough glyphs stand beside each other on one line."""
    ordered = sorted(glyphs, key=lambda one: one.left)
    for start, first in enumerate(ordered):
        line = [first]
        for other in ordered[start + 1 :]:
            last = line[-1]
            if other.left - last.right > GAP * last.height / ALIKE:
                break  # and so are all that follow
            height = max(last.height, other.height)
            near = other.left - last.right <= GAP * height
            on_line = abs(other.bottom - last.bottom) <= max(1, ON_LINE * height)
            if near and on_line and min(last.height, other.height) >= ALIKE * height:
                line.append(other)
        if len(line) >= GLYPHS and sum(one.filled <= FILLED for one in line) >= THIN:
            return True
    return False


class CommonMarks:
    """Bright, sharp pixels that have the same value in the images of all patients.

    Images are added one after the other; nothing but three pictures is kept. Anatomy differs between
    patients in every pixel, so that what stays is written or drawn. It is found on tissue too.
    """

    def __init__(self):
        self._patients: set[str] = set()
        self._lowest = self._highest = self._sharp = np.zeros((0, 0))

    def add(self, image: np.ndarray, patient: str) -> None:
        """Adds the image of a record: (depth, rows, columns) of one channel. One of a patient counts."""
        if patient in self._patients or image.max() <= image.min():
            return
        scaled, sharp = _brightest(image)
        if not self._patients:
            self._lowest, self._highest, self._sharp = scaled, scaled, sharp
        elif scaled.shape == self._sharp.shape:
            self._lowest = np.minimum(self._lowest, scaled)
            self._highest = np.maximum(self._highest, scaled)
            self._sharp = self._sharp & sharp
        self._patients.add(patient)

    @property
    def found(self) -> bool:
        """Whether they are enough for a sign or a word, in enough patients."""
        same = self._sharp & (self._highest - self._lowest <= COMMON_SPREAD)
        return len(self._patients) >= COMMON_PATIENTS and int(np.sum(same)) >= COMMON_PIXELS


def _brightest(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(rows, columns) of the brightest of all slices, as shares of the image's range, and where it is
    much brighter than a neighbour."""
    low, high = float(image.min()), float(image.max())
    scaled = ((image.max(axis=0) - low) / (high - low)).astype(np.float32)
    sharp = scaled - ndimage.grey_erosion(scaled, size=(3, 3)) > COMMON_CONTRAST
    return scaled, sharp & (scaled > 2 * COMMON_CONTRAST)
