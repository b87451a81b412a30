"""The head or body in an image on the prepared grid: what is anatomy, and what is around it."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from data_prep.ops.brain_mask import brain_mask
from data_prep.volume import Volume

CT, AIR_HU = "CT", -400.0  # below it is air, in the lungs too
LOWEST_HU = -900.0  # an image in Hounsfield units with air around the body reaches down to it
SPECK = 0.01  # of the largest piece; smaller pieces are a table or noise
MOST_AT_RIM = 0.35  # share of the image's rim: with more, the head or body does not end in the image
DARKEST = 0.2  # of the range of intensities, up to which the rim is air
PERCENTILES = (1, 99)  # of an image, its range


@dataclass(frozen=True)
class Foreground:
    """Where the head or body is.

    Attributes:
        inside: (depth, rows, columns) bool; of a picture the depth is 1.
        method: how it was found: "threshold in HU", or as in data_prep/ops/brain_mask.py.
        at_rim: share of the outermost rows and columns that is inside.
        air: the outermost rows and columns are dark, or of one value.
    """

    inside: np.ndarray
    method: str
    at_rim: float
    air: bool

    @property
    def ends_in_image(self) -> bool:
        """Whether there is a border, and something around it that is not anatomy."""
        return bool(self.inside.any()) and self.air and self.at_rim <= MOST_AT_RIM


def foreground(image: np.ndarray, modality: str) -> Foreground:
    """Finds the head or body: by Hounsfield units in CT, else by the background or Otsu's threshold.

    Args:
        image: (depth, rows, columns) of one channel; of a picture the depth is 1.
        modality: as DICOM writes it; "" where it is not known.
    """
    if modality == CT and image.min() <= LOWEST_HU:
        inside, method, air = _body(image > AIR_HU), "threshold in HU", True
    else:
        # That function takes (x, y, z), looks for air at the sides along x and y, and fills holes there.
        found = brain_mask(Volume(np.ascontiguousarray(image.T), np.eye(4)))
        inside, method = found.inside.T, found.method
        air = method == "background" or _is_dark(_rim_of(image), image)
    return Foreground(inside, method, float(_rim_of(inside).mean()), air)


def shown_channel(image: np.ndarray) -> np.ndarray:
    """(depth, rows, columns) of the first channel that is not the same everywhere, else of the first.

    Args:
        image: (depth, rows, columns, channels).
    """
    varying = [number for number in range(image.shape[-1]) if np.ptp(image[..., number]) > 0]
    return image[..., varying[0] if varying else 0]


def _body(dense: np.ndarray) -> np.ndarray:
    """The large pieces of what is no air, with the lungs: holes are filled in each axial slice."""
    pieces, count = ndimage.label(dense)
    sizes = np.bincount(pieces.ravel(), minlength=count + 1)
    sizes[0] = 0
    large = (sizes >= max(1, SPECK * sizes.max()))[pieces]
    return np.stack([ndimage.binary_fill_holes(one) for one in large])


def _rim_of(values: np.ndarray) -> np.ndarray:
    """The outermost rows and columns of all slices."""
    rim = np.zeros(values.shape[1:], bool)
    rim[[0, -1]] = rim[:, [0, -1]] = True
    return values[:, rim]


def _is_dark(rim: np.ndarray, image: np.ndarray) -> bool:
    low, high = np.percentile(image, PERCENTILES)
    return bool(np.median(rim) - low <= DARKEST * (high - low))
