"""Puts what is no anatomy of one image into another: the border of the head, background, corners.

Pure functions of two images and their foregrounds; where these regions are is told by
mri_tf/audit/image_probes.py.
"""

from typing import NamedTuple

import numpy as np
from scipy import ndimage

from mri_tf.audit.image_probes import around, corner_places, shells_of


class Pictured(NamedTuple):
    """An image and where its head or body is.

    Attributes:
        image: (depth, rows, columns, channels) float32; of a picture the depth is 1.
        inside: (depth, rows, columns) bool.
        ends: whether the head or body ends in the image, so that there is a border.
    """

    image: np.ndarray
    inside: np.ndarray
    ends: bool


def with_border_of(donor: Pictured, image: Pictured) -> np.ndarray:
    """The image with the intensities of another head's border: shell by shell, of the nearest place.

    The form of the head stays; nothing changes where one of the two has no border.
    """
    changed = image.image.copy()
    if not (donor.ends and image.ends):
        return changed
    pairs = zip(shells_of(image.inside)[0], shells_of(donor.inside)[0], strict=True)
    for own, other in pairs:
        if other.any():
            nearest = ndimage.distance_transform_edt(
                ~other, return_distances=False, return_indices=True
            )
            changed[own] = donor.image[tuple(nearest[:, own])]
    return changed


def with_background_of(donor: Pictured, image: Pictured) -> np.ndarray:
    """The image with what lies around another head, where it lies around both."""
    changed = image.image.copy()
    if donor.ends and image.ends:
        both = around(image.inside) & around(donor.inside)
        changed[both] = donor.image[both]
    return changed


def with_corners_of(donor: Pictured, image: Pictured) -> np.ndarray:
    """The image with the corners of another's slices; of heads that end in both, without the heads."""
    region = np.zeros(image.inside.shape, bool)
    for place in corner_places(image.inside.shape):
        region[place] = True
    if donor.ends and image.ends:
        region &= around(image.inside) & around(donor.inside)
    changed = image.image.copy()
    changed[region] = donor.image[region]
    return changed


REGIONS = {"border": with_border_of, "background": with_background_of, "corners": with_corners_of}
