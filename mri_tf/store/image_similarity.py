"""Finds out whether two pictures are copies of one image: thumbnails, hashes, comparison of detail.

A re-encoded, resized, brightened or slightly rotated copy keeps the detail of its original; the
next slice or another patient has only the coarse layout in common. So a perceptual hash, which
depends on the layout, finds candidates, and the finer detail decides after alignment (`likeness`).

The hash is imagehash's (Zauner 2010: signs of low DCT coefficients), here 256 bits of the middle
of the picture, at several angles and a little to each side, because a DCT is invariant to neither.
"""

import functools

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates

from mri_tf.core.errors import InputError

ROWS_AT_A_TIME = 256  # images whose hashes are compared with all others at once
SIDE = 128  # rows and columns of a thumbnail, for any aspect of the picture
TURNS_DEGREES = (-3, -2, -1, 0, 1, 2, 3)  # at which the middle of a picture is hashed
SHIFT = 3  # pixels of a thumbnail: with it, shifts by 1 to 4 pixels have near hashes
SHIFTS = ((SHIFT, 0), (-SHIFT, 0), (0, SHIFT), (0, -SHIFT))  # right and down, of what is hashed upright
VIEWS = (*((degrees, 0, 0) for degrees in TURNS_DEGREES), *((0, *shift) for shift in SHIFTS))
VIEW_DEGREES = tuple(degrees for degrees, _, _ in VIEWS)
UPRIGHT = VIEWS.index((0, 0, 0))
HASH_BITS = 256
HASHED = slice(12, 116)  # beyond the border that a rotation fills, at most 64 sin(3 deg) = 3.4 pixels
DISC_RADIUS = 0.44  # of the side: beyond it filters and rotations see the border
DETAIL_PIXELS = (1.0, 3.0)  # SDs of the two Gaussians whose difference is the detail
COARSE_SIDE = 64
MAX_STEPS, SMALLEST_STEP = 10, 3e-4  # of the alignment, in sides
LARGEST_MOVE = 0.15  # of an alignment parameter; with more it is another view, not a copy
LOWEST_COARSE = 0.9  # correlation after alignment, below which detail is not compared
FLATTEST = 1e-3  # SD of the detail, as a share of the picture's range, below which there is none


def thumbnail(pixels: np.ndarray) -> np.ndarray:
    """Scales (rows, columns, channels) of any range to (128, 128) float16 grey, 0 to 1; blank to 0."""
    from PIL import Image

    # Several times faster than a mean over the last axis.
    grey = sum(pixels[..., channel] for channel in range(pixels.shape[-1])).astype(np.float32)
    small = np.asarray(Image.fromarray(grey).resize((SIDE, SIDE), Image.Resampling.LANCZOS))
    low, high = small.min(), small.max()
    if high - low <= 1e-6 * max(abs(high), 1.0):
        return np.zeros((SIDE, SIDE), np.float16)
    return ((small - low) / (high - low)).astype(np.float16)


def hashes(thumb: np.ndarray, views: tuple[tuple[int, int, int], ...] = VIEWS) -> np.ndarray:
    """(views, 4) uint64: 256 bits of a (128, 128) thumbnail seen in each of `views`.

    Args:
        thumb: of `thumbnail`.
        views: by how many degrees it is rotated, and by how many pixels its middle lies to the right
            and down.
    """
    import imagehash
    from PIL import Image

    picture = Image.fromarray(np.rint(thumb.astype(np.float32) * 255).astype(np.uint8))
    rows = []
    for degrees, right, down in views:
        first, last = HASHED.start, HASHED.stop
        middle = (first + right, first + down, last + right, last + down)
        rotated = picture.rotate(degrees, Image.Resampling.BILINEAR).crop(middle)
        bits = imagehash.phash(rotated, hash_size=int(HASH_BITS**0.5)).hash
        rows.append(np.packbits(bits.ravel()).view(np.uint64))
    return np.stack(rows)


def differing_bits(codes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(codes, others) uint16: in how many bits hashes (codes, 4) and (others, 4) of uint64 differ."""
    differing = np.zeros((len(codes), len(others)), np.uint16)
    for word in range(codes.shape[1]):
        differing += np.bitwise_count(codes[:, None, word] ^ others[None, :, word])
    return differing


def likeness(first: np.ndarray, second: np.ndarray, degrees: float) -> float:
    """Correlation of the detail of two thumbnails after alignment; brightness and contrast cancel.

    Args:
        first: (128, 128) thumbnail.
        second: (128, 128) thumbnail, aligned to the first.
        degrees: rough rotation from the first to the second.

    Returns:
        -1 to 1; 0 if a thumbnail has no detail or no affine map near the identity aligns the two.
    """
    first, second = first.astype(np.float32), second.astype(np.float32)
    coarse = [gaussian_filter(thumb, 2.0)[::2, ::2] for thumb in (first, second)]
    angle = np.deg2rad(degrees)
    cos, sin = np.cos(angle) - 1, np.sin(angle)
    map_ = _align(*coarse, np.array([0.0, cos, sin, 0.0, -sin, cos]))  # starts by undoing the rotation
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


def low_frequencies(thumb: np.ndarray) -> np.ndarray:
    """(16, 16) cosine coefficients of the middle of a thumbnail, of which its hash is made."""
    from PIL import Image
    from scipy.fft import dctn

    picture = Image.fromarray(np.rint(thumb[HASHED, HASHED].astype(np.float32) * 255).astype(np.uint8))
    side = int(HASH_BITS**0.5)
    small = picture.resize((4 * side, 4 * side), Image.Resampling.LANCZOS)
    return dctn(np.asarray(small, np.float64))[:side, :side]


def bits_of(frequencies: np.ndarray) -> np.ndarray:
    """(4,) uint64: the hash of a picture with these coefficients, as imagehash makes it."""
    return np.packbits((frequencies > np.median(frequencies)).ravel()).view(np.uint64)


@functools.cache
def _grid(side: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(x, y, inside the disc), each (side, side); x and y as shares of the side from the centre."""
    line = (np.arange(side) - (side - 1) / 2) / side
    x, y = np.meshgrid(line, line)
    return x, y, np.hypot(x, y) < DISC_RADIUS


def _moved(picture: np.ndarray, map_: np.ndarray) -> np.ndarray:
    """The picture sampled at x + m0 + m1 x + m2 y, y + m3 + m4 x + m5 y; x, y as in `_grid`."""
    side = len(picture)
    x, y, _ = _grid(side)
    columns = (x + map_[0] + map_[1] * x + map_[2] * y) * side + (side - 1) / 2
    rows = (y + map_[3] + map_[4] * x + map_[5] * y) * side + (side - 1) / 2
    return map_coordinates(picture, [rows, columns], order=1, mode="nearest")


def _align(target: np.ndarray, picture: np.ndarray, map_: np.ndarray) -> np.ndarray | None:
    """Improves the map (see `_moved`) that aligns a picture with the target; None without a solution.

    Gauss-Newton on an affine map together with gain and offset. Source: Lucas and Kanade 1981.
    """
    side = len(target)
    x, y, disc = _grid(side)
    x, y, values = x[disc], y[disc], target[disc]
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
            solution = np.linalg.solve(normal, columns @ values)
        except np.linalg.LinAlgError:
            return None
        if not np.isfinite(solution).all() or abs(solution[6]) < 1e-6:  # [6] is the gain
            return None
        step = np.clip(solution[:6] / solution[6], -0.03, 0.03)
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
    """Fills defaults into a task's prep["duplicates"]; raises InputError for invalid settings."""
    values = {**DEFAULTS, **settings}
    numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in values.values())
    unknown = values.keys() - DEFAULTS.keys()
    if unknown or not numbers or values["distance"] < 0 or not 0 < values["similarity"] <= 1:
        raise InputError(
            "prep duplicates takes distance (bits of 256) and similarity (above 0, at most 1).",
            settings, f"For example {DEFAULTS}.",
        )
    return values
