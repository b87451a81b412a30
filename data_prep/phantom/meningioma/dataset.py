"""Synthetic meningiomas: for each patient a T1 after contrast agent and the tumour's mask, as NIfTI.

An image shows the tumour and its surroundings: brain, dura, skull, scalp and air. 174 patients on 26
scanners take about a minute and 240 MB.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.special import ndtri

from data_prep.io.nifti import write_nifti
from data_prep.phantom.brain.scanner import rician
from data_prep.phantom.files import write_table
from data_prep.phantom.meningioma.scanner import Scan, draw_scan, scanner_of
from data_prep.phantom.meningioma.tumor import Meningioma, draw_meningioma, grade_of
from data_prep.volume import Volume

COLUMNS = ("patient_id", "grade", "scanner", "field_strength_t")
AROUND_MM = 14.0  # shown around the tumour on each side
WORK_MM = 0.8  # voxel size in which anatomy is drawn
# Signal relative to white matter.
SIGNAL = {
    "air": 0.02, "scalp": 1.4, "skull": 0.15, "dura": 0.95, "fluid": 0.3, "grey": 0.8, "white": 1.0,
    "oedema": 0.72, "dark": 0.55,
}  # fmt: skip
SCALP_MM, SKULL_MM, DURA_MM, FLUID_MM = 6.0, 7.0, 1.2, 2.0


@dataclass(frozen=True)
class Drawn:
    """The anatomy on voxels of WORK_MM around the middle of the tumour; both (x, y, z), float32.

    signal: relative to white matter. tumor: its share of each voxel, 0 to 1.
    """

    signal: np.ndarray
    tumor: np.ndarray


def write_meningioma_phantom(
    folder: Path,
    patients: int,
    seed: int,
    signal: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Writes <patient>/{t1ce,mask}.nii.gz and manifest.csv.

    Patient k depends on the seed and k alone; complete patients are kept, so an interrupted call is
    continued by repeating it.

    Args:
        folder: where to write.
        patients: number of patients.
        seed: of everything that is drawn.
        signal: False permutes the grades over all patients; the images stay the same.
        progress: called with (patients done, patients in all), or None.
    """
    grades = [grade_of(number, seed) for number in range(patients)]
    stated = grades
    if not signal:
        stated = [grades[k] for k in np.random.default_rng([seed, 4]).permutation(patients)]
    rows = []
    for number, grade in enumerate(grades):
        tumor, scan = draw_patient(number, grade, seed)
        name = f"M{number + 1:03d}"
        _write_patient(Path(folder) / name, tumor, scan)
        rows.append((name, stated[number], scan.scanner.name, scan.scanner.tesla))
        if progress is not None:
            progress(number + 1, patients)
    write_table(Path(folder) / "manifest.csv", COLUMNS, rows)


def draw_patient(number: int, grade: str, seed: int) -> tuple[Meningioma, Scan]:
    """The tumour of patient `number` (from 0) and the scan that shows it."""
    tumor = draw_meningioma(grade != "I", np.random.default_rng([seed, 5, number]))
    scan = draw_scan(scanner_of(number, seed), np.random.default_rng([seed, 6, number]))
    return tumor, scan


def render(tumor: Meningioma, scan: Scan) -> tuple[Volume, Volume]:
    """The image (dtype of the scanner) and the mask (uint8, 1: tumour), in RAS at the scan's spacing."""
    half_mm = tumor.mean_radius_mm * 1.45 + AROUND_MM
    drawn = draw_anatomy(tumor, half_mm)
    spacing = np.array(scan.spacing_mm)
    shape = np.ceil(2 * half_mm / spacing).astype(int)
    first_mm = (np.array(scan.shift_voxels) - (shape - 1) / 2) * spacing
    weights = [
        _sampling(drawn.signal.shape[axis], first_mm[axis], spacing[axis], shape[axis],
                  max(spacing[axis], scan.scanner.blur_mm))
        for axis in range(3)
    ]  # fmt: skip
    image = _resampled(drawn.signal ** np.float32(scan.contrast), weights)
    places = [first_mm[axis] + spacing[axis] * np.arange(shape[axis]) for axis in range(3)]
    image *= np.exp(np.float32(scan.bias) * _waves(tumor.bias_waves, places))
    image = rician(image, scan.noise, np.random.default_rng(scan.noise_seed))
    image *= np.float32(scan.white_level)
    if scan.scanner.dtype != "float32":
        image = np.clip(np.rint(image), 0, 32767).astype(scan.scanner.dtype)
    mask = (_resampled(drawn.tumor, weights) >= 0.5).astype(np.uint8)
    angle = np.radians(scan.scanner.tilt_degrees)
    turn = np.eye(4)
    turn[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    inner = np.diag([*spacing, 1.0])
    inner[:3, 3] = first_mm
    affine = turn @ inner
    affine[:3, 3] += scan.table_mm
    return Volume(image, affine), Volume(mask, affine)


def draw_anatomy(tumor: Meningioma, half_mm: float) -> Drawn:
    """Tumour, brain and skull in a cube that reaches `half_mm` to each side of the tumour's middle."""
    count = 2 * int(np.ceil(half_mm / WORK_MM)) + 1
    axis = ((np.arange(count) - (count - 1) / 2) * WORK_MM).astype(np.float32)
    places = [axis] * 3
    x, y, z = np.meshgrid(*places, indexing="ij", sparse=True)
    radius, out = tumor.mean_radius_mm, tumor.outward
    # The head is a ball; its surface lies `sunk` radii beyond the tumour's middle.
    inside = tumor.head_radius - tumor.sunk * radius
    from_middle = np.sqrt(
        sum((v + np.float32(inside * o)) ** 2 for v, o in zip((x, y, z), out, strict=True))
    )
    depth = np.float32(tumor.head_radius) - from_middle  # below the inner table

    level = np.sqrt(sum((v / np.float32(r)) ** 2 for v, r in zip((x, y, z), tumor.radii, strict=True)))
    margin = radius * (1 - level) + tumor.lobulation * radius * _waves(tumor.lobes, places)
    margin = margin + np.float32(tumor.raggedness_mm) * _waves(tumor.ragged_waves, places)
    share = np.clip(0.5 + margin, 0, 1) * np.clip(depth, 0, 1)

    fold = _waves(tumor.folding, places)
    grey = np.clip(0.5 + (3.5 + 4 * np.maximum(fold, 0) - (depth - FLUID_MM)) / 1.5, 0, 1)
    brain = SIGNAL["white"] + grey * (SIGNAL["grey"] - SIGNAL["white"])
    swollen = np.clip(0.5 + (margin + tumor.oedema_mm * (0.9 + 0.3 * fold)) / 3, 0, 1)
    swollen *= (1 - grey) * (tumor.oedema_mm > 0.5)
    signal = brain + swollen * (SIGNAL["oedema"] - brain)
    for name, end in (("fluid", FLUID_MM), ("dura", DURA_MM), ("skull", 0.0),
                      ("scalp", -SKULL_MM), ("air", -SKULL_MM - SCALP_MM)):  # fmt: skip
        signal += np.clip(0.5 + (end - depth) / WORK_MM, 0, 1) * (SIGNAL[name] - signal)
    tail = np.clip(depth, 0, 1) * np.clip(0.5 + (DURA_MM + 0.5 - depth), 0, 1)
    tail *= np.clip(0.5 + (tumor.tail * radius - level * radius) / 2, 0, 1)
    bright = SIGNAL["white"] + tumor.enhancement
    signal += tail * (bright - signal)

    inner = bright * (1 + tumor.unevenness * _waves(tumor.texture_waves, places))
    if tumor.dark_share:
        limit = ndtri(1 - tumor.dark_share)
        dead = np.clip(0.5 + 2 * (_waves(tumor.dark_waves, places) - limit), 0, 1)
        dead *= np.clip(margin / 2, 0, 1)
        inner += dead * (SIGNAL["dark"] - inner)
    signal += share * (np.maximum(inner, SIGNAL["fluid"]) - signal)
    return Drawn(np.maximum(signal, 0).astype(np.float32), share.astype(np.float32))


def _waves(rows: tuple, places: list[np.ndarray]) -> np.ndarray:
    """The sum of plane waves on a grid (three axes in mm), float32, SD about 1.

    A plane wave is a product of one wave along each axis, so the sum is one product of matrices.
    """
    numbers = np.asarray(rows, np.float64)  # (waves, 3 wave numbers and a phase)
    x, y, z = (np.exp(1j * numbers[:, axis, None] * places[axis]) for axis in range(3))
    x = x * np.exp(1j * numbers[:, 3, None])
    plane = (x[:, :, None] * y[:, None, :]).astype(np.complex64)  # (waves, x, y)
    flat = plane.reshape(len(rows), -1).T @ z.astype(np.complex64)  # (x * y, z)
    total = flat.real.reshape(len(places[0]), len(places[1]), len(places[2]))
    return total * np.float32(np.sqrt(2 / len(rows)))


def _sampling(size: int, first_mm: float, step_mm: float, count: int, width_mm: float) -> np.ndarray:
    """(count, size): weight of each drawn voxel in each voxel of the scan, along one axis.

    The slice profile is a triangle, `width_mm` wide at half its height.
    """
    drawn_mm = (np.arange(size) - (size - 1) / 2) * WORK_MM
    scan_mm = first_mm + step_mm * np.arange(count)
    distance_mm = np.abs(drawn_mm[None, :] - scan_mm[:, None])
    weights = np.maximum(0.0, 1 - distance_mm / max(width_mm, WORK_MM))
    outside = weights.sum(axis=1) == 0  # of the drawn cube: takes its outermost voxel
    weights[outside, np.argmin(distance_mm[outside], axis=1)] = 1
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def _resampled(drawn: np.ndarray, weights: list[np.ndarray]) -> np.ndarray:
    x, y, z = weights
    return np.einsum("ax,by,cz,xyz->abc", x, y, z, drawn, optimize=True)


def _write_patient(folder: Path, tumor: Meningioma, scan: Scan) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / "t1ce.nii.gz", folder / "mask.nii.gz"]
    if all(path.exists() for path in paths):
        return
    for path, volume in zip(paths, render(tumor, scan), strict=True):
        write_nifti(path, volume, scan.scanner.codes)
