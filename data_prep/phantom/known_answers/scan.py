"""How a head is scanned, as a picture or as a volume: scanners, positions, marks, and re-encoded copies.

`draw_scan` draws what chance decides; `render` is a pure function of a head and a scan. Arrays are
(columns, rows, slices) in RAS: x to the right, y to the front, z to the head.
"""

from dataclasses import dataclass

import numpy as np

from data_prep.phantom.brain.scanner import rician
from data_prep.phantom.known_answers.head import Head, Traits, signal_at
from data_prep.volume import Volume

TE_MS = (90.0, 110.0)  # every scanner uses both
PICTURE, VOLUME = (64, 64, 1), (32, 32, 24)  # columns, rows, slices
VOLUME_SPACING = (2.05, 2.05, 2.3)  # of a volume's voxels, in pixels of a picture
MARK = 3  # voxels along each axis
MARK_SIGNAL = 1.4
SHIFT_MM, TILT_DEGREES = 3.0, 8.0
DEPTH = {"uint8": 1, "uint16": 8}  # stored type -> factor of a scanner's level


@dataclass(frozen=True)
class Scanner:
    """A scanner and the facts that a header says of it."""

    site: str
    name: str
    manufacturer: str
    tesla: float
    tr_ms: float
    pixel_mm: float
    level: float  # stored value of brain, in 8 bits
    noise: float  # relative to brain


# The first two are at sites of referral: an image shows by its level and noise where it is from.
SCANNERS = (
    Scanner("north", "N1", "Aquila", 1.5, 8000.0, 2.9, 88.0, 0.03),
    Scanner("east", "E1", "Borealis", 3.0, 8500.0, 3.0, 98.0, 0.04),
    Scanner("south", "S1", "Corvus", 1.5, 9000.0, 3.1, 118.0, 0.07),
    Scanner("west", "W1", "Draco", 3.0, 9500.0, 3.2, 130.0, 0.08),
)


@dataclass(frozen=True)
class Recoding:
    """What a copy of an image went through."""

    gain: float = 1.0
    shift: tuple[int, int] = (0, 0)  # voxels along x and y, one of them 0
    mirrored: bool = False  # left and right exchanged

    @property
    def in_words(self) -> str:
        """Such as "contrast x 0.95, mirrored"."""
        moved = f"shifted by {self.shift[0]} and {self.shift[1]} voxels along x and y"
        return f"contrast x {self.gain:.4f}, {'mirrored' if self.mirrored else moved}"


@dataclass(frozen=True)
class Scan:
    """One scan of a head."""

    scanner: Scanner
    te_ms: float
    flat: bool  # a picture; else a volume
    marked: bool
    shift_mm: tuple[float, float]  # of the head's middle from the image's, along x and y
    tilt_degrees: float  # of the head about z
    noise_seed: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """Columns, rows, slices."""
        return PICTURE if self.flat else VOLUME

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Along x, y, z."""
        steps = (1.0, 1.0, 1.0) if self.flat else VOLUME_SPACING
        return tuple(round(step * self.scanner.pixel_mm, 3) for step in steps)

    @property
    def affine(self) -> np.ndarray:
        """(4, 4), from indices to RAS mm; the image's middle is at 0."""
        affine = np.diag([*self.spacing_mm, 1.0])
        affine[:3, 3] = -(np.array(self.shape) - 1) / 2 * self.spacing_mm
        return affine


def draw_scan(rng: np.random.Generator, traits: Traits, flat: bool) -> Scan:
    """A scan as `traits` say; the rest is drawn alike for all values of them."""
    place = int(rng.integers(2))
    return Scan(
        scanner=SCANNERS[place if traits.referred else 2 + place],
        te_ms=TE_MS[int(traits.late_echo)],
        flat=flat,
        marked=traits.marked,
        shift_mm=tuple(rng.uniform(-SHIFT_MM, SHIFT_MM, 2)),
        tilt_degrees=float(rng.uniform(-TILT_DEGREES, TILT_DEGREES)),
        noise_seed=int(rng.integers(2**31)),
    )


def draw_recoding(rng: np.random.Generator) -> Recoding:
    """A change of contrast of 2 to 8 %, and a shift by one voxel or a mirror image."""
    gain = 1 + rng.choice([-1, 1]) * rng.uniform(0.02, 0.08)
    shift = ((1, 0), (-1, 0), (0, 1), (0, -1))[rng.integers(4)]
    mirrored = bool(rng.integers(2))
    return Recoding(float(gain), (0, 0) if mirrored else shift, mirrored)


def anatomy(head: Head, scan: Scan) -> tuple[np.ndarray, np.ndarray]:
    """The signal of a head relative to brain, float32, and its lesion, bool, on the grid of a scan."""
    axes = [
        start + step * np.arange(size)
        for start, step, size in zip(scan.affine[:3, 3], scan.spacing_mm, scan.shape, strict=True)
    ]
    x, y, z = np.meshgrid(*axes, indexing="ij")  # each (columns, rows, slices), mm
    x, y = x - scan.shift_mm[0], y - scan.shift_mm[1]
    angle = np.radians(scan.tilt_degrees)
    turned = np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x, z
    signal, lesion = signal_at(head, turned, scan.spacing_mm[0])
    return signal.astype(np.float32), lesion


def render(head: Head, scan: Scan) -> tuple[Volume, Volume]:
    """The image, uint8 of a picture and uint16 of a volume, and the lesion's mask (uint8, 0 and 1)."""
    signal, lesion = anatomy(head, scan)
    image = rician(signal, scan.scanner.noise, np.random.default_rng(scan.noise_seed))
    if scan.marked:
        image[mark_box(scan.shape)] = MARK_SIGNAL
    return stored_image(image, scan), Volume(lesion.astype(np.uint8), scan.affine)


def stored_image(image: np.ndarray, scan: Scan) -> Volume:
    """An image relative to brain as the scanner stores it: uint8 of a picture, uint16 of a volume."""
    dtype = "uint8" if scan.flat else "uint16"
    return Volume(_stored(image * (scan.scanner.level * DEPTH[dtype]), dtype), scan.affine)


def mark_box(shape: tuple[int, int, int]) -> tuple[slice, slice, slice]:
    """The voxels of the mark: in the front right upper corner, a voxel from the sides."""
    return tuple(slice(size - 1 - MARK, size - 1) if size > 1 else slice(None) for size in shape)


def recoded(volume: Volume, how: Recoding) -> Volume:
    """An image or mask after a recoding; what is shifted in repeats the outermost voxels.

    A mask is given with a recoding of gain 1.
    """
    array = volume.array[::-1] if how.mirrored else volume.array
    for axis, step in enumerate(how.shift):
        places = np.clip(np.arange(array.shape[axis]) - step, 0, array.shape[axis] - 1)
        array = np.take(array, places, axis)
    stored = _stored(array * how.gain, volume.array.dtype.name)
    return Volume(stored, volume.affine)


def _stored(values: np.ndarray, dtype: str) -> np.ndarray:
    """Rounded and clipped to a type of whole numbers."""
    return np.clip(np.rint(values), 0, np.iinfo(dtype).max).astype(dtype)
