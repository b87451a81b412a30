"""Whether two pictures show the same exposure: thumbnails, perceptual hashes, detail compared.

A re-encoded, resized, brightened or slightly turned copy keeps the detail of its original; the
next slice or another patient shares the coarse layout only. So a hash, which sees the layout,
names candidates, and after an alignment the band of finer detail decides (`likeness`).

The hash is the perceptual hash of imagehash (Zauner 2010: signs of low DCT coefficients), here
256 bits of the picture's middle, at several angles: a DCT is not invariant to rotation.
"""

import functools

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates

from mri_tf.core.errors import InputError

SIDE = 128  # rows and columns of a thumbnail, whatever the picture's aspect
ANGLES_DEGREES = (-3, -2, -1, 0, 1, 2, 3)  # at which a picture is hashed
UPRIGHT = ANGLES_DEGREES.index(0)
HASH_BITS = 256
# Turning a picture by 3 degrees fills at most 64 sin(3 degrees) = 3.4 pixels at its border.
HASHED = slice(12, 116)
DISC_RADIUS = 0.44  # of the side: the filters' reach and what turning fills lie outside
DETAIL_PIXELS = (1.0, 3.0)  # SDs of the two Gaussians whose difference is the detail
COARSE_SIDE = 64
MAX_STEPS, SMALLEST_STEP = 10, 3e-4  # of the alignment, in sides
LARGEST_MOVE = 0.15  # of the alignment's parameters: a copy, not another view
LOWEST_COARSE = 0.9  # correlation after the alignment below which detail is not looked at
FLATTEST = 1e-3  # SD of the detail, of the picture's range, below which there is none


def thumbnail(pixels: np.ndarray) -> np.ndarray:
    """(rows, columns, channels) of any range -> (128, 128) float16 grey, 0 to 1; blank gives 0."""
    from PIL import Image

    # Several times as fast as a mean over the last axis.
    grey = sum(pixels[..., channel] for channel in range(pixels.shape[-1])).astype(np.float32)
    small = np.asarray(Image.fromarray(grey).resize((SIDE, SIDE), Image.Resampling.LANCZOS))
    low, high = small.min(), small.max()
    if high - low <= 1e-6 * max(abs(high), 1.0):
        return np.zeros((SIDE, SIDE), np.float16)
    return ((small - low) / (high - low)).astype(np.float16)


def hashes(thumb: np.ndarray) -> np.ndarray:
    """(angles, 4) uint64: the 256 bits of a thumbnail turned by each of `ANGLES_DEGREES`."""
    import imagehash
    from PIL import Image

    picture = Image.fromarray(np.rint(thumb.astype(np.float32) * 255).astype(np.uint8))
    middle = (HASHED.start, HASHED.start, HASHED.stop, HASHED.stop)
    rows = []
    for degrees in ANGLES_DEGREES:
        turned = picture.rotate(degrees, Image.Resampling.BILINEAR).crop(middle)
        bits = imagehash.phash(turned, hash_size=int(HASH_BITS**0.5)).hash
        rows.append(np.packbits(bits.ravel()).view(np.uint64))
    return np.stack(rows)


def likeness(first: np.ndarray, second: np.ndarray, degrees: float) -> float:
    """Correlation of two thumbnails' detail, -1 to 1, once the second lies on the first.

    `degrees` is by how much turning the first gives the second, roughly. Brightness and contrast
    cancel. 0 where a thumbnail has no detail or the two cannot be laid on each other by an affine
    map near the identity.
    """
    first, second = first.astype(np.float32), second.astype(np.float32)
    coarse = [gaussian_filter(thumb, 2.0)[::2, ::2] for thumb in (first, second)]
    map_ = _align(*coarse, _turned_by(degrees))
    if map_ is None or np.abs(map_).max() > LARGEST_MOVE:
        return 0.0
    disc = _grid(COARSE_SIDE)[2]
    if _correlation(coarse[0][disc], _moved(coarse[1], map_)[disc]) < LOWEST_COARSE:
        return 0.0
    disc = _grid(SIDE)[2]
    details = [_detail(thumb)[disc] for thumb in (first, _moved(second, map_))]
    if min(float(detail.std()) for detail in details) < FLATTEST:
        return 0.0
    return _correlation(*details)


def _turned_by(degrees: float) -> np.ndarray:
    """The map (see `_moved`) that undoes a turn of the first picture by `degrees`."""
    angle = np.deg2rad(degrees)
    cos, sin = np.cos(angle) - 1, np.sin(angle)
    return np.array([0.0, cos, sin, 0.0, -sin, cos])


@functools.cache
def _grid(side: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(x, y, inside the disc) of a side x side picture; x and y in sides from the centre."""
    places = (np.arange(side) - (side - 1) / 2) / side
    x, y = np.meshgrid(places, places)
    return x, y, np.hypot(x, y) < DISC_RADIUS


def _moved(picture: np.ndarray, map_: np.ndarray) -> np.ndarray:
    """The picture seen at x + m0 + m1 x + m2 y, y + m3 + m4 x + m5 y, in sides from the centre."""
    side = len(picture)
    x, y, _ = _grid(side)
    columns = (x + map_[0] + map_[1] * x + map_[2] * y) * side + (side - 1) / 2
    rows = (y + map_[3] + map_[4] * x + map_[5] * y) * side + (side - 1) / 2
    return map_coordinates(picture, [rows, columns], order=1, mode="nearest")


def _align(target: np.ndarray, picture: np.ndarray, map_: np.ndarray) -> np.ndarray | None:
    """The map that lays the picture on the target, from a first guess; None if there is none.

    Gauss-Newton on an affine map together with gain and offset (Lucas and Kanade 1981).
    """
    side = len(target)
    x, y, disc = _grid(side)
    x, y, wanted = x[disc], y[disc], target[disc]
    for _ in range(MAX_STEPS):
        moved = _moved(picture, map_)
        down, right = np.gradient(moved)
        right, down = right[disc] * side, down[disc] * side
        columns = np.stack(
            [right, right * x, right * y, down, down * x, down * y, moved[disc], np.ones_like(x)]
        )
        normal = columns @ columns.T
        normal[np.diag_indices(len(normal))] *= 1 + 1e-6
        try:
            found = np.linalg.solve(normal, columns @ wanted)
        except np.linalg.LinAlgError:
            return None
        if not np.isfinite(found).all() or abs(found[6]) < 1e-6:
            return None
        step = np.clip(found[:6] / found[6], -0.03, 0.03)
        map_ = map_ + step
        if np.abs(step).max() < SMALLEST_STEP:
            break
    return map_


def _detail(picture: np.ndarray) -> np.ndarray:
    fine, coarse = (gaussian_filter(picture, pixels) for pixels in DETAIL_PIXELS)
    return fine - coarse


def _correlation(first: np.ndarray, second: np.ndarray) -> float:
    first, second = (values - values.mean(dtype=np.float64) for values in (first, second))
    product = float(np.sqrt((first**2).sum() * (second**2).sum()))
    return float((first * second).sum()) / product if product > 0 else 0.0


DEFAULTS = {"distance": 32, "similarity": 0.96}


def check_duplicates(settings: dict) -> dict:
    """The settings with defaults filled in; raises InputError for others."""
    unknown = sorted(set(settings) - set(DEFAULTS))
    found = {**DEFAULTS, **settings}
    numbers = all(
        isinstance(value, int | float) and not isinstance(value, bool) for value in found.values()
    )
    if unknown or not numbers or found["distance"] < 0 or not 0 < found["similarity"] <= 1:
        raise InputError(
            "prep duplicates takes distance (bits of 256) and similarity (0 to 1).",
            settings, f"For example {DEFAULTS}.",
        )  # fmt: skip
    return found
