"""Hashes of pictures and volumes that are turned by quarters, turned over, transposed or inverted.

Such a copy has the same pixels in other places, so that only the upright hash of each form is compared.
Of a picture there are eight forms and the inverted one; of a volume the turns by 180 degrees and the
mirror images along its axes, of which the one from left to right is looked for with the near copies.
"""

from collections.abc import Callable, Iterator

import numpy as np

from mri_tf.store.image_similarity import (
    ROWS_AT_A_TIME,
    bits_of,
    differing_bits,
    low_frequencies,
)

INVERTED = "inverted"
# What becomes of (rows, columns, channels); left to right alone is looked for with the near copies.
OF_PICTURES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "upside down": lambda image: image[::-1],
    "turned by 180 degrees": lambda image: image[::-1, ::-1],
    "turned by 90 degrees": lambda image: np.rot90(image),
    "turned by 270 degrees": lambda image: np.rot90(image, 3),
    "transposed": lambda image: image.swapaxes(0, 1),
    "transposed along the other diagonal": lambda image: np.rot90(image, 2).swapaxes(0, 1),
    INVERTED: lambda image: image,  # the thumbnail is inverted, as its range is known
}
# What becomes of (depth, rows, columns, channels).
OF_VOLUMES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "turned by 180 degrees about the depth": lambda image: image[:, ::-1, ::-1],
    "turned by 180 degrees about the rows": lambda image: image[::-1, :, ::-1],
    "turned by 180 degrees about the columns": lambda image: image[::-1, ::-1],
    "mirrored along the depth": lambda image: image[::-1],
    "mirrored along the rows": lambda image: image[:, ::-1],
    "mirrored along all axes": lambda image: image[::-1, ::-1, ::-1],
}


def forms_of(dimensions: int) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """The forms of images with so many dimensions, channels included: 3 of pictures, 4 of volumes."""
    return OF_PICTURES if dimensions == 3 else OF_VOLUMES


def inverted(thumb: np.ndarray) -> np.ndarray:
    """A thumbnail with dark for bright; a blank one stays blank."""
    return (1 - thumb).astype(thumb.dtype) if thumb.any() else thumb


def turned_hashes(thumb: np.ndarray, last: np.ndarray | None) -> np.ndarray:
    """(forms, 4) uint64: the upright hashes of the forms of an image, in their order.

    They follow from one cosine transform: of a mirrored picture every second coefficient has the other
    sign, of a transposed one they are transposed, and of an inverted one all but the mean are negative.

    Args:
        thumb: (128, 128) of the picture, or of the plane of a volume at half its depth.
        last: of a volume, the plane that stands there when it is mirrored along its depth; else None.
    """
    first = low_frequencies(thumb)
    signs = np.resize([1.0, -1.0], len(first))
    over, across = signs[:, None], signs[None, :]
    if last is None:
        negative = -first
        negative[0, 0] = first[0, 0]
        forms = [first * over, first * over * across, first.T * over, first.T * across, first.T,
                 first.T * over * across, negative]  # fmt: skip
    else:
        end = low_frequencies(last)
        forms = [first * over * across, end * across, end * over, end, first * over,
                 end * over * across]  # fmt: skip
    return np.stack([bits_of(form) for form in forms])


def turned_pairs(
    upright: np.ndarray, turned: np.ndarray, distance: int, patients: np.ndarray
) -> Iterator[tuple[int, int, int]]:
    """(first, second, form): where the first looks, by its hash, like the second in that form.

    Args:
        upright: (images, 4) uint64, the hash of each.
        turned: (images, forms, 4) of `turned_hashes`.
        distance: number of bits that may differ.
        patients: (images,) images of one patient are no pair.
    """
    for start in range(0, len(upright), ROWS_AT_A_TIME):
        block = upright[start : start + ROWS_AT_A_TIME]
        rows = np.arange(start, start + len(block))[:, None]
        # Each form and its inverse are among the forms, so that one order of the two is enough.
        apart = (patients[rows] != patients[None, :]) & (rows < np.arange(len(upright))[None, :])
        for form in range(turned.shape[1]):
            differing = differing_bits(block, turned[:, form])
            for row, second in np.argwhere((differing <= distance) & apart):
                yield int(start + row), int(second), form
